"""When language models are asked no more: at a time, or as soon as somebody says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stupid_dagster.deadline import Stop, current_stop
from stupid_dagster.llm.protocol import CallError


class OverError(CallError):
    """The time is over in which a request might be made: it isn't made."""


class Ending:
    """The end of all asking; None seconds: when `now` is called. Any threads may share one.

    No request starts after it, neither another try nor another model's, and none waits longer.
    `setting` is where the seconds come from.
    """

    def __init__(self, seconds: float | None = None, setting: str = "llm_run_seconds") -> None:
        self.seconds, self.setting = seconds, setting
        self._at = None if seconds is None else time.monotonic() + seconds
        self._stop = Stop()

    @property
    def over(self) -> bool:
        """Whether the end has come."""
        return self.left() == 0

    def now(self) -> None:
        """End it."""
        self._stop.stop()

    def left(self) -> float | None:
        """Return the seconds until the end, 0 after it; None where none is set."""
        if self._stop.stopped:
            return 0
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def check(self) -> None:
        """Raise OverError after the end, and Stopped where nobody awaits the work any more."""
        if stop := current_stop():
            stop.check()
        if self.over:
            raise OverError(f"nobody is asked any more: the time is over (setting {self.setting})")

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until the end; raises Stopped where nobody awaits the work."""
        left, woken = self.left(), threading.Event()
        with self.waking(woken.set):
            woken.wait(seconds if left is None else min(seconds, left))
        if stop := current_stop():
            stop.check()

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Have who waits inside woken when `now` is called, or when nobody awaits the work."""
        stops = [stop for stop in (self._stop, current_stop()) if stop]
        for stop in stops:
            stop.then(wake)
        try:
            yield
        finally:
            for stop in stops:
                stop.forget(wake)
