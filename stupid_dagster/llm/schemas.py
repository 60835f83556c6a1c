"""JSON schemas as language models' servers enforce them, and answers read out of what came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

# A value of any type: servers want types.
_SCALAR = [{"type": name} for name in ("string", "number", "boolean")]
_ANYTHING = {"anyOf": [*_SCALAR, {"type": "array", "items": {"anyOf": _SCALAR}}]}


def strict_schema(answer: type[BaseModel]) -> dict[str, Any]:
    """Return an answer's schema in the part of JSON Schema that servers enforce.

    OpenAI's strict mode (developers.openai.com, "Structured model outputs") sets the limits that
    the others share: every property required, none besides them, `anyOf` for `oneOf`, no
    `discriminator`, no `default`, a type for everything. A field that may be left out and isn't
    null by default has to be given.
    """
    return _strict(answer.model_json_schema())


def _strict(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_strict(part) for part in tree]
    if not isinstance(tree, dict):
        return tree
    if not tree.keys() - {"title", "description", "default"}:
        return _ANYTHING
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if key in ("properties", "$defs"):
            found[key] = {name: _strict(part) for name, part in value.items()}
        elif key == "oneOf":
            found["anyOf"] = _strict(value)
        elif key not in ("default", "discriminator", "title"):
            found[key] = value if key in ("enum", "const", "required") else _strict(value)
    if "properties" in found:
        found |= {"required": [*found["properties"]], "additionalProperties": False}
    return found


def json_part(text: str) -> str:
    """Return the JSON object in a text that may have words or a fence of Markdown around it."""
    begin, end = text.find("{"), text.rfind("}")
    return text[begin : end + 1] if 0 <= begin < end else text


def schema_text(schema: Mapping[str, Any]) -> str:
    """Return a schema as it is sent."""
    return json.dumps(schema, separators=(",", ":"))


def schema_words(schema: Mapping[str, Any]) -> str:
    """Return what tells a model of a schema that its server doesn't enforce."""
    shape = schema_text(schema)
    return f"Answer with one JSON object and nothing else. It has the form of this schema: {shape}"
