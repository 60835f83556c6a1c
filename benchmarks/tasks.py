"""What can be measured, each in a process of its own (see worker.py).

Imports of the engine are inside the functions, so that a task's process has only its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import floor, naive, words_tasks
from benchmarks.planted import planted
from benchmarks.scaled_days import scale_days
from benchmarks.usage import measured

if TYPE_CHECKING:
    from stupid_dagster.project import Project
    from stupid_dagster.stages import Written

Told = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """Something to measure, and the modules that it would otherwise import while measured."""

    run: Callable[..., Told | Callable[[], Told]]
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: the function that makes it, and modules that it imports late."""

    module: str
    function: str
    imports: tuple[str, ...] = ()

    def make(self, project: Project, partition: str) -> list[Written]:
        """Write the stage's tables."""
        return getattr(import_module(f"stupid_dagster.stages.{self.module}"), self.function)(
            project, partition
        )


_EMBED = ("onnxruntime", "tokenizers")
_SKLEARN = ("sklearn.cluster", "sklearn.metrics", "threadpoolctl")
_PLOTS = ("matplotlib.backends.backend_agg", "matplotlib.figure", "matplotlib.dates")
_SCIPY = ("scipy.sparse.csgraph", "scipy.stats")
_DBSCAN = "stupid_dagster.compute.events.dbscan"
_PREFIXSPAN = "stupid_dagster.compute.sequences.projections"
DAY_STAGES = {
    "documents": Stage("day", "make_documents", ("pandera.polars", "hypothesis")),
    "connections": Stage("day", "make_connections"),
    "vectors": Stage("day", "make_vectors", _EMBED),
}
WINDOW_STAGES = {
    "window_days": Stage("window", "make_window_days"),
    "search_index": Stage("search_index", "make_search_index", ("lancedb.index", *_EMBED)),
    "graph": Stage("graph", "make_graph"),
    "graph_database": Stage("graph", "make_graph_database", ("kuzu", "pandas", "pyarrow.parquet")),
    "graph_knowledge": Stage(
        "graph", "make_graph_knowledge", ("networkit", "numba", *_SCIPY, *_PLOTS)
    ),
    "features": Stage("clusters", "make_features"),
    "clusters": Stage("clusters", "make_clusters", _SKLEARN + _PLOTS),
    "event_clusters": Stage("event_clusters", "make_event_clusters", (_DBSCAN, *_PLOTS, *_SCIPY)),
    "patterns": Stage("patterns", "make_patterns", (_PREFIXSPAN, *_PLOTS)),
    "cooccurrence": Stage("patterns", "make_cooccurrence", ("scipy.sparse", *_PLOTS)),
    "trends": Stage("trends", "make_trends", _PLOTS),
    "anomalies": Stage("anomalies", "make_anomalies", _PLOTS + _SCIPY),
    "history": Stage("trends", "make_history"),
    "labels": Stage("labels", "make_labels"),
    "insights": Stage("words", "make_insights"),
    "digest": Stage("digest", "make_digest"),
    "catalog": Stage("publish", "make_catalog"),
}
STAGES = DAY_STAGES | WINDOW_STAGES
_PROJECT = ("stupid_dagster.project",)


def sample(landing: str, first: str, days: int, events: int, seed: int) -> Told:
    """Write the gaming sample; tell the rows of each event type."""
    from datetime import date

    from stupid_dagster.samples.gaming import write_gaming

    return {"rows": write_gaming(Path(landing), date.fromisoformat(first), days, events, seed)}


def index(root: str) -> Told:
    """Make the landing index of a project anew."""
    project = _project(root)
    cache = project.lake.root / "landing-index.json"
    cache.unlink(missing_ok=True)
    found = project.landing_index()
    return {"rows": sum(f.rows for f in found.files), "bytes": cache.stat().st_size}


def stage(root: str, name: str, partition: str) -> Told:
    """Run one stage; tell its rows and bytes."""
    written = STAGES[name].make(_project(root), partition)
    return _summed(written) | {"tables": [made.table for made in written]}


def pipeline(root: str, days: list[str], window: bool, index: bool = False) -> Told:
    """Run all stages of the days, then those of the window if asked, in one process.

    Tells by stage: partitions, rows, bytes and seconds; `index` is a stage where asked for.
    """
    project = _project(root)
    costs: dict[str, Told] = {}
    if index:
        with measured() as spent:
            project.landing_index()
        costs["index"] = {"partitions": 1, "rows": 0, "bytes": 0} | asdict(spent)
    runs = [(name, day) for day in days for name in DAY_STAGES]
    runs += [(name, days[-1]) for name in WINDOW_STAGES] if window else []
    for name, partition in runs:
        with measured() as spent:
            written = STAGES[name].make(project, partition)
        made = {"partitions": 1} | asdict(spent) | _summed(written)
        total = costs.setdefault(name, dict.fromkeys(made, 0))
        for figure, value in made.items():
            total[figure] += value
    return {"stages": costs}


def flights(root: str, first: str, last: str) -> Told:
    """Write the flights sample into a project's landing folder."""
    from datetime import date

    from stupid_dagster.samples import write_flights

    rows = write_flights(
        Path(root) / "landing", date.fromisoformat(first), date.fromisoformat(last)
    )
    return {"rows": rows}


