"""The shape of an event model: what a YAML file may say about a domain's events.

The engine knows no field name of any domain; all of them come from an `EventModel`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from stupid_dagster.event_model.templates import parse_template

FieldType = Literal["string", "integer", "float", "boolean"]
Location = tuple[str | int, ...]
"""A place in the YAML: keys and positions, from the outermost on."""
LOCAL_HOUR = "local_hour"
"""A field that every event has: the hour (0-23) of its timestamp in the model's timezone."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _distinct(names: list[str]) -> list[str]:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(map(repr, repeated))} must stand there only once")
    return names


def _parsable(template: str) -> str:
    if not parse_template(template):
        raise ValueError("the template must not be empty")
    return template


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not a timezone; use an IANA name such as 'Asia/Bangkok'")
    return name


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} must be a letter followed by letters, digits or _")
    return name


Names = Annotated[list[str], BeforeValidator(_listed), AfterValidator(_distinct)]
Template = Annotated[str, AfterValidator(_parsable)]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
Identifier = Annotated[str, AfterValidator(_identifier)]


class Strict(BaseModel):
    """A part of the event model: immutable, and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TimestampRule(Strict):
    """Where an event's time stands."""

    fields: Names = Field(description="Columns to look in, in this order; the first value wins.")
    formats: list[str] = Field(
        default=[],
        description="strptime formats tried before ISO 8601 and epoch (milli)seconds.",
    )
    timezone: Timezone = Field(default="UTC", description="Zone of times that state none.")


class JunkColumns(Strict):
    """Which columns are quarantined for their names."""

    containing: list[str] = Field(default=["<"], description="Any of these in the name.")
    longer_than: int = Field(default=120, description="Characters that a name may have.")

    def why(self, column: str) -> str | None:
        """Return why the rule takes a column of this name for junk; None if it doesn't."""
        if len(column) > self.longer_than:
            return f"its name has {len(column)} characters, more than {self.longer_than}"
        part = next((part for part in self.containing if part in column), None)
        return None if part is None else f"its name has {part!r} in it"

    def covers(self, column: str) -> bool:
        """Return whether the rule takes a column of this name for junk."""
        return self.why(column) is not None


class FieldRule(Strict):
    """Type and meaning of a column; a column without a rule is a string."""

    type: FieldType = "string"
    unit: str | None = None
    case: Literal["keep", "lower", "upper"] = Field(
        default="keep", description="What is done to the letters of its values."
    )
    description: str | None = None

    @model_validator(mode="after")
    def _case_of_strings(self) -> FieldRule:
        if self.case != "keep" and self.type != "string":
            raise ValueError(f"`case` is for strings, and its type is {self.type}")
        return self


class Derived(Strict):
    """A field computed from others, in exactly one way."""

    template: Template | None = Field(default=None, description="Such as `{origin}-{dest}`.")
    field: str | None = Field(default=None, description="Input of all but `template`.")
    bands: dict[str, float | None] | None = Field(
        default=None, description="Label to exclusive upper bound, ascending; null is the rest."
    )
    map: dict[str, str] | None = Field(default=None, description="Value to value.")
    otherwise: str | None = Field(default=None, description="For values that `map` lacks.")
    scale: float | None = Field(default=None, description="Factor on a number.")
    one_of: Names | None = Field(default=None, description="Values that make it true.")

    _kinds = ("template", "bands", "map", "scale", "one_of")

    @model_validator(mode="after")
    def _one_kind(self) -> Derived:
        kinds = [kind for kind in self._kinds if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(self._kinds)}")
        if kinds != ["template"] and self.field is None:
            raise ValueError(f"{kinds[0]} needs the `field` that it reads")
        if self.bands is not None:
            bounds = list(self.bands.values())
            finite = [bound for bound in bounds if bound is not None]
            if finite != sorted(set(finite)) or None in bounds[:-1]:
                raise ValueError("bounds of bands must ascend, and only the last may be null")
        return self


