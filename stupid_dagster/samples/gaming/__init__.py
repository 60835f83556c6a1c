"""A gaming log of made-up members, with known structure and known dirt."""

from stupid_dagster.samples.gaming.write import write_gaming

__all__ = ["write_gaming"]
