"""Many clients at once for some seconds: no error, nobody left waiting."""

from __future__ import annotations

import asyncio

from benchmarks.api_load import MIX, load, requests, server, table
from stupid_dagster.project import Project

CLIENTS = 100


def test_a_hundred_clients_for_three_seconds(flights_project: Project) -> None:
    with server(flights_project.settings.root) as (url, pid):
        found = requests(url)
        measured = asyncio.run(load(url, found, CLIENTS, 3, pid))

    assert measured.errors == []
    assert measured.answers > 2 * CLIENTS
    assert set(measured.seconds) == set(MIX)
    assert measured.cpu > 0
    assert max(max(values) for values in measured.seconds.values()) < 20
    assert table(measured).count("\n") == len(MIX) + 3
