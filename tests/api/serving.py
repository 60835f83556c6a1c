"""The API under a real uvicorn in a thread, and what this process holds open."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from fastapi import FastAPI

from stupid_dagster.api import create_app
from stupid_dagster.api.server import Server, allowed_hosts, bound_socket, server_config
from stupid_dagster.project import Project
from stupid_dagster.stores.lake import Lake


def served(project: Project) -> AbstractContextManager[str]:
    """Serve a project from a thread; yields the URL."""
    return served_app(create_app(project, allowed_hosts(project.settings)), project)


@contextmanager
def served_app(app: FastAPI, project: Project) -> Iterator[str]:
    """Serve an app from a thread, where the project's settings say; yields the URL."""
    server = Server(server_config(app))
    with bound_socket(project.settings) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def held_files(*folders: Path) -> list[str]:
    """Return the files below the folders that this process has open or mapped."""
    held = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            held.add(os.readlink(descriptor))
    for line in Path("/proc/self/maps").read_text().splitlines():
        held.add(line.split(maxsplit=5)[-1])
    return sorted(f for f in held if any(f.startswith(f"{folder}/") for folder in folders))


def copy_version(lake: Lake, table: str, partition: str) -> Path:
    """Make the same files live under a new version; returns the folder of the former."""
    former = lake.live(table, partition)
    folder = lake.version_path(former)
    with lake.write(table, partition) as writer:
        for name in former.files:
            (writer.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, writer.path / name)
        writer.rows = former.rows
        writer.metadata = {**former.metadata, "copied": former.name}
    return folder


def seconds_until(condition: Callable[[], bool], most: float = 20) -> float:
    """Return how long a condition took to come true; fails after `most` seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < most
        time.sleep(0.02)
    return time.monotonic() - started
