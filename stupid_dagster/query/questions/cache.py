"""Plans of questions that were asked before, of the same catalog and model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence

from stupid_dagster.llm.protocol import Message
from stupid_dagster.query.plans.model import Plan

MOST_PLANS = 500


class PlanCache:
    """The plans used last, in memory. Any number of threads may use one."""

    def __init__(self, most: int = MOST_PLANS) -> None:
        self._most = most
        self._plans: OrderedDict[str, tuple[str, Plan]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._plans)

    def find(self, key: str) -> Plan | None:
        """Return a plan, None where there is none."""
        with self._lock:
            if key not in self._plans:
                return None
            self._plans.move_to_end(key)
            return self._plans[key][1]

    def keep(self, key: str, snapshot: str, plan: Plan) -> None:
        """Keep a plan that was made from a snapshot's catalog; what wasn't used longest goes."""
        with self._lock:
            self._plans[key] = (snapshot, plan)
            self._plans.move_to_end(key)
            while len(self._plans) > self._most:
                self._plans.popitem(last=False)

    def keep_only(self, snapshots: Collection[str]) -> None:
        """Forget the plans of all other snapshots: they may name what was evicted."""
        with self._lock:
            for key, (snapshot, _) in [*self._plans.items()]:
                if snapshot not in snapshots:
                    del self._plans[key]


def cache_key(model_id: str, messages: Sequence[Message], question: str) -> str:
    """Return what a plan depends on: model, catalog and conversation, and the question's words."""
    # Whatever is in it may be an id or a value, which their letters' case and spaces tell apart.
    # The last message is the question as it was typed.
    told = [model_id, *(message.content for message in messages[:-1]), question.strip()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
