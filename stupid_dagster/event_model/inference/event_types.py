"""The column that names each row's event type, where the folders or files don't."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from stupid_dagster.errors import InferenceError, hint
from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.sample import NULLS, WEAK_NULLS
from stupid_dagster.event_model.references import is_pattern

_FEWEST_ROWS = 10
"""Rows of an event type that tell anything of it."""
_MOST_TYPES = 60
_MOST_ASKED = 200
_MOST_LETTERS = 100
_MOST_STRAYS = 0.05
"""Share of rows that may name no event type, or a rare one."""
_FILLED, _EMPTY = 0.5, 0.02
"""Shares of filled cells: more than the one, or less than the other."""


@dataclass(frozen=True)
class Split:
    """Samples by event type, and the column that parted them, if one did."""

    samples: Mapping[str, pl.DataFrame]
    column: str | None = None
    reasons: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Kinds:
    """The values of a column, as event types."""

    column: str
    spelt: dict[str, pl.Series]
    """Sample to its rows' values, cleaned."""
    rows: dict[str, int]
    """Folded value to its rows in all samples."""
    spellings: dict[str, list[str]]
    """Folded value to its values, in no order."""

    @property
    def common(self) -> list[str]:
        """The folded values that have rows enough to draft an event type."""
        return [kind for kind, rows in self.rows.items() if rows >= _FEWEST_ROWS]


def split_samples(
    samples: Mapping[str, pl.DataFrame],
    wanted: str | None = None,
    taken: Collection[str | None] = (),
) -> Split:
    """Return samples parted by the column that names the event types; as they are without one.

    Such a column is in all samples, is named like one (`type`, `event_name`), has few values, and
    what else is filled depends on its value; where each sample has one value only, its folder
    says as much. `wanted` names a column that is taken for it, `taken` are columns that aren't.
    Raises InferenceError when `wanted` can't be it.
    """
    full = {name: frame for name, frame in samples.items() if frame.height and frame.width}
    shared = _in_all(full)
    if wanted is not None and full:
        if wanted in taken:
            raise InferenceError(f"the column {wanted!r} is asked for as two things")
        if wanted not in shared:
            raise InferenceError(
                f"no column of all folders is named {wanted!r}{hint(wanted, shared)}: what names "
                "the event types must be in all of them"
            )
        return _split(samples, full, _asked_for(full, wanted), "asked for")
    found: list[tuple[int, bool, int, _Kinds, list[str]]] = []
    checks = []
    for column in shared:
        about = set(names.words(column))
        # A lone `name` may be anybody's; `popupType` parts pop-ups, not events.
        if column in taken or not about or not about <= names.EVENT_TYPE or about == {"name"}:
            continue
        kinds = _read_kinds(full, column)
        if not _may_be_types(kinds):
            continue
        event = "event" in about
        dependent = _dependent_columns(full, kinds, nested=event)
        if dependent:
            # Of a category and a name, the name, which is finer, says what happened.
            found.append((-len(dependent), not event, -len(kinds.common), kinds, dependent))
        elif event and dependent is not None:
            checks.append(
                f"{column} is named like event types and has {len(kinds.common)} values, but what "
                f"is filled doesn't depend on them (--event-type {column})"
            )
    if not found:
        return Split(samples, checks=checks)
    *_, best, dependent = min(found, key=lambda one: (*one[:3], one[3].column))
    more = f" and {len(dependent) - 6} more" if len(dependent) > 6 else ""
    shown = ", ".join(column[:60] for column in dependent[:6])
    reason = f"filled for some of its values only: {shown}{more}"
    return _split(samples, full, best, reason)


