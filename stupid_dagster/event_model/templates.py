"""Templates such as `Login platform:{platform}`: parsed once, for checks and for expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLACEHOLDER = re.compile(r"\{([^{}:]+)(?::\.(\d+))?\}")


@dataclass(frozen=True)
class Piece:
    """A literal, or a field's value cut to `length` characters."""

    literal: str = ""
    field: str | None = None
    length: int | None = None


def parse_template(template: str) -> list[list[Piece]]:
    """Return the template's chunks (parted by white space), each a list of pieces.

    Raises ValueError for a brace that belongs to no `{field}` or `{field:.LENGTH}`.
    """
    return [_parse_chunk(chunk) for chunk in re.split(r"\s+(?![^{]*\})", template.strip()) if chunk]


def template_fields(template: str) -> list[str]:
    """Return the names of the fields that a template reads, in order."""
    return [piece.field for chunk in parse_template(template) for piece in chunk if piece.field]


def _parse_chunk(chunk: str) -> list[Piece]:
    pieces: list[Piece] = []
    position = 0
    for match in _PLACEHOLDER.finditer(chunk):
        if match.start() > position:
            pieces.append(Piece(literal=chunk[position : match.start()]))
        length = int(match[2]) if match[2] else None
        pieces.append(Piece(field=match[1].strip(), length=length))
        position = match.end()
    if position < len(chunk):
        pieces.append(Piece(literal=chunk[position:]))
    for piece in pieces:
        if "{" in piece.literal or "}" in piece.literal:
            raise ValueError(f"unmatched brace in {chunk!r}; write {{field}} or {{field:.100}}")
    return pieces
