"""Profiles of what happens: clusters of events, and patterns of what actors do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.profiles.members import telling
from stupid_dagster.compute.profiles.traits import Figure, Profile, PropertyTrait, Step, short
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.templates import Piece, parse_template, template_fields

DOMINANT = 0.6
"""Share of a cluster's events from which a field's value stands for all of them."""
MIN_LIFT, MIN_SHARE = 1.1, 0.1
TOLD_TEXTS, TOLD_CHARACTERS = 20_000, 400
"""Texts of an event type, the most frequent, that fields are read from; longer ones are not."""
MOST_SIDE_BY_SIDE = 3
"""Fields that nothing but a space parts: where more stand in a row, which value is whose can't be
told, and trying all ways takes seconds a text."""
MOST_VALUES, MOST_TOLD = 5, 120
_LEADING = frozenset(
    ["from", "to", "in", "the", "at", "on", "by", "with", "of", "via", "for", "a", "an", "and"]
)
"""Words that lead to the value after them."""


def event_cluster_profiles(
    clusters: pl.DataFrame, members: pl.DataFrame, texts: pl.DataFrame, model: EventModel
) -> list[Profile]:
    """Return a profile per row of the table `event_clusters`, in its order.

    `members` is the table `text_clusters`, `texts` the day's. What a cluster is about are the
    values that at least 60 % of its events have of a field; the fields are read back from the
    texts, by the event type's template. Shares are of the events of its event type.
    """
    joined = members.join(texts.select("text_id", "event_type", "text"), on="text_id")
    values = {
        of: _field_values(joined.filter(pl.col("event_type") == of), model)
        for of in joined["event_type"].unique()
    }
    totals = dict(joined.group_by("event_type").agg(pl.col("count").sum()).iter_rows())
    share = pl.col("share")
    worth_telling = (share >= DOMINANT) | ((pl.col("lift") >= MIN_LIFT) & (share >= MIN_SHARE))
    found = []
    for row in clusters.iter_rows(named=True):
        of = row["event_types"][0]
        mine = values[of].filter(pl.col("event_cluster_id") == row["event_cluster_id"])
        told = mine.filter(worth_telling)
        shared = {
            field: value
            for field, value, part in mine.select("field", "value", "share").iter_rows()
            if part >= DOMINANT
        }
        found.append(
            Profile(
                subject=row["event_cluster_id"],
                kind="event_cluster",
                noun=of,
                size=row["events"],
                share=short(row["events"] / totals[of]),
                properties=tuple(_trait(t) for t in told.iter_rows(named=True)),
                figures=(
                    Figure("different texts", row["texts"]),
                    Figure(words.plural(words.humanise(model.actor)), row["actors"]),
                ),
                told=_told(of, model.events[of].text, shared),
            )
        )
    return found


def pattern_profiles(
    patterns: pl.DataFrame, model: EventModel, in_words: Callable[[str], str]
) -> list[Profile]:
    """Return a profile per row of the table `patterns`, in its order.

    `in_words` says a symbol; numbers are the share of actors, how often it comes against chance,
    and the median time that it takes.
    """
    return [
        Profile(
            subject=row["pattern_id"],
            kind="pattern",
            noun=model.actor,
            size=row["actors"],
            share=short(row["support"]),
            steps=tuple(_step(symbol, in_words, model) for symbol in row["symbols"]),
            figures=tuple(_pattern_figures(row["lift"], row["median_seconds"])),
            category=row["category"],
        )
        for row in patterns.iter_rows(named=True)
    ]


def _trait(row: dict[str, Any]) -> PropertyTrait:
    return PropertyTrait(
        type=row["event_type"],
        property=row["field"],
        value=words.tidy(row["value"]),
        members=row["events"],
        share=short(row["share"]),
        overall=short(row["overall"]),
        lift=short(row["lift"]),
    )


def _step(symbol: str, in_words: Callable[[str], str], model: EventModel) -> Step:
    code, _, value = symbol.partition(":")
    told = (event.symbol for event in model.events.values())
    field = next((one.field for one in told if one and one.code == code), None)
    return Step(in_words(symbol), words.tidy(value), field or "")


def _pattern_figures(lift: float | None, seconds: float | None) -> Iterable[Figure]:
    # "1.0 times as often as by chance" tells nobody anything.
    if lift is not None and not 1 / MIN_LIFT < lift < MIN_LIFT:
        yield Figure("times as often as by chance", short(lift))
    if seconds is not None:
        value, unit = words.in_units(seconds)
        yield Figure("median time", short(value), words.plural(unit))


def _field_values(members: pl.DataFrame, model: EventModel) -> pl.DataFrame:
    """Return each cluster's most frequent value of each field, best telling first."""
    members = members.sort("count", "text_id", descending=[True, False]).head(TOLD_TEXTS)
    of = members["event_type"][0]
    texts = members.filter(pl.col("text").str.len_chars() <= TOLD_CHARACTERS)
    rows: list[tuple[str, int, str, str]] = []
    for cluster, count, text in texts.select("event_cluster_id", "count", "text").iter_rows():
        if (values := _read(model.events[of].text, text)) is None:
            break  # The texts were made by another template; each would be tried in all ways.
        rows += [(cluster, count, field, value) for field, value in values.items()]
    schema = {
        "event_cluster_id": pl.String,
        "count": pl.Int64,
        "field": pl.String,
        "value": pl.String,
    }
    counts = (
        pl.DataFrame(rows, schema, orient="row")
        .group_by("event_cluster_id", "field", "value")
        .agg(events=pl.col("count").sum())
    )
    of_cluster = members.group_by("event_cluster_id").agg(all_events=pl.col("count").sum())
    total = members["count"].sum()
    events = pl.col("events")
    return (
        counts.join(of_cluster, on="event_cluster_id")
        .with_columns(
            share=events / pl.col("all_events"),
            overall=events.sum().over("field", "value") / total,
        )
        .with_columns(lift=pl.col("share") / pl.col("overall"), event_type=pl.lit(of))
        .sort(
            "event_cluster_id", "field", "events", "value", descending=[False, False, True, False]
        )
        .unique(["event_cluster_id", "field"], keep="first", maintain_order=True)
        .with_columns(telling=telling())
        .sort("event_cluster_id", "telling", "field", descending=[False, True, False])
    )


