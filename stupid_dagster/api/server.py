"""Serve the query API with uvicorn."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from stupid_dagster.api.app import create_app
from stupid_dagster.api.dependencies import is_loopback
from stupid_dagster.api.sending import MOST_CONNECTIONS, SendingProtocol
from stupid_dagster.errors import SettingsError
from stupid_dagster.project import Project
from stupid_dagster.settings import Settings

log = structlog.get_logger(__name__)


def serve(project: Project, announce: Callable[[str], Any] = lambda url: None) -> None:
    """Serve the query API until the process is told to stop; raises SettingsError.

    `announce` is called with the URL once it can be asked.
    """
    settings = project.settings
    with bound_socket(settings) as listener:
        app = create_app(project, allowed_hosts(settings))
        server = Server(server_config(app))
        run_announced(server, listener, settings, announce)


def run_announced(
    server: uvicorn.Server,
    listener: socket.socket,
    settings: Settings,
    announce: Callable[[str], Any],
) -> None:
    """Run a server on a bound socket until it is told to stop.

    `announce` is called with its URL once the socket takes connections, and never if the start
    fails. The process may have as many files open from then on as the system allows it.
    """
    raise_open_files()
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    url = f"http://{host}:{listener.getsockname()[1]}"
    begin = server.startup

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await begin(sockets)
        log.info("serving", url=url)
        announce(url)

    server.startup = startup
    server.run(sockets=[listener])


STOPPING_SECONDS = 5


class Server(uvicorn.Server):
    """uvicorn, which ends the app's streams when it stops: it would wait for them for ever."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        app: Any = self.config.app
        app.state.insights.stop()
        await super().shutdown(sockets)


def server_config(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn serves the API, or the MCP server."""
    return uvicorn.Config(
        app,
        http=SendingProtocol,
        log_config=None,
        access_log=False,
        limit_concurrency=MOST_CONNECTIONS,
        # A client that doesn't read its answer must not keep the server from ending.
        timeout_graceful_shutdown=STOPPING_SECONDS,
    )


def raise_open_files() -> None:
    """Let the process have as many files and connections open as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # Some systems state a limit that they refuse.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if 0 <= soft < 3 * MOST_CONNECTIONS:
        log.warning(
            "few files may be open at once (ulimit -n); many clients would use them up",
            most=soft,
            wanted=3 * MOST_CONNECTIONS,
        )


def allowed_hosts(settings: Settings) -> list[str] | None:
    """Return the names that requests may give the server; None: any, for they need the key."""
    if settings.api_key or not is_loopback(settings.api_host):
        return None
    return ["localhost", "127.0.0.1", "::1", settings.api_host]


def bound_socket(settings: Settings) -> socket.socket:
    """Return a socket bound to `api_host` and `api_port`; raises SettingsError.

    Refuses any address but a loopback one where no key is set.
    """
    host, port = settings.api_host, settings.api_port
    if not settings.api_key and not is_loopback(host):
        raise SettingsError(
            f"api_host = {host!r} lets other machines in, and api_key isn't set: set one "
            "(STUPID_API_KEY, or api_key in stupid.toml), or bind to 127.0.0.1"
        )
    if not 0 <= port < 2**16:
        # Some systems would take its remainder.
        raise SettingsError(f"api_port = {port}: ports are from 0 to {2**16 - 1}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"api_host = {host!r}: no such address ({error})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"{host}:{port} can't be bound to ({error}); stop what uses it, or set another api_port"
        ) from error
    return listener
