"""The tools: routes of the query API, with its parameters, its limits and its words.

What a tool takes and says of itself is what the API's OpenAPI page says of its route. A call is a
request to the API within the process, so that an agent is refused, cut short and timed out as any
other client, and told so in the same words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
from fastapi import FastAPI
from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations

from stupid_dagster.client.connection import query_of
from stupid_dagster.mcp.answers import BULKY, DEFAULT_ROWS, MOST_ROWS, OUTPUT, answer_of
from stupid_dagster.query.plans.model import Plan

PLAN_SCHEMA = Plan.model_json_schema()
ROUTES = {
    "catalog": ("get", "/catalog"),
    "describe_event_type": ("get", "/catalog/events/{event_type}"),
    "find_documents": ("get", "/documents"),
    "document": ("get", "/documents/{doc_id}"),
    "timeline": ("get", "/actors/{actor_id}/timeline"),
    "search": ("get", "/search"),
    "node": ("get", "/graph/nodes/{entity_id}"),
    "neighbors": ("get", "/graph/neighbors"),
    "traverse": ("get", "/graph/traverse"),
    "path": ("get", "/graph/path"),
    "knowledge": ("get", "/knowledge/tables/{table}"),
    "insights": ("get", "/knowledge/insights"),
    "digest": ("get", "/knowledge/insights/digest"),
    "contrast": ("get", "/knowledge/contrast"),
    "validate_plan": ("post", "/plans/validate"),
    "run_plan": ("post", "/plans"),
}
_LIMITED = ("run_plan",)
"""Tools of routes without a limit: what they answer is cut here."""
_OF_HTTP = re.compile(r"\b(?:POST|GET|CSV|Arrow|HTTP|40[0-9]|422)\b|`/")
_READS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


@dataclass(frozen=True)
class RouteTool:
    """A tool, and the route that it asks; `places` says where in a request each argument goes."""

    method: str
    path: str
    places: Mapping[str, str]
    told: Tool

    @property
    def limit(self) -> int | None:
        """How many rows are asked for unless it is said; None where it has no limit."""
        return self.told.input_schema["properties"].get("limit", {}).get("default")

    async def call(self, api: httpx2.AsyncClient, arguments: Mapping[str, Any]) -> CallToolResult:
        """Return the API's answer, or its refusal as an error."""
        given = {name: value for name, value in arguments.items() if value is not None}
        if mistake := self._mistake(given):
            return refusal(mistake)
        lean = given.get("table", self.told.name) if not given.get("columns") else None
        limit = given.setdefault("limit", self.limit) if self.limit else None
        path = self.path
        for name in [name for name, place in self.places.items() if place == "path"]:
            path = path.replace(f"{{{name}}}", quote(str(given.pop(name)), safe=""))
        body = given.pop("plan", None) if self.method == "post" else None
        if isinstance(body, str):
            try:
                body = json.loads(body)
            except ValueError as error:
                return refusal(f"plan is a text that is no JSON ({error}): give an object")
        if self.told.name in _LIMITED:
            del given["limit"]
        try:
            request = api.build_request(
                self.method.upper(), path, params=query_of(given), json=body
            )
        except httpx2.InvalidURL:
            return refusal("the arguments are too long: use shorter texts")
        reply = await api.send(request)
        if not reply.is_success:
            return refusal(reply.json()["detail"])
        return answer_of(self.told.name, reply.json(), limit, self._ways, lean)

    @property
    def _ways(self) -> Collection[str]:
        return self.told.input_schema["properties"]

    def _mistake(self, given: Mapping[str, Any]) -> str | None:
        """Return what keeps the API from being asked; all else it tells itself."""
        asked = [name for name, place in self.places.items() if place == "path"]
        asked += ["plan"] if self.method == "post" else []
        for name in asked:
            if given.get(name, "") == "":
                described = self.told.input_schema["properties"][name]["description"]
                return f"{name} is needed: {described}"
            if given[name] in (".", ".."):  # Segments of a URL that would lead to another route.
                return f"{name} = {given[name]!r}: there is none"
        limit = given.get("limit", DEFAULT_ROWS)
        if not isinstance(limit, int) or not 1 <= limit <= MOST_ROWS:
            return f"limit = {str(limit)[:80]}: a tool's answer has 1 to {MOST_ROWS} rows"
        return None


def route_tools(app: FastAPI) -> dict[str, RouteTool]:
    """Return the tools by name, as the API's OpenAPI page describes their routes."""
    paths = app.openapi()["paths"]
    return {
        name: _tool(name, method, path, paths[path][method])
        for name, (method, path) in ROUTES.items()
    }


def refusal(text: str) -> CallToolResult:
    """Return what tells why a call isn't answered."""
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _tool(name: str, method: str, path: str, operation: Mapping[str, Any]) -> RouteTool:
    parameters = operation["parameters"]
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    schema["required"] = [one["name"] for one in parameters if one["required"]]
    places = {one["name"]: one["in"] for one in parameters}
    if method == "post":
        plan = {"type": "object", "description": "A query plan, as run_plan takes it."}
        if name == "run_plan":  # Once is enough: agents read all schemas.
            plan = _untitled(PLAN_SCHEMA)
            schema["$defs"] = plan.pop("$defs")
        schema["properties"]["plan"] = plan
        schema["required"].append("plan")
    schema["properties"] |= {one["name"]: _untitled(one["schema"]) for one in parameters}
    for told in schema["properties"].values():
        told["description"] = _for_tools(told.get("description", ""))
    if "columns" in places and path.startswith("/knowledge"):
        rest = "; ".join(f"of {table} all but {', '.join(left)}" for table, left in BULKY.items())
        schema["properties"]["columns"]["description"] += f" {rest[0].upper()}{rest[1:]}."
    if "limit" in places or name in _LIMITED:
        usual = schema["properties"].get("limit", {}).get("default") or DEFAULT_ROWS
        schema["properties"]["limit"] = {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_ROWS,
            "default": min(usual, DEFAULT_ROWS),
            "description": "Most rows.",
        }
    told = Tool(
        name=name,
        description=_for_tools(operation["description"]),
        input_schema=schema,
        output_schema=OUTPUT,
        annotations=_READS_ONLY,
    )
    return RouteTool(method, path, places, told)


def _for_tools(text: str) -> str:
    """Return a description without what only HTTP has, and with routes named as tools."""
    text = text.replace(
        "`/snapshot` lists those that are kept", "another is refused with those that are kept"
    )
    for name, (_, path) in ROUTES.items():
        text = text.replace(f"`{path}`", f"`{name}`")
    sentences = []
    for sentence in re.split(r"(?<=\.)(?=\s)", text):
        kept = [clause for clause in sentence.split(";") if not _OF_HTTP.search(clause)]
        if kept:
            sentences.append(f"{';'.join(kept).removesuffix('.')}.")
    return "".join(sentences).strip()


def _untitled(schema: Any) -> Any:
    """Return a schema without titles, which but repeat names: agents read all of it."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(value)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }
