"""The insights as a stream of events, for any number of clients, while snapshots change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi.concurrency import run_in_threadpool

from stupid_dagster.errors import StoreError
from stupid_dagster.query import KeptSnapshots
from stupid_dagster.query.insights import (
    InsightEvent,
    InsightFilter,
    SnapshotInsights,
    first_events,
    next_events,
)

REMEMBERED = 8
"""Snapshots whose insights are kept, so that who lost the connection hears what has changed."""


class InsightFeed:
    """Tells clients of insights; none of them looks for new snapshots, or holds an old one.

    Belongs to one event loop, that of `start`.
    """

    def __init__(self, snapshots: KeptSnapshots) -> None:
        self.snapshots = snapshots
        self._told: dict[str, SnapshotInsights] = {}
        """By snapshot, the newest last."""
        self._changed = asyncio.Event()
        self._stopped = False

    def start(self) -> None:
        """Follow the snapshots."""
        loop = asyncio.get_running_loop()
        self._stopped = False
        self.snapshots.watch(lambda: loop.call_soon_threadsafe(self._announce))

    def stop(self) -> None:
        """End every stream: a server that shuts down waits for them."""
        self._stopped = True
        self._announce()

    async def current(self) -> SnapshotInsights:
        """Return what the published snapshot tells; raises StoreError."""
        with self.snapshots.use() as reader:
            if reader.id not in self._told:
                self._told[reader.id] = await run_in_threadpool(SnapshotInsights.of, reader)
            # Published again, it's the newest again.
            told = self._told[reader.id] = self._told.pop(reader.id)
            for snapshot in list(self._told)[:-REMEMBERED]:
                del self._told[snapshot]
            return told

    async def events(
        self, wanted: InsightFilter, last_id: str | None
    ) -> AsyncIterator[InsightEvent | StoreError]:
        """Yield what there is, then what changes, until the server stops.

        And, where what was published since can't be told, why; the next may be better.

        `last_id`, the id of the last event that a client has, is `<snapshot>/<insight>`; after
        one that isn't known any more, all is told again. Raises StoreError when nothing can be
        told at first.
        """
        sent: SnapshotInsights | None = None
        changed = self._changed
        now = await self.current()
        while not self._stopped:
            if sent is None:
                for event in first_events(now, wanted, self._reached(last_id)):
                    yield event
            elif now.snapshot != sent.snapshot:
                for event in next_events(sent, now, wanted):
                    yield event
            sent = now
            await changed.wait()
            # Taken before looking, so that nothing is missed in between.
            changed = self._changed
            try:
                now = await self.current()
            except StoreError as error:
                yield error

    def _reached(self, last_id: str | None) -> tuple[SnapshotInsights, str] | None:
        snapshot, _, insight_id = (last_id or "").partition("/")
        told = self._told.get(snapshot)
        return (told, insight_id) if told and insight_id in told.insights else None

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
