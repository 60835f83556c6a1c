"""Small objects that several change at the same time: none of their changes is lost.

Each change reads the object, and writes it only if it is still the same:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from random import random
from threading import Lock
from typing import Any, TypeVar

from stupid_dagster.errors import ConflictError
from stupid_dagster.stores.files import Files

T = TypeVar("T")
PATIENCE = 120.0
_FIRST_WAIT = 0.02
_WRITTEN = "written"


def changed(
    url: str,
    read: Callable[[], tuple[T, str]],
    change: Callable[[T], T],
    write: Callable[[T, str], bool],
    patience: float = PATIENCE,
) -> T:
    """Return an object as it was changed, again and again while others change it too.

    `read` returns it with its tag; `write` says whether it still had that, and isn't called where
    `change` returns what it was given. Raises ConflictError where others are faster for so many
    seconds.
    """
    end, wait = time.monotonic() + patience, _FIRST_WAIT
    while True:
        before, tag = read()
        after = change(before)
        if after is before or write(after, tag):
            return after
        if time.monotonic() > end:
            raise ConflictError(f"{url} was changed by others for {patience:g} s: try again")
        time.sleep(wait * (0.5 + random()))
        wait = min(2 * wait, patience / 60)


class JsonObject:
    """A JSON object that is read often and seldom changes: what is known isn't sent again.

    Any number of threads may use one. The tag of one that isn't there is empty.
    """

    def __init__(self, files: Files, key: str) -> None:
        self._files = files
        self._key = key
        self._lock = Lock()
        self._last: tuple[Mapping[str, Any], str] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self._files.url}/{self._key}"

    def read(self) -> tuple[Mapping[str, Any], str]:
        """Return its content, which is empty where it isn't there, and its tag.

        Raises ValueError for what is no JSON object.
        """
        with self._lock:
            last = self._last
        try:
            unless = self._files.read_unless(self._key, last[1]) if last else None
            if last and unless is None:
                return last
            stored = unless or self._files.read(self._key)
        except FileNotFoundError:
            return {}, ""
        tree = json.loads(stored.data)
        if not isinstance(tree, dict):
            raise ValueError("it is no JSON object")
        tree.pop(_WRITTEN, None)
        with self._lock:
            self._last = tree, stored.tag
        return tree, stored.tag

    def write(self, tree: Mapping[str, Any], tag: str) -> bool:
        """Write it if it still has that tag; False: it was changed meanwhile."""
        # By whom: no two writings are the same.
        text = json.dumps({**tree, _WRITTEN: secrets.token_hex(8)}).encode()
        if not tag:
            return self._files.create(self._key, text)
        return self._files.replace(self._key, text, tag)
