"""Writing that survives a crash: what a file's name leads to is whole, and on the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.full_disk import full_disk_told

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{6}", re.DOTALL)
"""Names of what is being written."""
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What the system says where there is no such file."""
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_durably(file: Path, text: str) -> None:
    """Replace a file's content in one step that survives a crash.

    Raises StoreError when the disk is full.
    """
    with durable_file(file) as stream:
        stream.write(text.encode())


@contextmanager
def durable_file(
    file: Path, place: Callable[[Path, Path], object] = Path.replace
) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes are at `file`, and on the disk, when the block ends.

    They are written under a temporary name, which `place` turns into the file's. When the block
    raises, nothing changes. Raises StoreError when the disk is full.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(3)}")
    try:
        with full_disk_told(file):
            with _opened(temporary) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            place(temporary, file)
            sync(file.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def sync(directory: Path) -> None:
    """Bring the names in a folder onto the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opened(file: Path) -> BinaryIO:
    """Open a new file; its folder is made, and made again when somebody removed it meanwhile."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            _make(file.parent)
            return file.open("xb")
    raise StoreError(f"{file.parent} is removed as often as it is made")


def _make(folder: Path) -> None:
    if folder.is_dir():
        return
    _make(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise StoreError(f"{folder} is a file: nothing can be written below it") from error
    sync(folder.parent)


def link_new(temporary: Path, file: Path) -> None:
    """Give a file its name, which must be free; raises FileExistsError."""
    try:
        os.link(temporary, file)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links (FAT, some network ones). No key has this name.
        with file.with_name(".creating.000000").open("ab") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if file.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file)) from None
            temporary.replace(file)


@contextmanager
def held(file: Path) -> Iterator[BinaryIO | None]:
    """Yield a file that nobody else replaces or removes meanwhile, None where there is none.

    Its own lock is used: the folder's is the lake's, which a caller may have.
    """
    while True:
        try:
            stream = file.open("rb")
        except MISSING:
            yield None
            return
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if is_at(stream.fileno(), file):
                yield stream
                return


def is_at(descriptor: int, file: Path) -> bool:
    """Return whether an open file is the one that has a name: not removed, not replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
