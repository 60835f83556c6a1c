"""Where `trend_rows` was: import it from `tests.compute.trend_tables`."""

from tests.compute.trend_tables import trend_rows as trend_rows
