"""Turn raw daily event logs into knowledge that people can query."""

__version__ = "0.1.0"
