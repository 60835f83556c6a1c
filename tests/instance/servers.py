"""A Postgres server of the tests' own: Debian's programs, a data folder and port of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest

USER = "dagster"
_INSTALL = "no Postgres server is installed (Debian: apt-get install postgresql)"


@dataclass
class PostgresServer:
    """A running server; `log` is where it writes."""

    port: int
    log: Path
    _made: list[str] = field(default_factory=list)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database, a copy of another that nobody uses; returns its name."""
        name = f"test{len(self._made)}"
        connection = psycopg2.connect(self.url())
        try:
            connection.autocommit = True  # CREATE DATABASE is refused in a transaction
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        finally:
            connection.close()
        self._made.append(name)
        return name


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, and stop it at the end; skips the test where none is installed."""
    initdb, postgres = _program("initdb"), _program("postgres")
    # Postgres refuses root, and another user doesn't get into pytest's own folders.
    user = _unprivileged() if os.geteuid() == 0 else None
    identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        subprocess.run(
            [initdb, "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale"],
            check=True,
            capture_output=True,
            cwd=folder,
            **identity,
        )
        server = PostgresServer(_free_port(), folder / "log")
        with server.log.open("w") as log:
            process = subprocess.Popen(
                [postgres, "-D", folder / "data", "-k", folder, "-p", str(server.port), "-F"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                **identity,
            )
        try:
            _await(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # "fast": ends what is connected
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])
    return shutil.which(name, path=path) or pytest.skip(_INSTALL)


def _unprivileged() -> pwd.struct_passwd:
    users = {user.pw_name: user for user in pwd.getpwall()}
    return users.get("postgres") or users["nobody"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await(server: PostgresServer, process: subprocess.Popen) -> None:
    for _ in range(300):
        try:
            psycopg2.connect(server.url()).close()
            return
        except psycopg2.OperationalError:
            assert process.poll() is None, server.log.read_text()
            time.sleep(0.1)
    raise AssertionError(f"Postgres doesn't answer: {server.log.read_text()}")
