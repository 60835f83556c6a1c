"""What sets a group apart, as plain data: the ground that labels stand on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from stupid_dagster.compute import words

DIGITS, HASH_DIGITS = 4, 3
"""Significant digits of a profile's numbers, and of those that its hash takes in."""

Kind = Literal["cluster", "community", "event_cluster", "pattern"]


@dataclass(frozen=True)
class FeatureTrait:
    """A feature's mean in the group and over all actors; z of the difference.

    `kind` is count, distinct, sum, mean, last or ratio. `redundant`: it tells what a stronger
    feature of the same group tells already. `share`: it is told as a
    percentage.
    """

    name: str
    kind: str
    unit: str | None
    mean: float
    overall: float
    z: float
    redundant: bool = False
    share: bool = False
    values: tuple[str, ...] = ()
    """Of an encoded last value: the least and the highest that most of the group have."""


@dataclass(frozen=True)
class EntityTrait:
    """An entity that the group's actors are linked to more (lift > 1) or most.

    `members` actors of the group have such an edge; `share` of the group's edges of that type
    (by weight) lead there, against `overall` of all actors' edges; lift is their quotient.
    """

    relation: str
    incoming: bool
    type: str
    entity_id: str
    name: str
    members: int
    share: float
    overall: float
    lift: float


@dataclass(frozen=True)
class PropertyTrait:
    """A property's value that is commoner in the group than among all of its type.

    `share` of the group's members of that type with the property, against `overall` of all. Of
    an event cluster: the value of a field, by events, against all of the event type.
    """

    type: str
    property: str
    value: str
    members: int
    share: float
    overall: float
    lift: float


@dataclass(frozen=True)
class TypeCount:
    """Members of an entity type, and which share of all of that type they are."""

    type: str
    members: int
    share: float


@dataclass(frozen=True)
class KeyMember:
    """A member that matters most by PageRank."""

    type: str
    entity_id: str
    name: str


@dataclass(frozen=True)
class Step:
    """A step of a pattern in words; `value` is what of them comes from the data, of a `field`."""

    text: str
    value: str = ""
    field: str = ""


@dataclass(frozen=True)
class Figure:
    """A number that is worth telling, with its name; `share`: it is told as a percentage."""

    name: str
    value: float
    unit: str | None = None
    share: bool = False


@dataclass(frozen=True)
class Profile:
    """A group, what it is made of, and what sets it apart, strongest first.

    `noun` is the entity type of the members (of a community and a pattern: of the actors; of an
    event cluster: the event type); `days` is the time that counts and sums are over. `size`
    counts members, of an event cluster events, of a pattern the actors that show it. Numbers have
    at most four significant digits.
    """

    subject: str
    kind: Kind
    noun: str
    size: int
    share: float
    days: int | None = None
    features: tuple[FeatureTrait, ...] = ()
    entities: tuple[EntityTrait, ...] = ()
    properties: tuple[PropertyTrait, ...] = ()
    types: tuple[TypeCount, ...] = ()
    key_members: tuple[KeyMember, ...] = ()
    steps: tuple[Step, ...] = ()
    figures: tuple[Figure, ...] = ()
    category: str | None = None
    told: str | None = None
    """Of an event cluster: its event type's text with what its events share, else left out."""

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON-serialisable dictionaries, lists, strings and numbers."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @property
    def profile_hash(self) -> str:
        """16 hexadecimal digits that only depend on what the profile says, not on its id."""
        content = self.to_dict()
        del content["subject"]
        canonical = json.dumps(_rounded(content), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return words.significant(value, HASH_DIGITS) if isinstance(value, float) else value


def short(value: float) -> float:
    """Return the value with as many digits as a profile keeps."""
    return words.significant(value, DIGITS)
