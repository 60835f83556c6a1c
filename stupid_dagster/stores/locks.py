"""Locks of folders, which tell who is at work from who was killed: they end with their process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a folder's lock, waiting for it; raises FileNotFoundError where there is none."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_locked(directory: Path) -> bool:
    """Return whether somebody holds a folder's lock; also where the folder has just gone."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:  # Its writer has just ended.
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
