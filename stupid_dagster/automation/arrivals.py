"""The sensor that asks for the days that new and changed landing files touch."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from hashlib import sha256

import dagster as dg

from stupid_dagster.automation.in_progress import days_in_progress
from stupid_dagster.automation.jobs import day_job
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.automation.run_keys import newest_run, run_key
from stupid_dagster.compute.words import first_few
from stupid_dagster.errors import IngestError, StoreError
from stupid_dagster.ingest.arrivals import Arrivals, Waiting, look_for_arrivals
from stupid_dagster.project import Project
from stupid_dagster.stages.arrivals import StaleDays, find_stale_days

NAME = "arrivals"


@dataclass(frozen=True)
class Memory:
    """What one look leaves for the next: files that aren't in use yet, notices that were told.

    Nothing is lost with it: files wait anew, and notices are told again.
    """

    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    told: frozenset[str] = frozenset()

    @classmethod
    def load(cls, cursor: str | None) -> "Memory":
        """Return what a cursor holds; raises ValueError for one that `dump` hasn't made."""
        if not cursor:
            return cls()
        try:
            tree = json.loads(cursor)
            waiting = {
                str(path): Waiting(int(size), str(stamp), float(seen), float(since))
                for path, (size, stamp, seen, since) in tree["waiting"].items()
            }
            return cls(waiting, frozenset(map(str, tree["told"])))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a cursor of this sensor: {error!r}") from error

    def dump(self) -> str:
        """Return it as a cursor."""
        waiting = {path: astuple(state) for path, state in self.waiting.items()}
        return json.dumps({"waiting": waiting, "told": sorted(self.told)})


@dg.sensor(
    job=day_job,
    name=NAME,
    minimum_interval_seconds=Project.load().settings.arrival_poll_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Make the days that new or changed landing files touch.",
)
def arrivals_sensor(context: dg.SensorEvaluationContext, project: ProjectResource):
    """Ask for one run per stale day, the newest first; `newest_window` does the rest."""
    loaded = project.load()
    settings = loaded.settings
    try:
        before = Memory.load(context.cursor)
    except ValueError as error:
        context.log.warning(f"the cursor is started afresh: {error}")
        before = Memory()
    now = time.time()
    try:
        with loaded.landing_cache() as cache:
            arrivals = look_for_arrivals(
                loaded.model,
                loaded.source,
                cache,
                before.waiting,
                now=now,
                stable_seconds=settings.arrival_stable_seconds,
            )
        stale = find_stale_days(loaded, arrivals)
    except (IngestError, StoreError) as error:
        return dg.SkipReason(str(error))
    told = {sha256(notice.encode()).hexdigest()[:8]: notice for notice in stale.notices}
    for digest, notice in told.items():
        if digest not in before.told:
            context.log.warning(notice)
    memory = Memory({**arrivals.waiting, **arrivals.unread}, frozenset(told))

    requests, status = _requests(context, loaded, stale)
    status += _late(arrivals, now)
    if requests:
        context.log.info("; ".join([f"days asked for: {len(requests)}", *status]))
    status = status or [f"nothing is new in the landing folder (files: {len(arrivals.files)})"]
    reason = None if requests else dg.SkipReason("; ".join(status))
    return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=memory.dump())


def _requests(
    context: dg.SensorEvaluationContext, project: Project, stale: StaleDays
) -> tuple[list[dg.RunRequest], list[str]]:
    """Return the runs to ask for, and what there is to say of the other stale days."""
    repository = context.repository_def
    in_progress = days_in_progress(context.instance, repository.asset_graph if repository else None)
    requests: list[dg.RunRequest] = []
    busy, failed, later = [], [], []
    for found in stale.days:
        key = run_key(NAME, found.day, of=found.state)
        if found.day in in_progress:
            busy.append(found.day)
        elif len(requests) == project.settings.arrival_runs_most:
            later.append(found.day)
        # Dagster would leave them out too, but they would take the places of others.
        elif newest_run(context.instance, NAME, key):
            failed.append(found.day)
        else:
            context.log.info(f"{found.day}: {found.reason}")
            tables = [dg.AssetKey(table) for table in found.tables] or None
            requests.append(
                dg.RunRequest(run_key=key, partition_key=found.day, asset_selection=tables)
            )
    return requests, [
        *_days("being made", busy),
        *_days("left to the next look", later),
        *_days("waiting for files that are still changing or unread", stale.waiting),
        *_days("asked for before with the same files, in runs that didn't make them", failed),
    ]


def _days(what: str, days: Sequence[str]) -> list[str]:
    if not days:
        return []
    return [f"days {what}: {len(days)} ({first_few(days)})"]


def _late(arrivals: Arrivals, now: float) -> list[str]:
    """Return what to say of files that aren't in use yet."""
    late = []
    if waiting := arrivals.waiting:
        oldest = min(waiting, key=lambda path: waiting[path].since)
        seconds = now - waiting[oldest].since
        since = f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"
        late.append(f"files new or still changing: {len(waiting)} ({oldest} for {since})")
    if arrivals.unread:
        late.append(f"files left to be read at the next look: {len(arrivals.unread)}")
    return late
