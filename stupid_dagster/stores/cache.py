"""Versions of a lake elsewhere, as folders of this machine, for what opens only local files.

    <folder>/<table>-<partition>-<name>-<digest>/...   the files of a version, all of them
    <folder>/....part/                                 of one that is being fetched
    <folder>/....used                                  whose it is; locked by all who use it
    <folder>/....lock                                  locked by the one that fetches it

A lock dies with its process. So one process fetches what several want, and what any process of this
machine uses stays, even past the bound: LanceDB opens files of a table long after the table.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
import xxhash

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.durable import TEMPORARY, is_at, sync
from stupid_dagster.stores.files import Files, checked_key, files_below, side_by_side
from stupid_dagster.stores.folders import disk_bytes
from stupid_dagster.stores.stamps import FileStamp, is_as_stamped

# The time of a file whose bytes were found to be right: who writes to it changes that.
_CHECKED = 946_684_800
_DIGEST_DIGITS = 12
log = structlog.get_logger(__name__)


class VersionCache:
    """Copies of versions below a folder, of at most so many bytes; the latest used are kept.

    Several processes may have one folder. The bound is passed where all that is there is in use,
    and by what is being fetched at the same time.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder.absolute()
        self.most_bytes = most_bytes
        self._lock = threading.Lock()
        # Descriptors, which nobody closes when a cache is forgotten: its readers may live on.
        self._used: dict[str, tuple[int, int]] = {}

    def fetch(self, files: Files, address: str, wanted: Mapping[str, FileStamp]) -> Path:
        """Return the folder with a version's files, whose address is their common prefix.

        They stay until this process has called `release` as often, or ends. What is missing or
        damaged is fetched, whoever made it so. Raises FileNotFoundError when the version isn't
        there any more, StoreError when it is damaged there too, or can't be fetched.
        """
        for key in (address, *wanted):
            checked_key(key)
        name = _name(files, address)
        self._use(name, _told(files, address))
        try:
            return self._whole(files, address, name, wanted)
        except BaseException:
            self._unuse(name)
            raise

    def release(self, files: Files, address: str) -> None:
        """Say that what one `fetch` returned isn't used any more, so that it may go."""
        self._unuse(_name(files, address))

    def sweep(self, files: Files, is_gone: Callable[[str], bool]) -> None:
        """Remove the versions of these files, by their addresses, that are gone there.

        Those that some process uses stay.
        """
        for used in self._by_use():
            with suppress(FileNotFoundError):
                url, _, address = used.read_text(encoding="utf-8").partition("\n")
                if url == files.url and is_gone(address):
                    self._remove(used)

    def _whole(
        self, files: Files, address: str, name: str, wanted: Mapping[str, FileStamp]
    ) -> Path:
        folder, part = self.folder / name, self.folder / f"{name}.part"
        if folder.is_dir() and not _unfit(folder, wanted):
            return folder
        with _locked(self.folder / f"{name}.lock"):
            # What a killed process has fetched of it is checked, and kept.
            into = folder if folder.is_dir() else part
            into.mkdir(exist_ok=True)
            for left in [file for file in files_below(into) if TEMPORARY.fullmatch(file.name)]:
                left.unlink()
            if unfit := _unfit(into, wanted):
                self._make_room(sum(wanted[file].size for file in unfit))
                _fetch(files, address, into, {file: wanted[file] for file in unfit})
            if into == part:
                part.rename(folder)
                sync(self.folder)
        return folder

    def _make_room(self, more: int) -> None:
        """Remove versions that nobody uses, the least recently used first, for so many bytes."""
        sizes = {used: self._size(used) for used in self._by_use()}
        total = sum(sizes.values()) + more
        for used, size in sizes.items():
            if total <= self.most_bytes:
                return
            if self._remove(used):
                total -= size
        if total > self.most_bytes:
            log.warning(
                "cache_over_bound", folder=str(self.folder), bytes=total, bound=self.most_bytes
            )

    def _by_use(self) -> list[Path]:
        times: dict[Path, int] = {}
        for used in self.folder.glob("*.used"):
            with suppress(FileNotFoundError):
                times[used] = used.stat().st_mtime_ns
        return sorted(times, key=times.__getitem__)

    def _size(self, used: Path) -> int:
        return sum(disk_bytes(used.with_suffix(end)) for end in ("", ".part"))

    def _remove(self, used: Path) -> bool:
        try:
            stream = used.open("rb")
        except FileNotFoundError:
            return False
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if not is_at(stream.fileno(), used):
                return False
            # Who fetches it has it in use: nobody holds the other lock.
            for folder in (used.with_suffix(""), used.with_suffix(".part")):
                shutil.rmtree(folder, ignore_errors=True)
            used.with_suffix(".lock").unlink(missing_ok=True)
            used.unlink()
        return True

    def _use(self, name: str, told: bytes) -> None:
        used = self.folder / f"{name}.used"
        with self._lock:
            descriptor, times = self._used.get(name, (None, 0))
            if descriptor is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                descriptor = _opened(used, fcntl.LOCK_SH)
                # Whoever does so at the same time writes the same.
                os.pwrite(descriptor, told, 0)
            self._used[name] = (descriptor, times + 1)
            os.utime(descriptor)

    def _unuse(self, name: str) -> None:
        with self._lock:
            descriptor, times = self._used.pop(name)
            if times > 1:
                self._used[name] = (descriptor, times - 1)
            else:
                os.close(descriptor)


def _name(files: Files, address: str) -> str:
    """Return a name that no other version of any lake has, and that tells which it is."""
    digest = xxhash.xxh3_128_hexdigest(_told(files, address))[:_DIGEST_DIGITS]
    return f"{address.replace('/', '-')}-{digest}"


def _told(files: Files, address: str) -> bytes:
    return f"{files.url}\n{address}".encode()


def _unfit(folder: Path, wanted: Mapping[str, FileStamp]) -> list[str]:
    """Return the files that are missing or damaged; their bytes are read only if need be."""
    return [name for name, stamp in wanted.items() if not _is_fit(folder / name, stamp)]


def _is_fit(file: Path, stamp: FileStamp) -> bool:
    with suppress(FileNotFoundError):
        if file.stat().st_mtime == _CHECKED and is_as_stamped(file, stamp, checksums=False):
            return True
    if not is_as_stamped(file, stamp, checksums=True):
        return False
    os.utime(file, (_CHECKED, _CHECKED))
    return True


def _fetch(files: Files, address: str, folder: Path, wanted: Mapping[str, FileStamp]) -> None:
    def fetch(name: Path) -> None:
        file = folder / name
        key = f"{address}/{name.as_posix()}"
        files.download(key, file)
        if not _is_fit(file, wanted[name.as_posix()]):
            file.unlink(missing_ok=True)
            raise StoreError(
                f"{files.url}/{key} is damaged: it has other bytes than when it was written; "
                "materialise its table again"
            )

    side_by_side(fetch, map(Path, wanted))


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    descriptor = _opened(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _opened(file: Path, lock: int) -> int:
    """Open a lock's file, made if it is missing, and lock it; it may be removed meanwhile."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, lock)
            if is_at(descriptor, file):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
