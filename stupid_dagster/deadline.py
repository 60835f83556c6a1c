"""How long an answer may take, and whether anyone awaits it, known to all that work on it.

Both belong to the context (`contextvars`): threads that work for a request need a copy of its
context, as `asyncio.to_thread` and Starlette's thread pool give them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from stupid_dagster.errors import TimedOutError


class Stopped(BaseException):
    """Nobody awaits the answer. It is for who began the work alone, hence no Exception."""


class Stop:
    """Tells work that nobody awaits it any more. Any threads may use one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: list[Callable[[], object]] | None = []

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._actions is None

    def stop(self) -> None:
        """Let the work end: no time is left to it, and what `then` was given is done."""
        with self._lock:
            actions, self._actions = self._actions, None
        for action in actions or ():
            action()

    def then(self, action: Callable[[], object]) -> None:
        """Have something done by who stops the work, or at once where it is stopped already.

        It must take no time, and do no harm when the work has ended.
        """
        with self._lock:
            if self._actions is not None:
                self._actions.append(action)
                return
        action()

    def forget(self, action: Callable[[], object]) -> None:
        """Take back what `then` was given, where the work wasn't stopped meanwhile."""
        with self._lock:
            if self._actions and action in self._actions:
                self._actions.remove(action)

    def check(self) -> None:
        """Raise Stopped where the work was stopped."""
        if self.stopped:
            raise Stopped


@dataclass(frozen=True)
class _Deadline:
    at: float
    seconds: float
    setting: str


_DEADLINE: ContextVar[_Deadline | None] = ContextVar("deadline", default=None)
_STOP: ContextVar[Stop | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """Let what is done inside be stopped, whatever its deadlines are."""
    token = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(token)


def current_stop() -> Stop | None:
    """Return what may stop the work that this is part of, if anything."""
    return _STOP.get()


@contextmanager
def inner_stop() -> Iterator[Stop]:
    """Yield what stops a part of the work alone, and is stopped with the whole.

    Nothing is stopped by it until it is given to `stoppable`.
    """
    outer, inner = _STOP.get(), Stop()
    if outer is not None:
        outer.then(inner.stop)
    try:
        yield inner
    finally:
        if outer is not None:
            outer.forget(inner.stop)


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
    """Return the seconds that are left, 0 or below where none are; None without a deadline.

    None are left to work that was stopped.
    """
    if (stop := _STOP.get()) and stop.stopped:
        return 0.0
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
