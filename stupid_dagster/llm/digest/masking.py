"""Insights as a language model may see them: what the data named stands there as pseudonyms.

A title says no longer which of its words came from a log. So what an insight's evidence or a
quotation tells to be a value is replaced as a whole; then every word and number counts as a name
that is neither the event model's, nor ordinary English, nor one of the insight's numbers: none
leaves the machine, and none can tell the model what to write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stupid_dagster.compute import words
from stupid_dagster.compute.insights import phrases
from stupid_dagster.compute.names import UNNAMED
from stupid_dagster.compute.quoting import unquoted
from stupid_dagster.llm import grounding
from stupid_dagster.llm.grounding import Evidence
from stupid_dagster.llm.labelling.checks import is_known
from stupid_dagster.llm.privacy import PSEUDONYM, Pseudonyms

_TELLING = (
    "rose risen fell fallen grew grown shrank shrunk surge finding insight window critical second "
    "ongoing resolved told score signal gap machine worst meanwhile led act like graph statistical"
)
PLAIN = frozenset(word.lower() for word in (*phrases.WEEKDAYS, *phrases.MONTHS, *_TELLING.split()))
"""Words of insights that labels have no use for."""
_WORD = re.compile(r"[^\W_]+")
_JOINS = re.compile(r"[ \-./_&:'+()]{1,2}")
_QUOTED = re.compile(r"\u201c[^\u201d]*\u201d")
_CAPITAL_BEFORE = re.compile(r"(?:^|(?<= )|(?<=\())([A-Z][^\W\d_]*) $")
_CAPITAL_AFTER = re.compile(r" ([A-Z][^\W\d_]*)")
_TELEPHONE = re.compile(
    r"(?!\d{4}-\d\d-\d\d(?!\d))(?<![\w.,])\+?\(?\d(?:[ ()-]{0,2}\d){6,}(?![\w%]|[.,]\d)"
)
_CUT = (40, 80, 160)
"""Lengths at which insights cut what they name."""
_LEAST_ID = 4
"""Digits of a number that no insight writes without a comma."""
_NO_VALUES = frozenset({"title", "parameters"})
"""Parts of evidence that name nothing: another insight's words, and by what rows were chosen."""


@dataclass(frozen=True)
class Shown:
    """An insight as it is sent; `number` stands for its id."""

    number: int
    insight_id: str
    kind: str
    severity: str
    status: str
    title: str
    text: str


def hidden_entities(rows: Sequence[Mapping[str, Any]], pseudonyms: Pseudonyms) -> set[str]:
    """Return the ids of entities that insights or their evidence name, whose names are hidden."""
    return {
        text
        for row in rows
        for text in _strings(row)
        if text.partition(":")[0] in pseudonyms.secret_prefixes and text.partition(":")[2]
    }


def shown_insights(
    rows: Sequence[Mapping[str, Any]],
    pseudonyms: Pseudonyms,
    vocabulary: frozenset[str],
    names: Mapping[str, str],
    *,
    samples: bool,
) -> list[Shown]:
    """Return insights as they may be sent, numbered from 1; without `samples` no event's text.

    `names` are those of `hidden_entities`, by id.
    """
    found = []
    known = {name: pseudonyms.name(name) for name in names.values() if name != UNNAMED}
    for number, row in enumerate(rows, start=1):
        values = known | _values(row, pseudonyms, vocabulary)
        own = _numbers(row)
        parts = []
        for said in (row["title"], row["text"]):
            if not samples:
                said = _without_example(said, row["evidence"])
            parts.append(masked(said, pseudonyms, vocabulary, values, own))
        head = (number, row["insight_id"], row["kind"], row["severity"], row["status"])
        found.append(Shown(*head, *parts))
    return found


