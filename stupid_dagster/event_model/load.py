"""Load and check an event model; every mistake is reported at once, with its line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stupid_dagster.errors import EventModelError, hint
from stupid_dagster.event_model.references import find_bad_references
from stupid_dagster.event_model.schema import EventModel, FieldRule, Location

# The same YAML, several times faster, where PyYAML was built with libyaml.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_OF_A_FIELD = {"description", "unit"}
_WORDS: dict[str, Any] = {
    "description": True,
    "fields": {"__all__": _OF_A_FIELD},
    "events": {"__all__": {"description"}},
    "metrics": {"__all__": {"description", "unit"}},
    "features": {"columns": {"__all__": {"unit"}}},
}
_PLAIN = FieldRule().model_dump(mode="json", exclude=_OF_A_FIELD)


def bundled_models() -> list[str]:
    """Return the names of the event models that come with the package."""
    folder = resources.files("stupid_dagster.event_model") / "models"
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def load_event_model(name_or_path: str | Path, root: Path | None = None) -> EventModel:
    """Return the bundled event model of that name, or the one in that YAML file.

    Raises EventModelError listing all mistakes; also when there is no such model.
    """
    name = str(name_or_path)
    if name in bundled_models():
        text = (
            resources.files("stupid_dagster.event_model") / "models" / f"{name}.yaml"
        ).read_text(encoding="utf-8")
        return parse_event_model(text, f"bundled model {name!r}")
    file = (root or Path()) / Path(name).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        known = ", ".join(bundled_models())
        raise EventModelError(
            name, [f"no such file, and no bundled model of that name (there are: {known})"]
        ) from error
    except OSError as error:
        raise EventModelError(str(file), [f"the file can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise EventModelError(str(file), [f"the file is not UTF-8: {error}"]) from error
    except ValueError as error:  # A NUL byte, which no path can have.
        raise EventModelError(name, [f"this can't be a file's name: {error}"]) from error
    return parse_event_model(text, str(file))


# Every run and every step loads its project anew, and a model costs a tenth of a second.
@lru_cache(maxsize=16)
def parse_event_model(text: str, source: str = "event model") -> EventModel:
    """Return the event model that a YAML text describes; raises EventModelError."""
    try:
        tree = yaml.load(text, Loader=_Loader)
        nodes = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise EventModelError(source, [f"{line}not valid YAML: {reason}"]) from error
    if not isinstance(tree, dict):
        raise EventModelError(source, ["the file must be a mapping with `name`, `events`, ..."])
    if repeated := [
        f"line {key.start_mark.line + 1}: {key.value!r} stands twice; only the last would count"
        for key in _repeated_keys(nodes, set())
    ]:
        raise EventModelError(source, repeated)
    try:
        model = EventModel.model_validate(tree)
    except ValidationError as error:
        raise EventModelError(
            source, [_describe(item, nodes) for item in error.errors()]
        ) from error
    problems = [
        f"line {_line(nodes, location)}: {'.'.join(map(str, location))}: {message}"
        for location, message in find_bad_references(model)
    ]
    if problems:
        raise EventModelError(source, problems)
    return model


def model_hash(model: EventModel) -> str:
    """Return 16 hex digits that change whenever days may come out differently.

    Descriptions and units are words, which windows read and days don't.
    """
    meaning = model.model_dump(mode="json", exclude=_WORDS)
    meaning["fields"] = {name: rule for name, rule in meaning["fields"].items() if rule != _PLAIN}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]


def _repeated_keys(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.Node]:
    """Yield the keys that a mapping has already; YAML keeps the last without a word."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        known: set[str] = set()
        for key, value in node.value:
            if key.value in known:
                yield key
            known.add(key.value)
            yield from _repeated_keys(value, seen)
    else:
        for item in node.value:
            yield from _repeated_keys(item, seen)


def _describe(item: Any, nodes: yaml.Node | None) -> str:
    location: Location = item["loc"]
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = f"unknown key{hint(str(location[-1]), _allowed_keys(location))}"
    return f"line {_line(nodes, location)}: {'.'.join(map(str, location))}: {message}"


def _allowed_keys(location: Location) -> list[str]:
    """Return the keys that stand where the unknown one does, found by walking the schema."""
    schema = EventModel.model_json_schema()
    here: Any = schema
    for step in location[:-1]:
        here = _resolve(schema, here)
        if not isinstance(here, dict):
            return []
        here = here.get("properties", {}).get(step) or here.get("additionalProperties") or {}
    here = _resolve(schema, here)
    return list(here.get("properties", {})) if isinstance(here, dict) else []


def _resolve(schema: dict[str, Any], node: Any) -> Any:
    while isinstance(node, dict) and ("$ref" in node or "anyOf" in node):
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        else:
            node = next((option for option in node["anyOf"] if "$ref" in option), {})
    return node


def _line(node: yaml.Node | None, location: Location) -> int:
    """Return the 1-based line of the deepest part of `location` that the file has."""
    line = node.start_mark.line if node else 0
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if step >= len(node.value):
                break
            item = node.value[step]
            line, node = item.start_mark.line, item
        else:
            break
    return line + 1
