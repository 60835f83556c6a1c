"""Values that parts of an event model have in common, checked where they are read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from stupid_dagster.event_model.templates import parse_template

FieldType = Literal["string", "integer", "float", "boolean"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _distinct(names: list[str]) -> list[str]:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(map(repr, repeated))} must stand there only once")
    return names


def _parsable(template: str) -> str:
    if not parse_template(template):
        raise ValueError("the template must not be empty")
    return template


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not a timezone; use an IANA name such as 'Asia/Bangkok'")
    return name


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} must be a letter followed by letters, digits or _")
    return name


Names = Annotated[list[str], BeforeValidator(_listed), AfterValidator(_distinct)]
"""One name, or a list of different ones."""
Template = Annotated[str, AfterValidator(_parsable)]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
Identifier = Annotated[str, AfterValidator(_identifier)]


class Strict(BaseModel):
    """A part of the event model: immutable, and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
