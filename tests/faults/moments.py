"""Exact moments at which a process kills itself: before or after it changes something in a lake."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stupid_dagster.project import Project
from stupid_dagster.stores.files import Files

_CHANGES = ("create", "replace", "upload", "remove")


@dataclass(frozen=True)
class Moment:
    """Before or after a call of `Files` on a key that matches, in a step or after it.

    A call that removes has the first of its keys, one that uploads the prefix.
    """

    step: str
    when: str
    call: str
    key: str

    def __str__(self) -> str:
        return f"{self.when} {self.call} {self.key}"


def kill_at(project: Project, when: str, call: str, key: str) -> None:
    """Let this process end by SIGKILL at a moment, in whatever step it comes."""
    files = project.lake.files
    assert call in _CHANGES and when in ("before", "after")
    setattr(files, call, _fatal(files, call, when, re.compile(key)))


def _fatal(files: Files, call: str, when: str, key: re.Pattern[str]) -> Callable[..., Any]:
    original = getattr(files, call)

    def act(*arguments: Any) -> Any:
        told = arguments[1] if call == "upload" else arguments[0]
        if call == "remove":
            arguments = ([*told],)
            told = next(iter(arguments[0]), "")
        hit = key.search(told)
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return act
