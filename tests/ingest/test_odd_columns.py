"""Columns by any name and of any type, and values that don't fit them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stupid_dagster.event_model import parse_event_model
from tests.gaming import DAY, GAMING, land
from tests.ingest.landed import GOOD, HTML, MOMENT, OWN, read


def test_columns_whose_names_are_pages_are_quarantined_and_counted(folder: Path) -> None:
    junk = {HTML: "1", "x" * 121: "2", "<": None, HTML * 500: "3"}
    land(folder, "Login", [GOOD | junk | {"y" * 120: "4"}] * 2)
    made = read(folder)
    assert made.documents["Login"].height == 1
    rejects = made.rejects.to_dicts()
    assert {row["scope"] for row in rejects} == {"column"}
    values = {row["raw"]: row["rows"] for row in rejects}
    assert values == {HTML: 2, "x" * 121: 2, "<": 0, (HTML * 500)[:2000]: 2}
    assert made.dropped_columns["Login"] == {"y" * 120: 2}
    assert made.rows_rejected == 0


def test_typed_columns_arrive_as_what_they_are(folder: Path) -> None:
    frame = pl.DataFrame(
        {
            "@timestamp": [MOMENT],
            "memberCode": [123],
            "success": [False],
            "level": [7],
            "affiliateID": [5.0],
        }
    ).with_columns(platform=pl.lit("ios").cast(pl.Categorical))
    land(folder, "Login", frame)
    [row] = read(folder).documents["Login"].to_dicts()
    found = {name: row[name] for name in ("actor", "success", "level", "affiliateId", "platform")}
    assert found == {
        "actor": "member:123",
        "success": False,
        "level": 7,
        "affiliateId": "5",
        "platform": "ios",
    }


def test_junk_in_typed_fields_is_left_empty_and_told_once_a_value(folder: Path) -> None:
    rows = [
        {**GOOD, "memberCode": f"m{n}", "level": level, "success": ok}
        for n, (level, ok) in enumerate(
            [("1.0", "yes"), ("many", "maybe"), ("many", "0"), ("1.5", None)]
        )
    ]
    land(folder, "Login", rows)
    made = read(folder)
    documents = made.documents["Login"]
    assert documents["level"].to_list() == [1, None, None, None]
    assert documents["success"].to_list() == [True, None, False, None]
    assert made.rejects.select("field", "raw", "row", "rows", "reason").rows() == [
        ("level", "many", 1, 2, "level: 'many' is no integer: left empty"),
        ("success", "maybe", 1, 1, "success: 'maybe' is no boolean: left empty"),
        ("level", "1.5", 3, 1, "level: '1.5' is no integer: left empty"),
    ]
    assert made.rows_rejected == 0


def test_null_spellings_and_white_space_anywhere(folder: Path) -> None:
    spellings = ["", "  ", "None", "null", " undefined\t", None]
    rows = [
        {
            **GOOD,
            "memberCode": f" m{n} ",
            "level": s,
            "platform": s,
            "affiliateid": s,
            "affiliateID": "7",
        }
        for n, s in enumerate(spellings)
    ]
    land(folder, "Login", rows)
    made = read(folder)
    documents = made.documents["Login"]
    assert documents["memberCode"].to_list() == [f"m{n}" for n in range(6)]
    assert documents["level"].null_count() == documents["platform"].null_count() == 6
    assert set(documents["affiliateId"]) == {"7"}
    assert made.rejects.is_empty()


def test_columns_that_differ_in_case_only_are_different_columns(folder: Path) -> None:
    land(folder, "Login", [GOOD | {"MEMBERCODE": "x", "membercode": "y", "Platform": "z"}])
    made = read(folder)
    assert made.documents["Login"].select("memberCode", "platform").rows() == [("good", "ios")]
    assert made.dropped_columns["Login"] == {"MEMBERCODE": 1, "membercode": 1, "Platform": 1}


def test_columns_of_one_name_make_the_file_a_reject(folder: Path) -> None:
    file = land(folder, "Login", [GOOD])
    table = pa.table([pa.array(["1"]), pa.array(["2"])], names=["memberCode", "memberCode"])
    pq.write_table(table, file)
    [reject] = read(folder).rejects.to_dicts()
    assert reject["scope"] == "file"


def test_columns_named_like_our_own_that_are_not_kept_are_just_dropped(folder: Path) -> None:
    land(folder, "Login", [GOOD | {name: "theirs" for name in OWN}])
    made = read(folder)
    assert made.documents["Login"]["actor"].to_list() == ["member:good"]
    assert made.dropped_columns["Login"] == dict.fromkeys(OWN, 1)


def test_columns_named_like_our_own_can_be_kept_by_another_name(folder: Path) -> None:
    fields = [f"source_{name}" for name in OWN]
    spellings = ", ".join(f"source_{name}: {name}" for name in OWN)
    free = ["file", "text", "raw", "count", "hash", "file_row", "_day"]
    text = GAMING.replace("aliases: {", f"aliases: {{{spellings}, ")
    kept = ", ".join(["fields: [memberCode", *fields, *free, ""])
    model = parse_event_model(text.replace("fields: [memberCode, ", kept, 1))
    land(folder, "Login", [GOOD | {name: f"their {name}" for name in [*OWN, *free]}])
    [row] = read(folder, model).documents["Login"].to_dicts()
    assert [row[f"source_{name}"] for name in OWN] == [f"their {name}" for name in OWN]
    assert [row[name] for name in free] == [f"their {name}" for name in free]
    assert row["actor"] == "member:good"


def test_long_and_strange_texts_arrive_whole(folder: Path) -> None:
    texts = ["x" * 2_000_000, "雪\u0000山\U0001f600", "a/b:c\\d'\"{}%", "\u202eabc", "-" * 300]
    land(
        folder,
        "API Error",
        [{"@timestamp": f"{DAY}T01:00:00Z", "error": t, "memberCode": t} for t in texts],
    )
    made = read(folder)
    documents = made.documents["API Error"]
    assert set(documents["error"]) == set(texts)
    assert set(documents["actor"]) == {f"member:{text}" for text in texts}
    assert made.rejects.is_empty()


def test_a_file_with_none_of_the_kept_columns(folder: Path) -> None:
    land(folder, "Login", [{"@timestamp": f"{DAY}T01:00:00Z", "other": "1"}])
    made = read(folder)
    [row] = made.documents["Login"].to_dicts()
    assert row["actor"] is None
    assert row["text_id"] is not None
    assert made.dropped_columns["Login"] == {"other": 1}


@pytest.mark.parametrize("width", [0, 1])
def test_files_of_no_rows_or_columns(folder: Path, width: int) -> None:
    land(folder, "Login", pl.DataFrame(schema=dict.fromkeys(["memberCode"][:width], pl.String)))
    made = read(folder)
    assert (made.rows, made.unreadable_files) == (1, 0)
