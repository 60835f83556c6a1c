from __future__ import annotations

import polars as pl

from stupid_dagster.event_model.schema import JunkColumns
from stupid_dagster.ingest.readers import BadRecord
from stupid_dagster.ingest.rejects import Rejects, weightiest
from stupid_dagster.tables import TABLES


def failed(*rows: tuple[str, int, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema={":file": pl.String, ":row": pl.UInt32, "bet": pl.String}, orient="row"
    )


def test_nothing() -> None:
    rejects = Rejects()
    rejects.add_values(failed(), "bet", "bet", "is no float")
    assert rejects.table().equals(TABLES["rejects"].empty())
    assert rejects.rows_rejected == 0


def test_equal_values_of_a_file_are_one_entry_with_their_first_row() -> None:
    rejects = Rejects()
    rows = failed(("b", 7, "x"), ("b", 3, "x"), ("a", 9, "x"), ("b", 1, "y"), ("b", 2, None))
    rejects.add_values(rows, "bet", "bet", "is no float")
    table = rejects.table()
    assert table.schema == TABLES["rejects"].schema
    assert table.select("file", "row", "rows", "raw").rows() == [
        ("a", 9, 1, "x"),
        ("b", 1, 1, "y"),
        ("b", 2, 1, None),
        ("b", 3, 2, "x"),
    ]
    assert table["reason"].to_list()[:1] == ["bet: 'x' is no float"]
    assert table["reason"].to_list()[2] == "bet: no value is no float"
    assert set(table["scope"]) == {"value"}
    assert rejects.rows_rejected == 0


def test_only_rejected_rows_are_counted_as_such() -> None:
    rejects = Rejects()
    rejects.add_values(failed(("a", 1, "x"), ("a", 2, "y")), "bet", "bet", "is far", scope="row")
    rejects.add_file("b", "b: the file is empty (0 bytes)")
    why = JunkColumns(longer_than=50).why("<html>" * 1000)
    assert why == "its name has 6000 characters, more than 50"
    rejects.add_column("c", 10, "<html>" * 1000, why)
    rejects.add_file_part("d", 5, "column", "time", "no timestamp")
    assert rejects.rows_rejected == 2
    rows = {row["file"]: row for row in rejects.table().to_dicts() if row["file"] != "a"}
    assert rows["b"] == dict.fromkeys(TABLES["rejects"].schema) | {
        "file": "b",
        "rows": 0,
        "scope": "file",
        "reason": "b: the file is empty (0 bytes)",
    }
    assert (rows["c"]["rows"], len(rows["c"]["raw"]), rows["c"]["scope"]) == (10, 2000, "column")
    assert "6000 characters" in rows["c"]["reason"]
    assert (rows["d"]["row"], rows["d"]["rows"]) == (0, 5)


def test_records_that_cannot_be_parsed_are_an_entry_each() -> None:
    rejects = Rejects()
    rejects.add_records("none", [])
    rejects.add_records("a", [BadRecord(7, "{", "is no JSON"), BadRecord(9, "x" * 3000, "is long")])
    table = rejects.table()
    assert table.schema == TABLES["rejects"].schema
    assert table.drop("raw").rows() == [
        ("a", 7, 1, "row", None, "is no JSON"),
        ("a", 9, 1, "row", None, "is long"),
    ]
    assert table["raw"].str.len_chars().to_list() == [1, 2000]
    assert rejects.rows_rejected == 2


def test_long_values_are_cut() -> None:
    rejects = Rejects()
    rejects.add_values(failed(("a", 1, "x" * 100_000)), "bet", "bet", "is no float")
    [row] = rejects.table().to_dicts()
    assert (len(row["raw"]), len(row["reason"])) == (2000, 200 + len("bet: '' is no float"))


def test_what_concerns_most_rows_is_told_first_and_junk_columns_last() -> None:
    rejects = Rejects()
    rejects.add_column("a", 90, "<html>" * 1000, "its name has '<' in it")
    rejects.add_records("b", [BadRecord(row, "{", "broken " * 100) for row in range(30)])
    rejects.add_file_part("c", 5, "row", "time", "no timestamp")
    table = rejects.table()

    first = weightiest(table)

    assert first["file"].to_list() == ["c"] + ["b"] * 19
    assert first["row"].to_list() == [0, *range(19)]
    assert first["reason"].str.len_chars().max() == 200
    few = weightiest(table.filter(pl.col("file") != "b"))
    assert few["file"].to_list() == ["c", "a"]
    assert weightiest(table.clear()).is_empty()
