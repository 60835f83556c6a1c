import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.instance.days import FIRST_DAYS, make_home, run_day
from tests.instance.servers import PostgresServer, postgres_server

STORAGES = ["sqlite", "postgres"]
URL_VARIABLE = "DAGSTER_POSTGRES_URL"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server; tests make databases of their own on it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session", params=STORAGES)
def copies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[pytest.MonkeyPatch, Path], None]:
    """Make `DAGSTER_HOME` a copy of one with the first three days of both assets.

    A day is one run. With Postgres the history is in a database, copied as well.
    """
    home = make_home(tmp_path_factory.mktemp(request.param) / "home", request.param)
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    template = server.new_database() if server else ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        if server:
            patch.setenv(URL_VARIABLE, server.url(template))
        with dg.DagsterInstance.get() as instance:
            for day in FIRST_DAYS:
                run_day(instance, day)

    def copy(patch: pytest.MonkeyPatch, folder: Path) -> None:
        patch.setenv("DAGSTER_HOME", str(shutil.copytree(home, folder / "home")))
        if server:
            patch.setenv(URL_VARIABLE, server.url(server.new_database(template)))

    return copy


@pytest.fixture
def instance(
    copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance with the first three days of both assets, in each of the storages."""
    copies(monkeypatch, tmp_path)
    with dg.DagsterInstance.get() as instance:
        yield instance
