"""The shape of an event model: what a YAML file may say about a domain's events.

The engine knows no field name of any domain; all of them come from an `EventModel`. Each key has
a description, of which docs/reference/event-model.md is made.
"""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, model_validator

from stupid_dagster.event_model.checked import (
    FieldType,
    Identifier,
    Names,
    Strict,
    Template,
    Timezone,
)
from stupid_dagster.event_model.measures import Features, Metric
from stupid_dagster.event_model.patterns import Patterns, Symbol

Location = tuple[str | int, ...]
"""A place in the YAML: keys and positions, from the outermost on."""
LOCAL_HOUR = "local_hour"
"""A field that every event has: the hour (0-23) of its timestamp in the model's timezone."""


class TimestampRule(Strict):
    """Where an event's time stands."""

    fields: Names = Field(
        description="Columns to look in, in this order; the first value wins: "
        '`fields: ["@timestamp", received_at]`.'
    )
    formats: list[str] = Field(
        default=[],
        description="strptime formats tried before ISO 8601 and epoch (milli)seconds: "
        '`formats: ["%d/%m/%Y %H:%M:%S"]`.',
    )
    timezone: Timezone = Field(
        default="UTC",
        description="Zone of times that state none, an IANA name: `timezone: Asia/Bangkok`.",
    )


class JunkColumns(Strict):
    """Which columns are quarantined for their names."""

    containing: list[str] = Field(
        default=["<"], description="A name with any of these in it is junk."
    )
    longer_than: int = Field(
        default=120, description="A name of more characters than these is junk."
    )

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

    type: FieldType = Field(
        default="string",
        description="What its values are read as; one that can't be is left empty, and told in "
        "`rejects`. Booleans: true, 1, yes, and their contraries, in any letters.",
    )
    unit: str | None = Field(
        default=None,
        description="Unit of its values, for the catalog and language models; nothing is "
        "converted: `unit: milliseconds`.",
    )
    case: Literal["keep", "lower", "upper"] = Field(
        default="keep",
        description="What is done to the letters of a string: with `lower`, `Web` and `WEB` are "
        "one value, `web`.",
    )
    description: str | None = Field(
        default=None,
        description="What it means, for readers of the catalog and for language models.",
    )

    @model_validator(mode="after")
    def _case_of_strings(self) -> FieldRule:
        if self.case != "keep" and self.type != "string":
            raise ValueError(f"`case` is for strings, and its type is {self.type}")
        return self


class Derived(Strict):
    """A field computed from others, in exactly one way."""

    template: Template | None = Field(
        default=None,
        description='Fields put together: `template: "{origin}-{dest}"`; without one of them it '
        "is empty. `{error:.100}` is cut to 100 characters.",
    )
    field: str | None = Field(
        default=None,
        description="The field that `bands`, `map`, `scale` or `one_of` reads: a kept column, a "
        "derived field above this one, or `local_hour`.",
    )
    bands: dict[str, float | None] | None = Field(
        default=None,
        description="Names for ranges of a number: label to exclusive upper bound, ascending; "
        "null is the rest: `bands: {on time: 15, late: 60, very late: null}`.",
    )
    map: dict[str, str] | None = Field(
        default=None,
        description="Value, as it is stored, to another: `map: {PC: desktop, Phone: mobile}`.",
    )
    otherwise: str | None = Field(
        default=None, description="For values that `map` lacks; unset: empty."
    )
    scale: float | None = Field(
        default=None, description="Factor that a number is multiplied by: `scale: 1.609344`."
    )
    one_of: Names | None = Field(
        default=None,
        description="Values, as they are stored, that make it true; others make it false: "
        "`one_of: [android, ios]`.",
    )

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

    prefix: Identifier = Field(
        description="First half of its ids, `<prefix>:<key>`; no other type has it: "
        "`prefix: member` makes `member:anna`."
    )
    key: Names = Field(
        default=[],
        description="Fields that name it; of an event the first that has a value: "
        "`key: [gameUid, game]`.",
    )
    roles: dict[Identifier, Names] = Field(
        default={},
        description="Instead of `key`, where an event speaks of several: role to key fields, "
        "`roles: {origin: origin, destination: dest}`; cited as `Airport.origin`.",
    )
    normalise: Literal["none", "lower", "upper", "hash"] = Field(
        default="none",
        description="What is done to the key: its letters changed, or, for long texts such as "
        "errors, 16 hex digits of its hash in its place.",
    )
    properties: Names = Field(
        default=[],
        description="Fields whose last known values are kept with it: "
        "`properties: [manufacturer, seats]`.",
    )

    @model_validator(mode="after")
    def _key_or_roles(self) -> EntityType:
        if bool(self.key) == bool(self.roles):
            raise ValueError("give either `key` or `roles`")
        return self


