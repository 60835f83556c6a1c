"""Which days must be made anew because of the landing files.

A day's documents tell which files they were made from. So nothing but the lake and the landing
folder is asked, days that were made by hand count, and no history has to be kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial

from stupid_dagster.compute.words import first_few
from stupid_dagster.errors import DamagedError, EmbedderError, MissingVersionError
from stupid_dagster.event_model import model_hash
from stupid_dagster.ingest import LandingFile
from stupid_dagster.ingest.arrivals import Arrivals
from stupid_dagster.project import BEYOND, MODEL_HASH, Project
from stupid_dagster.stages.window import DAMAGED, PINS
from stupid_dagster.stores.version import Version

SOURCES = "sources"
"""In the metadata of a day's documents: the files they were made from, and their states."""
EVICTED_BY_HAND = "EVICTED_BY_HAND"
"""File in the lake's root: the latest horizon of an eviction by hand."""


@dataclass(frozen=True)
class StaleDay:
    """A day that must be made anew, why, and what that rests on.

    The same `state` means that making the day again would meet the same files and documents.
    `tables` are those that are to be made; none means all.
    """

    day: str
    reason: str
    state: tuple[str, ...]
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class StaleDays:
    """The stale days, the newest first; those that wait for files; what there is to tell."""

    days: tuple[StaleDay, ...]
    waiting: tuple[str, ...]
    notices: tuple[str, ...]


def record_horizon(project: Project, horizon: date) -> None:
    """Keep in mind that the days before a horizon were evicted by hand: they aren't asked for."""
    later = max(horizon.isoformat(), evicted_by_hand(project))
    project.lake.files.replace(EVICTED_BY_HAND, later.encode())


def evicted_by_hand(project: Project) -> str:
    """Return the latest horizon of an eviction by hand; an empty text without any."""
    try:
        return project.lake.files.read(EVICTED_BY_HAND).data.decode().strip()
    except FileNotFoundError:
        return ""


def sources_of(files: Iterable[LandingFile], unusable: Container[str] = ()) -> dict[str, str]:
    """Return what documents record of the files that they were made from.

    `unusable` are the paths of those that could not be read in the end.
    """
    return {file.path: _mark(file, file.path in unusable) for file in files}


def find_stale_days(project: Project, arrivals: Arrivals) -> StaleDays:
    """Return the days whose documents weren't made from the landing files as they are now.

    Those are the days that a file touches that they don't record with its present state, those
    that record a file which has changed since, those that were made by another event model,
    those of which only a part was made, those that rejected rows of days which have a partition by
    now, and, for their vectors alone, those of another embedder. A file that is gone makes none
    stale. Left out are days outside the partitions and those that eviction would take away again,
    and, until they are whole, days with files that change.
    """
    touching = defaultdict(list)
    for file in arrivals.files.values():
        for day in {*file.days, *([file.date] if file.date else [])}:
            touching[day].append(file)
    first, last = (day.isoformat() for day in project.partition_range)
    horizon = max(_horizon(project, touching, first, last), evicted_by_hand(project))
    damaged = _damaged(project)
    candidates = {*touching, *project.lake.partitions("documents")}
    kept = sorted((d for d in candidates if max(first, horizon) <= d <= last), reverse=True)
    notices = _file_notices(arrivals)
    outside = [day for day in touching if not first <= day <= last]
    notices += _day_notice(outside, f"outside the partitions, {first} to {last}")
    old = [day for day in touching if first <= day <= last and day < horizon]
    notices += _day_notice(old, f"before {horizon}, where eviction begins")
    stale, waiting, shrunk = [], [], []
    versions = project.lake.each(partial(_documents, project), kept)
    whole = project.lake.each(project.complete_day, kept)
    for day, version, tables in zip(kept, versions, whole, strict=True):
        found = _stale_day(project, arrivals, day, touching[day], version, tables, damaged)
        if found is None:
            continue
        if day in arrivals.expected_days or _sources(version).keys() & arrivals.expected:
            waiting.append(day)
        elif version and _would_shrink(version, arrivals, touching[day]):
            shrunk.append(day)
        else:
            stale.append(found)
    notices += _day_notice(
        shrunk,
        "files that they were made of are gone, and those that are there have fewer rows than "
        "the days have documents; run the job `days` if they are to be made of these alone",
    )
    return StaleDays(tuple(stale), tuple(waiting), tuple(notices))