def counts(root: str, day: str) -> Told:
    """Tell the numbers of a day's tables that `naive` must agree with."""
    import polars as pl

    lake = _project(root).lake

    def total(table: str, column: str) -> int:
        return int(lake.scan(table, day).select(pl.col(column).sum()).collect().item() or 0)

    tables = {name: lake.live(name, day).rows for name in naive.COUNTED}
    return tables | {
        "edge_weight": total("edges", "weight"),
        "entity_events": total("entities", "events"),
        "text_events": total("texts", "count"),
        "activity_events": total("activity", "events"),
    }


def prepare_eviction(root: str) -> Told:
    """Publish a project's window, and put its days into the records of a Dagster of its own."""
    import dagster as dg

    from stupid_dagster.stages.publish import publish_window
    from stupid_dagster.tables import DAY_TABLES

    project = _project(root)
    publish_window(project, project.lake.partitions("window_days")[-1])
    with _instance(project) as instance:
        for table in DAY_TABLES:
            for day in project.lake.partitions(table):
                event = dg.AssetMaterialization(asset_key=table, partition=day)
                instance.report_runless_asset_event(event)
    return {"days": len(project.lake.partitions("documents"))}


def evict(root: str) -> Told:
    """Evict the oldest day as of the day on which it leaves; tell what left."""
    from datetime import date, timedelta

    from stupid_dagster.automation.eviction import evict_and_wipe
    from stupid_dagster.stages.evict import plan_eviction

    project = _project(root)
    oldest = project.lake.partitions("documents")[0]
    as_of = date.fromisoformat(oldest) + timedelta(days=project.settings.kept_days)
    eviction = plan_eviction(project, as_of)
    assert eviction
    with _instance(project) as instance:
        done = evict_and_wipe(project, instance, eviction)
    removed = done.garbage
    wiped = sum(done.wiped.values())
    return {"day": oldest, "bytes": removed.bytes, "versions": removed.versions, "events": wiped}


def audit(root: str) -> Told:
    """Audit all stores and records; tell what was found."""
    from stupid_dagster.automation.eviction import audit_all
    from stupid_dagster.stages.evict import plan_eviction

    project = _project(root)
    eviction = plan_eviction(project)
    assert eviction
    with _instance(project) as instance:
        found = audit_all(project, instance, eviction).findings
    return {
        "rows": sum(finding.scanned for finding in found),
        "references": sum(finding.references for finding in found),
        "orphans": sum(finding.orphans for finding in found),
    }


def _instance(project: Project) -> Any:
    import os

    from stupid_dagster.automation.runs import open_instance

    os.environ.pop("DAGSTER_HOME", None)
    return open_instance(project)


def _project(root: str) -> Project:
    from stupid_dagster.project import Project

    return Project.load(root)


def _summed(written: list[Written]) -> Told:
    versions = [made.version for made in written]
    return {"rows": sum(v.rows for v in versions), "bytes": sum(v.bytes for v in versions)}


def _modules(stages: Mapping[str, Stage]) -> tuple[str, ...]:
    """Return what stages import, at once and late."""
    own = (f"stupid_dagster.stages.{stage.module}" for stage in stages.values())
    return (*own, *(module for stage in stages.values() for module in stage.imports))


_NAIVE = ("pandas", "pyarrow.parquet", "networkx", "xxhash", "stupid_dagster.embed", *_EMBED)
_EVICTION = ("dagster", "stupid_dagster.automation.eviction", "stupid_dagster.automation.runs")
_LABELS = {"labels": WINDOW_STAGES["labels"]}
TASKS = {
    "sample": Task(sample, ("stupid_dagster.samples.gaming",)),
    "flights": Task(flights, ("stupid_dagster.samples",)),
    "index": Task(index, _PROJECT),
    "counts": Task(counts, _PROJECT),
    "days": Task(pipeline, _modules(DAY_STAGES)),
    "days and window": Task(pipeline, _modules(STAGES)),
    "plan copy": Task(floor.plan, _PROJECT),
    "copy": Task(floor.copy, ("polars",)),
    "planted": Task(planted, _PROJECT),
    "prepare eviction": Task(prepare_eviction, _EVICTION),
    "evict": Task(evict, _EVICTION),
    "audit": Task(audit, (*_EVICTION, "lancedb", "kuzu", *_PLOTS)),
    "scale days": Task(scale_days, _PROJECT),
    "tenth": Task(floor.tenth, ("polars",)),
    "naive": Task(naive.run, _NAIVE),
    "publish": Task(words_tasks.publish, _PROJECT),
    "words labels": Task(words_tasks.labels, ("openai", *_modules(_LABELS))),
    "words digest": Task(words_tasks.digest, ("openai", *_PROJECT)),
    "words questions": Task(words_tasks.questions, ("openai", *_PROJECT)),
} | {f"stage {name}": Task(stage, _modules({name: each})) for name, each in STAGES.items()}
# With what a step's process has loaded besides.
TASKS |= {
    f"step {name}": Task(stage, ("stupid_dagster.definitions", *_modules({name: each})))
    for name, each in DAY_STAGES.items()
}
