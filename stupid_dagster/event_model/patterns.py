"""Sequences of what actors do: an event's symbol, and how patterns of symbols are named."""

from __future__ import annotations

from pydantic import Field

from stupid_dagster.event_model.checked import Names, Strict


class Symbol(Strict):
    """What an event adds to its actor's sequence: `code`, or `code:<value of field>`."""

    code: str = Field(description="A short name of the event type: `code: L`.")
    field: str | None = Field(
        default=None,
        description="Field whose value tells events of the type apart: with `field: success` the "
        "symbols are `L:true` and `L:false`, and `L` where it is empty. Take one of few values.",
    )


class Silence(Strict):
    """A symbol for what didn't happen: none of some event types for some hours."""

    code: str = Field(description="The symbol, no event type's own: `code: away`.")
    of: Names = Field(
        min_length=1,
        description="Event types, with symbols, of which none came: `of: [Login, GameOpened]`.",
    )
    hours: float = Field(
        gt=0,
        description="It stands so many hours after the last event of these types, if that is not "
        "later than the window's end.",
    )


class PatternCategory(Strict):
    """A kind of frequent sequence; parts are `code`, or `code:value` of a symbol."""

    name: str = Field(description="What its patterns are called: `name: DelayChain`.")
    contains: list[str] = Field(
        default=[],
        description="Parts that it has in this order, others may lie between them: "
        '`contains: [C, "D:very late"]`.',
    )
    without: Names = Field(default=[], description="Parts of which it has none.")


class Patterns(Strict):
    """How frequent sequences of symbols are found and named."""

    silence: Silence | None = Field(
        default=None,
        description="A symbol for what didn't happen: "
        "`silence: {code: away, of: Departure, hours: 48}`.",
    )
    categories: list[PatternCategory] = Field(
        default=[],
        description="Kinds of patterns, each with an equal share of those that are kept; the "
        "first that fits names a pattern, and if none does it is `Other`.",
    )
