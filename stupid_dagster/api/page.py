"""The OpenAPI page: what FastAPI makes of the routes, and what holds for many of them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from stupid_dagster.api.errors import MEDIA_TYPE
from stupid_dagster.api.media import ARROW, CSV, JSON, TABULAR
from stupid_dagster.api.models.shapes import Page

# Their answers depend on more than a snapshot.
_UNKEPT = ("/health", "/ready", "/metrics", "/snapshot")
_FORMS = {
    CSV: {"schema": {"type": "string", "description": "`rows` alone; the rest is in headers."}},
    ARROW: {
        "schema": {
            "type": "string",
            "contentMediaType": ARROW,
            "description": "`rows` as an Arrow IPC stream; the rest is in headers and metadata.",
        }
    },
}


class DescribedApp(FastAPI):
    """A FastAPI app whose page also tells the forms of answers, 304, and problem+json."""

    _told: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI page."""
        tree = super().openapi()
        if tree is not self._told:
            shapes = tree.get("components", {}).get("schemas", {})
            for path, operations in tree["paths"].items():
                for method, operation in operations.items():
                    for parameter in operation.get("parameters", ()):
                        _fill(parameter)
                    _tell(
                        operation["responses"], shapes, kept=method == "get" and path not in _UNKEPT
                    )
            self._told = tree
        return tree


def _fill(parameter: dict[str, Any]) -> None:
    """Say of a parameter what can be sent, with its example where Swagger fills in the box.

    Left out, it is null; nobody can send null in a URL.
    """
    schema: dict[str, Any] = parameter["schema"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]
    if examples := schema.pop("examples", None):
        parameter["example"] = examples[0]


def _tell(responses: dict[str, Any], shapes: dict[str, Any], *, kept: bool) -> None:
    for status, said in responses.items():
        content = said.get("content", {})
        if status >= "4" and JSON in content:
            content[MEDIA_TYPE] = content.pop(JSON)
        elif status < "4" and _is_tabular(content, shapes):
            content |= {form: _FORMS[form] for form in TABULAR[1:]}
    if kept:
        responses["304"] = {"description": "The client has the answer (`If-None-Match`)."}


def _is_tabular(content: dict[str, Any], shapes: dict[str, Any]) -> bool:
    """Return whether an answer is a page: rows, and what is stated of them."""
    name = content.get(JSON, {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return {*Page.model_fields, "rows"} <= shapes.get(name, {}).get("properties", {}).keys()
