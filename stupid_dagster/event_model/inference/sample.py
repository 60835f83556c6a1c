"""A cleaned sample: event types and columns with their spellings, nulls found, junk set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from stupid_dagster.errors import InferenceError
from stupid_dagster.event_model.expressions import cleaned
from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.columns import Column, count_values
from stupid_dagster.event_model.references import OWN_COLUMNS, is_pattern
from stupid_dagster.event_model.schema import EventModel, JunkColumns

DEFAULT_NULLS = EventModel.model_fields["nulls"].get_default()
NULLS = frozenset(
    {"", "none", "null", "undefined", "(null)", "<null>", "n/a", "#n/a", "nan", "nil"}
)
WEAK_NULLS = frozenset({"na", "-", "--", "?"})
"""These may be values, too: the sign `-`, the continent NA."""
_JUNK_PARTS = ("\n", "\r", "\t", '{"')


@dataclass
class Sample:
    """What a sample holds, under one spelling each."""

    event_types: dict[str, list[str]]
    """Event type to its other spellings."""
    rows: dict[str, int]
    frames: dict[str, pl.DataFrame] = field(repr=False)
    """Raw rows, columns as they were spelt."""
    columns: dict[str, Column] = field(repr=False)
    nulls: dict[str, int]
    """Spelling of a missing value to the number of cells."""
    junk: list[str]
    junk_parts: list[str]
    without_rows: list[str]
    checks: list[str]

    def __post_init__(self) -> None:
        self._codes: dict[tuple[str, str], np.ndarray] = {}

    @property
    def aliases(self) -> dict[str, list[str]]:
        """Column to its other spellings, for columns that have any."""
        return {
            name: others
            for name, column in self.columns.items()
            if (others := [spelling for spelling in column.spellings if spelling != name])
        }

    def codes(self, event_type: str, column: str) -> np.ndarray:
        """Return a number a row that is equal where the values are; -1 where there is none."""
        key = (event_type, column)
        if key not in self._codes:
            frame = self.frames[event_type]
            spelt = [name for name in self.columns[column].spellings if name in frame.columns]
            if not spelt:
                self._codes[key] = np.full(self.rows[event_type], -1, dtype=np.int64)
            else:
                clean = pl.coalesce(cleaned(name, list(self.nulls)) for name in spelt)
                # Numbers sort several times faster than texts, and only equality counts.
                hashes = pl.when(clean.is_not_null()).then(clean.hash())
                values = frame.select(hashes.rank("dense").cast(pl.Int64).fill_null(0) - 1)
                self._codes[key] = values.to_series().to_numpy()
        return self._codes[key]


def read_sample(samples: Mapping[str, pl.DataFrame]) -> Sample:
    """Return the cleaned sample; raises InferenceError when there is nothing in it."""
    if unnamed := [name for name in samples if not name.strip()]:
        raise InferenceError(
            f"an event type has no name ({unnamed[0]!r}): give its folder or file one"
        )
    without_rows = [name for name, frame in samples.items() if not (frame.height and frame.width)]
    full = {name: frame for name, frame in samples.items() if name not in without_rows}
    if not full:
        raise InferenceError(
            f"none of {len(samples)} event types has rows: point `infer` at a folder with files "
            "that hold events, one folder an event type"
        )
    event_types = _merged_event_types({name: frame.height for name, frame in full.items()})
    frames = {
        name: pl.concat(
            [full[spelling].select(pl.all().cast(pl.String)) for spelling in (name, *others)],
            how="diagonal",
        )
        for name, others in event_types.items()
    }
    known = list(dict.fromkeys(column for frame in frames.values() for column in frame.columns))
    junk, junk_parts = _junk(known)
    unusable = {*junk, *filter(is_pattern, known)}
    good = {column: None for column in known if column.strip() and column not in unusable}
    counts = {
        (event_type, column): count_values(frame[column])
        for event_type, frame in frames.items()
        for column in frame.columns
        if column in good
    }
    nulls, checks = _found_nulls(counts)
    columns = _columns(frames, list(good), counts, list(dict.fromkeys([*DEFAULT_NULLS, *nulls])))
    return Sample(
        event_types=event_types,
        rows={name: frame.height for name, frame in frames.items()},
        frames=frames,
        columns=columns,
        nulls=dict.fromkeys(DEFAULT_NULLS, 0) | nulls,
        junk=junk,
        junk_parts=junk_parts,
        without_rows=without_rows,
        checks=checks,
    )


def _junk(columns: list[str]) -> tuple[list[str], list[str]]:
    """Return the columns whose names are no names, and the parts that tell them (and length)."""
    rule = JunkColumns()
    for part in _JUNK_PARTS:
        if any(part in column and not rule.covers(column) for column in columns):
            rule = JunkColumns(containing=[*rule.containing, part])
    return [column for column in columns if rule.covers(column)], rule.containing


def _merged_event_types(rows: Mapping[str, int]) -> dict[str, list[str]]:
    """Return event types to the other spellings of them; the one with most rows gives the name."""
    groups: dict[str, list[str]] = {}
    for name in rows:
        groups.setdefault(names.folded(name), []).append(name)
    ordered = (sorted(group, key=lambda name: -rows[name]) for group in groups.values())
    return {group[0]: group[1:] for group in ordered}


def _found_nulls(
    counts: Mapping[tuple[str, str], pl.DataFrame],
) -> tuple[dict[str, int], list[str]]:
    """Return spellings of missing values with the number of their cells, and what to look at.

    A weak spelling that looks like a value in any column is none, for they count in all columns.
    """
    tables: dict[str, list[pl.DataFrame]] = {}
    for (_, column), table in counts.items():
        tables.setdefault(column, []).append(table)
    found: dict[str, int] = {}
    values: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for column, parts in tables.items():
        lower = pl.col("value").str.to_lowercase()
        table = pl.concat(parts)
        short = table.filter(pl.col("value").str.len_bytes() <= 9)
        hits = short.filter(lower.is_in(list(NULLS | WEAK_NULLS)))
        for value, count in hits.group_by("value").agg(pl.col("count").sum()).iter_rows():
            if value.lower() in WEAK_NULLS:
                is_value = _is_like_others(value, table["value"].unique())
                (values if is_value else missing).setdefault(value, []).append(column)
            found[value] = found.get(value, 0) + count
    checks = []
    for value in sorted({*values, *missing}):
        where = _shortened(missing.get(value, []))
        if value not in values:
            checks.append(
                f"{value!r} is taken for a missing value, in all columns; found in {where}"
            )
            continue
        del found[value]
        if value in missing:
            checks.append(
                f"{value!r} looks like a value in {_shortened(values[value])}, so it is kept as "
                f"one in all columns; it may mean a missing one in {where}: empty those cells"
            )
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))), checks


def _shortened(columns: list[str]) -> str:
    more = f" and {len(columns) - 6} more" if len(columns) > 6 else ""
    return ", ".join(column[:60] for column in columns[:6]) + more


def _is_like_others(value: str, values: pl.Series) -> bool:
    """Return whether the column's other values look like this one, which then is a value."""
    others = values.filter(~values.str.to_lowercase().is_in([*NULLS, *WEAK_NULLS])).to_list()
    if value.isalpha():
        return len(others) > 1 and all(
            len(o) == len(value) and o.isalpha() and o.isupper() == value.isupper() for o in others
        )
    return bool(others) and len(others) < 4 and all(len(other) == len(value) for other in others)


def _columns(
    frames: Mapping[str, pl.DataFrame],
    good: list[str],
    counts: Mapping[tuple[str, str], pl.DataFrame],
    nulls: list[str],
) -> dict[str, Column]:
    clean = {key: table.filter(~pl.col("value").is_in(nulls)) for key, table in counts.items()}
    filled: dict[str, int] = dict.fromkeys(good, 0)
    for (_, column), table in clean.items():
        filled[column] += int(table["count"].sum())
    groups: dict[str, list[str]] = {}
    for column in good:
        groups.setdefault(names.folded(column), []).append(column)
    columns = {}
    for group in groups.values():
        # The spelling that shows most words is the easiest to read.
        group.sort(key=lambda name: (-len(names.words(name)), -filled[name], name))
        merged = columns[group[0]] = [group[0]]
        for other in group[1:]:
            if all(_agree(frames, spelling, other, nulls) for spelling in merged):
                merged.append(other)
            else:
                columns[other] = [other]
    found = {}
    for name, spellings in columns.items():
        field_name = _field_name(name, {*good, *found})
        found[field_name] = _column(field_name, spellings, frames, clean, nulls)
    return found


def _field_name(column: str, taken: set[str]) -> str:
    """Return the column's name, or another for one that can't be a field's or stand in a text."""
    if column in OWN_COLUMNS:
        return names.unused(f"source_{column}", taken)
    odd = column != column.strip() or set(column) & set("{}:") or not column.isprintable()
    return names.unused(names.snake([column], "column"), taken | OWN_COLUMNS) if odd else column


def _column(
    name: str,
    spellings: list[str],
    frames: Mapping[str, pl.DataFrame],
    clean: Mapping[tuple[str, str], pl.DataFrame],
    nulls: list[str],
) -> Column:
    counts: dict[str, pl.DataFrame] = {}
    rows: dict[str, int] = {}
    for event_type, frame in frames.items():
        present = [spelling for spelling in spellings if (event_type, spelling) in clean]
        if not present:
            continue
        rows[event_type] = frame.height
        if len(present) == 1:
            counts[event_type] = clean[event_type, present[0]]
        else:
            whole = frame.select(pl.coalesce(cleaned(s, nulls) for s in present)).to_series()
            counts[event_type] = count_values(whole)
    return Column(name, spellings, rows, counts)


def _agree(frames: Mapping[str, pl.DataFrame], one: str, other: str, nulls: list[str]) -> bool:
    """Return whether two columns never say different things of one event (but for 1 in 50)."""
    for frame in frames.values():
        if one in frame.columns and other in frame.columns:
            both = frame.select(cleaned(one, nulls), cleaned(other, nulls)).drop_nulls()
            if both.height and (both[one] != both[other]).sum() > both.height / 50:
                return False
    return True
