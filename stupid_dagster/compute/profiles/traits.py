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


@dataclass(frozen=True)
class FeatureTrait:
    """A feature's mean in the group and over all actors; z of the difference.

    `kind` is count, distinct, sum, mean or last. `redundant`: it tells what a stronger feature
    of the same group tells already. `share`: it is a share of yes among yes and no.
    """

    name: str
    kind: str
    unit: str | None
    mean: float
    overall: float
    z: float
    redundant: bool = False
    share: bool = False


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

    `share` of the group's members of that type with the property, against `overall` of all.
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
class Profile:
    """A cluster or community, what it is made of, and what sets it apart, strongest first.

    `noun` is the entity type of the members (of a community: of its actors); `days` is the
    time that counts and sums are over. Numbers have at most four significant digits.
    """

    subject: str
    kind: Literal["cluster", "community"]
    noun: str
    size: int
    share: float
    days: int | None = None
    features: tuple[FeatureTrait, ...] = ()
    entities: tuple[EntityTrait, ...] = ()
    properties: tuple[PropertyTrait, ...] = ()
    types: tuple[TypeCount, ...] = ()
    key_members: tuple[KeyMember, ...] = ()

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

    def displayed_numbers(self) -> set[str]:
        """Return every number of the profile, in every form that words may show it."""
        found: set[str] = set()
        _collect(self.to_dict(), found)
        return found


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return words.significant(value, HASH_DIGITS) if isinstance(value, float) else value


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.update((words.number(value), words.percent(value).rstrip("%"), f"{value:,}"))


def short(value: float) -> float:
    """Return the value with as many digits as a profile keeps."""
    return words.significant(value, DIGITS)
