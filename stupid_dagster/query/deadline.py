"""The deadline of a request or a step of a plan, which all reading of a snapshot keeps to."""

from __future__ import annotations

from stupid_dagster.deadline import check, deadline, remaining, timed_out

__all__ = ["check", "deadline", "remaining", "timed_out"]
