"""The kept snapshots, followed: requests get a reader, and each keeps the one it got."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import NamedTuple

import structlog

from stupid_dagster.errors import NotFoundError, SnapshotError, StupidError
from stupid_dagster.project import Project
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stores.snapshots import (
    Manifest,
    Snapshot,
    kept_windows,
    missing_window,
    open_snapshot,
    published_id,
    read_manifests,
    snapshot_ids,
)

SECONDS_BETWEEN_LOOKS = 0.5
LOOKS_BETWEEN_TIDYINGS = 120
"""A minute: what is evicted may stay on this machine so long, when no request uses it."""
EARLIER_WINDOWS_OPEN = 2
"""Windows other than the published one that stay open when nobody reads them."""
CLOSING_SECONDS = 2.0
"""Time for which who closes a reader waits for it: a query that nobody awaits may hold a store."""
CLOSING_PAUSE = 0.5
"""Seconds until a replaced reader is closed, which holds up all threads for a while (10 ms for 30
gaming days): the next request is likely to be the first to the new snapshot."""
log = structlog.get_logger(__name__)


class KeptWindow(NamedTuple):
    """A window that can be asked for: its last day, and the snapshot that answers."""

    last_day: str
    snapshot: str
    published: bool


class KeptSnapshots:
    """Hands out readers: of the published snapshot, and of earlier windows that are kept.

    `start` follows what is published in a thread of its own: a new snapshot is opened and
    warmed beside the old one, then takes over. An earlier window's stores are opened when they
    are first asked. A reader whose snapshot was replaced, evicted or crowded out by others is
    closed when its last user is done.

        with KeptSnapshots(project) as snapshots, snapshots.use() as reader:
            reader.catalog()
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._published: SnapshotReader | None = None
        self._earlier: dict[str, SnapshotReader] = {}
        """By last day, the window that was asked for last comes last."""
        self._users: dict[SnapshotReader, int] = {}
        self._manifests: Mapping[str, Manifest] = {}
        self._seen: list[str] = []
        self._state: str | None = None
        self._named: str | None = None
        self._windows: Mapping[str, Manifest] = {}
        self._watchers: list[Callable[[], object]] = []
        self._problem = "no snapshot is open: call start() first, and nothing after close()"

    def start(self) -> None:
        """Open what is published, and follow it until `close`."""
        self.refresh()
        self._thread = threading.Thread(target=self._follow, name="snapshots", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following, and close each reader when its last user is done."""
        self._stopped.set()
        if self._thread:
            self._thread.join()
        with self._refreshing:
            with self._lock:
                self._published, self._windows = None, {}
            self._close_unwanted()

    def __enter__(self) -> KeptSnapshots:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def use(self, as_of: date | None = None) -> Iterator[SnapshotReader]:
        """Lend the reader of the published snapshot, or of the window that ends on `as_of`.

        It answers the same until it's given back. Never waits for a disk. Raises SnapshotError
        when nothing is published, or what is published couldn't be opened, and NotFoundError for
        a window that isn't kept.
        """
        with self._lock:
            reader = self._find(as_of)
            self._users[reader] += 1
        try:
            self._close_unwanted()
            yield reader
        finally:
            with self._lock:
                self._users[reader] -= 1
            self._close_unwanted()

    def watch(self, tell: Callable[[], object]) -> None:
        """Call `tell`, from the thread that follows, when another snapshot or none is published."""
        with self._lock:
            self._watchers.append(tell)

    def windows(self) -> list[KeptWindow]:
        """Return the windows that can be asked for, oldest first."""
        with self._lock:
            published = self._published and self._published.manifest
            manifests = {**self._windows}
        if published:
            manifests[published.last_day] = published
        return [KeptWindow(day, m.id, m is published) for day, m in sorted(manifests.items())]

    def refresh(self) -> None:
        """Look which windows are kept, and open the published snapshot unless it is open.

        What can't be opened is logged. The snapshot that is open stays in use while a newer one
        can't be opened.
        """
        with self._refreshing:
            published: str | None = ""  # Not known, which isn't None: nothing is published.
            try:
                published = self._look()
                if self._published and published == self._published.id:
                    return
                reader = SnapshotReader(self.project, open_snapshot(self.project.lake, published))
            except (StupidError, OSError) as error:
                self._fail(str(error), keep=published is not None)
                return
            reader.warm()
            self._replace(reader)
            log.info("snapshot opened", snapshot=reader.id, window=reader.manifest.last_day)

    def _look(self) -> str | None:
        """Look which windows are kept, and return which snapshot is published."""
        lake = self.project.lake
        # Where it is told, whether anything changed, and all else would be hundreds of requests.
        state = lake.ledger.state
        if state is not None and state == self._state:
            return self._named
        named = published_id(lake)
        ids = snapshot_ids(lake)
        if ids != self._seen:
            self._manifests = read_manifests(lake, self._manifests)
            self._seen = ids
        windows = kept_windows(lake, self._manifests)
        with self._lock:
            self._windows = {day: self._manifests[name] for day, name in windows.items()}
        self._named, self._state = named, state
        self._close_unwanted()
        return named

    def _find(self, as_of: date | None) -> SnapshotReader:
        """Return the reader to lend; the lock must be held."""
        published = self._published
        day = as_of.isoformat() if as_of else None
        if published and day in (None, published.manifest.last_day):
            return published
        if day is None or not self._windows:
            raise SnapshotError(self._problem)
        if day not in self._windows:
            raise NotFoundError(missing_window(day, self._windows))
        reader = self._earlier.pop(day, None)
        if reader is None:
            reader = SnapshotReader(self.project, Snapshot(self.project.lake, self._windows[day]))
            self._users[reader] = 0
        self._earlier[day] = reader
        return reader

    def _fail(self, problem: str, *, keep: bool) -> None:
        if problem != self._problem:
            log.warning("no snapshot to open", problem=problem)
        self._problem = problem
        if not keep:
            self._replace(None)

    def _replace(self, reader: SnapshotReader | None) -> None:
        with self._lock:
            self._published = reader
            if reader:
                self._users[reader] = 0
            watchers = [*self._watchers]
        self._close_unwanted()
        for tell in watchers:
            tell()

    def _close_unwanted(self) -> None:
        with self._lock:
            wanted = {self._published, *self._crowd_out().values()}
            done = [r for r, users in self._users.items() if not users and r not in wanted]
            for reader in done:
                del self._users[reader]
        if done:
            _close_aside(done, 0 if self._stopped.is_set() else CLOSING_PAUSE)

    def _crowd_out(self) -> Mapping[str, SnapshotReader]:
        """Return the readers of earlier windows that stay; the lock must be held."""
        published = self._published and self._published.manifest.last_day
        for day, reader in [*self._earlier.items()]:
            kept = self._windows.get(day)
            if kept is None or kept.id != reader.id or day == published:
                del self._earlier[day]
        idle = [day for day, reader in self._earlier.items() if not self._users[reader]]
        for day in idle[: max(0, len(self._earlier) - EARLIER_WINDOWS_OPEN)]:
            del self._earlier[day]
        return self._earlier

    def _follow(self) -> None:
        looks = 0
        while not self._stopped.wait(SECONDS_BETWEEN_LOOKS):
            looks += 1
            try:
                self.refresh()
                if looks % LOOKS_BETWEEN_TIDYINGS == 0:
                    self.project.lake.tidy()
            except Exception:
                # Whatever it is must not end the following: the next look may succeed.
                log.exception("the kept snapshots can't be followed")


def _close_aside(readers: Sequence[SnapshotReader], pause: float) -> None:
    """Close readers after a pause in a thread of its own.

    Without a pause it is waited for a while, but not in an event loop.
    """

    def close() -> None:
        time.sleep(pause)
        for reader in readers:
            reader.close()

    closing = threading.Thread(target=close, name="closing", daemon=True)
    closing.start()
    if pause:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        closing.join(CLOSING_SECONDS)
