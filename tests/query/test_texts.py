"""The window's texts in memory, against the files that they were read from."""

from __future__ import annotations

import polars as pl
import pytest

from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query import texts as texts_module
from stupid_dagster.query.texts import WindowTexts
from stupid_dagster.stores.snapshots import open_snapshot


def stored(reader: SnapshotReader) -> pl.DataFrame:
    versions = [*reader.manifest.of("texts").values()]
    texts = reader.snapshot.lake.scan_versions(versions).select("text_id", "text")
    return texts.unique().sort("text_id").collect()


def test_all_texts_are_found_by_their_ids(reader: SnapshotReader) -> None:
    texts = WindowTexts(reader.snapshot)
    everything = stored(reader)
    assert texts.find(everything["text_id"]).is_empty()
    texts.load()
    assert texts.rows == everything.height > 1000
    assert texts.find(everything["text_id"].reverse()).sort("text_id").equals(everything)
    some = pl.Series([everything["text_id"][5], 1], dtype=pl.UInt64)
    assert texts.find(some).equals(everything[5])


def test_what_does_not_fit_is_left_in_its_files(reader: SnapshotReader) -> None:
    newest = max(reader.manifest.of("texts").items())[1]
    texts = WindowTexts(reader.snapshot, most_bytes=newest.bytes * 8)
    texts.load()
    assert newest.rows <= texts.rows < stored(reader).height
    most = WindowTexts(reader.snapshot, most_bytes=10)
    most.load()
    assert most.rows == 0


def test_a_day_too_large_is_not_read_and_keeps_no_other_out(
    reader: SnapshotReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = sorted(reader.manifest.of("texts").items(), reverse=True)
    sizes = {day: texts_module._unpacked_bytes(reader.snapshot.lake, v) for day, v in days}
    (newest, _), *others = days
    monkeypatch.setattr(
        texts_module,
        "_unpacked_bytes",
        lambda _, version: 600 << 20 if version.partition == newest else sizes[version.partition],
    )
    read = []
    collected = texts_module.collected
    monkeypatch.setattr(
        texts_module, "collected", lambda scan: (read.append(scan), collected(scan))[1]
    )
    texts = WindowTexts(reader.snapshot)
    texts.load()
    versions = [version for _, version in others]
    older = reader.snapshot.lake.scan_versions(versions).select("text_id").unique().collect()
    assert texts.rows == older.height > 0
    assert len(read) == len(others)


def test_footers_tell_about_what_texts_take(reader: SnapshotReader) -> None:
    for version in reader.manifest.of("texts").values():
        texts = reader.snapshot.lake.scan_versions([version]).select("text_id", "text").collect()
        told = texts_module._unpacked_bytes(reader.snapshot.lake, version)
        assert 0.5 < told / texts.estimated_size() < 2


def test_a_ready_reader_looks_no_text_up_in_files(flights_copy: Project) -> None:
    with SnapshotReader(flights_copy, open_snapshot(flights_copy.lake)) as reader:
        expected = reader.document("2013-02-08/Departure/17")
        reader.warm()
        for day, version in reader.manifest.of("texts").items():
            assert reader.snapshot.day("texts", day)
            for file in reader.snapshot.lake.version_path(version).glob("*.parquet"):
                file.unlink()
        assert reader.document("2013-02-08/Departure/17") == expected
        assert expected[1]
