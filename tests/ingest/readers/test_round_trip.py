"""Any table of texts comes back from every kind of file, from this machine and from elsewhere."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import fsspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers import open_file
from stupid_dagster.ingest.source import Source
from tests.ingest.readers.opening import all_of

NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
VALUE = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def written(frame: pl.DataFrame, kind: str) -> bytes:
    if kind == "parquet":
        with fsspec.open("memory://round trip", "wb") as file:
            frame.write_parquet(file)  # pyright: ignore[reportArgumentType] (a file is meant)
        return fsspec.filesystem("memory").cat("/round trip")
    if "json" in kind:
        text = frame.write_ndjson()
    else:
        text = frame.write_csv(quote_style="always", separator="\t" if "tsv" in kind else ",")
    return gzip.compress(text.encode()) if kind.endswith("gz") else text.encode()


@settings(deadline=None, max_examples=40)
@given(
    data=st.data(),
    names=st.lists(NAME, min_size=1, max_size=4, unique=True),
    kind=st.sampled_from(["parquet", "csv", "tsv.gz", "jsonl", "ndjson.gz"]),
)
def test_any_table(tmp_path_factory, data: st.DataObject, names: list[str], kind: str) -> None:
    height = data.draw(st.integers(1, 6))
    columns = {name: data.draw(st.lists(VALUE, min_size=height, max_size=height)) for name in names}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))
    content = written(frame, kind)
    folder: Path = tmp_path_factory.mktemp("x")
    (folder / f"x.{kind}").write_bytes(content)
    fsspec.filesystem("memory").pipe(f"/any table/x.{kind}", content)
    for place in (str(folder), "memory://any table"):
        reader = open_file(Source(place), f"x.{kind}")
        assert all_of(reader) == (names, frame.rows(), list(range(height)), [])
        held = {name: values - nulls for name, values, nulls in told(frame)}
        assert reader.filled(names, []) == held
        picked = sorted(data.draw(st.sets(st.integers(0, height - 1))))
        some = reader.read(names[::-1], pl.Series(picked, dtype=pl.UInt32))
        assert some.rows() == frame[names[::-1]][picked].rows()


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_names_of_columns_are_no_patterns(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame(
        {"a": ["x"] * 9, "^.*$": [*[None] * 8, 1.0], "*": ["z"] * 9, "^$": "w", ":index": ":"}
    )
    (tmp_path / f"x.{kind}").write_bytes(written(frame, kind))
    reader = open_file(Source(str(tmp_path)), f"x.{kind}")
    number = "1.0" if kind == "csv" else "1"
    for records in (None, pl.Series([8], dtype=pl.UInt32)):
        found = reader.read(["^.*$", "*", "^$"], records)
        assert found.rows()[-1] == (number, "z", "w")
        assert found.columns == ["^.*$", "*", "^$"]
    assert reader.filled(["^.*$", "*"], []) == {"^.*$": 1, "*": 9}


def told(frame: pl.DataFrame) -> list[tuple[str, int, int]]:
    return [(name, frame.height, frame[name].null_count()) for name in frame.columns]


@pytest.mark.parametrize("seed", range(3))
def test_no_damage_to_a_parquet_file_elsewhere_raises_anything_else(seed: int) -> None:
    """The pages are damaged, not the footer: on some damage of it pyarrow ends the process."""
    chance = random.Random(seed)
    columns = {
        "a": [f"value {n}" for n in range(90)],
        "b": range(90),
        "c": [[n] for n in range(90)],
    }
    good = written(pl.DataFrame(columns), "parquet")
    pages = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    failed = 0
    for _ in range(60):
        damaged = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(pages)] = chance.randrange(256)
        fsspec.filesystem("memory").pipe("/damage/x.parquet", bytes(damaged))
        try:
            reader = open_file(Source("memory://damage"), "x.parquet")
            assert reader.read(reader.columns).height == 90
        except IngestError:
            failed += 1
    assert failed
