"""The reference pages are those of the code, and no page links to what isn't there."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import TypeAdapter

from stupid_dagster import keys
from stupid_dagster.cli.main import main
from stupid_dagster.event_model.checked import Strict
from stupid_dagster.event_model.schema import EventModel
from stupid_dagster.settings.variables import VARIABLES
from stupid_dagster.stores.s3_errors import ENDPOINT_VARIABLES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_reference_pages_are_of_this_code() -> None:
    generated = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    found = {file.name: file.read_text("utf-8") for file in (ROOT / "docs/reference").iterdir()}
    stale = [name for name in {*generated, *found} if generated.get(name) != found.get(name)]
    assert not stale, "run `make docs`"


def parts(part: type[Strict]) -> Iterator[type[Strict]]:
    """Yield the kinds of parts that an event model has."""
    yield from (found for kind in part.__subclasses__() for found in (kind, *parts(kind)))


PARTS = [part for part in parts(Strict) if part.__module__.startswith("stupid_dagster")]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_key_of_the_event_model_has_a_meaning(part: type[Strict]) -> None:
    assert EventModel in PARTS
    assert part.__doc__
    for name, key in part.model_fields.items():
        assert key.description and key.description.endswith((".", "`.")), name


def examples() -> Iterator[tuple[type[Strict], str, str]]:
    """Yield each part, key and example in the key's description that is more than a name."""
    for part in PARTS:
        for name, key in part.model_fields.items():
            for example in (key.description or "").split("`")[1::2]:
                if ": " in example or example.startswith("["):
                    yield part, name, example


@pytest.mark.parametrize(("part", "name", "example"), [*examples()])
def test_every_example_of_a_key_is_of_its_type(part: Any, name: str, example: str) -> None:
    key = part.model_fields[name]
    value = yaml.safe_load(example)
    if isinstance(value, dict) and (key.alias or name) in value:
        value = value[key.alias or name]
    elif isinstance(value, dict) and len(value) == 1 and next(iter(value)) in part.model_fields:
        (other, value), *_ = value.items()  # An example of the key beside it.
        key = part.model_fields[other]
    TypeAdapter(key.rebuild_annotation()).validate_python(value)


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs/reference").glob("*.md")), ids=lambda page: page.name
)
def test_everything_in_a_reference_page_has_a_meaning(page: Path) -> None:
    rows = re.findall(r"^\| `.*\|$", page.read_text("utf-8"), re.MULTILINE)
    assert rows
    for row in rows:
        cells = re.split(r"(?<!\\)\|", row)[1:-1]
        assert cells[-1].strip(), row


def options(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Yield the name of each command below one and each of its options."""
    for param in command.params:
        if isinstance(param, click.Option):
            yield command.name or "", param
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from options(inner)


def test_every_option_has_a_meaning() -> None:
    missing = [f"{name} {option.opts[0]}" for name, option in options(main) if not option.help]
    assert not missing


def test_variables_that_are_read_are_described() -> None:
    assert {*keys.NAMES} <= {*VARIABLES}
    told = " ".join([*VARIABLES, *VARIABLES.values()])
    assert all(name in told for name in ENDPOINT_VARIABLES)


def test_the_project_s_folder_is_told_of() -> None:
    folder = ROOT / "docs/reference"
    assert "--root FOLDER" in (folder / "settings.md").read_text("utf-8")
    assert "| `STUPID_ROOT` |" in (folder / "settings.md").read_text("utf-8")
    assert "| `--root DIRECTORY` |" in (folder / "commands.md").read_text("utf-8")


def anchors(text: str) -> set[str]:
    """Return the anchors that a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        place = page.parent / target if target else page
        assert place.exists(), link
        if anchor:
            assert anchor in anchors(place.read_text("utf-8")), link


def test_every_page_is_linked_to() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    }
    assert {page for page in PAGES if page.name != "README.md"} <= linked