def _stale_day(
    project: Project,
    arrivals: Arrivals,
    day: str,
    touching: list[LandingFile],
    version: Version | None,
    tables: Mapping[str, Version] | None,
    damaged: Container[str],
) -> StaleDay | None:
    recorded = _sources(version)
    now = sources_of(touching)
    now |= {p: _mark(arrivals.files[p]) for p in recorded if p in arrivals.files}
    changed = sum(recorded.get(path) != mark for path, mark in now.items())
    if changed:
        reason = f"files new or changed: {changed}"
    elif version and version.metadata.get(MODEL_HASH) != model_hash(project.model):
        reason = "made by another event model"
    elif version and tables is None:
        reason = "only a part was made"
    elif version and tables and all(table.address in damaged for table in tables.values()):
        # The window left it out, and nothing of it was made again since.
        reason = "files of its tables are damaged"
    elif version and (come := _come_since(project, version)):
        reason = f"it rejected rows of {first_few(come)}, which has a partition now"
    elif version:
        return _of_other_embedder(project, day, version)
    else:
        return None
    # With the documents in it, a file that is put back as it once was is asked for again.
    marks = (f"{path}={mark}" for path, mark in now.items())
    state = [*marks, version.name if version else "", model_hash(project.model)]
    return StaleDay(day, reason, tuple(sorted(state)))


def _of_other_embedder(project: Project, day: str, version: Version) -> StaleDay | None:
    with suppress(EmbedderError):  # The run that needs it says so; days can be made until then.
        if project.days_of_other_embedders([day]):
            embedder = project.embedder.model_id
            reason = f"its vectors are of another embedder than {embedder}"
            return StaleDay(day, reason, (version.name, embedder), ("vectors",))
    return None


def _damaged(project: Project) -> Container[str]:
    """Return the addresses of the versions of days that the newest window left out as damaged."""
    with suppress(DamagedError, MissingVersionError):
        if windows := project.lake.partitions(PINS):
            return frozenset(project.lake.live(PINS, windows[-1]).metadata.get(DAMAGED, ()))
    return frozenset()


def _horizon(
    project: Project, touching: Mapping[str, list[LandingFile]], first: str, last: str
) -> str:
    """Return the oldest day that is kept once the newest one that has events is published.

    Not only of what has been made: of a year of files that are new, only the last days would
    outlive the first eviction.
    """
    anchor = project.anchor()
    newest = [anchor.isoformat()] if anchor else []
    if not project.settings.window_anchor:
        own = (
            day
            for day, files in touching.items()
            if any(day in file.days and day in file.own_days for file in files)
        )
        newest += [day for day in own if first <= day <= last]
    if not newest:
        return first
    return project.settings.horizon(date.fromisoformat(max(newest))).isoformat()


def _would_shrink(version: Version, arrivals: Arrivals, touching: list[LandingFile]) -> bool:
    """Return whether documents would be lost whose files their owner has cleared out.

    Files that were renamed or replaced by others hold as many rows as before.
    """
    gone = _sources(version).keys() - arrivals.present
    if not gone and SOURCES in version.metadata:
        return False
    rows = 0
    for file in touching:
        rows += file.days.get(version.partition, 0)
        if file.date == version.partition:
            rows += file.rows - sum(file.days.values())
    return rows < version.rows


def _mark(file: LandingFile, unusable: bool = False) -> str:
    # What made a file unusable may pass without changing it.
    return f"{file.state}:unusable" if file.problem or unusable else file.state


def _documents(project: Project, day: str) -> Version | None:
    try:
        return project.lake.find("documents", day)
    except DamagedError:  # It is replaced.
        return None


def _come_since(project: Project, version: Version) -> list[str]:
    """Return the days of rows that were rejected when the calendar didn't go so far."""
    first, last = (day.isoformat() for day in project.partition_range)
    return [day for day in version.metadata.get(BEYOND, ()) if first <= day <= last]


def _sources(version: Version | None) -> Mapping[str, str]:
    return version.metadata.get(SOURCES, {}) if version else {}


def _file_notices(arrivals: Arrivals) -> list[str]:
    notices = []
    if arrivals.ignored:
        some = first_few(sorted(arrivals.ignored))
        notices.append(f"files of kinds that can't be read: {len(arrivals.ignored)} ({some})")
    undated = [file for file in arrivals.files.values() if file.untold]
    if undated:
        some = first_few(sorted(f"{file.path}: {file.problem}" for file in undated))
        notices.append(
            f"files with problems, and no date in their names by which a day could tell of "
            f"them: {len(undated)} ({some})"
        )
    return notices


def _day_notice(days: list[str], why: str) -> list[str]:
    if not days:
        return []
    return [f"days left alone, {min(days)} to {max(days)}: {len(days)} ({why})"]
