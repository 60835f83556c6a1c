"""Several parties at work on one lake, in every order of their steps that there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from stupid_dagster.stores.bucket.lake import BucketLake

_LIVE = "replace CURRENT"
_STEPS = ("create PARTITIONS.json", "replace PARTITIONS.json", "entry CURRENT", _LIVE)
_LOOKS = ("read PARTITIONS.json", "read_unless PARTITIONS.json")
"""Steps of their own at first, and after somebody made something live; else a part of the next."""


class Party(threading.Thread):
    """Does some work, and is held up before each step: what it asks or tells of a partition."""

    def __init__(self, lake: BucketLake, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._go, self._held = threading.Semaphore(0), threading.Semaphore(0)
        self.steps: list[str] = []
        self.is_done = False
        self.error: BaseException | None = None
        for name in ("read", "read_unless", "create", "replace", "entry"):
            setattr(lake.files, name, self._stepwise(name, getattr(lake.files, name)))
        self.start()
        self._held.acquire()

    def step(self) -> None:
        """Let it do its next step, and all until the one after that."""
        self._go.release()
        self._held.acquire()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.error = error
        self.is_done = True
        self._held.release()

    def _stepwise(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def held(key: str, *arguments: Any) -> Any:
            step = f"{name} {key.rpartition('/')[2]}"
            if step in _STEPS or (step in _LOOKS and (not self.steps or self.steps[-1] == _LIVE)):
                self._held.release()
                self._go.acquire()
                self.steps.append(step)
            return call(key, *arguments)

        return held


def all_orders(begin: Callable[[], list[Party]], after_each: Callable[[list[Party]], None]) -> int:
    """Let parties work in all orders of their steps; return how many orders there are.

    `begin` makes new parties, `after_each` is called after every step. A party that is killed is
    one that does no further step: what there is then, `after_each` sees.
    """
    number, todo = 0, [[0] * 0]
    while todo:
        order = todo.pop()
        parties, at = begin(), 0
        while able := [n for n, party in enumerate(parties) if not party.is_done]:
            if at == len(order):
                todo += [[*order, other] for other in able[1:]]
                order = [*order, able[0]]
            parties[order[at]].step()
            at += 1
            after_each(parties)
        number += 1
        for error in _errors(parties):
            raise error
    return number


def _errors(parties: list[Party]) -> Iterator[BaseException]:
    for party in parties:
        party.join()
        if party.error:
            yield party.error
