from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers import Reader, open_file
from stupid_dagster.ingest.source import Source

MOMENT = dt.datetime(2013, 2, 8, 10, tzinfo=dt.UTC)
UTC_MS = pl.Datetime("ms", "UTC")


def written(folder: Path, frame: pl.DataFrame, name: str = "x.parquet") -> Path:
    frame.write_parquet(folder / name)
    return folder / name


def opened(file: Path) -> Reader:
    return open_file(Source(str(file.parent)), file.name)


def remote(file: Path) -> Reader:
    """Return the reader of a file that lies where no path leads."""
    place = f"memory://test{file.parent.name}"
    files, folder = fsspec.core.url_to_fs(place)
    files.pipe(f"{folder}/{file.name}", file.read_bytes())
    return open_file(Source(place), file.name)


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        (["a", None, "雪"], pl.String, ["a", None, "雪"]),
        ([1, None], pl.Int8, ["1", None]),
        ([2**63], pl.UInt64, ["9223372036854775808"]),
        ([1.5, 2.0, None], pl.Float64, ["1.5", "2", None]),
        ([2.0**53 + 2, -1e18], pl.Float64, ["9007199254740994", "-1" + "0" * 18]),
        ([0.1, float("nan"), float("-inf")], pl.Float64, ["0.1", None, "-inf"]),
        ([0.5, -3.0], pl.Float32, ["0.5", "-3"]),
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
        ([[1, 2], [], None], pl.List(pl.Int64), ["[1, 2]", "[]", None]),
        ([[1, 2], None], pl.Array(pl.Int64, 2), ["[1, 2]", None]),
        ([{"a": 1, "b": ["x"]}, None], None, ['{"a": 1, "b": ["x"]}', None]),
        ([[{"a": MOMENT}]], None, None),
        ([{"a": b"\xff"}, None], None, None),
        ([[b"ok"], None], pl.List(pl.Binary), None),
        ([{"a": dt.timedelta(1)}], None, None),
    ],
)
def test_every_type_becomes_text(tmp_path: Path, values: list, dtype: Any, wanted: Any) -> None:
    file = written(tmp_path, pl.DataFrame({"x": pl.Series(values, dtype=dtype)}))
    found = opened(file).read(["x"])
    assert found.equals(remote(file).read(["x"]))
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
    assert opened(written(tmp_path, frame)).read(["price"]).item() == "1.20"
    [text] = opened(tmp_path / "x.parquet").read(["time"])["time"]
    assert text.startswith("2013-02-08 10:00:00.000")


def test_columns_come_as_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path, pl.DataFrame({"a": [1, 2], "b": [3, 4], "A": [5, 6]}))
    assert opened(file).columns == ["a", "b", "A"]
    assert opened(file).read(["b", "A"]).to_dict(as_series=False) == {
        "b": ["3", "4"],
        "A": ["5", "6"],
    }
    assert opened(file).read([]).width == 0
    assert opened(file).height == 2


@pytest.mark.parametrize(
    "name", ["a[1].parquet", "a*.parquet", "a?.parquet", "50%20.parquet", "雪.PARQUET"]
)
def test_names_are_no_patterns(tmp_path: Path, name: str) -> None:
    written(tmp_path, pl.DataFrame({"x": ["other"]}), "a1.parquet")
    file = written(tmp_path, pl.DataFrame({"x": ["this"]}), name)
    assert opened(file).read(["x"]).item() == "this"


def test_no_rows_and_no_columns(tmp_path: Path) -> None:
    file = written(tmp_path, pl.DataFrame({"x": []}, schema={"x": pl.String}))
    assert (opened(file).height, opened(file).read(["x"]).height) == (0, 0)
    bare = written(tmp_path, pl.DataFrame(), "bare.parquet")
    assert opened(bare).columns == []
    assert opened(bare).filled([], []) == {}


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
    with pytest.raises(IngestError, match=r"^x\.parquet: the file can't be read: "):
        reader = opened(file)
        reader.read(reader.columns)


