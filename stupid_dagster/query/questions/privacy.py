"""What language models get to see of questions, the catalog and results: pseudonyms for ids.

In what is sent, an id of a hidden type keeps its prefix: `member:member-7f3a91c02b`, and its key
alone is `member-7f3a91c02b`. So a plan that names either is turned into one that names the real
thing. One rule holds for all that is sent: a value is hidden by the field that it comes from; a
text of which that isn't known, if the window has an entity of a hidden type by that id, key or
name; and what was turned back once is hidden wherever it stands.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from typing import Any, TypeVar

import structlog

from stupid_dagster.compute import words
from stupid_dagster.errors import StoreError
from stupid_dagster.llm.labelling.checks import is_known
from stupid_dagster.llm.privacy import Pseudonyms, hidden_types, pseudonym_key
from stupid_dagster.query.questions.lookup import (
    Known,
    LookUp,
    name_index,
    said_columns,
    window_lookup,
    window_texts,
)
from stupid_dagster.query.questions.origins import column_origins, origins_of
from stupid_dagster.query.reader import SnapshotReader

log = structlog.get_logger(__name__)
Tree = TypeVar("Tree")
_LEAST_KEY, _MOST_ID = 4, 12
"""Characters from which a key is known wherever it stands; words of an id."""
_LONGEST_CELL, _LONGEST_TOLD = 1000, 40
_CUT = 160
"""Characters at which insights cut what events said."""
_VALUES, _TOP_VALUES = ("value", "min", "max", "examples"), "top_values"
"""In a catalog, what is told of values."""
_FIELDS, _OF_FIELD = ("field", "property", "dimension", "name"), (*_VALUES, "values", "member")
"""Where a row says which field its value is of, and where that value stands."""
_STRUCTURE = frozenset(
    (
        *("id", "op", "depends_on", "ref", "step", "event_type", "event_types", "edge_types"),
        *("table", "columns", "field", "name", "sort", "by", "time", "left_on", "right_on"),
        *("type", "x", "y"),
    )
)
"""What in a plan names columns, steps and parts of the event model: the model's own words."""
_WORD = re.compile(r"[\w@.+-]*\w")
# Nothing else has marks (a test holds that), and looking through all takes a third of a second.
_PLANES = (*range(0x20000), *range(0xE0000, 0xE1000))
_marks = (c for c in _PLANES if unicodedata.category(chr(c))[0] == "M")
_runs = [[c for _, c in run] for _, run in groupby(enumerate(_marks), lambda at: at[1] - at[0])]
_TOKEN = re.compile(rf"[\w{''.join(f'{chr(run[0])}-{chr(run[-1])}' for run in _runs)}]+")
"""Words as the index of names takes them: with the marks that stand on letters."""
_SIGNS = re.compile(r"[^\w\s]+$")
_END = re.compile(r"\w(?=\W|$)|\S(?=\s|$)")


