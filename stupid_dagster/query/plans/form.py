"""The form of a plan: its parts have the names and types of `query/plans/model.py`.

What is malformed is left out of what goes on to be checked, so that one mistake hides no other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stupid_dagster.errors import hint, nearest
from stupid_dagster.query.filters import MOST_VALUES
from stupid_dagster.query.plans.model import Plan, PlanStep, Render, Step
from stupid_dagster.query.plans.problems import Problems, quoted, unknown

Path = tuple[str | int, ...]

_MOST_VALUES = 50_000
_MOST_DEPTH = 10
_MOST_CHARACTERS = 10_000
_LARGEST_NUMBER = 2**64

_STEP: TypeAdapter[Step] = TypeAdapter(Step)
_STEP_TYPES = {
    get_args(kind.model_fields["op"].annotation)[0]: kind for kind in get_args(get_args(Step)[0])
}
OPS = list(_STEP_TYPES)
"""The names of all ops."""


class _AnyStep(PlanStep):
    """What a step has whatever its op is."""

    op: Any
    params: dict[str, Any]


_ALTERNATIVES = {
    "actor": 'an id, a list of ids, or a reference {"ref": step, "field": column}',
    "start": 'an id, a list of ids, or a reference {"ref": step, "field": column}',
    "actors": 'a list of ids, or a reference {"ref": step, "field": column}',
}
_MEANINGS = {
    "string": "a text",
    "list": "a list",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "an object",
    "model": "an object",
    "date": "a day, such as 2013-02-08",
    "datetime": "an ISO 8601 time, such as 2013-02-08T18:30:00Z",
}


@dataclass
class ReadStep:
    """A step as far as it could be read: `step` is None where too much of it is wrong.

    Then `references` [place in the step] are the steps that it seems to refer to all the same.
    `kept` [path of a list] are the places in the plan of those items that are left of it.
    """

    index: int
    id: str | None
    step: Step | None
    references: dict[str, str] = field(default_factory=dict)
    kept: dict[str, list[int]] = field(default_factory=dict)


def read_form(
    raw: Mapping[str, Any], most_steps: int, problems: Problems
) -> tuple[list[ReadStep], Render | None]:
    """Return a plan's steps and what it shows, as far as they can be read; note what is wrong.

    Raises InvalidPlanError for what is too large to be looked at.
    """
    if not isinstance(raw, Mapping):
        problems.add("plan", f"should be an object with steps, and isn't: {quoted(raw)}")
        problems.raise_any()
    _check_size(raw, problems)
    problems.raise_any()
    for name in raw:
        if name not in Plan.model_fields:
            problems.add(str(name)[:80], _unknown_part(name, Plan.model_fields))
    given = raw.get("steps")
    steps: list[ReadStep] = []
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not given:
        problems.add("steps", "should be a list of one step or more")
    elif len(given) > most_steps:
        problems.add(
            "steps", f"there are {len(given)}; a plan has at most {most_steps} (plan_steps)"
        )
        problems.raise_any()
    else:
        steps = [_read_step(index, one, problems) for index, one in enumerate(given)]
    render = None
    if raw.get("render") is not None:
        try:
            render = Render.model_validate(raw["render"])
        except ValidationError as error:
            for one in error.errors():
                problems.add(_place("render", one["loc"]), _words(one, Render.model_fields))
    return steps, render


def _check_size(raw: Mapping[Any, Any], problems: Problems) -> None:
    """Note values too large, too deep, or such as JSON hasn't; stops at the first too many."""
    waiting: list[tuple[Any, str, int]] = [(raw, "", 0)]
    seen = 0
    while waiting:
        value, where, depth = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            problems.add("plan", f"it has more than {_MOST_VALUES} values")
            return
        if depth > _MOST_DEPTH:
            problems.add("plan", f"it is nested more than {_MOST_DEPTH} levels deep")
            return
        match value:
            case Mapping():
                inner = [(str(k)[:80], v) for k, v in value.items()]
                waiting += [(v, f"{where}.{k}".lstrip("."), depth + 1) for k, v in inner]
                waiting += [(k, where, depth) for k in value if isinstance(k, str)]
                for name in (k for k in value if not isinstance(k, str)):
                    problems.add(
                        where or "plan", f"a part's name should be a text, and isn't: {_yaml(name)}"
                    )
            case list() | tuple():
                if len(value) > MOST_VALUES and where != "steps":
                    problems.add(where, f"a list has at most {MOST_VALUES} items")
                    continue
                waiting += [(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
            case str():
                if len(value) > _MOST_CHARACTERS:
                    problems.add(where, f"a text has at most {_MOST_CHARACTERS} characters")
                elif not value.isascii() and not _is_utf8(value):
                    problems.add(where, "a text has characters that UTF-8 can't state")
            case int():
                if abs(value) >= _LARGEST_NUMBER:
                    problems.add(where, "the number is out of range")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_step(index: int, raw: Any, problems: Problems) -> ReadStep:
    """Return a step without its malformed parts; a misspelt op is taken for the nearest."""
    read = ReadStep(index, None, None)
    if isinstance(raw, Mapping) and isinstance(raw.get("id"), str):
        read.id = raw["id"]
    raw = _with_op(index, raw, problems)
    if isinstance(raw, Mapping) and raw.get("op") is None:
        _read_common(read, raw, problems)
        return read
    for attempt in range(3):
        try:
            read.step = _STEP.validate_python(raw)
            break
        except ValidationError as error:
            errors = error.errors()
        paths = [_path(one["loc"]) for one in errors]
        for one, path in zip(errors, paths, strict=True):
            if not attempt or one["type"] != "missing":  # What was left out has been told.
                _note(index, one, path, raw, read.kept, problems)
        if ("params",) in paths or (raw := _without(raw, paths, read.kept)) is None:
            break
        if ("id",) in paths:
            raw["id"] = f"steps[{index}]"  # To check the rest of it.
    return read


def _with_op(index: int, raw: Any, problems: Problems) -> Any:
    """Return a step with the op that it has or means, with None for one that can't be guessed."""
    if not isinstance(raw, Mapping) or raw.get("op") in OPS:
        return raw
    where, named = f"steps[{index}].op", raw.get("op")
    if "op" not in raw:
        problems.add(where, f"is missing; there are {', '.join(OPS)}")
        return {**raw, "op": None}
    beside = "; what is shown says `render`, beside `steps`" if named == "render" else ""
    problems.add(where, unknown("op", str(named), OPS) + beside)
    return {**raw, "op": nearest(str(named)[:80], OPS)}


def _read_common(read: ReadStep, raw: Mapping[str, Any], problems: Problems) -> None:
    """Note what is wrong with a step whatever its op is; keep what it refers to."""
    try:
        _AnyStep.model_validate(raw)
    except ValidationError as error:
        for one in error.errors():
            place = _place(f"steps[{read.index}]", one["loc"])
            problems.add(place, _words(one, _AnyStep.model_fields))
    before = raw.get("depends_on")
    if isinstance(before, Sequence) and not isinstance(before, str):
        named = {f"depends_on[{n}]": name for n, name in enumerate(before)}
        read.references = {place: name for place, name in named.items() if isinstance(name, str)}
    waiting = [("params", raw.get("params"))]
    while waiting:
        place, value = waiting.pop()
        match value:
            case {"ref": str(name)}:
                read.references[f"{place}.ref"] = name
            case Mapping():
                waiting += [(f"{place}.{str(key)[:80]}", inner) for key, inner in value.items()]
            case list() | tuple():
                waiting += [(f"{place}[{n}]", inner) for n, inner in enumerate(value)]


def _path(loc: Sequence[str | int]) -> Path:
    """Return the place of an error in a step: without the op, and what alternatives were tried."""
    path: list[str | int] = []
    for part in loc[1:]:
        if path and path[-1] in _ALTERNATIVES and len(path) == 2:
            break
        path.append(part)
    return tuple(path)


def _note(
    index: int,
    error: ErrorDetails,
    path: Path,
    raw: Any,
    kept: Mapping[str, list[int]],
    problems: Problems,
) -> None:
    base = f"steps[{index}]"
    if len(path) == 2 and path[1] in _ALTERNATIVES and error["type"] != "missing":
        problems.add(_place(base, path, kept), f"should be {_ALTERNATIVES[str(path[1])]}")
        return
    problems.add(_place(base, path, kept), _words(error, _siblings(raw, path)))


def _siblings(raw: Any, path: Path) -> Iterable[str]:
    """Return the names of the parts that may stand where an error is."""
    kind = _STEP_TYPES.get(str(raw.get("op"))) if isinstance(raw, Mapping) else None
    fields: Any = kind.model_fields if kind else {}
    for part in path[:-1]:
        if isinstance(part, int) or part not in fields:
            continue
        kind = fields[part].annotation
        inner = next((arg for arg in get_args(kind) if hasattr(arg, "model_fields")), kind)
        fields = getattr(inner, "model_fields", {})
    return fields


def _words(error: ErrorDetails, known: Iterable[str]) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return _unknown_part(str(error["loc"][-1]), known)
        case "literal_error":
            choices = (
                str(error.get("ctx", {}).get("expected")).replace("'", "").replace(" or ", ", ")
            )
            given = error["input"]
            near = hint(given[:80], choices.split(", ")) if isinstance(given, str) else ""
            return f"{quoted(given)} is none of {choices}{near}"
        case "string_too_short" | "string_too_long":
            return error["msg"].lower()
    kind = error["type"].split("_")[0]
    if kind in _MEANINGS:
        return f"should be {_MEANINGS[kind]}, and isn't: {_input(error)}"
    return error["msg"][:200]


def _input(error: ErrorDetails) -> str:
    given = error["input"]
    return quoted(given) if given is None or isinstance(given, str | int | float) else "an object"


def _unknown_part(name: Any, known: Iterable[str]) -> str:
    names = list(known)
    near = hint(str(name)[:80], names)
    return f"there is no such part{near}; there are {', '.join(names)}"


def _place(base: str, path: Path, kept: Mapping[str, list[int]] | None = None) -> str:
    parents = ""
    for part in path:
        if isinstance(part, int):
            base += f"[{(kept or {}).get(parents, range(part + 1))[part]}]"
        else:
            base += f".{part[:80]}"
            parents = part
    return base


def _without(raw: Any, paths: Sequence[Path], kept: dict[str, list[int]]) -> dict[str, Any] | None:
    """Return a copy of a step without the parts at the paths, None where that is all of it.

    Of a list, the whole item that a path leads into is left out.
    """
    if not isinstance(raw, Mapping) or () in paths:
        return None
    raw = copy.deepcopy(dict(raw))
    items: dict[Path, set[int]] = {}
    for path in {_to_item(path) for path in paths}:
        *parents, part = path
        if isinstance(part, int):
            items.setdefault(tuple(parents), set()).add(part)
        else:
            _inner(raw, parents).pop(part, None)
    for parents, gone in items.items():
        container = _inner(raw, parents)
        places = kept.get(str(parents[-1]), range(len(container)))
        kept[str(parents[-1])] = [at for n, at in enumerate(places) if n not in gone]
        container[:] = [item for n, item in enumerate(container) if n not in gone]
    return raw


def _inner(raw: Any, path: Iterable[str | int]) -> Any:
    for part in path:
        raw = raw.get(part, {})
    return raw


def _to_item(path: Path) -> Path:
    for end, part in enumerate(path, start=1):
        if isinstance(part, int):
            return path[:end]
    return path


def _yaml(name: Any) -> str:
    """Return a name as it was read, and what may have been written."""
    written = " (YAML reads on, off, yes and no so: quote them)" if isinstance(name, bool) else ""
    return f"{quoted(name)}{written}"
