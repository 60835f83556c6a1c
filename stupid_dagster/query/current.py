"""The published snapshot, followed: requests get its reader, and each keeps the one it got."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from stupid_dagster.errors import SnapshotError, StupidError
from stupid_dagster.project import Project
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot, published_id

SECONDS_BETWEEN_LOOKS = 0.5
log = structlog.get_logger(__name__)


class CurrentSnapshot:
    """Hands out the reader of the published snapshot.

    `start` follows what is published in a thread of its own: a new snapshot is opened and
    warmed beside the old one, then takes over; the old one is closed when its last user is done.

        with CurrentSnapshot(project) as current, current.use() as reader:
            reader.catalog()
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._reader: SnapshotReader | None = None
        self._users: dict[SnapshotReader, int] = {}
        self._problem = "no snapshot is open: call start() first, and nothing after close()"

    def start(self) -> None:
        """Open what is published, and follow it until `close`."""
        self.refresh()
        self._thread = threading.Thread(target=self._follow, name="snapshot", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following, and close the reader when its last user is done."""
        self._stopped.set()
        if self._thread:
            self._thread.join()
        with self._refreshing:
            self._replace(None)

    def __enter__(self) -> CurrentSnapshot:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def use(self) -> Iterator[SnapshotReader]:
        """Lend the reader of the published snapshot; it answers the same until it's given back.

        Never waits for a disk. Raises SnapshotError when nothing is published, or what is
        published couldn't be opened.
        """
        with self._lock:
            reader = self._reader
            if reader is None:
                raise SnapshotError(self._problem)
            self._users[reader] += 1
        try:
            yield reader
        finally:
            with self._lock:
                self._users[reader] -= 1
                done = reader is not self._reader and self._forget_unused(reader)
            if done:
                reader.close()

    def refresh(self) -> None:
        """Open the published snapshot unless it is open; what can't be opened is logged.

        The snapshot that is open stays in use while a newer one can't be opened.
        """
        with self._refreshing:
            try:
                published = published_id(self.project.lake)
                if self._reader and published == self._reader.id:
                    return
                reader = SnapshotReader(self.project, open_snapshot(self.project.lake, published))
            except (StupidError, OSError) as error:
                self._fail(str(error), keep=self._reader is not None and published is not None)
                return
            reader.warm()
            self._replace(reader)
            log.info("snapshot opened", snapshot=reader.id, window=reader.manifest.last_day)

    def _fail(self, problem: str, *, keep: bool) -> None:
        if problem != self._problem:
            log.warning("no snapshot to open", problem=problem)
        self._problem = problem
        if not keep:
            self._replace(None)

    def _replace(self, reader: SnapshotReader | None) -> None:
        with self._lock:
            old, self._reader = self._reader, reader
            if reader:
                self._users[reader] = 0
            done = old is not None and self._forget_unused(old)
        if old and done:
            old.close()

    def _forget_unused(self, reader: SnapshotReader) -> bool:
        if self._users.get(reader) != 0:
            return False
        del self._users[reader]
        return True

    def _follow(self) -> None:
        while not self._stopped.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self.refresh()
            except Exception:
                # Whatever it is must not end the following: the next look may succeed.
                log.exception("the published snapshot can't be followed")
