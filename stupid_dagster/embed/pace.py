"""When requests to a server may start, and how long to wait before one is sent again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0


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


def wait_before(tries: int, asked: float | None) -> float:
    """Return the seconds to wait after so many tries that failed.

    Those that the server asked for, and a little, so that not all come back at once. Else they
    double, with "equal jitter": half of them by chance
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    if asked is not None:
        return asked + random.uniform(0, FIRST_WAIT / 2)
    most = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tries - 1))
    return random.uniform(most / 2, most)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks to wait, None where it doesn't say.

    Both of its forms are read, a number and a date (RFC 9110, 10.2.3).
    """
    told = headers.get("retry-after")
    if told is None:
        return None
    try:
        return max(0.0, float(told)) if float(told) < float("inf") else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(told)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