class EntityType(Strict):
    """A kind of thing that events speak of."""

    prefix: Identifier = Field(description="First half of its ids: `<prefix>:<key>`.")
    key: Names = Field(default=[], description="Fields that name it; the first value wins.")
    roles: dict[Identifier, Names] = Field(
        default={}, description="Instead of `key`: key fields per role, cited as Type.role."
    )
    normalise: Literal["none", "lower", "upper", "hash"] = Field(
        default="none", description="What is done to the key; `hash` for long texts."
    )
    properties: Names = Field(default=[], description="Fields kept as its last known values.")

    @model_validator(mode="after")
    def _key_or_roles(self) -> EntityType:
        if bool(self.key) == bool(self.roles):
            raise ValueError("give either `key` or `roles`")
        return self


class EdgeType(Strict):
    """A kind of connection between two entities of one event."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    source: str = Field(alias="from", description="Entity type, or Type.role.")
    target: str = Field(alias="to", description="Entity type, or Type.role.")

    @property
    def ends(self) -> tuple[str, str]:
        """The entity types that it leads from and to, without their roles."""
        return self.source.partition(".")[0], self.target.partition(".")[0]


class Symbol(Strict):
    """What an event adds to its actor's sequence: `code`, or `code:<value of field>`."""

    code: str
    field: str | None = None


class EventType(Strict):
    """A kind of event: one landing folder of that name (or of one of its aliases)."""

    description: str = ""
    aliases: Names = []
    fields: Names = Field(description="Columns that are kept; all others are dropped, counted.")
    entities: Names = Field(default=[], description="Entity types, or Type.role, it speaks of.")
    edges: Names = []
    text: Template = Field(description="What is embedded; parts whose field is empty are left out.")
    symbol: Symbol | None = None


class Measure(Strict):
    """An aggregate of events: exactly one of the aggregates, over `of`, filtered by `where`."""

    count: bool | Names | None = Field(
        default=None, description="Number of events; may name the event types instead of `of`."
    )
    sum: str | None = None
    mean: str | None = None
    distinct: str | None = Field(default=None, description="Number of distinct values.")
    of: Names = Field(default=[], description="Event types; all that have the field if empty.")
    where: dict[str, Names] = Field(default={}, description="Field to its accepted values.")

    _kinds = ("count", "sum", "mean", "distinct")

    @model_validator(mode="after")
    def _one_aggregate(self) -> Measure:
        self.kind  # noqa: B018  raises when there is not exactly one
        return self

    @property
    def kind(self) -> str:
        """The aggregate: count, sum, mean or distinct (features have more)."""
        given = [kind for kind in self._kinds if getattr(self, kind) not in (None, False)]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(self._kinds)}")
        return given[0]

    @property
    def field(self) -> str | None:
        """The field that is aggregated; None for counts and sessions."""
        value = getattr(self, self.kind)
        return value if isinstance(value, str) else None

    @property
    def event_types(self) -> list[str]:
        """The event types that it names; empty: all that have its fields."""
        return self.count if isinstance(self.count, list) else self.of


class Ratio(Strict):
    """One metric or feature divided by another; a feature's may be `events`."""

    numerator: str
    denominator: str


class Feature(Measure):
    """One column of an actor's features."""

    last: str | None = Field(default=None, description="Last known value, as `encode` has it.")
    encode: dict[str, float] = Field(default={}, description="Numbers for the values of `last`.")
    sessions: Literal["count", "mean_gap_hours", "mean_minutes"] | None = None
    ratio: Ratio | None = Field(
        default=None, description="Of two counts, sums or numbers of distinct values."
    )
    unit: str | None = None

    _kinds = ("count", "sum", "mean", "distinct", "last", "sessions", "ratio")

    @property
    def field(self) -> str | None:
        """The field that is aggregated; None for counts, sessions and ratios."""
        return None if self.kind in ("sessions", "ratio") else super().field


