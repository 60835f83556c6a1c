"""What a collection of garbage puts in the place of what it is about to remove.

First a *tombstone* that keeps what was there, then, if it is still garbage, an empty one, of which
nothing comes back. Each takes the place of one content that is known: of several collectors and
whoever needs the thing after all, one has its way.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from stupid_dagster.stores.files import Files

_MARK, _BEFORE = "removed", "description"


def tombstone(before: bytes | None) -> bytes:
    """Return one that nobody else writes, and that keeps what was there, or is empty."""
    return json.dumps(
        {_MARK: secrets.token_hex(8), _BEFORE: before.decode() if before else None}
    ).encode()


def is_tombstone(data: bytes) -> bool:
    """Return whether that says that something is being removed."""
    return _tree(data) is not None


def description_under(data: bytes) -> bytes | None:
    """Return what was there before, None under an empty one; of what is no tombstone itself."""
    tree = _tree(data)
    if tree is None:
        return data
    return tree[_BEFORE].encode() if tree[_BEFORE] else None


def bury(files: Files, key: str) -> bytes | None:
    """Put a tombstone in the place of an object; return it, None where others were faster.

    One that is there already, of a collection that was killed or is at work, is returned.
    """
    try:
        stored = files.read(key)
    except FileNotFoundError:
        stone = tombstone(None)
        return stone if files.create(key, stone) else None
    if is_tombstone(stored.data):
        return stored.data
    stone = tombstone(stored.data)
    return stone if files.replace(key, stone, stored.tag) else None


def dig_out(files: Files, key: str, stone: bytes) -> bool:
    """Put back what was there before a tombstone; False where it is empty, or another is there."""
    before = description_under(stone)
    return before is not None and _instead(files, key, stone, before)


def condemn(files: Files, key: str, stone: bytes) -> bool:
    """Empty a tombstone, so that nobody digs out what goes now; False where another is there."""
    return description_under(stone) is None or _instead(files, key, stone, tombstone(None))


def _instead(files: Files, key: str, old: bytes, new: bytes) -> bool:
    try:
        stored = files.read(key)
    except FileNotFoundError:
        return False
    return stored.data == old and files.replace(key, new, stored.tag)


def _tree(data: bytes) -> dict[str, Any] | None:
    try:
        tree = json.loads(data)
    except ValueError:
        return None
    return tree if isinstance(tree, dict) and _MARK in tree else None
