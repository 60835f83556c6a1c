"""Is a model's answer about a profile right, as far as that can be told without understanding?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field

from stupid_dagster.compute import words
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.templates import parse_template
from stupid_dagster.llm.labelling.ordinary import FUNCTION, ORDINARY
from stupid_dagster.llm.labelling.reading import Reading

MOST_LABEL, MOST_DESCRIPTION, MOST_ITEM, MOST_ITEMS = 90, 500, 140, 6
"""Characters of the parts of an answer; items of what distinguishes."""
LEAST_LABEL = 4
MARKUP = re.compile(r"https?:|www\.|://|\]\(|[`{}<>]|\*\*|&\w+;", re.IGNORECASE)
PUNCTUATION = frozenset(",.;:()-\u2013\u2014'\"\u2018\u2019\u201c\u201d/&+!?")
_ENDINGS = (
    *(("", ""), ("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ing", "")),
    *(("ing", "e"), ("er", ""), ("er", "e"), ("ers", ""), ("ers", "e"), ("ly", ""), ("ily", "y")),
    *(("est", ""), ("ally", ""), ("led", "l"), ("ling", "l"), ("ling", "le")),
)
_NAMED = 3
_WORD = re.compile(r"[^\W\d_]+")


class LabelAnswer(BaseModel):
    """What a model says of a profile."""

    label: str = Field(max_length=MOST_LABEL)
    description: str = Field(max_length=MOST_DESCRIPTION)
    # A limit to every string: some servers hold a model to the schema only then.
    distinguishing: list[Annotated[str, Field(max_length=MOST_ITEM)]] = Field(max_length=MOST_ITEMS)

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
    the profile's, as a whole or shortened at their end. All other words must be the event model's
    (`vocabulary`) or ordinary English, so that nothing is invented, nor said that a value in the
    data asks for. The label must say something in the event model's words.
    """
    return [*_form(answer), *untrue(answer, reading, vocabulary)]


def untrue(answer: LabelAnswer, reading: Reading, vocabulary: frozenset[str]) -> list[str]:
    """Return what an answer says that its profile doesn't, as `problems` tells."""
    found = []
    tokens = [token for text in answer.texts() for token in reading.tokens(text)]
    numbers = [t.text for t in tokens if t.kind == "number" and not reading.has_number(t.text)]
    unknown = [t.text for t in tokens if t.kind == "word" and not is_known(t.text, vocabulary)]
    if numbers:
        found.append(f"numbers that the profile doesn't have: {_few(numbers)}")
    if unknown:
        found.append(f"names or words that are not the profile's: {_few(unknown)}")
    if odd := [t.text for t in tokens if t.kind == "other" and t.text not in PUNCTUATION]:
        found.append(f"odd characters: {_few(odd)}")
    said = [t.text for t in reading.tokens(answer.label) if t.kind == "word"]
    about = vocabulary - FUNCTION
    if not any(len(word) >= _NAMED and _stems(word) & about for word in said):
        found.append("the label says nothing of what the profile is about")
    return found


def _form(answer: LabelAnswer) -> Iterator[str]:
    limits = [
        ("label", answer.label, MOST_LABEL),
        ("description", answer.description, MOST_DESCRIPTION),
    ]
    limits += [("distinguishing", text, MOST_ITEM) for text in answer.distinguishing]
    for name, text, most in limits:
        if len(text) > most:
            yield f"the {name} has {len(text)} characters, at most {most} may be"
        if any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in text):
            yield f"the {name} has control characters or line breaks"
        if MARKUP.search(text):
            yield f"the {name} has markup, code or a link"
    if len(answer.label.strip()) < LEAST_LABEL:
        yield "the label is empty"
    if not answer.description.strip():
        yield "the description is empty"
    if len(answer.distinguishing) > MOST_ITEMS:
        yield f"more than {MOST_ITEMS} distinguishing items"


def is_known(word: str, vocabulary: frozenset[str]) -> bool:
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


def _few(said: list[str]) -> str:
    return words.first_few([words.tidy(text, 30) for text in dict.fromkeys(said)])
