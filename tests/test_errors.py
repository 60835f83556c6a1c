from __future__ import annotations

import inspect
import re

import pytest

from stupid_dagster import errors
from stupid_dagster.errors import EventModelError, StupidError, hint

CLASSES = {
    name: found
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, Exception) and found.__module__ == errors.__name__
}


def drawn_tree() -> dict[str, str]:
    """Return each error of the docstring's drawing with the one above it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│ ]*)(?:[├└]── )?([A-Z]\w+)( |$)", line):
            depth = (len(line) - len(line.lstrip(" │├└─"))) // 4 - 1
            path[depth:] = [found[2]]
            parents[found[2]] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_real_tree() -> None:
    assert drawn_tree() == {name: found.__bases__[0].__name__ for name, found in CLASSES.items()}
    assert len(CLASSES) == 17
    assert all(issubclass(found, StupidError) for found in CLASSES.values())


def test_every_error_says_what_it_is() -> None:
    assert all(inspect.cleandoc(found.__doc__ or "") for found in CLASSES.values())


def test_mistakes_of_an_event_model_are_listed_one_a_line() -> None:
    error = EventModelError("my.yaml", iter(["line 3: a", "line 5: b"]))
    assert str(error).splitlines() == [
        "my.yaml: 2 mistake(s) in the event model",
        "  - line 3: a",
        "  - line 5: b",
    ]
    assert error.problems == ["line 3: a", "line 5: b"]


@pytest.mark.parametrize(
    ("word", "candidates", "wanted"),
    [
        ("Departur", ["Departure", "Cancellation"], " (did you mean 'Departure'?)"),
        ("DEPARTURE", ["Departure"], " (did you mean 'Departure'?)"),
        ("xyz", ["Departure"], ""),
        ("anything", [], ""),
        ("", ["Departure"], ""),
    ],
)
def test_hints(word: str, candidates: list[str], wanted: str) -> None:
    assert hint(word, candidates) == wanted
    assert hint(word, dict.fromkeys(candidates)) == wanted
