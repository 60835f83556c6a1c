"""Bad weather between a lake and its bucket: every so many requests something goes wrong."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from tests.stores.faulty_proxy import FaultyProxy

_QUICK = ("drop request", "503", "lost answer", "drop body", "409")
KINDS = (*_QUICK, "hang", *_QUICK, *_QUICK, *_QUICK)
"""What goes wrong, in turn; that nothing is answered takes a while each time."""
FOREVER = 1 << 30
"""So often is a fault that never ends."""
# AWS answers so to writes on a condition, and only answers to GET have a body of size.
_ONLY: dict[str, tuple[str, re.Pattern[str]]] = {
    "409": ("PUT", re.compile(r"/(LEDGER|_version)\.json$")),
    "drop body": ("GET", re.compile("")),
}


class Weather:
    """Lets a proxy do to every so many requests one thing after the other.

    No two requests in a row are hit, so that a request that is sent again comes through.
    """

    def __init__(self, proxy: FaultyProxy, every: int, silence: float) -> None:
        self.done: Counter[str] = Counter()
        self.requests = 0
        self._kinds = itertools.cycle(KINDS)
        self._every, self._since = every, 0
        # A body breaks off after as many bytes as seconds.
        self._faults = proxy.set(next(self._kinds), FOREVER, self._hits, after=silence)
        self._next = self._faults.name

    def _hits(self, method: str, path: str) -> bool:
        self.requests += 1
        self._since += 1
        only, where = _ONLY.get(self._next, (method, re.compile("")))
        if self._since < self._every or method != only or not where.search(path):
            return False
        self._faults.name = self._next
        self.done[self._next] += 1
        self._next, self._since = next(self._kinds), 0
        return True
