"""What a window knows by its names: of any number of words, in any case and spelling."""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pytest

from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.questions.lookup import name_index
from stupid_dagster.query.questions.privacy import Screen
from stupid_dagster.stores.snapshots import open_snapshot
from tests.pipeline import publish_days_as_they_are, write_window_table

DAY = "2013-02-09"
NAMES = (
    *("Delta Air Lines Inc.", "María del Carmen de la Cruz López Fernández", "Anna Berg"),
    *("Dr. Who (2nd)", "Nguyễn Văn An", "J. R. R. Tolkien", "Jean-Luc  O'Neil, PhD", "!Xóõ"),
)


@pytest.fixture(scope="module")
def named(flights_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return flights whose carriers have such names."""
    root = tmp_path_factory.mktemp("named")
    shutil.copytree(flights_project.settings.root, root, dirs_exist_ok=True)
    project = Project(replace(flights_project.settings, root=root, llm_hidden=("Carrier",)))
    nodes = project.lake.read("graph_nodes", DAY)
    carriers = nodes.filter(pl.col("type") == "Carrier")["entity_id"].sort().to_list()
    new = dict(zip(carriers, NAMES, strict=False))
    name = pl.col("entity_id").replace_strict(new, default=None, return_dtype=pl.String)
    old = pl.col("properties").struct.field("carrier_name")
    renamed = nodes.with_columns(
        pl.col("properties").struct.with_fields(pl.coalesce(name, old).alias("carrier_name"))
    )
    write_window_table(project, "graph_nodes", DAY, renamed)
    publish_days_as_they_are(project, DAY)
    return project


@pytest.fixture
def reader(named: Project) -> Iterator[SnapshotReader]:
    with SnapshotReader(named, open_snapshot(named.lake)) as reader:
        yield reader


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_hidden_however_it_is_written(reader: SnapshotReader, name: str) -> None:
    forms = [name, name.lower(), name.upper(), *(f(name) for f in (nfd, nfc))]
    for said in forms:
        for text in (f"How many had {said} on Friday?", f"{said}?", f"({said}), {said}'s"):
            for shown in (
                Screen.of(reader).question(text),
                Screen.of(reader).tree({"label": f"Around {text}"})["label"],
            ):
                assert words_of(name) not in words_of(shown), shown
                assert "carrier-" in shown
    one = Screen.of(reader)
    shown = one.question(f"How many had {nfd(name).lower()} on Friday?")
    [hidden] = re.findall(r"carrier-[0-9a-f]+", shown)
    assert one.reveal({"value": hidden}) == {"value": name}


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def words_of(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in nfc(text).lower()).split())


def test_an_index_is_made_once_and_knows_how_long_names_are(reader: SnapshotReader) -> None:
    names = Screen.of(reader)._names  # pyright: ignore[reportPrivateUsage]
    index = name_index(reader, names)
    assert index is name_index(reader, names)
    assert {2, 3, 4, 8} <= {*index.lengths} and max(index.lengths) == 8


def test_a_hidden_field_s_values_are_known_in_texts(named: Project) -> None:
    """Of an entity's property, and of what only events have."""
    settings = replace(named.settings, llm_hidden=("manufacturer", "dest_name"))
    project = Project(settings)
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        one = Screen.of(reader)
        shown = one.question("Flights by embraer to Chicago Ohare Intl?")
        assert "field_manufacturer-" in shown and "field_dest_name-" in shown
        assert "hicago" not in shown
        assert one.reveal(shown).lower() == "flights by embraer to chicago ohare intl?"


def test_both_cases_of_a_key_are_hidden(reader: SnapshotReader) -> None:
    shown = Screen.of(reader).question("N328AA's and n328aa, or n328AA?")
    assert "328" not in shown.replace("aircraft-", "") and shown.count("aircraft-") == 3
