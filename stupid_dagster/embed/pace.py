"""When requests to a server may start."""

from __future__ import annotations

import threading
import time


class Pace:
    """Spreads requests evenly over the minute, and holds all while a server asks to wait.

    Threads share one.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Take the next turn; return the seconds until then."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._interval
            return start - now

    def hold(self, seconds: float) -> None:
        """Let no turn be taken from now that is sooner than in so many seconds."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
