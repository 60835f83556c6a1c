"""What a file's bytes are told by: their number, and their checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import xxhash

_BLOCK = 1 << 20


@dataclass(frozen=True)
class FileStamp:
    """Size in bytes and XXH3 checksum of a file."""

    size: int
    checksum: str


def checksum(stream: BinaryIO) -> str:
    """Return the XXH3 checksum of what is left of a stream, in hexadecimal."""
    digest = xxhash.xxh3_64()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def stamp_and_sync(file: Path) -> FileStamp:
    """Return a file's stamp; its bytes are on the disk then."""
    with file.open("rb") as stream:
        stamp = FileStamp(file.stat().st_size, checksum(stream))
        os.fsync(stream.fileno())
    return stamp


def is_as_stamped(file: Path, stamp: FileStamp, *, checksums: bool) -> bool:
    """Return whether a file has the stamp's size and, with `checksums`, its bytes."""
    if not file.is_file() or file.stat().st_size != stamp.size:
        return False
    if not checksums:
        return True
    try:
        with file.open("rb") as stream:
            return checksum(stream) == stamp.checksum
    except OSError:
        return False
