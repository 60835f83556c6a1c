"""Is a model's answer about a profile right, as far as that can be told without understanding?"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, Field

from stupid_dagster.compute import words
from stupid_dagster.compute.ordinary import FUNCTION, ORDINARY
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.templates import parse_template
from stupid_dagster.llm.labelling.reading import Reading
from stupid_dagster.llm.labels import MOST_LABEL

MOST_DESCRIPTION, MOST_ITEM, MOST_ITEMS = 500, 140, 6
"""Characters of the other parts of an answer; items of what distinguishes."""
LEAST_LABEL = 4
MARKUP = re.compile(r"https?:|www\.|://|\]\(|[`{}<>]|\*\*|&\w+;", re.IGNORECASE)
PUNCTUATION = frozenset(",.;:()-\u2013\u2014'\"\u2018\u2019\u201c\u201d/&+!?")
SPELLED = re.compile(r"(?<!\w)(?:[^\W\d_][\W_]+){3,}[^\W\d_](?!\w)")
"""Words spelled out, letter by letter: each letter by itself would be known."""
_ENDINGS = (
    *(("", ""), ("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ing", "")),
    *(("ing", "e"), ("er", ""), ("er", "e"), ("ers", ""), ("ers", "e"), ("ly", ""), ("ily", "y")),
    *(("est", ""), ("ally", ""), ("led", "l"), ("ling", "l"), ("ling", "le")),
)
_NAMED = 3
_WORD = re.compile(r"[^\W\d_]+")


def _limited(most: int) -> Any:
    """Return a text's limit for servers: some hold a model to the schema only if all have one.

    A longer text is read all the same: `problems` refuses it, for the model itself answers well.
    """
    return Field(json_schema_extra={"maxLength": most})


class LabelAnswer(BaseModel):
    """What a model says of a profile."""

    label: str = _limited(MOST_LABEL)
    description: str = _limited(MOST_DESCRIPTION)
    distinguishing: list[Annotated[str, _limited(MOST_ITEM)]] = Field(
        json_schema_extra={"maxItems": MOST_ITEMS}
    )

    def texts(self) -> Iterator[str]:
        """Yield all that it says."""
        yield self.label
        yield self.description
        yield from self.distinguishing


def model_words(model: EventModel) -> frozenset[str]:
    """Return the words of an event model, lower case: names, units, labels and descriptions.

    They are the owner's own, not from the data. Of descriptions those in lower case count: others
    may name what a group has nothing to do with.
    """
    names: list[str] = [model.name, model.actor, "event", "member"]
    names += [*model.entities, *model.edges, *model.events, *model.fields, *model.derived]
    names += [*model.features.columns, *model.metrics, *(c.name for c in model.patterns.categories)]
    measures = (*model.features.columns.values(), *model.metrics.values())
    names += [rule.unit or "" for rule in (*model.fields.values(), *measures)]
    for entity in model.entities.values():
        names += [entity.prefix, *entity.properties, *entity.roles, *entity.key]
    for derived in model.derived.values():
        names += [*(derived.bands or {}), *(derived.map or {}).values(), derived.otherwise or ""]
    texts = [model.description, *(metric.description or "" for metric in model.metrics.values())]
    texts += [rule.description or "" for rule in model.fields.values()]
    for event in model.events.values():
        names += event.fields
        texts += [event.description, *(p.literal for c in parse_template(event.text) for p in c)]
    found = {word for name in names for said in (words.humanise(name), name.lower())
             for word in _WORD.findall(said)}  # fmt: skip
    return frozenset(found | {w for text in texts for w in _WORD.findall(text) if w.islower()})


def problems(answer: LabelAnswer, reading: Reading, vocabulary: frozenset[str]) -> list[str]:
    """Return what is wrong with an answer; nothing, if it may be shown.

    All numbers must be the profile's, as they are shown there. All names from the data must be
    the profile's as a whole, in quotation marks unless they are plain (`quoting.is_plain`); plain
    names of entities may be shortened at their end. All other words must be the event model's
    (`vocabulary`) or ordinary English, so that nothing is invented, nor said that a value in the
    data asks for. The label must say something in the event model's words.
    """
    return [*_too_long(answer)] or [*_form(answer), *untrue(answer, reading, vocabulary)]


def untrue(answer: LabelAnswer, reading: Reading, vocabulary: frozenset[str]) -> list[str]:
    """Return what an answer says that its profile doesn't, as `problems` tells."""
    found = []
    tokens = [token for text in answer.texts() for token in reading.tokens(text)]
    numbers = [t.text for t in tokens if t.kind == "number" and not reading.has_number(t.text)]
    unknown = [t.text for t in tokens if t.kind == "word" and not is_known(t.text, vocabulary)]
    if numbers:
        found.append(f"numbers that the profile doesn't have: {few(numbers)}")
    if unknown:
        found.append(f"names or words that are not the profile's: {few(unknown)}")
    if spelled := [m.group() for text in answer.texts() for m in SPELLED.finditer(text)]:
        found.append(f"words that are spelled out: {few(spelled)}")
    if odd := [t.text for t in tokens if t.kind == "other" and t.text not in PUNCTUATION]:
        found.append(f"odd characters: {few(odd)}")
    said = [t.text for t in reading.tokens(answer.label) if t.kind == "word"]
    about = vocabulary - FUNCTION
    if not any(len(word) >= _NAMED and _stems(word) & about for word in said):
        found.append("the label says nothing of what the profile is about")
    return found


def _parts(answer: LabelAnswer) -> Iterator[tuple[str, str, int]]:
    yield "label", answer.label, MOST_LABEL
    yield "description", answer.description, MOST_DESCRIPTION
    yield from (("distinguishing", text, MOST_ITEM) for text in answer.distinguishing)


def _too_long(answer: LabelAnswer) -> Iterator[str]:
    """Yield what is longer than may be: nothing else is looked at then."""
    for name, text, most in itertools.islice(_parts(answer), MOST_ITEMS + 2):
        if len(text) > most:
            yield f"the {name} has {len(text)} characters, at most {most} may be"
    if len(answer.distinguishing) > MOST_ITEMS:
        yield f"more than {MOST_ITEMS} distinguishing items"


def _form(answer: LabelAnswer) -> Iterator[str]:
    for name, text, _ in _parts(answer):
        if any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in text):
            yield f"the {name} has control characters or line breaks"
        if MARKUP.search(text):
            yield f"the {name} has markup, code or a link"
    if len(answer.label.strip()) < LEAST_LABEL:
        yield "the label is empty"
    if not answer.description.strip():
        yield "the description is empty"


def is_known(word: str, vocabulary: frozenset[str]) -> bool:
    """Return whether a word is a form of the vocabulary's, or of an ordinary one."""
    if len(word) == 1 and word.isascii():
        return True
    return any(stem in vocabulary or stem in ORDINARY for stem in _stems(word))


def _stems(word: str) -> set[str]:
    """Return the words that one may be a form of, itself among them."""
    plain = re.sub(r"['\u2019]s?$", "", word.lower())
    return {
        plain.removesuffix(ending) + instead
        for ending, instead in _ENDINGS
        if plain.endswith(ending) and (not ending or len(plain) - len(ending) >= _NAMED)
    }


def few(said: Iterable[str]) -> str:
    """Return the first of what an answer says wrongly, each once and cut."""
    return words.first_few([words.tidy(text, 30) for text in dict.fromkeys(said)])
