"""What inference raises."""

from __future__ import annotations

from stupid_dagster.errors import StupidError


class InferenceError(StupidError):
    """No event model can be drafted from a sample; the message says what was looked for."""
