"""What a language model's server gets to see: pseudonyms for ids, and nothing that looks like one.

A pseudonym is a keyed hash (HMAC-SHA256) of an entity's id, with a key of the lake's own that
never leaves it: the same id has the same pseudonym from day to day, and nobody without the key
can tell which id it stands for, nor try ids out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from typing import TypeVar

from stupid_dagster.compute import words
from stupid_dagster.compute.names import naming_properties, naming_property
from stupid_dagster.compute.profiles.traits import EntityTrait, FeatureTrait, KeyMember, Profile
from stupid_dagster.errors import SettingsError, StoreError, hint
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.references import needed_fields
from stupid_dagster.event_model.templates import template_fields
from stupid_dagster.stores.files import Files

Linked = TypeVar("Linked", EntityTrait, KeyMember)
KEY_FILE = "pseudonyms.key"
SHARED_BY = 10
"""An entity type is shown as it is if there are at least so many actors to each of its entities."""
_DIGITS = (10, 20)
"""Hexadecimal digits of a pseudonym: the more where the fewer are another's."""
PSEUDONYM = re.compile(
    rf"(?<!\w)[a-z]\w*-[0-9a-f]{{{_DIGITS[0]}}}(?:[0-9a-f]{{{_DIGITS[1] - _DIGITS[0]}}})?(?!\w)",
    re.IGNORECASE,
)
_KEY = re.compile(rb"[!-~]{32,}")
"""What a key is made of: an empty or broken file would let anybody try ids out."""
_LEAST_CUT = 3
"""Characters of a value, cut at a text's end, that are still taken for the value."""
_LOOKS_PERSONAL = re.compile(
    r"""
    (?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
  | (?P<address>(?<!version[ ])\b(?:\d{1,3}\.){3}\d{1,3}\b
      |(?!\d\d(?::\d\d){3}(?![\w:]))\b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}\b
      |(?<![\w:.])(?=[0-9a-f:]*\d)(?=[0-9a-f:]*::)(?:[0-9a-f]{1,4}(?::(?!:)[0-9a-f]{1,4}){0,6})?
       ::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?![\w:]))
  | (?P<id>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b
      |\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b)
  | (?P<number>(?!\d{4}-\d\d-\d\d(?!\d))
      (?!(?:19|20)\d\d[ ](?:0\d|1[0-2])[ ](?:[0-2]\d|3[01])(?![ -]?\d))
      (?<![\w.,])\+?\d(?:[ -]?\d){6,}(?!\w)
      |(?<!\w)(?:\+|(?=\())(?=(?:\D{0,2}\d){7})\(?\d+\)?(?:[ ./-]?\(?\d+\)?)+(?!\w))
    """,
    re.VERBOSE | re.IGNORECASE,
)


def hidden_types(
    model: EventModel, entities: Mapping[str, int], chosen: Collection[str] | None
) -> frozenset[str]:
    """Return the entity types whose ids are hidden, the actor's always, and fields to hide besides.

    `chosen` ones by the settings; where no type is among them, all that are not widely shared:
    `entities` counts those of each type, and to one of them there must be ten actors on average.
    Nothing chosen (not None) hides the actor alone. Raises SettingsError for a name that is neither
    an entity type nor a field of the model.
    """
    fields = _fields(model)
    for name in chosen or ():
        if name not in model.entities and name not in fields:
            raise SettingsError(
                f"llm_hidden has {name!r}, which is no entity type and no field"
                f"{hint(name, [*model.entities, *fields])}"
            )
    if chosen is not None and (not chosen or any(name in model.entities for name in chosen)):
        return frozenset({model.actor, *chosen})
    actors = entities.get(model.actor, 0)
    return frozenset(chosen or ()) | {
        name
        for name in model.entities
        if name == model.actor or SHARED_BY * entities.get(name, 0) > actors
    }


def _fields(model: EventModel) -> set[str]:
    """Return the names of all fields that events and entities have."""
    events = (event.fields for event in model.events.values())
    properties = (rule.properties for rule in model.entities.values())
    return {*model.fields, *model.derived, *chain.from_iterable((*events, *properties))}


