"""The MCP server as a process of its own, asked by the SDK's client."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult

from stupid_dagster.project import Project

Ask = Callable[..., CallToolResult]


def parameters(project: Project) -> StdioServerParameters:
    """Return how the server of a project is started."""
    command = ["-m", "stupid_dagster.cli", "--root", str(project.settings.root), "mcp"]
    return StdioServerParameters(command=sys.executable, args=command, env={**os.environ})


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as opened:
        yield opened


@pytest.fixture(scope="session")
def agent(
    flights_project: Project, portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A client of a server over the flights sample, on its standard input and output."""
    log = tmp_path_factory.mktemp("mcp") / "stderr"
    with log.open("w") as errors:
        client = Client(stdio_client(parameters(flights_project), errlog=errors))
        with portal.wrap_async_context_manager(client) as connected:
            yield connected
    assert "Traceback" not in log.read_text()


@pytest.fixture
def ask(agent: Client, portal: BlockingPortal) -> Ask:
    """Call a tool: `ask("search", text="...")`."""

    def call(name: str, **arguments: Any) -> CallToolResult:
        return portal.call(partial(agent.call_tool, name, arguments))

    return call


def said(result: CallToolResult) -> str:
    """Return the text of a tool's answer."""
    [block] = result.content
    assert block.type == "text"
    return block.text


def structured(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of an answer that is no error."""
    assert not result.is_error, said(result)
    assert isinstance(result.structured_content, dict)
    return result.structured_content
