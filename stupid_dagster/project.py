"""A project: its settings, and what they name (event model, lake, landing files, embedder)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from stupid_dagster.embed import Embedder
from stupid_dagster.embed.choose import make_embedder
from stupid_dagster.errors import DamagedError, MissingVersionError
from stupid_dagster.event_model import EventModel, load_event_model, model_hash
from stupid_dagster.ingest import LandingIndex, index_landing
from stupid_dagster.ingest.source import Source
from stupid_dagster.llm.chain import Chain, configured_model
from stupid_dagster.settings import Settings, load_settings
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import Files, StorageOptions, open_files
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.version import Version
from stupid_dagster.tables import DAY_TABLES, TABLES

MODEL_HASH = "event_model"
"""In the metadata of a day's documents: the hash of the event model that they were made by."""
EMBEDDER = "embedder"
"""In the metadata of a day's vectors: the id of the embedder that they were made by."""
BEYOND = "beyond"
"""In the metadata of a day's documents: days of rows that were rejected as outside the partitions.
"""
STRAYS_ONLY = "strays_only"
"""In the metadata of a day's documents: no landing file is the day's own, some have rows of it."""


def days_between(first: date, last: date) -> list[str]:
    """Return the days of the calendar from `first` to `last` (both are in it), ascending."""
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


@dataclass(frozen=True)
class Project:
    """Everything that a stage of the pipeline needs, made when first asked for."""

    settings: Settings

    @classmethod
    def load(
        cls, root: Path | str | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Project:
        """Return the project in a folder; raises SettingsError."""
        return cls(load_settings(root, overrides=overrides))

    @cached_property
    def model(self) -> EventModel:
        """The event model; raises EventModelError."""
        return load_event_model(self.settings.event_model, self.settings.root)

    @cached_property
    def lake(self) -> Lake:
        """The lake; raises StoreError for an URL of no bucket."""
        settings = self.settings
        location = settings.lake_location
        if isinstance(location, Path):
            return Lake(location)
        folder = settings.path(settings.workplace)
        return BucketLake(
            open_files(location, self._storage), folder, int(settings.workplace_gb * (1 << 30))
        )

    @property
    def _storage(self) -> StorageOptions:
        settings = self.settings
        return StorageOptions(
            settings.storage_seconds, settings.storage_retries, settings.storage_retry_seconds
        )

    @cached_property
    def source(self) -> Source:
        """The landing folder, with the files of the inbox among its own."""
        settings = self.settings
        return Source(settings.landing_location, settings.inbox_location, self._storage)

    @cached_property
    def inbox(self) -> Files | None:
        """Where events that are handed in are kept; None for nowhere. Raises StoreError.

        A bucket isn't waited for longer than clients wait for answers.
        """
        location = self.settings.inbox_location
        if location is None:
            return None
        most, options = self.settings.step_seconds, self._storage
        options = replace(
            options,
            request_seconds=min(most, options.request_seconds),
            retry_seconds=min(most, options.retry_seconds),
        )
        return open_files(location, options)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder of the settings; raises EmbedderError."""
        return make_embedder(self.settings)

    @cached_property
    def language_model(self) -> Chain | None:
        """The language model; None where the setting `llm` names none."""
        return configured_model(self.settings)

    def landing_index(self) -> LandingIndex:
        """Return the index of the landing files as they are now; raises IngestError."""
        with self.landing_cache() as cache:
            return index_landing(self.model, self.source, cache)

    def landing_cache(self) -> AbstractContextManager[Path]:
        """Lend the file that the landing index is kept in; what the block changes is kept."""
        return self.lake.shared("landing-index.json")

    @property
    def partition_range(self) -> tuple[date, date]:
        """First and last day that there are partitions of; the last is today's unless set."""
        today = datetime.now(self.model.zone).date()
        return self.settings.partitions_start, self.settings.partitions_end or today

    def window_days(self, last_day: date) -> list[str]:
        """Return the complete days of the window ending on `last_day`, ascending."""
        return [*self.complete_days(last_day)]

    def complete_days(self, last_day: date) -> dict[str, dict[str, Version]]:
        """Return the complete days of the window ending on `last_day` with their tables."""
        days = self._calendar(last_day)
        found = zip(days, self.lake.each(self.complete_day, days), strict=True)
        return {day: tables for day, tables in found if tables}

    def half_made_days(self, last_day: date) -> list[str]:
        """Return the days of the window that have documents, but lack tables made of them."""
        days = self._calendar(last_day)
        half_made = self.lake.each(self._is_half_made, days)
        return [day for day, is_half_made in zip(days, half_made, strict=True) if is_half_made]

    def _calendar(self, last_day: date) -> list[str]:
        """Return all days of the window ending on `last_day`, whether the lake has them or not."""
        return days_between(last_day - timedelta(days=self.settings.window_days - 1), last_day)

    def _is_half_made(self, day: str) -> bool:
        return self.lake.is_live("documents", day) and not self.is_complete(day)

    def days_of_other_models(self, days: Iterable[str]) -> list[str]:
        """Return those of the days whose documents were made by another event model."""
        wanted = model_hash(self.model)
        found = self.lake.each(partial(self.lake.find, "documents"), days)
        return [v.partition for v in found if v and v.metadata.get(MODEL_HASH) != wanted]

    def days_of_other_embedders(self, days: Iterable[str]) -> list[str]:
        """Return those of the days whose vectors were made by another embedder."""
        found = self.lake.each(partial(self.lake.find, "vectors"), days)
        made = [(v.partition, v.metadata.get(EMBEDDER)) for v in found if v]
        return [day for day, name in made if name != self.embedder.model_id]

    def complete_day(self, day: str) -> dict[str, Version] | None:
        """Return the live versions of all day tables; None unless they are of the same documents.

        One that has lost files or bytes, or whose description is damaged, counts as missing. An
        optional one may be missing, but not be damaged.
        """
        live = {}
        try:
            for table in DAY_TABLES:
                if version := self.lake.find(table, day):
                    live[table] = version
                elif not TABLES[table].optional:
                    return None
        except DamagedError:
            return None
        if any(self.lake.damaged(v) for v in live.values()):
            return None
        documents = live["documents"].name
        if any(v.metadata.get("documents", documents) != documents for v in live.values()):
            return None
        return live

    def is_complete(self, day: str) -> bool:
        """Return whether all day tables have the day, made of the documents that it has now."""
        return self.complete_day(day) is not None

    def anchor(self) -> date | None:
        """Return the day that the newest window ends on: the newest that has documents.

        None before the first. A day with no events doesn't move it: a source that has fallen
        silent must not make the window forget what there is. Nor does one of which there are
        only the early rows in another day's files: it would look like a day of silence. Nor one
        outside the partitions, which a clock that was ahead or other settings have left: no window
        could be made for it. Nor one whose description can't be read.
        """
        if self.settings.window_anchor:
            return self.settings.window_anchor
        first, last = (day.isoformat() for day in self.partition_range)
        for day in reversed(self.lake.partitions("documents")):
            if not first <= day <= last:
                continue
            with suppress(DamagedError, MissingVersionError):
                version = self.lake.live("documents", day)
                if version.rows and not version.metadata.get(STRAYS_ONLY):
                    return date.fromisoformat(day)
        return None
