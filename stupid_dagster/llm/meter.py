"""What requests to language models take, counted one by one, within a budget and a time."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stupid_dagster.llm.budget import Budget
from stupid_dagster.llm.ending import Ending
from stupid_dagster.llm.protocol import Message, Usage


@dataclass
class Request:
    """A request under way; `usage` is what it took, and until that is known what is expected."""

    model_id: str
    usage: Usage


class Patience(NamedTuple):
    """For how long a request may take, and by which setting."""

    seconds: float
    setting: str


@dataclass
class _Counts:
    usage: dict[str, Usage] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    under_way: dict[int, Request] = field(default_factory=dict)
    lock: threading.Condition = field(default_factory=threading.Condition)


class Meter:
    """Lets requests be made while a budget and a time last, and counts what they take.

    Any number of threads may use one. `waits` says whether a busy server is waited for until the
    end; else a little.
    """

    waits = False

    def __init__(
        self,
        budget: Budget | None = None,
        ending: Ending | None = None,
        counts: _Counts | None = None,
    ) -> None:
        self.budget = budget or Budget()
        self.ending = ending or Ending()
        self._counts = counts or _Counts()

    def within(self, budget: Budget) -> Meter:
        """Return one with another budget that counts together with this one."""
        return Meter(budget, self.ending, self._counts)

    def waiting(self) -> Meter:
        """Return the same with which a busy server is waited for until the end, if one is set."""
        meter = copy.copy(self)
        meter.waits = self.ending.left() is not None
        return meter

    @contextmanager
    def request(
        self, model_id: str, messages: Sequence[Message], schema: Mapping[str, Any] | None
    ) -> Iterator[Request]:
        """Reserve what a request may take, and count what it took, also if it fails.

        Where nobody says what it took, that is what was expected. Raises BudgetExhaustedError or
        OverError where it may not be made.
        """
        reserved = self.budget.reserve(model_id, messages, schema, self.ending)
        request, counts = Request(model_id, reserved.usage), self._counts
        with counts.lock:
            counts.requests[model_id] += 1
            counts.under_way[id(request)] = request
        try:
            yield request
        finally:
            with counts.lock:
                del counts.under_way[id(request)]
                before = counts.usage.get(model_id, Usage())
                counts.usage[model_id] = before + request.usage
                counts.lock.notify_all()
            self.budget.settle(reserved, model_id, request.usage)

    def patience(self, seconds: float) -> Patience:
        """Return for how long a request may wait that would wait for so many seconds."""
        left = self.ending.left()
        if left is None or left > seconds:
            return Patience(seconds, "llm_seconds")
        return Patience(left, self.ending.setting)

    def settle(self, seconds: float) -> None:
        """Wait until no request is under way, but no longer than so many seconds."""
        with self._counts.lock:
            self._counts.lock.wait_for(lambda: not self._counts.under_way, seconds)

    def spent(self, *, under_way: bool = False) -> dict[str, Usage]:
        """Return what each model took, failures included.

        With those `under_way` at what is expected of them, as must be counted if nobody waits for
        them any more.
        """
        with self._counts.lock:
            found = {**self._counts.usage}
            for request in self._counts.under_way.values() if under_way else ():
                found[request.model_id] = found.get(request.model_id, Usage()) + request.usage
        return found

    def requests(self) -> Counter[str]:
        """Return how many requests each model got, those under way and failures included."""
        with self._counts.lock:
            return Counter(self._counts.requests)
