"""Stages of a day: everything that reads events is here, and reads one day of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any
from urllib.parse import quote

from stupid_dagster import connect
from stupid_dagster.event_model import model_hash
from stupid_dagster.ingest import DayDocuments, LandingFile, LandingIndex, build_documents
from stupid_dagster.ingest.checks import schema_failures
from stupid_dagster.ingest.rejects import weightiest
from stupid_dagster.project import BEYOND, EMBEDDER, MODEL_HASH, STRAYS_ONLY, Project
from stupid_dagster.stages.arrivals import SOURCES, sources_of
from stupid_dagster.stages.embedding import embedded
from stupid_dagster.stages.written import Stage, Verdict, Written
from stupid_dagster.stores.documents import LAYOUT, read_day
from stupid_dagster.stores.version import VersionWriter


def make_documents(
    project: Project, day: str, landing: LandingIndex | None = None
) -> list[Written]:
    """Write `documents` and `rejects` of a day from the landing files."""
    stage = Stage(project, day)
    landing = landing or project.landing_index()
    date_of_day = date.fromisoformat(day)
    partitions = project.partition_range
    made = build_documents(project.model, landing, date_of_day, partitions)
    files = landing.for_day(date_of_day)
    metadata = {
        MODEL_HASH: model_hash(project.model),
        SOURCES: sources_of(files, made.unusable),
        STRAYS_ONLY: not any(day in file.own_days for file in files),
        BEYOND: _days_beyond(files, date_of_day, partitions),
    }

    def fill(writer: VersionWriter) -> None:
        writer.layout = LAYOUT
        for event_type, frame in made.documents.items():
            writer.write(frame, quote(event_type, safe=" "))

    stage.files(
        "documents",
        fill,
        metadata=_document_metadata(made) | metadata,
        details=_details(made),
        verdicts=[
            _reject_verdict(made, project.settings.reject_share),
            _schema_verdict(project, made, day),
            _events_verdict(made, day),
        ],
    )
    stage.table("rejects", made.rejects, previews={"most_rows": weightiest(made.rejects)})
    return stage.written


def make_connections(project: Project, day: str) -> list[Written]:
    """Write what a day's documents say of entities, edges, texts, actors and metrics.

    The documents are read once for all of `entities`, `edges`, `texts`, `actor_texts`,
    `activity`, `sequences`, `metrics` and `field_statistics`.
    """
    stage = Stage(project, day)
    model = project.model
    version = project.lake.live("documents", day)
    documents = connect.enrich(model, read_day(project.lake, version, model))
    # Tells which documents a table was made of.
    source = {"documents": version.name}
    stage.table("entities", connect.build_entities(model, documents), metadata=source)
    edges = connect.build_edges(model, documents)
    stage.table("edges", edges, deltas=("first_seen", "last_seen"), metadata=source)
    stage.table("texts", connect.build_texts(model, documents, day), metadata=source)
    actor_texts = connect.build_actor_texts(documents)
    stage.table("actor_texts", actor_texts, deltas=("row",), metadata=source)
    stage.table("activity", connect.build_activity(model, documents), metadata=source)
    sequences = connect.build_sequences(model, documents)
    stage.table("sequences", sequences, deltas=("times.list.element",), metadata=source)
    stage.table("metrics", connect.build_metrics(model, documents), metadata=source)
    statistics = connect.build_field_statistics(model, documents)
    stage.table("field_statistics", statistics, metadata=source)
    return stage.written


def make_vectors(project: Project, day: str) -> list[Written]:
    """Write the `vectors` of a day's texts; see `embedded`."""
    stage = Stage(project, day)
    version = project.lake.live("texts", day)
    texts = project.lake.scan_versions([version]).select("text_id", "text").collect()
    made_of = {
        "documents": version.metadata["documents"],
        EMBEDDER: project.embedder.model_id,
    }
    with embedded(project, day, texts) as made:
        stage.table("vectors", made.vectors, metadata=made_of, details=made.details)
    return stage.written


def _days_beyond(
    files: Iterable[LandingFile], day: date, partitions: tuple[date, date]
) -> list[str]:
    """Return the days of the rows that the day tells of as outside the partitions."""
    first, last = (end.isoformat() for end in partitions)
    told = [file for file in files if file.home(partitions) == day.isoformat()]
    return sorted({d for file in told for d in file.days if not first <= d <= last})


def _document_metadata(made: DayDocuments) -> dict[str, Any]:
    """Return what the catalog needs to know of a day's documents without reading them."""
    return {
        "event_types": {
            name: {
                "rows": frame.height,
                "nulls": {column: frame[column].null_count() for column in frame.columns},
            }
            for name, frame in made.documents.items()
        }
    }


def _details(made: DayDocuments) -> dict[str, Any]:
    counts = {name: frame.height for name, frame in made.documents.items()}
    dropped = {
        name: dict(sorted(columns.items(), key=lambda item: (-item[1], item[0])))
        for name, columns in made.dropped_columns.items()
    }
    return {
        "events": counts,
        "landing_files": made.files,
        "unreadable_files": made.unreadable_files,
        "rows_read": made.rows_read,
        "rows_rejected": made.rows_rejected,
        "reject_entries": made.rejects.height,
        "reject_share": made.reject_share,
        "duplicates_removed": made.duplicates,
        "dropped_columns": dropped,
    }


def _reject_verdict(made: DayDocuments, most: float) -> Verdict:
    """Warn of anything that was set aside; fail when it is more than `most`."""
    failed = made.reject_share > most
    return Verdict(
        "few_rejects",
        # Junk columns and values that are no number are told, and are no cause for alarm each day.
        passed=made.reject_share == 0,
        description=(
            f"{made.rows_rejected:,} of {made.rows_read:,} rows and {made.unreadable_files} of "
            f"{made.files} files could not be used ({made.reject_share:.1%}, {most:.1%} allowed); "
            f"{made.rejects.height:,} entries in the table rejects{_scopes(made)}"
        ),
        details={"reject_share": made.reject_share, "entries": made.rejects.height},
        is_error=failed,
    )


def _scopes(made: DayDocuments) -> str:
    """Return what the rejects are of, such as ` (column 9, value 5)`."""
    counts = made.rejects.group_by("scope").len().sort("scope").iter_rows()
    told = ", ".join(f"{scope} {entries}" for scope, entries in counts)
    return f" ({told})" if told else ""


def _schema_verdict(project: Project, made: DayDocuments, day: str) -> Verdict:
    failures = schema_failures(made.documents, date.fromisoformat(day), project.model.zone)
    return Verdict(
        "schema",
        passed=not failures,
        description="; ".join(failures) or f"{made.rows:,} documents of {day} are as they must be",
        details={"failures": len(failures)},
        is_error=True,
    )


def _events_verdict(made: DayDocuments, day: str) -> Verdict:
    """Warn of a day without documents: the window doesn't move to it, and would say nothing."""
    description = f"{made.rows:,} documents"
    if not made.rows and not made.files:
        description = f"no document: no landing file has rows of {day}"
    elif not made.rows:
        lost = {
            "rows were rejected": made.rows_rejected,
            "could not be used": made.unreadable_files,
        }
        told = ", ".join(f"{number:,} {what}" for what, number in lost.items() if number)
        files = f"the landing files that touch {day} ({made.files})"
        description = f"no document: of {files}, {told}"
        if not told:
            description = f"no document: {files} have no rows of it"
    return Verdict(
        "has_events",
        passed=made.rows > 0,
        description=description,
        details={"documents": made.rows},
    )
