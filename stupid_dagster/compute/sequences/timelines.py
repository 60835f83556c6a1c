"""Each actor's symbols over several days, with the silences that the event model asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from stupid_dagster.event_model import EventModel

EVENTS_AT_ONCE = 16_000_000
"""Events that `join_in_blocks` reads at once, a bound of about 3 GB."""


@dataclass(frozen=True, eq=False)
class Timelines:
    """What n actors did, in time order.

    `actors` are entity ids, ascending unless reordered; `alphabet` the symbols, ascending. Events
    `starts[i]` to `starts[i + 1]` are those of actor i: `symbols` are places in the alphabet
    (int32), `times` milliseconds since 1970, UTC (int64).
    """

    actors: pl.Series
    alphabet: list[str]
    starts: np.ndarray
    symbols: np.ndarray
    times: np.ndarray

    @property
    def size(self) -> int:
        """Number of actors."""
        return len(self.actors)

    def restricted(self, alphabet: Iterable[str]) -> Timelines:
        """Return the timelines with only these symbols, and runs of a symbol cut to two.

        A pattern that names no symbol more than twice is in a sequence just if it is in the cut
        one, and its leftmost place stays the same: whatever such a pattern takes from a run can
        be taken from the run's first two. Actors without events left stay.
        """
        from stupid_dagster.compute.sequences.projections import cut_runs

        kept = sorted(set(alphabet) & set(self.alphabet))
        renamed = np.full(len(self.alphabet), -1, dtype=np.int32)
        if kept:
            renamed[np.searchsorted(self.alphabet, kept)] = np.arange(len(kept))
        chosen, starts = cut_runs(self.starts, self.symbols, renamed)
        symbols = renamed[self.symbols[chosen]]
        return Timelines(self.actors, kept, starts, symbols, self.times[chosen])

    def sliced(self, first: int, end: int) -> Timelines:
        """Return the timelines of actors `first` to `end`, without copies."""
        events = slice(self.starts[first], self.starts[end])
        starts = self.starts[first : end + 1] - self.starts[first]
        actors = self.actors.slice(first, end - first)
        return Timelines(actors, self.alphabet, starts, self.symbols[events], self.times[events])

    def ordered(self, places: np.ndarray) -> Timelines:
        """Return the timelines of the actors at these places, in this order."""
        lengths = np.diff(self.starts)[places]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        events = np.repeat(self.starts[places] - starts[:-1], lengths) + np.arange(starts[-1])
        return Timelines(
            self.actors.gather(places),
            self.alphabet,
            starts,
            self.symbols[events],
            self.times[events],
        )


def join_in_blocks(model: EventModel, sequences: pl.LazyFrame, until: datetime) -> Timelines:
    """Return what `join_timelines` does, which reads a block of actors at a time if it must.

    Memory is then that of a block, and 24 bytes per event while blocks are put together.
    """
    events = (
        sequences.group_by("actor")
        .agg(pl.col("symbols").list.len().sum().cast(pl.Int64))
        .collect(engine="streaming")
        .sort("actor")
    )
    # An actor's last event tells the block that all of them are in.
    blocks = (events["symbols"].cum_sum() - 1) // EVENTS_AT_ONCE
    bounds = events.group_by(blocks.alias("block"), maintain_order=True).agg(
        first=pl.col("actor").first(), last=pl.col("actor").last()
    )
    if bounds.height < 2:
        return join_timelines(model, sequences, until)
    parts = [
        join_timelines(
            model, sequences.filter(pl.col("actor").is_between(pl.lit(first), pl.lit(last))), until
        )
        for first, last in bounds.select("first", "last").iter_rows()
    ]
    return _together(parts)


def _together(parts: list[Timelines]) -> Timelines:
    """Return the timelines of all parts, whose actors ascend from part to part."""
    alphabet = sorted({symbol for part in parts for symbol in part.alphabet})
    starts = np.concatenate([[0], *(np.diff(part.starts) for part in parts)]).cumsum()
    symbols = [
        np.searchsorted(alphabet, part.alphabet).astype(np.int32)[part.symbols]
        for part in parts
        if part.alphabet
    ]
    return Timelines(
        pl.concat([part.actors for part in parts]),
        alphabet,
        starts,
        np.concatenate([np.zeros(0, dtype=np.int32), *symbols]),
        np.concatenate([part.times for part in parts]),
    )


def join_timelines(
    model: EventModel, sequences: pl.DataFrame | pl.LazyFrame, until: datetime
) -> Timelines:
    """Return each actor's symbols over the days of the table `sequences`, in whatever row order.

    `until` is the end of what is known. The silence of the event model stands `hours` after each
    event of its types, where that is not after `until` and no other event of these types comes
    before then or at that moment; before others of the same moment.
    """
    silent = _silent_codes(model)
    events = (
        sequences.lazy()
        .select("actor", "symbols", "times")
        .filter(pl.col("symbols").list.len() > 0)
        # A day's sequence lies within the day: ordering the rows orders the events.
        .sort("actor", pl.col("times").list.first())
        .with_columns(owner=pl.col("actor").rle_id())
        .collect()
    )
    actors = events["actor"].unique(maintain_order=True)
    events = events.select("owner", "symbols", "times").explode("symbols", "times")
    alphabet = events["symbols"].unique().sort().to_list()
    symbols = events["symbols"].cast(pl.Enum(alphabet)).to_physical().to_numpy().astype(np.int32)
    owner = events["owner"].to_numpy().astype(np.int64)
    times = events["times"].dt.timestamp("ms").to_numpy()
    if model.patterns.silence and len(times):
        span = timedelta(hours=model.patterns.silence.hours) // timedelta(milliseconds=1)
        speaks = np.array([code_of(symbol) in silent for symbol in alphabet])[symbols]
        last = _silences(owner, times, np.flatnonzero(speaks), span, until)
        # Actors one after the other on one axis, so that one search finds all places.
        first, extent = times.min(), int(times.max() - times.min()) + span + 1
        moments = owner[last] * extent + (times[last] + span - first)
        place = np.searchsorted(owner * extent + (times - first), moments)
        name = model.patterns.silence.code
        renamed = sorted([*alphabet, name])
        symbols = np.searchsorted(renamed, alphabet).astype(np.int32)[symbols]
        symbols = np.insert(symbols, place, renamed.index(name))
        times = np.insert(times, place, times[last] + span)
        owner = np.insert(owner, place, owner[last])
        alphabet = renamed
    starts = np.searchsorted(owner, np.arange(len(actors) + 1))
    return Timelines(actors, alphabet, starts, symbols, times)


def code_of(symbol: str) -> str:
    """Return the code of a symbol `code` or `code:value`."""
    return symbol.partition(":")[0]


def _silent_codes(model: EventModel) -> set[str]:
    """Return the codes of the silence's event types; the event model has one for each."""
    names = model.patterns.silence.of if model.patterns.silence else []
    symbols = [model.events[name].symbol for name in names]
    return {symbol.code for symbol in symbols if symbol}


def _silences(
    owner: np.ndarray, times: np.ndarray, speaking: np.ndarray, span: int, until: datetime
) -> np.ndarray:
    """Return the events, among those at the places `speaking`, that a silence follows."""
    if not len(speaking):
        return speaking
    here, now = owner[speaking], times[speaking]
    goes_on = np.append((here[1:] == here[:-1]) & (np.diff(now) <= span), False)
    end = int(until.timestamp() * 1000)
    return speaking[~goes_on & (now + span <= end)]