def _keys(model: EventModel, entity_type: str) -> list[list[str]]:
    """Return the fields of an entity type's key, of each of its roles."""
    rule = model.entities[entity_type]
    return [*rule.roles.values()] if rule.roles else [rule.key]


def _shown_keys(model: EventModel, hidden: Collection[str]) -> set[str]:
    """Return the fields that are a shown type's whole key."""
    shown = (keys for name in model.entities if name not in hidden for keys in _keys(model, name))
    return {keys[0] for keys in shown if len(keys) == 1}


def _with_dependents(model: EventModel, hidden: Collection[str]) -> frozenset[str]:
    """Return what is hidden, and what says the same.

    Those are types that a hidden field is a key of, and fields whose values are written with a
    hidden field's or with a hidden type's key.
    """
    keys = {name: {*chain.from_iterable(_keys(model, name))} for name in model.entities}
    found = set(hidden)
    while True:
        fields = found - set(keys)
        of_types = chain.from_iterable(keys[name] for name in found & set(keys))
        secret = fields | ({*of_types} - _shown_keys(model, found))
        more = {name for name, parts in keys.items() if parts & fields}
        for name, one in model.derived.items():
            read = template_fields(one.template) if one.template else [one.field]
            if (one.template or one.scale is not None) and secret.intersection(read):
                more.add(name)
        if more <= found | secret:
            return frozenset(found)
        found |= more - secret


def has_pseudonym_key(files: Files) -> bool:
    """Return whether a lake has a key; raises StoreError."""
    return files.entry(KEY_FILE) is not None


def pseudonym_key(files: Files, *, keep: bool = True) -> bytes:
    """Return a lake's key, the same on all machines; one is made there if there is none.

    If not to `keep`, that is good for this once, and the lake stays as it is. Raises StoreError,
    also for a file that holds no key.
    """
    try:
        key = _stored_key(files)
    except FileNotFoundError:
        made = secrets.token_hex(32).encode()
        if not keep:
            return made
        # Of several that make one at the same time, one wins; all take that.
        files.create(KEY_FILE, made, private=True)
        try:
            key = _stored_key(files)
        except FileNotFoundError as error:
            raise StoreError(
                f"{files.url}/{KEY_FILE} can't be read as a file: remove what is there"
            ) from error
    if not _KEY.fullmatch(key):
        raise StoreError(
            f"{files.url}/{KEY_FILE} holds no key: 32 or more ASCII characters without spaces. Put "
            "the right file there, or delete it: a new one is made then, and all pseudonyms are "
            "others"
        )
    return key


def _stored_key(files: Files) -> bytes:
    return files.read(KEY_FILE).data.strip()


