"""A real S3 server (SeaweedFS, one binary) for tests, started only when one asks for it."""

from __future__ import annotations

import os
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from stupid_dagster.stores.files import open_files

SECRET = "a-secret-that-nobody-may-see"
_PORTS = 6
_GRPC = 10_000  # What SeaweedFS adds to each port for its own talk.
_START_SECONDS = 60
_TRIES = 3


@dataclass(frozen=True)
class S3Server:
    """A server on this machine; it makes the buckets that it is asked for."""

    host: str
    port: int
    process: int = 0

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://{self.host}:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Where it tells what it was asked, for Prometheus."""
        return f"http://{self.host}:{self.port + 4}/metrics"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a process finds it."""
        return {
            "AWS_ACCESS_KEY_ID": "testkey",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.url,
        }


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server, empty, for all tests of this process; it is stopped at the end."""
    with running_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@contextmanager
def running_server(folder: Path) -> Iterator[S3Server]:
    """Start a server whose objects lie in an empty folder, and stop it at the end."""
    told = ""
    for number in range(_TRIES):
        own = folder / f"{number}"
        own.mkdir()
        process, server = _start(own)
        try:
            if _is_ready(server, process):
                yield server
                return
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        told = (own / "log").read_text(errors="replace")
    raise RuntimeError(f"SeaweedFS doesn't start: {told[-2000:]}")


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], S3Server]:
    port = _free_ports()
    command = [
        *(str(Path(sys.executable).with_name("weed")), "mini", f"-dir={folder}"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-s3.port={port}", f"-master.port={port + 1}"),
        *(f"-volume.port={port + 2}", f"-filer.port={port + 3}"),
        *("-webdav=false", "-admin.ui=false", "-master.telemetry=false", f"-admin.port={port + 5}"),
        # Two servers that start at once would take one port for these, and end.
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        *(f"-metricsPort={port + 4}", "-metricsIp=127.0.0.1"),
    ]
    # It takes gigabytes for its heap if it may.
    environment = os.environ | S3Server("127.0.0.1", port).environment | {"GOMEMLIMIT": "300MiB"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    return process, S3Server("127.0.0.1", port, process.pid)


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in a bucket; the environment leads to its server."""
    set_environment(monkeypatch, s3_server)
    # One bucket: each takes SeaweedFS volumes of its own.
    return f"s3://tests/{secrets.token_hex(6)}/lake"


def set_environment(patch: pytest.MonkeyPatch, server: S3Server) -> None:
    """Let the environment lead to a server, and to no other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in server.environment.items():
        patch.setenv(name, value)


def _free_ports() -> int:
    """Return the first of several ports that are free, as are those for gRPC."""
    while True:
        # Below those that systems give to whoever connects (Linux: from 32,768 on).
        first = random.randrange(10_000, 22_000)
        wanted = [first + n + more for n in range(_PORTS) for more in (0, _GRPC)]
        if all(map(_is_free, wanted)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_ready(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Wait until an object can be written, which is later than the server says that it is well.

    False where its process ends, as it does when somebody took one of its ports meanwhile.
    """
    until = time.monotonic() + _START_SECONDS
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        while time.monotonic() < until and process.poll() is None:
            try:
                if httpx.get(f"{server.url}/healthz", timeout=5).status_code == 200:
                    open_files("s3://tests").replace("ready", b"")
                    return True
            except httpx.HTTPError:
                time.sleep(0.1)
    return False
