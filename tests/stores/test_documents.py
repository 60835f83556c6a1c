from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from stupid_dagster.errors import NotFoundError
from stupid_dagster.stores.documents import parse_document_id, read_day, scan_event_type
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.version import Version
from tests.gaming import gaming_model


def written(lake: Lake, frames: dict[str, pl.DataFrame]) -> Version:
    with lake.write("documents", "2025-03-02") as writer:
        for name, frame in frames.items():
            writer.write(frame, quote(name, safe=" "))
    return writer.committed


def test_event_types_are_read_by_name_whatever_signs_it_has(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "l[a]ke")
    names = ["API Error", "a/b", "..", "50%", "é*[x]", "x.parquet"]
    version = written(lake, {name: pl.DataFrame({"x": [name]}) for name in names})
    assert len(version.files) == len(names)
    for name in names:
        frame = scan_event_type(lake, version, name)
        assert frame is not None
        assert frame.collect()["x"].to_list() == [name]
    assert scan_event_type(lake, version, "API") is None


def test_a_day_has_the_model_s_event_types_that_it_has_files_of(tmp_path: Path) -> None:
    lake, model = Lake(tmp_path), gaming_model()
    errors = pl.DataFrame({"error": ["boom"]})
    version = written(lake, {"API Error": errors, "Logout": errors, "Login": errors.clear()})
    day = read_day(lake, version, model)
    assert list(day) == ["Login", "API Error"], "in the model's order"
    assert day["API Error"].equals(errors)
    assert day["Login"].is_empty()


@pytest.mark.parametrize(
    ("doc_id", "parts"),
    [
        ("2013-02-08/Departure/17", ("2013-02-08", "Departure", 17)),
        ("2013-02-08/API Error/0", ("2013-02-08", "API Error", 0)),
        ("2013-02-08/a/b/1", ("2013-02-08", "a/b", 1)),
    ],
)
def test_document_ids(doc_id: str, parts: tuple[str, str, int]) -> None:
    assert parse_document_id(doc_id) == parts


@pytest.mark.parametrize(
    "doc_id", ["", "/", "//", "a/b", "d/e/", "d/e/x", "d/e/-1", "d//1", "/e/1", "d/e/1.0"]
)
def test_what_is_no_document_id(doc_id: str) -> None:
    with pytest.raises(NotFoundError, match="no document id; one looks like"):
        parse_document_id(doc_id)
