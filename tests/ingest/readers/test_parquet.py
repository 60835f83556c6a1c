from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest import readers
from stupid_dagster.ingest.readers import column_names, read_strings, row_count

MOMENT = dt.datetime(2013, 2, 8, 10, tzinfo=dt.UTC)
UTC_MS = pl.Datetime("ms", "UTC")


def written(folder: Path, frame: pl.DataFrame, name: str = "x.parquet") -> Path:
    frame.write_parquet(folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        (["a", None, "雪"], pl.String, ["a", None, "雪"]),
        ([1, None], pl.Int8, ["1", None]),
        ([2**63], pl.UInt64, ["9223372036854775808"]),
        ([1.5, 2.0, None], pl.Float64, ["1.5", "2.0", None]),
        ([True, None], pl.Boolean, ["true", None]),
        ([None], pl.Null, [None]),
        (["a", None], pl.Categorical, ["a", None]),
        (["a", None], pl.Enum(["a"]), ["a", None]),
        ([dt.date(2013, 2, 8)], pl.Date, ["2013-02-08"]),
        ([dt.time(10, 1)], pl.Time, ["10:01:00"]),
        ([dt.timedelta(days=1, seconds=2), None], pl.Duration("us"), ["P1DT2S", None]),
        ([MOMENT, None], UTC_MS, ["2013-02-08 10:00:00.000+00:00", None]),
        ([b"abc", "雪".encode(), None], pl.Binary, ["abc", "雪", None]),
        ([b"abc", b"caf\xe9", None], pl.Binary, ["abc", "caf\ufffd", None]),
        ([[1, 2], [], None], pl.List(pl.Int64), ["[1,2]", "[]", None]),
        ([[1, 2], None], pl.Array(pl.Int64, 2), ["[1,2]", None]),
        ([{"a": 1, "b": ["x"]}, None], None, ['{"a":1,"b":["x"]}', None]),
        ([[{"a": MOMENT}]], None, None),
        ([{"a": b"\xff"}, None], None, None),
        ([[b"ok"], None], pl.List(pl.Binary), None),
        ([{"a": dt.timedelta(1)}], None, None),
    ],
)
def test_every_type_becomes_text(tmp_path: Path, values: list, dtype: Any, wanted: Any) -> None:
    file = written(tmp_path, pl.DataFrame({"x": pl.Series(values, dtype=dtype)}))
    found = read_strings(file, ["x"])
    assert found.schema == {"x": pl.String}
    texts = found["x"].to_list()
    if wanted is not None:
        assert texts == wanted
    else:
        assert [text is None for text in texts] == [value is None for value in values]
        assert all(json.loads(text) for text in texts if text)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_decimals_and_all_units_of_time(tmp_path: Path, unit: Any) -> None:
    frame = pl.DataFrame({"time": [MOMENT], "price": ["1.20"]}).with_columns(
        pl.col("time").cast(pl.Datetime(unit)), pl.col("price").cast(pl.Decimal(10, 2))
    )
    assert read_strings(written(tmp_path, frame), ["price"]).item() == "1.20"
    [text] = read_strings(tmp_path / "x.parquet", ["time"])["time"]
    assert text.startswith("2013-02-08 10:00:00.000")


def test_columns_come_as_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path, pl.DataFrame({"a": [1, 2], "b": [3, 4], "A": [5, 6]}))
    assert column_names(file) == ["a", "b", "A"]
    assert read_strings(file, ["b", "A"]).to_dict(as_series=False) == {
        "b": ["3", "4"],
        "A": ["5", "6"],
    }
    assert read_strings(file, []).width == 0
    assert row_count(file) == 2


@pytest.mark.parametrize(
    "name", ["a[1].parquet", "a*.parquet", "a?.parquet", "50%20.parquet", "雪.PARQUET"]
)
def test_names_are_no_patterns(tmp_path: Path, name: str) -> None:
    written(tmp_path, pl.DataFrame({"x": ["other"]}), "a1.parquet")
    file = written(tmp_path, pl.DataFrame({"x": ["this"]}), name)
    assert read_strings(file, ["x"]).item() == "this"


def test_no_rows_and_no_columns(tmp_path: Path) -> None:
    file = written(tmp_path, pl.DataFrame({"x": []}, schema={"x": pl.String}))
    assert (row_count(file), read_strings(file, ["x"]).height) == (0, 0)
    bare = written(tmp_path, pl.DataFrame(), "bare.parquet")
    assert column_names(bare) == []


def damaged(good: bytes) -> dict[str, bytes]:
    half = len(good) // 2
    return {
        "empty": b"",
        "cut": good[:-1],
        "half": good[:half],
        "no Parquet": b"timestamp,a\n2013-02-08,1\n",
        "magic alone": b"PAR1PAR1",
        "hole": good[:100] + bytes(50) + good[150:],
        "footer": good[:-300] + bytes(280) + good[-20:],
        "length": good[:-8] + b"\xff\xff\xff\x7f" + good[-4:],
    }


GOOD = pl.DataFrame({"x": [f"value {n}" for n in range(500)], "y": [1.5] * 500})


@pytest.mark.parametrize("kind", damaged(b""))
def test_what_can_t_be_read_is_an_error_with_the_file_s_name(tmp_path: Path, kind: str) -> None:
    file = written(tmp_path, GOOD)
    file.write_bytes(damaged(file.read_bytes())[kind])
    with pytest.raises(IngestError, match=r"^x\.parquet: the file (can't be read|is empty)"):
        read_strings(file, column_names(file))


def test_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    table = pa.table([pa.array(["1"]), pa.array(["2"])], names=["x", "x"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(IngestError, match="more than one"):
        column_names(tmp_path / "x.parquet")


def test_a_panic_of_polars_is_an_error_too(tmp_path: Path) -> None:
    """Some damaged files make it panic, which is no `Exception`; so does this."""
    file = written(tmp_path, GOOD)
    with pytest.raises(IngestError, match=r"x\.parquet: the file can't be read"):
        readers._guarded(file, lambda: pl.Series([{"a": b""}]).struct.json_encode())


def test_missing_files_and_unknown_kinds(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="can't be read"):
        column_names(tmp_path / "gone.parquet")
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(IngestError, match=r"x\.csv.*known kinds: \.parquet"):
        column_names(tmp_path / "x.csv")
