"""What all tools share: the snapshot that they read, and how they are told to the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations

from stupid_dagster.deadline import deadline
from stupid_dagster.errors import StupidError
from stupid_dagster.query import KeptSnapshots, SnapshotReader

_READS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


class SnapshotTools:
    """Tools that read the published snapshot; the public methods of a subclass are they."""

    def __init__(self, snapshots: KeptSnapshots) -> None:
        self._snapshots = snapshots

    def tools(self) -> list[Tool]:
        """Return the tools, in the order that they are defined in."""
        return [
            tool_of(getattr(self, name))
            for name, found in vars(type(self)).items()
            if callable(found) and not name.startswith("_")
        ]

    @contextmanager
    def _reading(self) -> Iterator[SnapshotReader]:
        """Lend the reader; the project's own errors become the tool's, with their messages."""
        try:
            seconds = self._snapshots.project.settings.step_seconds
            with self._snapshots.use() as reader, deadline(seconds):
                yield reader
        except StupidError as error:
            raise ToolError(str(error)) from error


def tool_of(method: Callable[..., Any]) -> Tool:
    """Return the tool that calls a method; arguments that it doesn't have are refused."""
    tool = Tool.from_function(method, annotations=_READS_ONLY)
    arguments = tool.fn_metadata.arg_model
    # Ignored, as the SDK has it, a misspelt filter would mislead.
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    return tool.model_copy(update={"parameters": arguments.model_json_schema(by_alias=True)})
