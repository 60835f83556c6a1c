"""Folders and files of this machine, looked at and removed while others are at work on them."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What tables and partitions may be called."""


def folders_in(parent: Path) -> list[Path]:
    """Return the folders below one that have a plain `NAME`, ascending; none if it is missing."""
    if not parent.is_dir():
        return []
    return sorted(f for f in parent.iterdir() if f.is_dir() and NAME.fullmatch(f.name))


def disk_bytes(folder: Path) -> int:
    """Return the size of all files below a folder; of one that goes meanwhile nothing."""
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total


def changed(path: Path) -> datetime:
    """Return when a file or folder was last changed."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def remove_path(path: Path) -> None:
    """Remove a file, or a folder that stands where one should be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