def test_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    table = pa.table([pa.array(["1"]), pa.array(["2"])], names=["x", "x"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(IngestError, match="more than one"):
        opened(tmp_path / "x.parquet")


def test_a_panic_of_polars_is_an_error_too(tmp_path: Path, monkeypatch) -> None:
    """Some damaged files make it panic, which is no `Exception`; so does this."""
    reader = opened(written(tmp_path, GOOD))
    panic = lambda *_: pl.Series([{"a": b""}]).struct.json_encode()  # noqa: E731 (a method)
    monkeypatch.setattr(reader, "_read", panic)
    with pytest.raises(IngestError, match=r"x\.parquet: the file can't be read"):
        reader.read(["x"])


def test_missing_files_and_unknown_kinds(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="can't be read"):
        opened(tmp_path / "gone.parquet")
    (tmp_path / "x.xlsx").write_text("a\n1\n")
    with pytest.raises(IngestError, match=r"x\.xlsx.*known kinds: \.parquet, \.csv"):
        opened(tmp_path / "x.xlsx")


@pytest.mark.parametrize("wanted", [[], [3], [0, 1, 499], list(range(500)), list(range(1, 500))])
def test_records_are_picked_by_their_positions(tmp_path: Path, wanted: list[int]) -> None:
    file = tmp_path / "x.parquet"
    GOOD.write_parquet(file, row_group_size=100)
    records = pl.Series(wanted, dtype=pl.UInt32)
    for reader in (opened(file), remote(file)):
        assert reader.read(["x"], records)["x"].to_list() == [f"value {n}" for n in wanted]


def test_what_columns_hold_is_told_by_the_footer(tmp_path: Path) -> None:
    columns = {
        "full": ["a", "b", "c", "d"],
        "some": ["a", None, None, "d"],
        "none": [None] * 4,
        "spelt": ["null", "null", "null", None],
        "one group spelt": ["null", "null", "x", "null"],
        "numbers": [1, None, 3, 4],
        "dotted.name": ["a", None, None, None],
        "nested": [{"a": 1, "b": [1, 2]}, None, {"a": None, "b": []}, None],
        "nested.dots": [[1, 2, 3], [], None, None],
        "bytes": [b"\xff", None, b"\xfe", b"\xff"],
        "null": [True, None, None, None],
    }
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), file, row_group_size=2)
    wanted = {
        **{"full": 4, "some": 2, "none": 0, "spelt": 0, "numbers": 3, "dotted.name": 1},
        # Of a group of rows that has both, an upper bound.
        **{"one group spelt": 2, "nested": 2, "nested.dots": 2, "bytes": 3, "null": 1},
    }
    for reader in (opened(file), remote(file)):
        assert reader.filled(list(columns), ["", "null"]) == wanted
    pq.write_table(pa.table(columns), file, write_statistics=False)
    exact = wanted | {"one group spelt": 1}
    assert opened(file).filled(list(columns), ["", "null"]) == exact


def test_a_part_of_a_nested_column_is_another_column(tmp_path: Path) -> None:
    table = pa.table({"user": [{"name": "nested"}], "user.name": ["flat"], "user.": ["dot"]})
    pq.write_table(table, tmp_path / "x.parquet")
    for reader in (opened(tmp_path / "x.parquet"), remote(tmp_path / "x.parquet")):
        assert reader.read(["user.name"]).rows() == [("flat",)]
        assert reader.read(["user.", "user"]).rows() == [("dot", '{"name": "nested"}')]


@pytest.mark.parametrize("compression", ["snappy", "gzip", "brotli", "lz4", "zstd", "uncompressed"])
def test_every_compression(tmp_path: Path, compression: Any) -> None:
    GOOD.write_parquet(tmp_path / "x.parquet", compression=compression)
    assert opened(tmp_path / "x.parquet").read(["x"])["x"].equals(GOOD["x"])


@pytest.mark.parametrize("version", ["1.0", "2.4", "2.6"])
def test_what_other_writers_write(tmp_path: Path, version: Any) -> None:
    table = pa.table(
        {
            "time": pa.array([MOMENT], pa.timestamp("us", "UTC")),
            "word": pa.array(["a"]).dictionary_encode(),
            "large": pa.array(["b"], pa.large_string()),
            "fixed": pa.array([b"cd"], pa.binary(2)),
        }
    )
    pq.write_table(
        table,
        tmp_path / "x.parquet",
        version=version,
        use_deprecated_int96_timestamps=version == "1.0",
        data_page_version="2.0" if version == "2.6" else "1.0",
    )
    for reader in (opened(tmp_path / "x.parquet"), remote(tmp_path / "x.parquet")):
        [row] = reader.read(["word", "large", "fixed", "time"]).rows()
        assert row[:3] == ("a", "b", "cd")
        assert row[3].startswith("2013-02-08 10:00:00")
        assert reader.filled(reader.columns, []) == dict.fromkeys(reader.columns, 1)