def _read(template: str, text: str) -> dict[str, str] | None:
    """Return the values of a template's fields in a text; None if it wasn't made of it."""
    pattern = _pattern(template)
    match = pattern.fullmatch(f"{text} ") if pattern else None
    if match is None:
        return None
    values = zip(template_fields(template), match.groups(), strict=True)
    return {field: value for field, value in values if value}


@cache
def _pattern(template: str) -> re.Pattern[str] | None:
    """Return what matches a template's texts, with a space behind each of their chunks.

    A chunk whose field is empty is left out of a text, with its space. None for a template that
    has too many fields side by side.
    """
    parsed = parse_template(template)
    bare = ["f" if len(chunk) == 1 and chunk[0].field else "-" for chunk in parsed]
    if "f" * (MOST_SIDE_BY_SIDE + 1) in "".join(bare):
        return None
    chunks = []
    for chunk in parsed:
        said = "".join(re.escape(p.literal) if p.field is None else "(.+?)" for p in chunk)
        chunks.append(f"(?:{said} )?" if any(p.field for p in chunk) else f"{said} ")
    return re.compile("".join(chunks), re.DOTALL)


def _told(of: str, template: str, shared: dict[str, str]) -> str | None:
    """Return an event type's text with the values that events share; None where they share none.

    Of a sentence, the words that lead to a value that is left out are left out too. A template
    such as `stage:{stage} page:{page}` is none: it gives "API Error (vip/progress, page /)".
    """
    if not shared:
        return None
    chunks = parse_template(template)
    if any(len(c) > 1 and c[0].literal.endswith(":") for c in chunks):
        said = [
            _keyed(field, shared[field]) for field in template_fields(template) if field in shared
        ]
        # A name of several words is spelled as it is meant: "API Error".
        name = of if " " in of else words.humanise(of)
        return f"{name} ({words.tidy(', '.join(said[:MOST_VALUES]), MOST_TOLD)})"
    told: list[str] = []
    for chunk in chunks:
        if all(piece.field is None or piece.field in shared for piece in chunk):
            told.append("".join(_piece(piece, shared) for piece in chunk))
        else:
            while told and told[-1].lower() in _LEADING:
                told.pop()
            if told and chunk[-1].literal in (",", ":", ";") and told[-1][-1].isalnum():
                told[-1] += chunk[-1].literal
    return words.tidy(" ".join(told), MOST_TOLD).strip(" ,;:")


def _keyed(field: str, value: str) -> str:
    """Return a value, with its field's name where it says little alone: "page /"."""
    value = words.tidy(value, 60)
    alone = len(value) > 2 and any(c.isalpha() for c in value) and value not in ("true", "false")
    return value if alone else f"{words.humanise(field)} {value}"


def _piece(piece: Piece, shared: dict[str, str]) -> str:
    return piece.literal if piece.field is None else words.tidy(shared[piece.field])