def masked(
    text: str,
    pseudonyms: Pseudonyms,
    vocabulary: frozenset[str],
    values: Mapping[str, str] | None = None,
    own: Evidence | None = None,
) -> str:
    """Return a text whose unknown words are pseudonyms, a run of them as one.

    `values` are replaced as a whole, each by its pseudonym, and so is what stands in quotation
    marks; `own` are the numbers that may stay whatever they look like.
    """
    values = values or {}
    listed = sorted(values, key=len, reverse=True)
    whole = _QUOTED.pattern
    if listed:
        whole += rf"|(?<!\w)(?:{'|'.join(map(re.escape, listed))})(?!\w)"
    parts, at = [], 0
    for match in re.finditer(whole, text):
        said = match.group()
        hidden = values.get(said) or pseudonyms.name(said.strip("\u201c\u201d"))
        parts += [_masked(text[at : match.start()], pseudonyms, vocabulary, own), hidden]
        at = match.end()
    return "".join([*parts, _masked(text[at:], pseudonyms, vocabulary, own)])


def _masked(
    text: str, pseudonyms: Pseudonyms, vocabulary: frozenset[str], own: Evidence | None
) -> str:
    spans = [match.span() for match in _TELEPHONE.finditer(text)]
    for start, end in reversed(spans):
        text = text[:start] + pseudonyms.name(text[start:end]) + text[end:]
    text = pseudonyms.hide(text)
    # Only what was replaced here is a pseudonym, not what looks like one.
    found = [match for match in PSEUDONYM.finditer(text)]
    done = [match.span() for match in found if pseudonyms.reveal(match.group()) != match.group()]
    unknown = [span for span in _unknown(text, pseudonyms, vocabulary, own)]
    runs: list[list[int]] = []
    for start, end in sorted(unknown):
        if any(start < after and before < end for before, after in done):
            continue
        start, end = _whole(text, start, end, vocabulary)
        if runs and (start <= runs[-1][1] or _JOINS.fullmatch(text[runs[-1][1] : start])):
            runs[-1] = [min(start, runs[-1][0]), max(end, runs[-1][1])]
        else:
            runs.append([start, end])
    for start, end in reversed(runs):
        text = text[:start] + pseudonyms.name(text[start:end]) + text[end:]
    return text


def _whole(text: str, start: int, end: int, vocabulary: frozenset[str]) -> tuple[int, int]:
    """Return where a name stands of which a word was found: with ordinary words in capitals.

    A sentence's first word has a capital anyway, and is none of it.
    """
    at = start
    while before := _CAPITAL_BEFORE.search(text[:at]):
        at = before.start()
        if not at or text[at - 2 : at] in (". ", ": "):
            break
        start = at if _names(before[1], vocabulary) else start
    at = end
    while after := _CAPITAL_AFTER.match(text, at):
        at = after.end()
        end = at if _names(after[1], vocabulary) else end
    return start, end


def _names(word: str, vocabulary: frozenset[str]) -> bool:
    """Return whether a word in capitals is a name's: neither the event model's nor insights'."""
    return not {word.lower(), word.lower().removesuffix("s")} & (vocabulary | PLAIN)


def _unknown(
    text: str, pseudonyms: Pseudonyms, vocabulary: frozenset[str], own: Evidence | None
) -> Iterator[tuple[int, int]]:
    """Yield where words stand that aren't known, and numbers that may be ids."""
    counted: list[tuple[int, int]] = []
    for token in grounding.tokens(text):
        span = (token.start, token.end)
        if _is_id(token, text, pseudonyms, own):
            yield span
        elif token.kind != "id":
            counted.append(span)
    for match in _WORD.finditer(text):
        if any(start <= match.start() < end for start, end in counted):
            continue
        word = match.group()
        if not (word.isdigit() or (word.isalpha() and is_known(word, vocabulary | PLAIN))):
            yield match.span()


