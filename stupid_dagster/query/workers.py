"""Threads for work that may outlast its deadline and can't be stopped: it is left to itself.

They are daemons: a process that ends doesn't wait for them, as it would for those of an executor.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from stupid_dagster.deadline import check, remaining, timed_out
from stupid_dagster.errors import BusyError

_Result = TypeVar("_Result")


class _Task:
    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done = threading.Lock()
        self.done.acquire()
        self.ended = self.abandoned = False
        self.result: Any = None
        self.error: BaseException | None = None


class Workers:
    """Runs work within the caller's deadline, until so many that was given up still runs."""

    def __init__(self, most_abandoned: int) -> None:
        self._most_abandoned = most_abandoned
        self._abandoned = 0
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._idle = 0
        """Threads that wait for a task, less the tasks that wait for them."""
        self._lock = threading.Lock()

    @property
    def abandoned(self) -> int:
        """How much work that nobody awaits any more still runs."""
        return self._abandoned

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what `work` returns, or raise what it raises.

        Raises TimedOutError at the deadline, and BusyError where too much still runs that was
        given up at its own: more would only make all slower.
        """
        check()
        task = _Task(work)
        with self._lock:
            if self._abandoned >= self._most_abandoned:
                raise BusyError(
                    f"{self._abandoned} queries that took too long still run, for they can't be "
                    "stopped; ask again when some have ended"
                )
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._work, name="query", daemon=True).start()
            self._tasks.put(task)
        left = remaining()
        if not task.done.acquire(timeout=-1 if left is None else max(0.0, left)):
            with self._lock:
                task.abandoned = not task.ended
                self._abandoned += task.abandoned
            if task.abandoned:
                raise timed_out()
        if task.error:
            raise task.error
        return task.result

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task.result = task.work()
            except BaseException as error:  # It is the caller's.
                task.error = error
            with self._lock:
                task.ended = True
                self._abandoned -= task.abandoned
                self._idle += 1
            task.done.release()
            del task  # Whoever waits for the next one holds nothing of this.
