"""What a language model's server gets to see: pseudonyms for ids, and nothing that looks like one.

A pseudonym is a keyed hash (HMAC-SHA256) of an entity's id, with a key of the lake's own that
never leaves it: the same id has the same pseudonym from day to day, and nobody without the key
can tell which id it stands for, nor try ids out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from stupid_dagster.compute.names import naming_property
from stupid_dagster.compute.profiles.traits import EntityTrait, KeyMember, Profile
from stupid_dagster.errors import SettingsError, hint
from stupid_dagster.event_model import EventModel

Linked = TypeVar("Linked", EntityTrait, KeyMember)
KEY_FILE = "pseudonyms.key"
SHARED_BY = 10
"""An entity type is shown as it is if there are at least so many actors to each of its entities."""
_DIGITS = 6
PSEUDONYM = re.compile(rf"(?<!\w)[a-z]\w*-[0-9a-f]{{{_DIGITS}}}(?!\w)", re.IGNORECASE)
_LOOKS_PERSONAL = re.compile(
    r"""
    (?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
  | (?P<address>\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}\b)
  | (?P<id>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b
      |\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b)
  | (?P<number>(?!\d{4}-\d\d-\d\d(?!\d))(?<![\w.,])\+?\d(?:[ -]?\d){6,}(?!\w))
    """,
    re.VERBOSE | re.IGNORECASE,
)


def hidden_types(
    model: EventModel, entities: Mapping[str, int], chosen: Collection[str] | None
) -> frozenset[str]:
    """Return the entity types whose ids are hidden; the actor's always are.

    `chosen` ones by the settings; None for all that are not widely shared: `entities` counts
    those of each type, and to one of them there must be ten actors on average. Raises SettingsError
    for a type that the model hasn't.
    """
    for name in chosen or ():
        if name not in model.entities:
            raise SettingsError(
                f"llm_hidden has {name!r}, which is no entity type{hint(name, model.entities)}"
            )
    if chosen is not None:
        return frozenset({model.actor, *chosen})
    actors = entities.get(model.actor, 0)
    return frozenset(
        name
        for name in model.entities
        if name == model.actor or SHARED_BY * entities.get(name, 0) > actors
    )


def pseudonym_key(folder: Path) -> bytes:
    """Return the key that is kept in a folder, made when first asked for; raises OSError."""
    file = folder / KEY_FILE
    if not file.exists():
        made = file.with_name(f".{KEY_FILE}.{os.getpid()}.{threading.get_ident()}")
        made.touch(mode=0o600)
        try:
            made.write_text(secrets.token_hex(32), encoding="ascii")
            # Fails where another run has made one meanwhile: that is the key then.
            os.link(made, file)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return file.read_text(encoding="ascii").encode()


class Pseudonyms:
    """Replaces what identifies somebody by pseudonyms, and pseudonyms by what they stand for.

    It remembers what it has replaced: `reveal` knows no others. `prefixes` are those of the hidden
    types. Any number of threads may use one.
    """

    def __init__(self, key: bytes, model: EventModel, hidden: Collection[str]) -> None:
        self._key = key
        self._model = model
        self.hidden = frozenset(hidden)
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()
        prefixes = {rule.prefix: name for name, rule in model.entities.items() if name in hidden}
        self.prefixes = prefixes
        # A part of a hidden key may be a shown type's whole key: an airline of a flight.
        shown = {
            rule.key[0]
            for name, rule in model.entities.items()
            if name not in hidden and len(rule.key) == 1
        }
        self._fields = {
            field: name
            for name, rule in model.entities.items()
            if name in hidden
            for field in (
                *rule.key,
                *(f for fields in rule.roles.values() for f in fields),
                naming_property(model, name),
            )
            if field and field not in shown
        }
        ids = "|".join(map(re.escape, sorted(prefixes, key=len, reverse=True)))
        self._ids = re.compile(rf"(?<!\w)({ids}):([^\s\"',;()\[\]{{}}]*[^\s\"',;()\[\]{{}}.:?!])")

    def of(self, entity_type: str, key: str) -> str:
        """Return the pseudonym of an entity: `member-7f3a91`."""
        return self._named(self._model.entities[entity_type].prefix, key)

    def value(self, field: str, value: str) -> str:
        """Return a field's value as it may be shown: keys and names of hidden types not."""
        entity_type = self._fields.get(field)
        return self.of(entity_type, value) if entity_type else self.hide(value)

    def name(self, words: str) -> str:
        """Return the pseudonym of words whose type nobody knows: `name-7f3a91`."""
        return self._named("name", words)

    def has(self, field: str) -> bool:
        """Return whether a field holds keys or names of a hidden type."""
        return field in self._fields

    def ids(self, text: str) -> Iterator[re.Match[str]]:
        """Yield the ids of hidden types in a text."""
        return self._ids.finditer(text)

    def hide(self, text: str, *, prefixed: bool = False) -> str:
        """Return a text without ids of hidden types, e-mail and IP addresses and long numbers.

        A `prefixed` id keeps its prefix: `member:member-7f3a91`.
        """

        def hidden(match: re.Match[str]) -> str:
            name = self.of(self.prefixes[match[1]], match[2])
            return f"{match[1]}:{name}" if prefixed else name

        text = self._ids.sub(hidden, text)
        return _LOOKS_PERSONAL.sub(
            lambda match: self._named(match.lastgroup or "value", match.group()), text
        )

    def reveal(self, text: str) -> str:
        """Return a text with what its pseudonyms stand for."""
        with self._lock:
            known = {name.lower(): value for name, value in self._known.items()}
        return PSEUDONYM.sub(lambda match: known.get(match.group().lower(), match.group()), text)

    def profile(self, profile: Profile) -> Profile:
        """Return a profile as it may be shown; its numbers are the same."""
        values = {t.value: self.value(t.property, t.value) for t in profile.properties}
        steps = {step.value: self.hide(step.value) for step in profile.steps}
        told = profile.told
        for value in sorted(values, key=len, reverse=True):
            told = told.replace(value, values[value]) if told else None
        return dataclasses.replace(
            profile,
            entities=tuple(self._linked(entity) for entity in profile.entities),
            key_members=tuple(self._linked(member) for member in profile.key_members),
            properties=tuple(
                dataclasses.replace(t, value=values[t.value]) for t in profile.properties
            ),
            steps=tuple(
                dataclasses.replace(
                    s, value=steps[s.value], text=self.hide(s.text.replace(s.value, steps[s.value]))
                )
                if s.value
                else s
                for s in profile.steps
            ),
            told=self.hide(told) if told else None,
        )

    def _linked(self, entity: Linked) -> Linked:
        """Return an entity without its id, and with a name that may be shown."""
        name = self.hide(entity.name)
        if entity.type in self.hidden:
            name = self.of(entity.type, entity.entity_id.partition(":")[2])
            with self._lock:  # What is revealed is the name.
                self._known[name] = entity.name
        return dataclasses.replace(entity, name=name, entity_id=f"{entity.type}:{name}")

    def _named(self, kind: str, value: str) -> str:
        digest = hmac.new(self._key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()
        pseudonym = f"{kind}-{digest[:_DIGITS]}"
        with self._lock:
            self._known.setdefault(pseudonym, value)
        return pseudonym