def _is_id(token: grounding.Token, text: str, pseudonyms: Pseudonyms, own: Evidence | None) -> bool:
    """Return whether a number, or a word with digits, may be an id rather than a measure."""
    said = text[token.start : token.end]
    if token.kind == "clock" or not any(c.isdigit() for c in said):
        return False
    # "seats 200: 47%" is a value and its share, however like an id its colon makes it look.
    told = (
        said.isdigit() and text[token.end :][:2] == ": " and text[: token.start][-1:] in ("", " ")
    )
    if (token.kind == "id" and not told) or (
        token.kind == "date" and said[:1].isdigit() and "-" in said
    ):
        return True
    if token.kind == "date" or any(sign in said for sign in ",.%"):
        return False
    nouns = {words.humanise(name) for name in pseudonyms.hidden} | {*pseudonyms.prefixes}
    measured = own is not None and not own.unsupported(said)
    before = re.search(r"(\w+)([ :#]*)$", text[: token.start])
    if before and words.humanise(before[1]).split()[-1:] in [noun.split()[-1:] for noun in nouns]:
        # "Aircraft: 397 on Friday" is a metric and its value; "aircraft 397" may be one of them.
        return not (measured and before[2] == ": ")
    if measured:
        return False
    return sum(c.isdigit() for c in said) >= _LEAST_ID


def _values(
    row: Mapping[str, Any], pseudonyms: Pseudonyms, vocabulary: frozenset[str]
) -> dict[str, str]:
    """Return what an insight names of the data, as it may stand in its text, and pseudonyms."""
    found = {}
    for text in _strings(row):
        if entity := _split(text, pseudonyms):
            found[entity[1]] = pseudonyms.of(*entity)
            continue
        # A subject of trends is `platform=mobile`, a step of a pattern `G:slots`.
        for value in {text, text.partition("=")[2], text.partition(":")[2]}:
            for cut in {words.tidy(value, limit) for limit in _CUT}:
                plain = all(is_known(w, vocabulary | PLAIN) for w in cut.split())
                # A short number is a measure; as an id it is known by what stands before it.
                if not plain and not (cut.isdigit() and len(cut) < _LEAST_ID):
                    found |= {said: pseudonyms.name(cut) for said in {cut, unquoted(cut)}}
    for value in _of_hidden_fields(row, pseudonyms):
        for cut in {words.tidy(value, limit) for limit in _CUT} - {""}:
            found |= {said: pseudonyms.name(cut) for said in {cut, unquoted(cut)}}
    return found


def _of_hidden_fields(row: Mapping[str, Any], pseudonyms: Pseudonyms) -> Iterator[str]:
    """Yield the values that an insight names of hidden fields, whatever they say."""
    for subject in row["subjects"]:
        field, _, value = subject.partition("=")
        if pseudonyms.has(field):
            yield value
    for part in _parts(json.loads(row["evidence"] or "{}")):
        strings = {name: value for name, value in part.items() if isinstance(value, str)}
        named = {value for value in strings.values() if pseudonyms.has(value)}
        yield from (
            v for n, v in strings.items() if pseudonyms.has(n) or (named and v not in named)
        )


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a tree."""
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _parts(part)


def _strings(row: Mapping[str, Any]) -> Iterator[str]:
    yield from row["subjects"]
    yield from _leaves(json.loads(row["evidence"] or "{}"), str)


def _numbers(row: Mapping[str, Any]) -> Evidence:
    found = _leaves(json.loads(row["evidence"] or "{}"), int | float)
    return Evidence.of(*(repr(number) for number in found if not isinstance(number, bool)))


def _leaves(tree: Any, of: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        for name, part in tree.items():
            if name not in _NO_VALUES:
                yield from _leaves(part, of)
    elif isinstance(tree, list):
        for part in tree:
            yield from _leaves(part, of)
    elif isinstance(tree, of):
        yield tree


def _split(text: str, pseudonyms: Pseudonyms) -> tuple[str, str] | None:
    """Return type and key of the id of an entity of a hidden type."""
    prefix, colon, key = text.partition(":")
    entity_type = pseudonyms.prefixes.get(prefix)
    return (entity_type, key) if colon and key and entity_type else None


def _without_example(text: str, evidence: str | None) -> str:
    parameters = json.loads(evidence or "{}").get("parameters") or {}
    for value in parameters.values():
        if isinstance(value, str) and (example := words.tidy(value, limit=_CUT[-1])):
            text = text.replace(example, "...")
    return text
