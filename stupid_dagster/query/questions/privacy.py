"""What language models get to see of questions, the catalog and results: pseudonyms for ids.

In what is sent, an id of a hidden type keeps its prefix: `member:member-7f3a91`, and its key alone
is `member-7f3a91`. So a plan that names either is turned into one that names the real thing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import structlog

from stupid_dagster.llm.privacy import Pseudonyms, hidden_types, pseudonym_key
from stupid_dagster.query.filters import Filter
from stupid_dagster.query.reader import SnapshotReader

log = structlog.get_logger(__name__)
_LEAST_KEY, _MOST_WORDS = 4, 200
"""Characters from which a key is known without its prefix; words of a question looked up."""
_WITH_TEXTS = ("documents.scan", "vectors.search")
_VALUES, _TOP_VALUES = ("value", "min", "max", "examples"), "top_values"
"""In a catalog, what is told of values."""
_WORD = re.compile(r"[\w@.+-]*\w")


class Screen:
    """Hides what a question's prompts would say of ids, and turns answers back.

    It belongs to one question: what it has hidden it can turn back. `existing` returns those of
    some ids that the window has; `texts` says whether events' texts may be sent.
    """

    def __init__(
        self,
        names: Pseudonyms,
        existing: Callable[[list[str]], Iterable[str]],
        texts: bool,
    ) -> None:
        self._names, self._existing, self.texts = names, existing, texts
        self._keys: dict[str, str] = {}

    @classmethod
    def of(cls, reader: SnapshotReader) -> Screen:
        """Return the screen of the settings; raises SettingsError for an unknown type."""
        model, settings = reader.project.model, reader.project.settings
        counts = {name: one["nodes"] for name, one in reader.catalog()["entities"].items()}
        hidden = hidden_types(model, counts, settings.llm_hidden)
        try:
            key = pseudonym_key(reader.project.lake.root)
        except OSError as error:  # The server may only read the lake.
            log.info("pseudonyms of this question alone", problem=str(error))
            key = secrets.token_bytes(32)

        def existing(ids: list[str]) -> Iterable[str]:
            wanted = Filter(field="entity_id", op="in", value=ids)
            rows = reader.knowledge("graph_nodes", filters=[wanted], limit=len(ids)).rows
            return rows["entity_id"]

        return cls(Pseudonyms(key, model, hidden), existing, settings.llm_share == "samples")

    def question(self, text: str) -> str:
        """Return a question without ids, with their prefix or without, that the window has."""
        found = dict.fromkeys(match.group() for match in _WORD.finditer(text))
        words = [word for word in found if len(word) >= _LEAST_KEY][:_MOST_WORDS]
        if ids := [f"{prefix}:{word}" for word in words for prefix in self._names.prefixes]:
            self._know(self._existing(ids))
        return self.text(text)

    def text(self, text: str) -> str:
        """Return a text as it may be sent."""
        self._know(match.group() for match in self._names.ids(text))
        hidden = self._names.hide(text, prefixed=True)
        if self._keys and (known := self._known_keys()):
            hidden = known.sub(lambda match: self._keys[match.group()], hidden)
        return hidden

    def tree(self, tree: Any) -> Any:
        """Return plain data as it may be sent: a hidden type's key under its field's name too."""
        for text in _texts(tree):
            self._know(match.group() for match in self._names.ids(text))
        return self._tree(tree, "")

    def catalog(self, catalog: Mapping[str, Any]) -> dict[str, Any]:
        """Return a catalog as it may be sent: the values that it names of hidden types' keys."""
        return self._catalog(catalog, "")

    def reveal(self, tree: Any) -> Any:
        """Return plain data, or a text, with what its pseudonyms stand for."""
        if isinstance(tree, str):
            return self._names.reveal(tree)
        if isinstance(tree, Mapping):
            return {self.reveal(name): self.reveal(part) for name, part in tree.items()}
        return [self.reveal(part) for part in tree] if isinstance(tree, list) else tree

    def _tree(self, tree: Any, field: str) -> Any:
        if isinstance(tree, Mapping):
            return {name: self._tree(part, name) for name, part in tree.items()}
        if isinstance(tree, list):
            return [self._tree(part, field) for part in tree]
        if not isinstance(tree, str):
            return tree
        return self._names.value(field, tree) if self._names.has(field) else self.text(tree)

    def _catalog(self, tree: Any, field: str) -> Any:
        """Return a part of a catalog; only what it tells of `field`'s values comes from data."""
        if isinstance(tree, Mapping):
            found = {}
            for name, part in tree.items():
                if name in _VALUES:
                    found[name] = self._tree(part, field)
                else:
                    found[name] = self._catalog(part, field if name == _TOP_VALUES else name)
            return found
        return [self._catalog(part, field) for part in tree] if isinstance(tree, list) else tree

    def _know(self, ids: Iterable[str]) -> None:
        for one in ids:
            prefix, _, key = one.partition(":")
            if len(key) >= _LEAST_KEY and key not in self._keys:
                self._keys[key] = self._names.of(self._names.prefixes[prefix], key)

    def _known_keys(self) -> re.Pattern[str]:
        longest = sorted(self._keys, key=len, reverse=True)
        return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])")


def sends_texts(ops: Iterable[str]) -> bool:
    """Return whether steps of these ops read events' texts."""
    return any(op in _WITH_TEXTS for op in ops)


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, Mapping):
        for part in tree.values():
            yield from _texts(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _texts(part)
