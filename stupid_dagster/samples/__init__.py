"""Sample data, written as a source system would: daily files, every column a string."""

from stupid_dagster.samples.flights import write_flights

__all__ = ["write_flights"]
