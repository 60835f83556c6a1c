"""Which partitions a lake in a bucket may have, and which tables: no listing decides it.

    <prefix>/<table>/PARTITIONS.json   the names of a table's partitions
    <prefix>/TABLES.json               the names of the tables

Each live partition's name is in its table's index; one that is there and isn't live does no harm:
`CURRENT` is asked. A name has an empty text with it, or, while somebody drops the partition, his
token. All changes are made to what is there (`stores/changing.py`), so they have an order.

Who writes a partition (1) sees to it that its name has the empty text, (2) writes `CURRENT`, (3)
sees to (1) again. Mostly nothing is to be done: that is two requests, answered without content.
Who drops one (a) puts a new token with the name, (b) empties `CURRENT`, where anything is live, (c)
takes the name out if it still has that token. So a name goes only where nobody saw to (1) or (3)
between (a) and (c).

- (3) before (a): (2) was before (b), which takes away what (2) wrote.
- (3) between (a) and (c): (c) finds the empty text, and leaves the name.
- (3) after (c): it puts the name in again.

So after (3) a live partition's name is there, whatever others do, and whenever they are killed: a
token that a killed one leaves takes no name out, and the next drop has a token of its own. Between
(2) and (3) it is there too, unless a drop's (a) came after (1) and its (b) before (2). A writer
that is killed just then leaves a live version without a name. Its run has failed; the next finds
the version, and sees to (3). So does a collection of garbage (`settle`). It also takes out names of
what isn't live, of writers that were killed before (2), by (a), a look, and (c): as a drop that
finds nothing to empty.

The names of tables are put in before their first partition's, and stay.

An index that isn't there is what a listing says until it is written: of a lake that is older than
its index, or where a damaged one was removed.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import structlog

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.bucket.current import is_live
from stupid_dagster.stores.changing import JsonObject, changed
from stupid_dagster.stores.files import Entry, Files
from stupid_dagster.stores.folders import NAME
from stupid_dagster.stores.inventory import CURRENT
from stupid_dagster.stores.ledger import FOLDER

PARTITIONS, TABLES = "PARTITIONS.json", "TABLES.json"
_NAMES = "names"
_LISTED = "listed"
"""Nobody's token: of a name that is in no index yet."""
log = structlog.get_logger(__name__)


class Partitions:
    """The names of a lake's tables and their partitions. Any number of threads may use one."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._tables = _Index(files, "", TABLES)
        self._indices: dict[str, _Index] = {}

    def tables(self) -> list[str]:
        """Return all tables that ever had a partition, ascending."""
        return sorted(self._tables.names())

    def of(self, table: str) -> list[str]:
        """Return a table's partitions, with some that aren't live, ascending."""
        return sorted(self._of(table).names())

    def put_in(self, table: str, partition: str) -> None:
        """See to it that a partition's name is there, and that no drop at work takes it out."""
        index = self._of(table)
        if index.names().get(partition) != "":
            self._tables.put_in(table)
            index.put_in(partition)

    def drop(self, table: str, partition: str, empty: Callable[[], bool]) -> bool:
        """Drop a partition, and return what `empty` does, which takes away what is live."""
        index = self._of(table)
        token = index.mark(partition)
        emptied = empty()
        index.take_out(partition, token)
        return emptied

    def settle(self, entries: Iterable[Entry]) -> None:
        """Put in what is live and isn't there, take out what isn't live.

        The entries of a listing say where to look: what one misses is found by the next.
        """
        listed: dict[str, set[str]] = defaultdict(set)
        for entry in entries:
            parts = entry.key.split("/")
            is_named = entry.size and parts[2:] == [CURRENT] and all(map(NAME.fullmatch, parts))
            if is_named:
                listed[parts[0]].add(parts[1])
        for table in {*listed, *self._tables.names()}:
            for partition in listed[table].symmetric_difference(self._of(table).names()):
                self._settle(table, partition)

    def _settle(self, table: str, partition: str) -> None:
        index = self._of(table)
        token = index.mark(partition)
        # Looked at after the name was marked: who makes it live from now on sees to the name.
        if is_live(self._files, table, partition):
            self.put_in(table, partition)
        else:
            index.take_out(partition, token)
        log.info("looked after a partition's name", table=table, partition=partition)

    def _of(self, table: str) -> _Index:
        return self._indices.setdefault(table, _Index(self._files, f"{table}/", PARTITIONS))


class _Index:
    """Names, each with an empty text or the token of somebody who is about to take it out."""

    def __init__(self, files: Files, below: str, key: str) -> None:
        self._files = files
        self._below = below.rstrip("/")
        self._object = JsonObject(files, below + key)

    def names(self) -> Mapping[str, str]:
        return self._read()[0]

    def put_in(self, name: str) -> None:
        self._change(lambda now: now if now.get(name) == "" else {**now, name: ""})

    def mark(self, name: str) -> str:
        """Put a new token with a name that is there, and return it."""
        token = secrets.token_hex(8)
        self._change(lambda now: {**now, name: token} if name in now else now)
        return token

    def take_out(self, name: str, token: str) -> None:
        """Take a name out if it has that token."""

        def without(now: Mapping[str, str]) -> Mapping[str, str]:
            if now.get(name) != token:
                return now
            return {one: text for one, text in now.items() if one != name}

        self._change(without)

    def _change(self, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        changed(self._object.url, self._read, change, self._write)

    def _read(self) -> tuple[Mapping[str, str], str]:
        try:
            tree, tag = self._object.read()
            names = tree.get(_NAMES, {}) if tag else dict.fromkeys(self._listed(), _LISTED)
            return {name: text for name, text in names.items() if NAME.fullmatch(name)}, tag
        except (ValueError, AttributeError, TypeError) as error:
            raise StoreError(
                f"{self._object.url} is damaged ({error}); remove it: it is made again"
            ) from error

    def _listed(self) -> list[str]:
        return [name for name in self._files.names(self._below) if name != FOLDER]

    def _write(self, names: Mapping[str, str], tag: str) -> bool:
        return self._object.write({_NAMES: names}, tag)