def _in_all(samples: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return the columns of all samples."""
    columns = [frame.columns for frame in samples.values()]
    common = set(columns[0]).intersection(*columns) if columns else set()
    return [c for c in (columns[0] if columns else []) if c in common and not is_pattern(c)]


def _read_kinds(samples: Mapping[str, pl.DataFrame], column: str) -> _Kinds:
    spelt = {}
    for name, frame in samples.items():
        values = frame[column].cast(pl.String).str.strip_chars().alias("value")
        nothing = values.str.to_lowercase().is_in([*NULLS, *WEAK_NULLS])
        spelt[name] = values.set(nothing, None)
    rows: dict[str, int] = {}
    spellings: dict[str, list[str]] = {}
    counted = pl.concat(spelt.values()).drop_nulls().value_counts().sort("value")
    for value, count in counted.iter_rows():
        kind = names.folded(value)
        rows[kind] = rows.get(kind, 0) + count
        spellings.setdefault(kind, []).append(value)
    return _Kinds(column, spelt, rows, spellings)


def _asked_for(samples: Mapping[str, pl.DataFrame], column: str) -> _Kinds:
    kinds = _read_kinds(samples, column)
    if not 0 < len(kinds.common) <= _MOST_ASKED:
        raise InferenceError(
            f"the column {column!r} names no event types: {len(kinds.rows):,} values, of which "
            f"{len(kinds.common):,} have {_FEWEST_ROWS} rows or more; 1 to {_MOST_ASKED} should"
        )
    return kinds


def _may_be_types(kinds: _Kinds) -> bool:
    common = kinds.common
    longest = max((len(value) for kind in common for value in kinds.spellings[kind]), default=0)
    if not 2 <= len(common) <= _MOST_TYPES or longest > _MOST_LETTERS:
        return False
    total = sum(len(values) for values in kinds.spelt.values())
    return sum(kinds.rows[kind] for kind in common) >= (1 - _MOST_STRAYS) * total


def _dependent_columns(
    samples: Mapping[str, pl.DataFrame], kinds: _Kinds, nested: bool
) -> list[str] | None:
    """Return columns that are filled for some values only; None if no sample has several values.

    Each sample with several values must have such columns, or there are none. Unless `nested`
    will do, two values must each have a column that the other lacks: a `type` that is `card`, with
    a number, or `cash`, without, parts ways to pay.
    """
    dependent: dict[str, None] = {}
    several = False
    folded = {value: kind for kind, found in kinds.spellings.items() for value in found}
    for name, frame in samples.items():
        kind = kinds.spelt[name].replace_strict(folded, default=None, return_dtype=pl.String)
        others = frame.drop(kinds.column)
        groups = [
            group
            for group in (others.filter(kind == one) for one in kinds.common)
            if group.height >= _FEWEST_ROWS
        ]
        if len(groups) < 2:
            continue
        several = True
        shares = np.array([_filled_shares(group) for group in groups])
        filled, empty = shares >= _FILLED, shares <= _EMPTY
        has_more = filled.astype(int) @ empty.T.astype(int) > 0
        if not (has_more.any() if nested else (has_more & has_more.T).any()):
            return []
        told = np.flatnonzero(filled.any(axis=0) & empty.any(axis=0))
        dependent |= dict.fromkeys(others.columns[place] for place in told)
    return list(dependent) if several else None


def _filled_shares(frame: pl.DataFrame) -> list[float]:
    value = pl.all().cast(pl.String).str.strip_chars().str.to_lowercase()
    nothing = value.is_in(list(NULLS)).fill_null(value=True)
    return list(frame.select(nothing.not_().mean()).row(0))


def _split(
    samples: Mapping[str, pl.DataFrame],
    full: Mapping[str, pl.DataFrame],
    kinds: _Kinds,
    reason: str,
) -> Split:
    rows = pl.concat([frame.cast(pl.String) for frame in full.values()], how="diagonal")
    spelt = pl.concat(kinds.spelt.values())
    rows = rows.drop(kinds.column)
    parts: dict[str, pl.DataFrame] = {}
    for kind in kinds.common:
        for value in kinds.spellings[kind]:
            part = rows.filter(spelt == value)
            shares = _filled_shares(part)
            # Else each event type would list all that only the others have as always empty.
            held = [c for c, share in zip(part.columns, shares, strict=True) if share]
            parts[value] = part.select(held)
    checks = []
    rare = {kind: n for kind, n in kinds.rows.items() if n < _FEWEST_ROWS}
    if rare:
        shown = [f"{kinds.spellings[kind][0][:60]} ({rare[kind]})" for kind in list(rare)[:8]]
        more = f" and {len(rare) - 8} more" if len(rare) > 8 else ""
        checks.append(
            f"values of {kinds.column} with too few rows to draft an event type, whose rows are "
            f"rejected till `events` has it: {', '.join(shown)}{more}"
        )
    if unnamed := spelt.null_count():
        checks.append(f"{unnamed:,} rows have no {kinds.column}, and such rows are rejected")
    evidence = f"{len(kinds.rows)} values in {len(spelt):,} rows; {reason}"
    left = {name: frame for name, frame in samples.items() if name not in full}
    return Split({**left, **parts}, kinds.column, [evidence], checks)
