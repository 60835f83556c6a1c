"""Contribution analysis: which members make up a metric's change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats
from stupid_dagster.compute.changes.baseline import Expectation
from stupid_dagster.compute.changes.series import Key, Series
from stupid_dagster.event_model import EventModel

MAX_DRIVERS = 5
MIN_CONTRIBUTION = 0.05
"""Members that explain less of a change than this are not named."""

Driver = dict[str, str | float]


def find_drivers(
    model: EventModel,
    series: Series,
    expected: Expectation,
    usual_events: Floats,
    wanted: NDArray[np.bool_],
) -> dict[tuple[int, int], list[Driver]]:
    """Return the drivers of each `wanted` (time, column) of a metric as a whole.

    They are the members (at most 5, of any dimension) with the largest share of the change:
    (member's value - its baseline) / (whole's value - its baseline), of 5 % or more. For means
    the members' events weigh, against their `usual_events` [times, series]; for ratios members
    of the numerator count, over the whole's denominator. The shares of one dimension add up to
    about 1, not exactly: a sum of medians isn't the median of the sum.
    """
    found: dict[tuple[int, int], list[Driver]] = {}
    whole = np.array([not key.dimension for key in series.keys])
    for time, column in np.argwhere(wanted & whole).tolist():
        change = series.values[time, column] - expected.baseline[time, column]
        with np.errstate(invalid="ignore", divide="ignore"):  # of members that no event has
            shares = [
                (share / change, field, member)
                for field in _explaining(model, series.keys[column].metric)
                for member, share in _changes(
                    model, series, expected, usual_events, series.keys[column], field, time
                )
            ]
        shares = sorted((s for s in shares if s[0] >= MIN_CONTRIBUTION), key=_largest_first)
        found[time, column] = [
            {"dimension": field, "member": member, "contribution": share}
            for share, field, member in shares[:MAX_DRIVERS]
        ]
    return found


def _largest_first(share: tuple[float, str, str]) -> tuple[float, str, str]:
    return -share[0], share[1], share[2]


def _explaining(model: EventModel, metric: str) -> list[str]:
    rule = model.metrics[metric]
    return list(model.metrics[rule.ratio.numerator].by if rule.ratio else rule.by)


def _changes(
    model: EventModel,
    series: Series,
    expected: Expectation,
    usual_events: Floats,
    key: Key,
    field: str,
    time: int,
) -> list[tuple[str, float]]:
    """Return what each member of a dimension adds to the whole's change, in the metric's unit."""
    rule = model.metrics[key.metric]
    metric = rule.ratio.numerator if rule.ratio else key.metric
    members = series.members(metric, field)
    columns = [column for _, column in members]
    now, before = series.values[time, columns], expected.baseline[time, columns]
    if rule.ratio:
        below = series.column(Key(rule.ratio.denominator))
        change = now / series.values[time, below] - before / expected.baseline[time, below]
    elif rule.kind == "mean":
        # Each member's pull on the mean is its share of events times its distance from it.
        usual = expected.baseline[time, series.column(key)]
        past, today = usual_events[time, columns], series.events[time, columns]
        pull_now = np.nan_to_num(today / today.sum() * (now - usual))
        change = pull_now - np.nan_to_num(past / past.sum() * (before - usual))
    else:
        change = now - before
    known = np.isfinite(change)
    return [
        (member, float(c)) for (member, _), c, k in zip(members, change, known, strict=True) if k
    ]
