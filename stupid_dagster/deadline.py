"""How long an answer may take, known to all that work on it.

The deadline belongs to the context (`contextvars`): threads that work for a request need a copy
of its context, as `asyncio.to_thread` and Starlette's thread pool give them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from stupid_dagster.errors import TimedOutError


@dataclass(frozen=True)
class _Deadline:
    at: float
    seconds: float
    setting: str


_DEADLINE: ContextVar[_Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def deadline(seconds: float | None, setting: str = "step_seconds") -> Iterator[None]:
    """Let what is done inside take so many seconds at most; None: as long as it likes.

    `setting` is where they come from, which who runs out of time is told.
    Inside another deadline the inner one counts alone: each step of a plan has its own.
    """
    former = _DEADLINE.get()
    end = time.monotonic() + (seconds or 0)
    _DEADLINE.set(None if seconds is None else _Deadline(end, seconds, setting))
    try:
        yield
    finally:
        # Not by a token: a dependency of FastAPI may be left in another context than it began in.
        _DEADLINE.set(former)


def remaining() -> float | None:
    """Return the seconds that are left, 0 or below where none are; None without a deadline."""
    current = _DEADLINE.get()
    return None if current is None else current.at - time.monotonic()


def check() -> None:
    """Raise TimedOutError where no time is left."""
    left = remaining()
    if left is not None and left <= 0:
        raise timed_out()


def timed_out() -> TimedOutError:
    """Return the error that says how long the answer may take, and what to do."""
    current = _DEADLINE.get()
    most = f"{current.seconds:.3g} seconds" if current else "the time"
    setting = current.setting if current else "step_seconds"
    return TimedOutError(
        f"the answer takes longer than {most} that it may (setting {setting}); ask for less: "
        "fewer days, one event type, more conditions, fewer steps through the graph, or a lower "
        "limit"
    )