class EdgeType(Strict):
    """A kind of connection between two entities of one event."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    source: str = Field(alias="from", description="Entity type that it starts at, or `Type.role`.")
    target: str = Field(
        alias="to", description="Entity type that it leads to, or `Type.role`: `Airport.origin`."
    )

    @property
    def ends(self) -> tuple[str, str]:
        """The entity types that it leads from and to, without their roles."""
        return self.source.partition(".")[0], self.target.partition(".")[0]


class EventType(Strict):
    """A kind of event: one landing folder of that name (or of one of its aliases)."""

    description: str = Field(
        default="",
        description="What it means, for readers of the catalog and for language models.",
    )
    aliases: Names = Field(
        default=[],
        description="Other names of it in folders, files or `event_type_column`; letters' case "
        "doesn't matter: `aliases: [PopUpModule]`.",
    )
    fields: Names = Field(description="Columns that are kept; all others are dropped, counted.")
    entities: Names = Field(
        default=[],
        description="Entity types it speaks of, or `Type.role`: "
        "`entities: [Aircraft, Airport.origin]`.",
    )
    edges: Names = Field(
        default=[],
        description="Edge types that an event of it shows, where it has keys for both ends; these "
        "must be among its `entities`.",
    )
    text: Template = Field(
        description="What is embedded and searched, without ids and times; words (parted by white "
        'space) whose field is empty are left out: `text: "Login by {method} on {platform}"`.'
    )
    symbol: Symbol | None = Field(
        default=None,
        description="Its symbol in actors' sequences, which patterns are found in; unset: it is "
        "in none. `symbol: {code: L, field: success}`.",
    )


class EventModel(Strict):
    """All that the engine knows of a domain."""

    name: Identifier = Field(
        description="A short name of the domain; snapshots tell it: `name: gaming`."
    )
    description: str = Field(
        default="",
        description="What the events are, in a sentence, for readers of the catalog and for "
        "language models.",
    )
    timezone: Timezone = Field(
        default="UTC",
        description="Zone whose midnights part the days, and whose hour `local_hour` is; an IANA "
        "name: `timezone: America/New_York`.",
    )
    actor: str = Field(
        description="The entity type, with a `key`, whose behaviour is studied: `actor: Member`."
    )
    timestamp: TimestampRule = Field(
        description="Where events' times stand: `timestamp: {fields: scheduled_at}`."
    )
    event_type_column: str | None = Field(
        default=None,
        description="Column that names each row's event type; unset, or in a file without it: the "
        "folder's or file's name does.",
    )
    nulls: list[str] = Field(
        default=["", "None", "null", "undefined"],
        description="Spellings of a missing value; white space around values is dropped.",
    )
    aliases: dict[str, Names] = Field(
        default={},
        description="Column to other spellings of its name; of a row the first value counts, "
        "its own before theirs: `aliases: {affiliateId: [affiliateid, affiliateID]}`.",
    )
    junk_columns: JunkColumns = Field(
        default=JunkColumns(),
        description="Which columns are set aside in `rejects` for their names, such as those "
        "that are HTML pages.",
    )
    fields: dict[str, FieldRule] = Field(
        default={},
        description="Kept column to its rule, where it isn't a plain string: "
        "`seats: {type: integer}`.",
    )
    derived: dict[Identifier, Derived] = Field(
        default={},
        description="New field to how it is made of others, in order; an event has it that has "
        'those: `route: {template: "{origin}-{dest}"}`.',
    )
    test_flag: str | None = Field(
        default=None,
        description="Boolean column that marks events of test accounts: these are kept and "
        "tagged, but left out of knowledge: `test_flag: isTestAccount`.",
    )
    duplicate_key: Names = Field(
        default=[],
        description="Fields that make two events of one type and moment one, where the type has "
        "all of them; else, and when empty, all kept fields do: `duplicate_key: event_id`.",
    )
    session_gap_minutes: float = Field(
        default=30, gt=0, description="A longer pause parts an actor's sessions."
    )
    entities: dict[Identifier, EntityType] = Field(
        description="Name to entity type, the graph's nodes: "
        "`Member: {prefix: member, key: memberCode}`."
    )
    edges: dict[Identifier, EdgeType] = Field(
        default={},
        description="Name to edge type, how entities of one event are linked: "
        "`OpenedGame: {from: Member, to: Game}`.",
    )
    events: dict[str, EventType] = Field(
        min_length=1, description="Name to event type; the name is that of its landing folder."
    )
    features: Features = Field(
        description="What is known of each actor, and which of it parts segments."
    )
    metrics: dict[Identifier, Metric] = Field(
        default={},
        description="Name to what is followed over time: `logins: {count: Login, by: platform}`.",
    )
    patterns: Patterns = Field(
        default=Patterns(), description="How frequent sequences of symbols are named."
    )
    cooccurrence: list[tuple[str, str]] = Field(
        default=[],
        description="Pairs of entity types: which of their entities have actors in common more "
        "often than chance: `[[Game, Platform], [Game, Game]]`.",
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
