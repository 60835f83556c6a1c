"""What is measured of events: features of actors, and metrics over time."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stupid_dagster.event_model.checked import Identifier, Names, Strict


class Measure(Strict):
    """An aggregate of events: exactly one of the aggregates, over `of`, filtered by `where`."""

    count: bool | Names | None = Field(
        default=None,
        description="Number of events; `true`, or the event types instead of `of`: "
        "`count: Departure`.",
    )
    sum: str | None = Field(
        default=None,
        description="Number or boolean field whose values are added up: `sum: distance`; "
        "of a boolean, how often it is true.",
    )
    mean: str | None = Field(
        default=None,
        description="Number or boolean field whose mean over the events that have it is taken: "
        "`mean: dep_delay`; of a boolean, the share that is true.",
    )
    distinct: str | None = Field(
        default=None,
        description="Field whose different values are counted: `distinct: dest`.",
    )
    of: Names = Field(
        default=[],
        description="Event types that it is taken over; empty: all that have the fields that it "
        "cites.",
    )
    where: dict[str, Names] = Field(
        default={},
        description="Field to its accepted values, as they are stored; an event counts if each "
        "field has one of its own: `where: {time_of_day: [evening, late evening]}`.",
    )

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
    """One metric divided by another, or one feature by another; null where that is 0."""

    numerator: str = Field(
        description="What is divided: a metric that is a count or a sum; of features one that is "
        "a count, a sum or distinct, or `events`, all of the actor's."
    )
    denominator: str = Field(description="What it is divided by: likewise.")


class Feature(Measure):
    """One column of an actor's features, over `features.window_days`: exactly one aggregate."""

    last: str | None = Field(
        default=None,
        description="Field whose last known value is the feature: by `encode`, else read as a "
        "number: `last: seats`.",
    )
    encode: dict[str, float] = Field(
        default={},
        description="Numbers for the values of `last`, as they are stored; others are null: "
        "`encode: {bronze: 1, silver: 2, gold: 3}`.",
    )
    sessions: Literal["count", "mean_gap_hours", "mean_minutes"] | None = Field(
        default=None,
        description="Of the actor's sessions (see `session_gap_minutes`): their number, the mean "
        "pause between two in hours (null with one), or their mean length in minutes.",
    )
    ratio: Ratio | None = Field(
        default=None,
        description="One feature of this list divided by another: "
        "`ratio: {numerator: error_count, denominator: events}`.",
    )
    unit: str | None = Field(
        default=None,
        description="Unit of its values, for words; nothing is converted: `unit: minutes`.",
    )

    _kinds = ("count", "sum", "mean", "distinct", "last", "sessions", "ratio")

    @property
    def field(self) -> str | None:
        """The field that is aggregated; None for counts, sessions and ratios."""
        return None if self.kind in ("sessions", "ratio") else super().field


class Metric(Measure):
    """A number followed over time, by the hour and by the day: exactly one aggregate."""

    ratio: Ratio | None = Field(
        default=None,
        description="One metric divided by another: "
        "`ratio: {numerator: cancellations, denominator: scheduled}`.",
    )
    by: Names = Field(
        default=[],
        description="Fields whose values are followed apart as well: with `by: [origin, carrier]` "
        "each airport and each carrier, not their pairs; they tell what drives a change.",
    )
    unit: str | None = Field(
        default=None,
        description="Unit of its values, for words; nothing is converted: `unit: inches`.",
    )
    description: str | None = Field(
        default=None,
        description="What it means, for readers of the catalog and for language models.",
    )

    _kinds = ("count", "sum", "mean", "distinct", "ratio")

    @property
    def field(self) -> str | None:
        """The field that is aggregated; None for counts and ratios."""
        return None if self.kind == "ratio" else super().field


class Features(Strict):
    """What an actor's behaviour is described by."""

    window_days: int = Field(
        default=7,
        ge=1,
        description="Last days of the window that features are taken over.",
    )
    segment_by: Names = Field(
        default=[],
        description="Features that segments are parted by; empty: all. Take what actors do, not "
        "how much: `segment_by: [error_share, night_share]`.",
    )
    segment_min_events: int = Field(
        default=1,
        ge=1,
        description="Actors of fewer events in these days are put to segments, but shape none.",
    )
    columns: dict[Identifier, Feature] = Field(
        min_length=1,
        description="Name to feature, a column each of the table `features`: "
        "`flights: {count: Departure}`.",
    )
