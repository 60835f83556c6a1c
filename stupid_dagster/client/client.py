"""The query API's resources as methods."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Unpack
from urllib.parse import quote

import polars as pl

from stupid_dagster.client.answers import Answer, Event, Subgraph, Table, TruncatedWarning
from stupid_dagster.client.asking import (
    Conditions,
    Day,
    DocumentFilters,
    Names,
    Time,
    conditions_of,
    documents_of,
    selected,
    several,
)
from stupid_dagster.client.connection import Connection, Parameters, parameter
from stupid_dagster.client.reading import (
    TABULAR,
    answer_of,
    fields_of,
    frame,
    table_of,
    table_of_json,
)
from stupid_dagster.errors import ApiError

Body = Mapping[str, Any]
Direction = Literal["both", "out", "in"]
SECONDS_TO_THINK = 300.0
"""How long a stream of events may be quiet: a language model may take its time."""


class Client:
    """A query API: every resource a method, tables as Polars frames.

        with Client("http://127.0.0.1:8000") as api:
            late = api.documents("Departure", first_day="2013-02-08", last_day="2013-02-08",
                                 filters=["dep_delay:gt:60"], columns=["origin", "dep_delay"])
            late.group_by("origin").agg(pl.col("dep_delay").mean())
            api.search("cancelled flight from Newark in the evening", limit=3)
            api.neighbors("airport:JFK", edge_types=["StartsAt"])
            api.plan({"steps": [{"id": "s1", "op": "knowledge.read",
                                 "params": {"table": "anomalies"}}]}).rows

    `key` is the server's `api_key`; `timeout` the seconds that an answer may take to begin or to go
    on; `as_of` the last day of an earlier window to answer from. Days and times may be texts, as
    ISO 8601 has them. Any number of threads may use one client; `close` it in the end.

    A method raises ApiError for what the server refuses, and where it can't be reached. Without
    `limit` a table has as many rows as the server's settings allow; where that cuts it short there
    is a TruncatedWarning. Answers are kept by their ETag: asking the same again while the snapshot
    is the same costs a short question, and no data.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 60.0,
        as_of: Day | None = None,
    ) -> None:
        self._connection = Connection(url, key, timeout)
        self._head = {"as_of": as_of}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    # What any route may be asked by.

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Return a resource's answer as JSON; a list's values are each sent on their own."""
        return self._connection.get(path, self._head | parameters).json()

    def table(self, path: str, **parameters: Any) -> Table:
        """Return a tabular resource's answer with all that it states; never warns."""
        return table_of(self._connection.get(path, self._head | parameters, TABULAR))

    # The server, the snapshot, and what is in it.

    def health(self) -> dict[str, Any]:
        """Return that the server is there."""
        return self._connection.get("/health").json()

    def ready(self) -> dict[str, Any]:
        """Return the snapshot that is served; raises ApiError (503) while there is none."""
        return self._connection.get("/ready").json()

    def metrics(self) -> str:
        """Return what the server does, as Prometheus reads it."""
        return self._connection.get("/metrics", accept="text/plain").content.decode()

    def snapshot(self) -> dict[str, Any]:
        """Return what the snapshot is made of, and in `windows` what `as_of` may be."""
        return self.get("/snapshot")

    def segments(self) -> dict[str, Any]:
        """Return the day segments that the snapshot is made of."""
        return self.get("/segments")

    def catalog(self) -> dict[str, Any]:
        """Return event types with their fields, entity and edge types, knowledge tables."""
        return self.get("/catalog")["catalog"]

    def event_type(self, name: str) -> dict[str, Any]:
        """Return what the catalog says of an event type."""
        return self.get(f"/catalog/events/{_quoted(name)}")

    # Documents and texts.

    def documents(
        self,
        event_type: str,
        *,
        sort: str | None = None,
        limit: int | None = None,
        **asked: Unpack[DocumentFilters],
    ) -> pl.DataFrame:
        """Return documents of an event type that meet all conditions."""
        return self._rows("/documents", documents_of(event_type, asked, sort=sort, limit=limit))

    def iter_documents(
        self, event_type: str, *, page_rows: int | None = None, **asked: Unpack[DocumentFilters]
    ) -> Iterator[pl.DataFrame]:
        """Yield all documents that `documents` would find, page by page.

        A snapshot that replaces another meanwhile may end it with an ApiError: begin anew then.
        """
        parameters = documents_of(event_type, asked, limit=page_rows)
        page = self.table("/documents", **parameters)
        yield page.rows
        while page.next_cursor:
            page = self.table("/documents", **parameters, cursor=page.next_cursor)
            yield page.rows

    def document(self, doc_id: str) -> dict[str, Any]:
        """Return a document: its columns under `document`, and its `text`."""
        return self.get(f"/documents/{_quoted(doc_id)}")

    def timeline(
        self,
        actor: str,
        *,
        first_day: Day | None = None,
        last_day: Day | None = None,
        since: Time | None = None,
        until: Time | None = None,
        event_types: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Return what an actor did, earliest first; without days or `since` in the last 7 days.

        `fields` are structs of what the events state themselves, of all their types together.
        """
        asked = {"first_day": first_day, "last_day": last_day, "since": since, "until": until}
        asked |= {"event_type": event_types, "limit": limit}
        return fields_of(self._rows(f"/actors/{_quoted(actor)}/timeline", asked))

    def search(
        self,
        text: str | None = None,
        *,
        document: str | None = None,
        mode: Literal["vector", "text", "hybrid"] = "vector",
        of: Literal["texts", "events"] = "texts",
        event_types: Sequence[str] | None = None,
        first_day: Day | None = None,
        last_day: Day | None = None,
        limit: int = 10,
    ) -> pl.DataFrame:
        """Return the window's distinct texts, or events, nearest to a text or a document's text."""
        asked = {"text": text, "document": document, "mode": mode, "event_type": event_types}
        asked |= {"of": None if of == "texts" else of, "limit": limit}
        return self._rows("/search", asked | {"first_day": first_day, "last_day": last_day})

    # The graph.

    def node(self, entity_id: str) -> dict[str, Any]:
        """Return an entity: its properties, and when it was seen."""
        return self.get(f"/graph/nodes/{_quoted(entity_id)}")["node"]

    def neighbors(
        self,
        entity_id: str,
        *,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Return the edges at an entity with their other ends, heaviest first."""
        asked = {"id": entity_id, "edge_type": edge_types, "direction": direction, "limit": limit}
        return self._rows("/graph/neighbors", asked)

    def traverse(
        self,
        entity_id: str,
        *,
        depth: int = 2,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Return an entity and those within `depth` steps of it, nearest first."""
        asked = {"id": entity_id, "depth": depth, "edge_type": edge_types}
        return self._rows("/graph/traverse", asked | {"direction": direction, "limit": limit})

    def path(
        self,
        source: str,
        target: str,
        *,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        weighted: bool = False,
    ) -> dict[str, Any]:
        """Return a shortest path by hops, or weighted by how strong the links are."""
        asked = {"source": source, "target": target, "edge_type": edge_types}
        asked |= {"direction": direction, "weighted": weighted or None}
        return self.get("/graph/path", **asked)

    def subgraph(self, entity_id: str, *, limit: int | None = None) -> Subgraph:
        """Return the nodes around an entity, and the links between them."""
        answer = self.get("/graph/subgraph", id=entity_id, limit=limit)
        truncated = bool(answer.get("truncated"))
        return Subgraph(frame(answer["nodes"]), frame(answer["links"]), truncated)

    def graph_statistics(self) -> pl.DataFrame:
        """Return how many nodes and edges there are, and how the graph hangs together."""
        return self._rows("/graph/stats", {})

    # Knowledge.

    def knowledge(
        self,
        table: str,
        *,
        filters: Conditions = (),
        columns: Names | None = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        **more: Any,
    ) -> pl.DataFrame:
        """Return rows of any knowledge table, such as "clusters"; `more` as its route has."""
        asked = more | selected(filters, columns, more)
        asked |= {"sort": sort, "limit": limit, "offset": offset or None}
        try:
            return self._rows(f"/knowledge/{_quoted(table)}", asked)
        except ApiError as error:
            if error.status != 404:
                raise
        # Tables that are less often asked for have no route of their own.
        return self._rows(f"/knowledge/tables/{_quoted(table)}", asked)

    def knowledge_item(self, table: str, item_id: str, *, limit: int | None = None) -> Table:
        """Return one item of a knowledge table in `more`, and in `rows` its members, if any."""
        body = self.get(f"/knowledge/{_quoted(table)}/{_quoted(item_id)}", limit=limit)
        return table_of_json({"rows": []} | body)

    def contrast(
        self,
        actors: Names | None = None,
        *,
        cluster: str | None = None,
        community: str | None = None,
        table: str | None = None,
        filters: Conditions = (),
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Return what sets actors apart from all others, strongest first.

        They are given by one of: `actors`, `cluster`, `community`, or `table` with `filters`, those
        in the rows of a knowledge table.
        """
        asked = self._head | {"limit": limit}
        body = {"actors": None if actors is None else several(actors), "cluster": cluster}
        body |= {"community": community, "table": table, "filters": conditions_of(filters)}
        return table_of(
            self._connection.post("/knowledge/contrast", body, parameters=asked, accept=TABULAR)
        ).rows

    def digest(self) -> dict[str, Any]:
        """Return the insights in one paragraph, `digest`, and the `insights` that it names."""
        return self.get("/knowledge/insights/digest")

    def insights_stream(self) -> Generator[Event, None, None]:
        """Yield the current insights, then new and resolved ones as snapshots appear; no end."""
        return self._connection.events("GET", "/insights/stream")

    # Plans and questions.

    def validate(self, plan: Body) -> dict[str, Any]:
        """Return whether a plan is `valid`, and its `problems`: where in it, and what."""
        return self._connection.post("/plans/validate", plan, parameters=self._head).json()

    def explain(self, plan: Body) -> dict[str, Any]:
        """Return what running a plan would read, without running it."""
        return self._connection.post("/plans/explain", plan, parameters=self._head).json()

    def plan(self, plan: Body) -> Answer:
        """Run a plan; raises ApiError for an invalid one, with every mistake in `errors`."""
        asked = self._head | {"steps": "all"}
        return answer_of(self._connection.post("/plans", plan, parameters=asked).json())

    def ask(self, question: str, session: str | None = None) -> Answer:
        """Answer a question in plain words."""
        body = self._question(question, session)
        reply = self._connection.post("/query", body, quiet_seconds=SECONDS_TO_THINK)
        return answer_of(reply.json())

    def ask_stream(self, question: str, session: str | None = None) -> Generator[Event, None, None]:
        """Yield what happens while a question is answered: plan, progress, render, text, done.

        Raises ApiError for the event `error` too.
        """
        body = self._question(question, session)
        for event in self._connection.events(
            "POST", "/query", body=body, quiet_seconds=SECONDS_TO_THINK
        ):
            if event.name == "error":
                raise ApiError(event.data["detail"], status=event.data["status"])
            yield event

    def begin_session(self) -> str:
        """Begin a conversation; returns the session to ask with, so that "them" is understood."""
        return self._connection.post("/sessions", None).json()["session"]["id"]

    def send_events(
        self, events: Mapping[str, Any] | Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Hand in one or many events, which are durable when this returns."""
        body = events if isinstance(events, Mapping) else list(events)
        return self._connection.post("/events", body).json()

    def _question(self, question: str, session: str | None) -> dict[str, Any]:
        as_of = self._head["as_of"]
        asked = {"question": question, "session": session}
        asked |= {"as_of": parameter(as_of) if as_of else None}
        return {name: value for name, value in asked.items() if value is not None}

    def _rows(self, path: str, asked: Parameters) -> pl.DataFrame:
        found = self.table(path, **asked)
        if found.truncated and asked.get("limit") is None:
            warnings.warn(
                f"{path}: these are {found.rows.height} rows of more; give a `limit`, ask for "
                "less, or page on",
                TruncatedWarning,
                stacklevel=3,
            )
        return found.rows


def _quoted(part: str) -> str:
    return quote(part, safe="")
