"""The client against a real server."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Iterator

import polars as pl
import pytest

from stupid_dagster.client import ApiError, Client, TruncatedWarning
from stupid_dagster.client import connection as connections
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot
from tests.api.serving import served
from tests.loopback import JSON, Handler, serving

KEY = "schlüssel-7"
DAY = "2013-02-08"


@pytest.fixture(scope="module")
def url(flights_project: Project) -> Iterator[str]:
    project = Project.load(
        flights_project.settings.root, {"api_key": KEY, "api_port": 0, "rows_default": 1000}
    )
    with served(project) as url:
        yield url


@pytest.fixture(scope="module")
def api(url: str) -> Iterator[Client]:
    with Client(url, key=KEY) as client:
        yield client


@pytest.fixture(scope="module")
def reader(flights_project: Project) -> Iterator[SnapshotReader]:
    with SnapshotReader(flights_project, open_snapshot(flights_project.lake)) as opened:
        yield opened


def test_documents_are_what_the_snapshot_has(api: Client, reader: SnapshotReader) -> None:
    columns = ["origin", "dep_delay"]
    found = api.documents(
        "Departure",
        first_day=DAY,
        last_day=DAY,
        filters=["dep_delay:gt:60", ("origin", "in", ["JFK", "LGA"])],
        columns=columns,
        limit=500,
    )
    wanted = reader.documents("Departure", columns=columns, limit=100_000).rows.filter(
        pl.col("doc_id").str.starts_with(DAY),
        pl.col("dep_delay") > 60,
        pl.col("origin").is_in(["JFK", "LGA"]),
    )
    assert found.height > 10
    assert found.equals(wanted)


def test_pages_are_followed_to_the_end(api: Client, reader: SnapshotReader) -> None:
    pages = [*api.iter_documents("Cancellation", columns=["origin"], page_rows=50)]
    whole = reader.documents("Cancellation", columns=["origin"], limit=100_000).rows
    assert len(pages) == -(-whole.height // 50) > 2
    assert pl.concat(pages).equals(whole)


def test_a_table_that_was_cut_short_unasked_warns(api: Client) -> None:
    with pytest.warns(TruncatedWarning, match="/documents: these are 1000 rows of more"):
        assert api.documents("Departure").height == 1000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert api.documents("Departure", limit=3).height == 3
    table = api.table("/documents", event_type="Departure", limit=3)
    assert table.truncated and table.next_cursor


def test_each_resource_answers(api: Client, reader: SnapshotReader) -> None:
    assert api.catalog() == reader.catalog()
    assert api.event_type("Departure")["event_type"] == "Departure"
    assert api.snapshot()["snapshot"] == reader.id
    document = api.document(f"{DAY}/Departure/17")
    assert document["document"]["doc_id"] == f"{DAY}/Departure/17"
    assert document["text"]
    assert api.node("airport:JFK")["entity_id"] == "airport:JFK"
    found = api.neighbors("airport:JFK", edge_types=["StartsAt"], limit=5)
    assert found["edge_type"].unique().to_list() == ["StartsAt"]
    assert not api.graph_statistics().is_empty()
    texts = api.search("cancelled flight from Newark", event_types=["Cancellation"], limit=3)
    assert texts["event_type"].to_list() == ["Cancellation"] * 3
    assert api.knowledge("pagerank", type="Airport", limit=4)["rank"].is_sorted()
    assert api.knowledge("insights").height == reader.knowledge("insights").rows.height
    cluster = api.knowledge_item("clusters", "cluster:0", limit=2)
    assert cluster.more["cluster"]["cluster_id"] == "cluster:0"
    assert cluster.rows.height == 2


def test_a_conversation_begins_empty(api: Client) -> None:
    session = api.begin_session()
    assert api.get(f"/sessions/{session}")["session"]["turns"] == []
    assert api.begin_session() != session


def test_a_refusal_is_an_error_that_says_all(api: Client) -> None:
    with pytest.raises(ApiError, match="did you mean 'Departure'") as refused:
        api.documents("Departur")
    assert refused.value.status == 422
    assert refused.value.type == "urn:stupid-dagster:invalid-query"
    with pytest.raises(ApiError, match="HTTP 404: the graph has no entity") as missing:
        api.node("airport:../../XYZ")
    assert (missing.value.status, missing.value.type) == (404, "urn:stupid-dagster:not-found")
    with pytest.raises(ApiError) as mistaken:
        api.documents("Departure", first_day="yesterday", limit=0)
    assert [where for where, _ in mistaken.value.errors] == ["query.first_day", "query.limit"]


def test_the_key_is_needed_and_what_it_says_is_kept(url: str) -> None:
    for key in (None, "wrong"):
        with Client(url, key=key) as stranger, pytest.raises(ApiError) as refused:
            stranger.catalog()
        assert refused.value.status == 401
        assert "X-API-Key" in refused.value.detail


def test_a_server_that_is_not_there_is_said_to_be_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}") as nobody,
        pytest.raises(ApiError, match=f"{port} can't be reached .*is `stupid-dagster serve`") as e,
    ):
        nobody.catalog()
    assert e.value.status is None


def test_another_window_can_be_asked(two_windows: Project) -> None:
    project = Project.load(two_windows.settings.root, {"api_port": 0})
    with served(project) as url, Client(url, as_of=DAY) as earlier, Client(url) as newest:
        assert earlier.snapshot()["window"]["last_day"] == DAY
        assert newest.snapshot()["window"]["last_day"] == "2013-02-09"


class _Tagged(Handler):
    """Answers with its path and an ETag, and remembers what it was asked."""

    tag = '"one"'
    size = 10
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        given = self.headers.get("If-None-Match")
        self.asked.append((self.path, given))
        if given == self.tag:
            self.answer(304, b"")
            return
        if self.path == "/proxy":
            self.answer(502, b"<html>bad gateway</html>", {})
            return
        body = b'{"path": "%s", "tag": %s}' % (self.path.encode(), self.tag.encode())
        body += b" " * self.size
        self.answer(200, body, {**JSON, "ETag": self.tag})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Accept"] == "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        last = '{"status": 503, "detail": "no model"}' if "session" in body else '{"ok": true}'
        name = "error" if "session" in body else "done"
        pieces = ('event: plan\ndata: {"steps"', ": []}\n\n: ping\n\n", f"event: {name}\n")
        for piece in (*pieces, f"data: {last}\n\n"):
            self.wfile.write(piece.encode())
            self.wfile.flush()


@pytest.fixture
def tagged() -> Iterator[str]:
    _Tagged.asked, _Tagged.tag, _Tagged.size = [], '"one"', 10
    with serving(_Tagged) as url:
        yield url


def test_what_still_holds_is_not_sent_again(tagged: str) -> None:
    with Client(tagged) as api:
        first = api.get("/a")
        assert api.get("/a") == first
        _Tagged.tag = '"two"'
        assert api.get("/a")["tag"] == "two"
        assert api.get("/a")["tag"] == "two"
    tags = [given for _, given in _Tagged.asked]
    assert tags == [None, '"one"', '"one"', '"two"']


def test_what_is_kept_is_bounded(tagged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_KEPT_BYTES", 1000)
    _Tagged.size = 400
    with Client(tagged) as api:
        for path in ("/a", "/b", "/a", "/c", "/a", "/b"):
            api.get(path)
        _Tagged.size = 2000
        api.get("/large")
        api.get("/large")
    # /c crowded out /b, which was asked for longest ago; what is too large isn't kept at all.
    assert [path for path, given in _Tagged.asked if given] == ["/a", "/a"]


def test_an_error_that_is_no_problem_of_ours_is_shown_as_it_is(tagged: str) -> None:
    with Client(tagged) as api, pytest.raises(ApiError, match="HTTP 502: <html>bad gateway"):
        api.get("/proxy")
    with Client(tagged) as api, pytest.raises(ApiError, match="no rows but path, tag"):
        api.table("/a")


def test_events_come_as_they_are_told(tagged: str) -> None:
    with Client(tagged) as api:
        events = [*api.ask_stream("how many?")]
        assert [(event.name, event.data) for event in events] == [
            ("plan", {"steps": []}),
            ("done", {"ok": True}),
        ]
        told = api.ask_stream("and of them?", session="s")
        assert next(told).name == "plan"
        with pytest.raises(ApiError, match="HTTP 503: no model"):
            next(told)