class Pseudonyms:
    """Replaces what identifies somebody by pseudonyms, and pseudonyms by what they stand for.

    It remembers what it has replaced: `reveal` knows no others. `hidden` are entity types and
    fields, `prefixes` those of the types, `names` the properties that name entities of each. Any
    number of threads may use one.
    """

    def __init__(self, key: bytes, model: EventModel, hidden: Collection[str]) -> None:
        self._key = key
        self._model = model
        self.hidden = _with_dependents(model, hidden)
        types = {name: rule for name, rule in model.entities.items() if name in self.hidden}
        self.prefixes = {rule.prefix: name for name, rule in types.items()}
        self.names = {name: naming_properties(model, name) for name in types}
        # A part of a hidden key may be a shown type's whole key: an airline of a flight.
        shown = _shown_keys(model, self.hidden)
        keys = {field for name in types for field in chain.from_iterable(_keys(model, name))}
        self.apart = (self.hidden - set(types)) | (needed_fields(model, keys) - keys - shown)
        """Fields that are hidden by themselves, and parts of hidden keys."""
        self._kinds = {
            name: re.sub(r"\W+", "_", f"field {words.humanise(name)}".strip())
            for name in self.apart
        }
        self._kinds |= {
            field: rule.prefix
            for name, rule in types.items()
            for field in (*chain.from_iterable(_keys(model, name)), *self.names[name])
            if field not in shown
        }
        self.secret_prefixes = {
            rule.prefix for name, rule in model.entities.items() if self._names_secret(name)
        }
        """Prefixes of the types whose entities' names are hidden."""
        self._owners: dict[str, str] = {}
        """What each pseudonym was made of."""
        self._known: dict[str, str] = {}
        """What each stands for in an answer."""
        self._lock = threading.Lock()
        ids = "|".join(map(re.escape, sorted(self.prefixes, key=len, reverse=True)))
        ends = r"\s\"',;()\[\]{}"
        self._ids = re.compile(rf"(?<!\w)({ids}):((?:[^{ends}]|'(?=\w))*[^{ends}.:?!])")

    def of(self, entity_type: str, key: str) -> str:
        """Return the pseudonym of an entity: `member-7f3a91c02b`."""
        return self._pseudonym(self._model.entities[entity_type].prefix, key)

    def value(self, field: str, value: str) -> str:
        """Return a field's value as it may be shown: keys and names of hidden types not."""
        kind = self._kinds.get(field)
        return self._pseudonym(kind, value) if kind else self.hide(value)

    def name(self, said: str) -> str:
        """Return the pseudonym of words whose type nobody knows: `name-7f3a91c02b`."""
        return self._pseudonym("name", said)

    def has(self, field: str) -> bool:
        """Return whether a field holds keys or names of a hidden type, or is hidden itself."""
        return field in self._kinds

    def typed(self, field: str, value: str) -> str | int | float:
        """Return a field's value as a number where the event model has numbers in it."""
        kind = {"integer": int, "float": float}.get(self._model.field_type(field))
        try:
            return kind(value) if kind else value
        except ValueError:
            return value

    def ids(self, text: str) -> Iterator[re.Match[str]]:
        """Yield the ids of hidden types in a text, as far as they can be told without their end."""
        return self._ids.finditer(text)

    def hide(self, text: str, *, prefixed: bool = False) -> str:
        """Return a text without ids of hidden types, e-mail and IP addresses and long numbers.

        A `prefixed` id keeps its prefix: `member:member-7f3a91c02b`.
        """

        def hidden(match: re.Match[str]) -> str:
            name = self.of(self.prefixes[match[1]], match[2])
            return f"{match[1]}:{name}" if prefixed else name

        def impersonal(part: str) -> str:
            part = self._ids.sub(hidden, part)
            # A pseudonym's digits may look like a number.
            return self.between(
                part,
                lambda rest: _LOOKS_PERSONAL.sub(
                    lambda match: self._pseudonym(match.lastgroup or "value", match.group()), rest
                ),
            )

        return self.between(text, impersonal)

    def between(self, text: str, change: Callable[[str], str]) -> str:
        """Return a text changed but for the pseudonyms of this one that stand in it."""
        parts, end = [], 0
        for match in PSEUDONYM.finditer(text):
            if match.group().lower() in self._owners:
                parts += [change(text[end : match.start()]), match.group()]
                end = match.end()
        return "".join([*parts, change(text[end:])])

    def revealed(self, text: str) -> dict[str, str]:
        """Return what the pseudonyms in a text stand for, as far as they are known here."""
        found = {}
        with self._lock:
            for match in PSEUDONYM.finditer(text):
                if (value := self._known.get(match.group().lower())) is not None:
                    found[match.group()] = value
        return found

    def reveal(self, text: str) -> str:
        """Return a text with what its pseudonyms stand for."""
        known = self.revealed(text)
        return PSEUDONYM.sub(lambda match: known.get(match.group(), match.group()), text)

    def profile(self, profile: Profile) -> Profile:
        """Return a profile as it may be shown; its numbers are the same.

        What is hidden in one part of it is hidden in all: where a member's code is a host too, that
        host has the member's pseudonym.
        """
        entities = tuple(self._linked(entity) for entity in profile.entities)
        key_members = tuple(self._linked(member) for member in profile.key_members)
        features = tuple(self._feature(feature) for feature in profile.features)
        pairs = (*zip(profile.entities, entities, strict=True),
                 *zip(profile.key_members, key_members, strict=True))  # fmt: skip
        secret = {one.name: new.name for one, new in pairs if self._names_secret(one.type)}
        secret |= {
            t.value: self.value(t.property, t.value)
            for t in profile.properties
            if self.has(t.property)
        }
        secret |= {
            s.value: self.value(s.field, s.value) for s in profile.steps if self.has(s.field)
        }

        def shown(text: str) -> str:
            return self.hide(_replaced(text, secret))

        return dataclasses.replace(
            profile,
            features=features,
            entities=entities,
            key_members=key_members,
            properties=tuple(
                dataclasses.replace(t, value=shown(t.value)) for t in profile.properties
            ),
            steps=tuple(
                dataclasses.replace(s, value=shown(s.value), text=shown(s.text)) if s.value else s
                for s in profile.steps
            ),
            told=shown(profile.told) if profile.told else None,
        )

    def _linked(self, entity: Linked) -> Linked:
        """Return an entity without its id, and with a name that may be shown."""
        name = self.hide(entity.name)
        naming = naming_property(self._model, entity.type)
        if entity.type not in self.hidden and naming in self._kinds:
            name = self.value(naming, entity.name)
        if entity.type in self.hidden:
            name = self.of(entity.type, entity.entity_id.partition(":")[2])
            with self._lock:  # What is revealed is the name.
                self._known[name.lower()] = entity.name
        return dataclasses.replace(entity, name=name, entity_id=f"{entity.type}:{name}")

    def _names_secret(self, entity_type: str) -> bool:
        """Return whether the entities of a type are called by what is hidden."""
        return (
            entity_type in self.hidden or naming_property(self._model, entity_type) in self._kinds
        )

    def _feature(self, feature: FeatureTrait) -> FeatureTrait:
        """Return a feature whose values, if it has any of a hidden field, are pseudonyms."""
        rule = self._model.features.columns.get(feature.name)
        field = rule.field if rule else None
        if not feature.values or field not in self._kinds:
            return feature
        values = tuple(self.value(field, value) for value in feature.values)
        return dataclasses.replace(feature, values=values)

    def _pseudonym(self, kind: str, value: str) -> str:
        digest = hmac.new(self._key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()
        pseudonym = ""
        with self._lock:
            for digits in _DIGITS:
                pseudonym = f"{kind}-{digest[:digits]}"
                if self._owners.setdefault(pseudonym.lower(), value) == value:
                    break
            self._known.setdefault(pseudonym.lower(), value)
        return pseudonym


def _replaced(text: str, secret: Mapping[str, str]) -> str:
    """Return a text with values replaced, also where they stand there shorter or longer.

    A profile cuts values at different lengths, each marked by its last character.
    """
    if not secret:
        return text
    longest = sorted(secret, key=len, reverse=True)
    parts = {f"v{n}": value for n, value in enumerate(longest)}

    def pattern(value: str) -> str:
        if not value.endswith("…"):
            return re.escape(value)
        # Its rest, however long, up to what may come behind a value.
        return rf"{re.escape(value[:-1])}(?:[^\s,)]*…|[^\s,)]*)"

    either = "|".join(f"(?P<{name}>{pattern(value)})" for name, value in parts.items())
    found = re.sub(
        rf"(?<!\w)(?:{either})(?!\w)", lambda match: secret[parts[match.lastgroup or ""]], text
    )
    if found.endswith("…"):
        for value in longest:
            for length in range(len(value.removesuffix("…")), _LEAST_CUT - 1, -1):
                if found.endswith(f"{value[:length].rstrip()}…"):
                    return found[: -len(value[:length].rstrip()) - 1] + secret[value]
    return found
