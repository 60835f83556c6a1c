"""Write a tree as YAML that people like to edit: short parts on one line, reasons as comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from stupid_dagster.errors import InferenceError

_WIDTH = 98
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.$/-]*( [A-Za-z0-9_.$/-]+)*")
_STEP = "  "
_LONGEST_KEY = 1000
"""YAML reads a key of up to 1,024 characters."""
Path = tuple[str, ...]


def to_yaml(tree: Mapping[str, Any], comments: Mapping[Path, list[str]]) -> str:
    """Return the tree (mappings, lists of scalars, scalars) as YAML.

    Comments stand above the key that their path leads to; those of the empty path at the top.
    Raises InferenceError for a key that is too long.
    """
    lines = [*_comment(comments.get((), []), "")]
    for key in tree:
        if len(lines) > 1 and isinstance(tree[key], Mapping):
            lines.append("")
        lines.extend(_entry(key, tree[key], (key,), comments))
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, path: Path, comments: Mapping[Path, list[str]]) -> Iterator[str]:
    indent = _STEP * (len(path) - 1)
    yield from _comment(comments.get(path, []), indent)
    head = f"{indent}{scalar(key)}:"
    if len(head) > _LONGEST_KEY:
        raise InferenceError(
            f"the name {key[:40]!r}... is too long for a key in YAML: give it a shorter one"
        )
    inside = any(known[: len(path)] == path and known != path for known in comments)
    if isinstance(value, Mapping) and value:
        flow = _flow(value)
        if len(path) > 1 and not inside and len(head) + len(flow) < _WIDTH:
            yield f"{head} {flow}"
            return
        yield head
        for name, item in value.items():
            yield from _entry(str(name), item, (*path, str(name)), comments)
    elif isinstance(value, list) and len(head) + len(_flow(value)) >= _WIDTH:
        yield head
        yield from _wrapped(value, indent + _STEP)
    else:
        yield f"{head} {_flow(value)}"


def _wrapped(items: list[Any], indent: str) -> Iterator[str]:
    line = f"{indent}["
    for position, item in enumerate(items):
        text = _flow(item) + ("]" if position == len(items) - 1 else ",")
        if len(line) + len(text) >= _WIDTH and len(line) > len(indent) + 1:
            yield line.rstrip()
            line = f"{indent} "
        line += f"{text} "
    yield line.rstrip()


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(k))}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return scalar(str(value))


@lru_cache(maxsize=4096)
def scalar(text: str) -> str:
    """Return a string as YAML reads it back: plain where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(text) and isinstance(yaml.safe_load(text), str):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _comment(texts: list[str], indent: str) -> Iterator[str]:
    for text in texts:
        flat = "".join(c if c.isprintable() else " " for c in text)
        yield from textwrap.wrap(
            flat,
            _WIDTH,
            initial_indent=f"{indent}# ",
            subsequent_indent=f"{indent}#   ",
            break_on_hyphens=False,
        )
