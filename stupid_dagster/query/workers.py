"""Threads for work that may outlast its deadline and can't be stopped: it is left to itself.

They are daemons: a process that ends doesn't wait for them, as it would for those of an executor.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
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
    """Runs work within the caller's deadline, so many at once; given up or not, it has a place."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = self._abandoned = 0
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._idle = 0
        """Threads that wait for a task, less the tasks that wait for them."""
        self._lock = threading.Lock()
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition(self._lock)

    @property
    def abandoned(self) -> int:
        """How much work that nobody awaits any more still runs."""
        return self._abandoned

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what `work` returns, or raise what it raises.

        Waits for a place. Raises TimedOutError at the deadline, and BusyError where none came
        free until then, or all have work that was given up: more would only make all slower.
        """
        check()
        task = _Task(work)
        with self._lock:
            self._take_place()
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
                self._changed.notify_all()
            if task.abandoned:
                raise timed_out()
        if task.error:
            raise task.error
        return task.result

    def _take_place(self) -> None:
        # In turn: else who asks for place after place would leave none to others.
        turn = object()
        self._waiting.append(turn)
        try:
            while self._running >= self._most or self._waiting[0] is not turn:
                left = remaining()
                if self._abandoned >= self._most:
                    raise BusyError(
                        f"{self._abandoned} queries that took too long still run, for they can't "
                        "be stopped; ask again when some have ended"
                    )
                if left is not None and left <= 0:
                    raise BusyError(
                        f"{self._running} other queries ran, and {len(self._waiting)} waited, all "
                        "the time that this one may take; ask again"
                    )
                self._changed.wait(left)
            self._running += 1
        finally:
            self._waiting.remove(turn)
            self._changed.notify_all()

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
                self._running -= 1
                self._changed.notify_all()
            task.done.release()
            del task  # Whoever waits for the next one holds nothing of this.
