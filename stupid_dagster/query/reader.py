"""One snapshot, read: the same answers from first to last, whatever is published since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import structlog

from stupid_dagster.compute.graph.subgraph import Subgraph
from stupid_dagster.errors import InvalidQueryError, StupidError
from stupid_dagster.project import Project
from stupid_dagster.query.catalog import catalog_part, read_catalog
from stupid_dagster.query.contrast import MOST_ACTORS, ContrastPage, Contrasts
from stupid_dagster.query.days import snapshot_days
from stupid_dagster.query.documents import DocumentQuery, DocumentReader
from stupid_dagster.query.filters import Filter, times_of_days
from stupid_dagster.query.frames import schema_of
from stupid_dagster.query.graph import SnapshotGraph, check_choice
from stupid_dagster.query.knowledge import KnowledgeReader
from stupid_dagster.query.mistakes import Mistakes
from stupid_dagster.query.paging import Page, row_limit
from stupid_dagster.query.paths import FoundPath, find_path, find_subgraph, walk
from stupid_dagster.query.search import SOUGHT, SearchQuery, SnapshotSearch
from stupid_dagster.query.segments import segments
from stupid_dagster.query.timeline import TimelineQuery, actor_timeline, check_actor, warm_timelines
from stupid_dagster.stores.snapshots import Manifest, Snapshot

log = structlog.get_logger(__name__)
TIMELINE_ROWS = 1000


class SnapshotReader:
    """Reads all stores of one snapshot, each opened when it is first asked for.

    Any number of threads may use one reader; `close` it when none does any more.
    `limit` is the most rows to return: unasked as the settings have it, at most `rows_most`,
    more raises InvalidQueryError. A table that the snapshot lacks raises MissingVersionError,
    files that are gone SnapshotError.

        with SnapshotReader(project, open_snapshot(project.lake)) as reader:
            reader.search("cancelled flight from Newark in the evening", limit=3)
    """

    def __init__(self, project: Project, snapshot: Snapshot) -> None:
        self.project = project
        self.snapshot = snapshot
        self._knowledge = KnowledgeReader(snapshot)
        self._graph = SnapshotGraph(snapshot)
        self._search = SnapshotSearch(project, snapshot)
        self._contrasts = Contrasts(snapshot, self._graph.open)

    @property
    def manifest(self) -> Manifest:
        """The snapshot's manifest."""
        return self.snapshot.manifest

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.manifest.id

    def __enter__(self) -> SnapshotReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the stores that were opened."""
        self._contrasts.close()
        self._graph.close()
        self._search.close()
        self.snapshot.release()

    def warm(self) -> None:
        """Open all stores and ask each once, so that the first request finds them ready.

        A store that can't be opened is logged; asking it says what is wrong.
        """
        for name, ask in {
            "documents": lambda: warm_timelines(self._documents),
            "graph": lambda: [self._graph.warm(), self.neighbors("", limit=1)],
            "search": lambda: self._search.warm(self._documents),
            "knowledge": lambda: [self._knowledge.warm(), self.statistics()],
            "contrasts": lambda: self._contrasts.warm(self._catalog["actor"]),
        }.items():
            try:
                ask()
            except StupidError as error:
                log.warning(
                    "store can't be opened", store=name, snapshot=self.id, problem=str(error)
                )
            except Exception:
                # One store's failure must not keep the others from being served.
                log.exception("store failed", store=name, snapshot=self.id)

    def catalog(self) -> dict[str, Any]:
        """Return what the snapshot holds, as `stupid_dagster.catalog.build_catalog` describes."""
        return self._catalog

    def event_type(self, name: str) -> dict[str, Any]:
        """Return an event type's part of the catalog; raises NotFoundError."""
        return catalog_part(self._catalog, "events", name)

    def entity_type(self, name: str) -> dict[str, Any]:
        """Return an entity type's part of the catalog; raises NotFoundError."""
        return catalog_part(self._catalog, "entities", name)

    def documents(
        self,
        event_type: str,
        *,
        first_day: date | None = None,
        last_day: date | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str | None = None,
        filters: Sequence[Filter | str] = (),
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """Return documents of an event type, by day, and within a day by actor and time.

        With `sort`, `column` or `-column`, by that column instead, missing values last. Days are
        the model's (its timezone); `since` is included, `until` is not. Columns: doc_id, then
        `columns` or all that are stored: derived fields aren't. Filters may be texts, as
        `parse_filter` takes them. `cursor` is an earlier page's `next_cursor`. `total` is given
        where nothing but days narrows them. Raises InvalidQueryError, and of actors NotFoundError.
        """
        mistakes = Mistakes()
        rows = mistakes.limit(limit, self.project.settings)
        days = (first_day, last_day, since, until)
        query = DocumentQuery(event_type, *days, actor, mistakes.filters(filters), columns, sort)
        page = self._documents.page(query, rows, cursor, mistakes)
        if actor is not None and page.rows.is_empty():
            check_actor(self.node(actor), self._catalog["actor"])
        return page

    def document_schema(self, event_type: str) -> dict[str, pl.DataType]:
        """Return the columns of an event type's documents as stored; raises InvalidQueryError."""
        return self._documents.schema(event_type)

    def document(self, doc_id: str) -> tuple[dict[str, Any], str | None]:
        """Return a document's columns, and its text; raises NotFoundError."""
        return self._documents.document(doc_id)

    def segments(self) -> pl.DataFrame:
        """Return what each day holds, as `stupid_dagster.query.segments` says."""
        return segments(self.snapshot, self._catalog["events"])

    def timeline(
        self, query: TimelineQuery, *, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """Return an actor's documents of all event types in time order, as `actor_timeline` does.

        Raises NotFoundError for an actor that isn't in the snapshot, and InvalidQueryError, also
        for an entity of another type.
        """
        rows = row_limit(limit, self.project.settings, TIMELINE_ROWS)
        page = actor_timeline(self._documents, query, rows, cursor)
        if page.rows.is_empty():
            check_actor(self.node(query.actor), self._catalog["actor"])
        return page

    def search(
        self,
        text: str | None = None,
        *,
        document: str | None = None,
        vector: Sequence[float] | None = None,
        mode: str = "vector",
        event_types: Sequence[str] | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
        limit: int = 10,
        of: str = "texts",
        per_text: int = 3,
    ) -> pl.DataFrame:
        """Return what is nearest to a text, a document's text or a vector, best first.

        `of` texts: the window's distinct ones, columns as in
        `stupid_dagster.stores.vectors.RESULT_SCHEMA`; of events: documents with these texts, the
        newest `per_text` of each, as in `stupid_dagster.query.search.EVENT_SCHEMA`. `mode` is by
        meaning (vector), by words (text) or both (hybrid), and the score is that mode's. Raises
        InvalidQueryError, NotFoundError for a document that isn't there, and EmbedderError when
        another embedder than the project's made the snapshot's vectors.
        """
        query = SearchQuery(text, document, vector, mode, event_types, first_day, last_day)
        return self.search_page(query, limit=limit, of=of, per_text=per_text).rows

    def search_page(
        self, query: SearchQuery, *, limit: int = 10, of: str = "texts", per_text: int = 3
    ) -> Page:
        """Return what `search` does, and whether there is more; raises as it does."""
        check_choice("of", of, SOUGHT)
        rows = row_limit(limit, self.project.settings)
        return self._search.page(self._documents, query, rows, of, per_text)

    def node(self, entity_id: str) -> dict[str, Any]:
        """Return an entity of the graph; raises NotFoundError."""
        return self._graph.node(self._catalog, entity_id)

    def neighbors(
        self,
        entity_id: str | Sequence[str],
        *,
        edge_types: Sequence[str] | None = None,
        direction: str = "both",
        limit: int | None = None,
    ) -> Page:
        """Return the edges at an entity, or at several, with their other ends, heaviest first.

        Columns as in `stupid_dagster.stores.graph.reader.NEIGHBOR_SCHEMA`; for a sequence of
        entities before them `entity_id`. An entity that isn't there has none. `total` is given
        where the page has all of them. Raises InvalidQueryError.
        """
        rows = row_limit(limit, self.project.settings)
        return self._graph.neighbors(self._catalog, entity_id, edge_types, direction, rows)

    def traverse(
        self,
        entity_id: str | Sequence[str],
        *,
        edge_types: Sequence[str] | None = None,
        direction: str = "both",
        depth: int = 2,
        order: str = "breadth",
        limit: int | None = None,
    ) -> Page:
        """Return one or several entities and those that a walk from them finds.

        It goes `depth` steps, 1 to 5. Columns and order (breadth or depth first) as
        `stupid_dagster.compute.graph.traversal` says. `total` is given where the page has all of
        them. Raises NotFoundError and InvalidQueryError.
        """
        return walk(
            self._graph,
            self._catalog,
            entity_id,
            edge_types=edge_types,
            direction=direction,
            depth=depth,
            order=order,
            limit=row_limit(limit, self.project.settings),
        )

    def path(
        self,
        source: str,
        target: str,
        *,
        edge_types: Sequence[str] | None = None,
        direction: str = "both",
        weighted: bool = False,
        max_hops: int | None = None,
    ) -> FoundPath | None:
        """Return a shortest path by hops, or weighted (an edge is 1 / weight long), and its edges.

        None where there is none, by hops of at most `max_hops`. Raises NotFoundError and
        InvalidQueryError.
        """
        return find_path(
            self._graph,
            self._catalog,
            source,
            target,
            edge_types=edge_types,
            direction=direction,
            weighted=weighted,
            max_hops=max_hops,
        )

    def subgraph(
        self,
        entity_ids: str | Sequence[str],
        *,
        edge_types: Sequence[str] | None = None,
        direction: str = "both",
        depth: int = 1,
        limit: int = 100,
    ) -> Subgraph:
        """Return what is near one or several entities: nodes, and all links among them.

        `limit` is the most nodes, the heaviest edges' first. Raises NotFoundError and
        InvalidQueryError.
        """
        return find_subgraph(
            self._graph,
            self._catalog,
            entity_ids,
            edge_types=edge_types,
            direction=direction,
            depth=depth,
            limit=limit,
        )

    def statistics(self) -> pl.DataFrame:
        """Return the graph's statistics: statistic, type (empty for the whole), value."""
        return self._knowledge.page("graph_statistics", limit=100_000).rows

    def knowledge(
        self,
        table: str,
        *,
        filters: Sequence[Filter | str] = (),
        sort: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        any_of: Sequence[Filter] = (),
        columns: Sequence[str] | None = None,
        mistakes: Mistakes | None = None,
    ) -> Page:
        """Return rows of a knowledge table, as `KnowledgeReader.page` does; filters may be texts.

        Raises InvalidQueryError, with `mistakes` found before.
        """
        mistakes = mistakes or Mistakes()
        read = mistakes.filters(filters)
        rows = mistakes.limit(limit, self.project.settings)
        return self._knowledge.page(table, read, sort, rows, offset, any_of, columns, mistakes)

    def one(self, table: str, **key: str) -> dict[str, Any]:
        """Return the row of a knowledge table that has these values; raises NotFoundError."""
        return self._knowledge.one(table, **key)

    def knowledge_schema(self, table: str) -> dict[str, pl.DataType]:
        """Return a knowledge table's columns, words included; raises as `knowledge`."""
        return schema_of(self._knowledge.scan(table))

    def check_values(self, table: str, column: str, values: Sequence[str]) -> None:
        """Raise InvalidQueryError for a value that no row of a knowledge table has."""
        self._knowledge.check_values(table, column, values)

    def day_filters(self, column: str, first: date | None, last: date | None) -> list[Filter]:
        """Return the conditions that a time is in the days asked for, which are the model's.

        Raises InvalidQueryError for days outside the window.
        """
        snapshot_days(self.manifest, first, last)
        return times_of_days(column, first, last, ZoneInfo(self._catalog["timezone"]))

    def cluster(
        self, cluster_id: str, *, limit: int | None = None, offset: int = 0
    ) -> tuple[dict[str, Any], Page]:
        """Return a segment and its members, nearest to its centre first; raises NotFoundError."""
        rows = row_limit(limit, self.project.settings)
        return self._knowledge.cluster(cluster_id, rows, offset)

    def community(
        self, community_id: str, *, limit: int | None = None, offset: int = 0
    ) -> tuple[dict[str, Any], Page]:
        """Return a community and its members, highest PageRank first; raises NotFoundError."""
        rows = row_limit(limit, self.project.settings)
        return self._knowledge.community(community_id, rows, offset)

    def contrast(self, actors: Sequence[str], *, limit: int | None = None) -> ContrastPage:
        """Return what sets actors, at most 100,000, apart from all others; strongest first.

        Raises InvalidQueryError, and NotFoundError where none is an actor of the window.
        """
        if not 0 < len(actors) <= MOST_ACTORS:
            raise InvalidQueryError(f"{len(actors)} actors: give from 1 to {MOST_ACTORS}")
        return self._contrast(pl.Series(actors, dtype=pl.String), limit)

    def contrast_group(
        self, table: str, group_id: str, *, limit: int | None = None
    ) -> ContrastPage:
        """Return what sets the actors of a group in `clusters` or `communities` apart.

        Raises NotFoundError.
        """
        return self._contrast(self._knowledge.members(table, group_id), limit)

    def contrast_found(
        self, table: str, filters: Sequence[Filter], *, limit: int | None = None
    ) -> ContrastPage:
        """Return what sets the actors in a knowledge table's rows that meet all filters apart.

        Raises InvalidQueryError and NotFoundError.
        """
        return self._contrast(self._knowledge.entities(table, filters, MOST_ACTORS), limit)

    def _contrast(self, actors: pl.Series, limit: int | None) -> ContrastPage:
        rows = row_limit(limit, self.project.settings)
        return self._contrasts.page(actors, self._catalog["actor"], rows)

    @cached_property
    def _catalog(self) -> dict[str, Any]:
        return read_catalog(self.snapshot)

    @cached_property
    def _documents(self) -> DocumentReader:
        return DocumentReader(self.snapshot, self._catalog)