class Screen:
    """Hides what a question's prompts would say of ids, and turns answers back.

    It belongs to one question: what it has hidden it can turn back. `look_up` knows the window's
    entities, whose names have one of `lengths` words; `texts` says whether events' texts may be
    sent, `said` returns those that other tables may quote.
    """

    def __init__(
        self,
        names: Pseudonyms,
        look_up: LookUp,
        texts: bool,
        *,
        lengths: Collection[int] = range(1, 6),
        said: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._names, self._look_up, self.texts = names, look_up, texts
        self._lengths, self._said = lengths, said
        self._quoted: list[str] | None = None
        self._found: dict[str, Known | None] = {}
        self._wanted: set[str] | None = None
        """What is to be looked up, while that is gathered."""
        self._keys: dict[str, str] = {}
        self._odd: set[str] = set()
        """Of what is known by `_keys`, what isn't found as a text's words are taken."""
        self._revealed: dict[str, str] = {}
        prefixes = "|".join(map(re.escape, sorted(names.prefixes, key=len, reverse=True)))
        self._id = re.compile(rf"(?<!\w)(?:{prefixes}):") if prefixes else None

    @classmethod
    def of(cls, reader: SnapshotReader, *, keep_key: bool = True) -> Screen:
        """Return the screen of the settings; raises SettingsError for an unknown type or field.

        With `keep_key` the lake's key for pseudonyms is made where there is none.
        """
        model, settings = reader.project.model, reader.project.settings
        counts = {name: one["nodes"] for name, one in reader.catalog()["entities"].items()}
        hidden = hidden_types(model, counts, settings.llm_hidden)
        try:
            key = pseudonym_key(reader.project.lake.files, keep=keep_key)
        except StoreError as error:  # The server may only read the lake.
            log.info("pseudonyms of this question alone", problem=str(error))
            key = secrets.token_bytes(32)
        names = Pseudonyms(key, model, hidden)
        return cls(
            names,
            window_lookup(reader, names),
            settings.llm_share == "samples",
            lengths=name_index(reader, names).lengths,
            said=partial(window_texts, reader),
        )

    def question(self, text: str) -> str:
        """Return a question without ids, with their prefix or without, that the window has."""
        self._ask({*self._spoken(text, digits=True), *self._ids(text)}, any_case=True)
        return self.text(text)

    def text(self, text: str) -> str:
        """Return a text as it may be sent."""
        return self._both(lambda: self._free(text))

    def message(self, text: str) -> str:
        """Return what is said of a plan that was turned back: its values are quoted, maybe cut."""
        for value in sorted(self._revealed, key=len, reverse=True):
            for told in dict.fromkeys((value, repr(value)[1:-1])):
                rest = r"[^'\"]*" if len(told) > _LONGEST_TOLD else r"(?![\w-])"
                found = rf"(?<![\w-]){re.escape(told[:_LONGEST_TOLD])}{rest}"
                text = re.sub(found, self._revealed[value], text)
        return self.text(text)

    def tree(self, tree: Any, plan: Any = None) -> Any:
        """Return plain data as it may be sent; its columns are those of a plan's results."""
        origins = column_origins(plan)
        return self._both(lambda: self._tree(tree, "", origins))

    def plan(self, plan: Any) -> Any:
        """Return a plan, or parts of one, as it may be sent: what it names of data is hidden."""
        origins = column_origins(plan)
        return self._both(lambda: self._tree(plan, "", origins, _STRUCTURE))

    def examples(self, examples: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return questions and their plans as they may be sent."""
        pairs = [*examples]
        return self._both(
            lambda: [
                (self._free(asked), self._tree(plan, "", column_origins(plan), _STRUCTURE))
                for asked, plan in pairs
            ]
        )

    def catalog(self, catalog: Mapping[str, Any]) -> dict[str, Any]:
        """Return a catalog as it may be sent: the values that it names of hidden types' keys."""
        return self._both(lambda: self._catalog(catalog, ""))

    def hides(self, column: str, plan: Any) -> bool:
        """Return whether a column of a plan's results has values that are hidden by their field."""
        return self._hidden_field(column, column_origins(plan)) is not None

    def without_texts(self, row: Mapping[str, Any], plan: Any) -> dict[str, Any]:
        """Return a row, or columns, of a plan's results without what events said, if it's kept."""
        said = set() if self.texts else said_columns(plan)
        if not said and (self.texts or not _reads_knowledge(plan)):
            return dict(row)
        origins = column_origins(plan)
        kept = {name: part for name, part in row.items() if not said & origins_of(name, origins)}
        return self._unquoted(kept) if _reads_knowledge(plan) else kept

    def _unquoted(self, tree: Any) -> Any:
        """Return plain data without the texts of events that it quotes, maybe cut or in JSON."""
        if isinstance(tree, str):
            if self._quoted is None:
                self._quoted = [*_as_quoted(self._said())]
            for text in self._quoted:
                tree = tree.replace(text, "...")
            return tree
        if isinstance(tree, Mapping):
            return {name: self._unquoted(part) for name, part in tree.items()}
        return [*map(self._unquoted, tree)] if isinstance(tree, list) else tree

    def reveal(self, tree: Any) -> Any:
        """Return a plan, or a text, with what its pseudonyms stand for: in numbers' fields numbers.

        What a plan itself names, steps and columns, stays as it is.
        """
        return self._reveal(tree, "", column_origins(tree))

    def _reveal(self, tree: Any, field: str, origins: Mapping[str, set[str]]) -> Any:
        if isinstance(tree, str):
            values = self._names.revealed(tree)
            for pseudonym, value in values.items():
                self._revealed[value] = pseudonym
                self._learn(value, pseudonym, sure=True)
            told = self._names.reveal(tree)
            typed = [self._names.typed(of, told) for of in origins_of(field, origins)]
            numbers = [value for value in typed if not isinstance(value, str)]
            return numbers[0] if numbers and tree in values else told
        if isinstance(tree, Mapping):
            return {
                name: part
                if name in _STRUCTURE
                else self._reveal(part, self._field(tree, name, origins), origins)
                for name, part in tree.items()
            }
        if isinstance(tree, list):
            return [self._reveal(part, field, origins) for part in tree]
        return tree

    def _both(self, walk: Callable[[], Tree]) -> Tree:
        """Return what a walk gives; what is to be looked up it gathers before, to be asked once."""
        self._wanted = set()
        try:
            walk()
            wanted = self._wanted
        finally:
            self._wanted = None
        self._ask(wanted)
        return walk()

    def _tree(
        self,
        tree: Any,
        field: str,
        origins: Mapping[str, set[str]],
        structure: frozenset[str] = frozenset(),
        *,
        names: bool = False,
    ) -> Any:
        """Return plain data as it may be sent; with `names`, those of its parts are data too."""
        if isinstance(tree, Mapping):
            found = {}
            for name, part in tree.items():
                if name in structure:
                    found[name] = part
                    continue
                of = self._field(tree, name, origins)
                if self._hidden_field(field, origins) and not self._hidden_field(of, origins):
                    of = field
                told = self._free(name) if names else name
                found[told] = self._tree(part, of, origins, structure, names=names)
            return found
        if isinstance(tree, list):
            return [self._tree(part, field, origins, structure, names=names) for part in tree]
        if isinstance(tree, bool) or not isinstance(tree, str | int | float):
            return tree
        if hidden := self._hidden_field(field, origins):
            whole = isinstance(tree, float) and tree.is_integer()
            pseudonym = self._names.value(hidden, str(int(tree) if whole else tree))
            if isinstance(tree, str):
                self._learn(tree, pseudonym)
            return pseudonym
        return self._cell(tree) if isinstance(tree, str) else tree

    def _field(self, row: Mapping[str, Any], name: str, origins: Mapping[str, set[str]]) -> str:
        """Return the field that a row's part is of: another part may name it, or its type."""
        if name in _OF_FIELD:
            for said in _FIELDS:
                if isinstance(of := row.get(said), str) and self._hidden_field(of, origins):
                    return of
            if isinstance(of := row.get("field"), str):
                return of
        return name

    def _hidden_field(self, column: str, origins: Mapping[str, set[str]]) -> str | None:
        return next((f for f in sorted(origins_of(column, origins)) if self._names.has(f)), None)

    def _cell(self, text: str) -> str:
        """Return a text that stands alone as it may be sent; JSON is taken apart."""
        if text[:1] in ("{", "["):
            try:
                return json.dumps(
                    self._tree(json.loads(text), "", {}, names=True), ensure_ascii=False
                )
            except (ValueError, RecursionError):
                pass
        if self._wanted is not None:
            if len(text) <= _LONGEST_CELL:
                self._wanted.add(text)
            return self._free(text)
        if known := self._found.get(text):
            return self._shown(known)
        if self._id and self._id.match(text) and not any(map(self._found.get, self._ids(text))):
            # Nobody in the window: where its id ends can't be known.
            prefix, _, key = text.partition(":")
            return self._shown(Known(self._names.prefixes[prefix], key, is_id=True))
        return self._free(text)

    def _free(self, text: str) -> str:
        """Return a text as it may be sent, within which ids, keys and names may stand."""
        if self._wanted is not None:
            self._wanted |= {*self._spoken(text), *self._ids(text)}
            for match in self._names.ids(text):
                pseudonym = self._names.of(self._names.prefixes[match[1]], match[2])
                self._learn(match[2], pseudonym, sure=True)
            return text
        said = chain(self._spoken(text, every=True), self._ids(text))
        there = {word for word in said if word in self._keys}
        there |= {word for word in self._odd if word in text}
        if there:
            either = "|".join(map(re.escape, sorted(there, key=len, reverse=True)))
            known = re.compile(rf"(?<!\w)(?:{either})(?!\w)")
            text = self._names.between(
                text, lambda part: known.sub(lambda match: self._keys[match.group()], part)
            )
        return self._names.hide(text, prefixed=True)

    def _catalog(self, tree: Any, field: str) -> Any:
        """Return a part of a catalog; only what it tells of `field`'s values comes from data."""
        if isinstance(tree, Mapping):
            found = {}
            for name, part in tree.items():
                if name in _VALUES:
                    found[name] = self._tree(part, field, {})
                else:
                    found[name] = self._catalog(part, field if name == _TOP_VALUES else name)
            return found
        return [self._catalog(part, field) for part in tree] if isinstance(tree, list) else tree

    def _spoken(self, text: str, *, digits: bool = False, every: bool = False) -> Iterator[str]:
        """Yield the words of a text that may be keys or names, and what words may be together.

        Ordinary words alone are only among them with `every`.
        """
        places = [match.span() for match in _TOKEN.finditer(text)]
        for word in {*_WORD.findall(text), *(text[start:end] for start, end in places)}:
            if every or _telling(word) or (digits and word.isdigit() and len(word) >= _LEAST_KEY):
                yield word
        for length in self._lengths:
            if length > 1:
                for (start, _), (_, end) in zip(places, places[length - 1 :], strict=False):
                    yield text[start:end]

    def _ids(self, text: str) -> Iterator[str]:
        """Yield what may be the ids in a text, which may have spaces and signs in them."""
        for begin in self._id.finditer(text) if self._id else ():
            for number, end in enumerate(_END.finditer(text, begin.end())):
                if number == _MOST_ID:
                    break
                yield text[begin.start() : end.end()]

    def _ask(self, words: Iterable[str], *, any_case: bool = False) -> None:
        new = {word for word in words if any_case or word not in self._found}
        known = self._look_up(new, any_case)
        self._found |= {word: known.get(word) for word in new}
        for word, one in known.items():
            if one.is_id:
                self._keys[word] = self._shown(one)
            pseudonym, sure = self._named(one), one.is_id or any_case
            self._learn(one.value if one.is_id else word, pseudonym, sure=sure)
            if end := _SIGNS.search(one.value):  # "Inc.", which a text's word ends before.
                self._learn(word + end.group(), pseudonym, sure=sure)

    def _named(self, known: Known) -> str:
        if known.field:
            return self._names.value(known.field, known.value)
        return self._names.of(known.entity_type, known.value)

    def _shown(self, known: Known) -> str:
        """Return the pseudonym, with the prefix of an id."""
        name = self._named(known)
        prefixes = {of: prefix for prefix, of in self._names.prefixes.items()}
        return f"{prefixes[known.entity_type]}:{name}" if known.is_id else name

    def _learn(self, value: str, pseudonym: str, *, sure: bool = False) -> None:
        """Hide a value from now on wherever it stands as a word of its own.

        One that is ordinary English, or a number, only where it is sure that it is meant.
        """
        if value not in self._keys and (_telling(value) or (sure and len(value) >= _LEAST_KEY)):
            self._keys[value] = pseudonym
            if value not in self._spoken(value, every=True):
                self._odd.add(value)


def _telling(word: str) -> bool:
    """Return whether a word is more than ordinary English or a number."""
    return len(word) > 1 and not word.isdigit() and not is_known(word, frozenset())


def _reads_knowledge(plan: Any) -> bool:
    steps = plan.get("steps", ()) if isinstance(plan, Mapping) else ()
    return any(step.get("op") == "knowledge.read" for step in steps if isinstance(step, Mapping))


def _as_quoted(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts as rows may quote them: whole or cut, and so in JSON."""
    for text in texts:
        for whole in {text, words.tidy(text, _CUT) or text}:
            yield from {whole, *(json.dumps(whole, ensure_ascii=a)[1:-1] for a in (True, False))}