class Metric(Measure):
    """A number followed over time, hour by hour."""

    ratio: Ratio | None = None
    by: Names = Field(default=[], description="Fields whose values are followed apart as well.")
    unit: str | None = None
    description: str | None = None

    _kinds = ("count", "sum", "mean", "distinct", "ratio")

    @property
    def field(self) -> str | None:
        """The field that is aggregated; None for counts and ratios."""
        return None if self.kind == "ratio" else super().field


class Features(Strict):
    """What an actor's behaviour is described by."""

    window_days: int = Field(default=7, ge=1, description="Days that features are taken over.")
    segment_by: Names = Field(default=[], description="Features that part segments; empty: all.")
    segment_min_events: int = Field(
        default=1, ge=1, description="Actors of fewer events are put to segments, but shape none."
    )
    columns: dict[Identifier, Feature] = Field(min_length=1)


class Silence(Strict):
    """A symbol for what didn't happen: none of some event types for some hours."""

    code: str
    of: Names = Field(min_length=1, description="Event types that fell silent.")
    hours: float = Field(gt=0, description="After the last of them, within what is known.")


class PatternCategory(Strict):
    """A kind of frequent sequence; parts are `code`, or `code:value` of a symbol."""

    name: str
    contains: list[str] = Field(
        default=[], description="Parts in this order, others may lie between them."
    )
    without: Names = Field(default=[], description="None of these is in it.")


class Patterns(Strict):
    """How frequent sequences of symbols are found and named."""

    silence: Silence | None = None
    categories: list[PatternCategory] = Field(
        default=[], description="The first that fits names a pattern; none: `Other`."
    )


class EventModel(Strict):
    """All that the engine knows of a domain."""

    name: Identifier
    description: str = ""
    timezone: Timezone = Field(default="UTC", description="Zone whose midnights part the days.")
    actor: str = Field(description="The entity type whose behaviour is studied.")
    timestamp: TimestampRule
    event_type_column: str | None = Field(
        default=None,
        description="Column that names each row's event type; unset: its folder's or file's name.",
    )
    nulls: list[str] = Field(
        default=["", "None", "null", "undefined"],
        description="Spellings of a missing value; white space around values is dropped.",
    )
    aliases: dict[str, Names] = Field(default={}, description="Field to other spellings of it.")
    junk_columns: JunkColumns = JunkColumns()
    fields: dict[str, FieldRule] = {}
    derived: dict[Identifier, Derived] = {}
    test_flag: str | None = Field(
        default=None, description="Boolean field that marks test actors: kept, but not computed on."
    )
    duplicate_key: Names = Field(
        default=[],
        description="Fields that make two events of one moment one, where their type has all of "
        "them; else, and when empty, all kept fields do.",
    )
    session_gap_minutes: float = Field(default=30, gt=0)
    entities: dict[Identifier, EntityType]
    edges: dict[Identifier, EdgeType] = {}
    events: dict[str, EventType] = Field(min_length=1)
    features: Features
    metrics: dict[Identifier, Metric] = {}
    patterns: Patterns = Patterns()
    cooccurrence: list[tuple[str, str]] = Field(
        default=[], description="Pairs of entity types that actors are linked to."
    )

    @property
    def zone(self) -> ZoneInfo:
        """The timezone whose midnights part the days."""
        return ZoneInfo(self.timezone)

    def spellings(self, field: str) -> list[str]:
        """Return the names of the columns that a field may stand in, its own first."""
        return [field, *self.aliases.get(field, [])]

    def entity_role(self, citation: str) -> tuple[EntityType, list[str]]:
        """Return the entity type and the key fields that `Type` or `Type.role` cites.

        Raises KeyError when there is no such type or role.
        """
        name, _, role = citation.partition(".")
        entity = self.entities[name]
        return entity, entity.roles[role] if role or entity.roles else entity.key

    def field_type(self, field: str) -> FieldType:
        """Return the type of a column or derived field."""
        if field == LOCAL_HOUR:
            return "integer"
        if derived := self.derived.get(field):
            if derived.one_of is not None:
                return "boolean"
            return "float" if derived.scale is not None else "string"
        return self.fields[field].type if field in self.fields else "string"
