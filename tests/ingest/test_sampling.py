from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.sampling import sample_landing


def test_samples_come_from_all_over_files_of_every_date_and_kind(tmp_path: Path) -> None:
    for day in range(1, 21):
        frame = pl.DataFrame({"day": [day] * 1000, "n": range(1000), f"c{day}": "x"})
        (tmp_path / "Login").mkdir(exist_ok=True)
        kind = ("csv", "parquet", "jsonl")[day % 3]
        write = {"csv": frame.write_csv, "parquet": frame.write_parquet}
        write.get(kind, frame.write_ndjson)(tmp_path / "Login" / f"2025-03-{day:02}.{kind}")
    (tmp_path / "opened-2025-03-01.tsv").write_text("a\tb\n1\t2\n3\t4\n")
    (tmp_path / "opened-2025-03-02.tsv").write_text("a\tc\n5\t6\n")
    samples = sample_landing(tmp_path, 100)
    assert list(samples) == ["Login", "opened"]
    login = samples["Login"]
    assert set(login.dtypes) == {pl.String}
    assert login.height == 100
    assert login["day"].n_unique() == 5
    assert login.filter(pl.col("n").cast(pl.Int64) >= 900).height
    assert samples["opened"].rows() == [("1", "2", None), ("3", "4", None), ("5", None, "6")]


def test_files_that_can_t_be_read_are_left_out(tmp_path: Path) -> None:
    for name, text in {
        "Login/a.csv": "a\n1\n",
        "Login/b.parquet": "junk",
        "Other/a.jsonl": "junk",
        "Third/notes.txt": "a",
        "Fourth/empty.csv": "",
        "Fifth/header.csv": "a,b\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    samples = sample_landing(str(tmp_path), 10)
    assert {name: frame.shape for name, frame in samples.items()} == {
        "Login": (1, 1),
        "Fifth": (0, 2),
    }


def test_a_folder_of_nothing_or_none(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="no file of a kind that can be read"):
        sample_landing(tmp_path, 10)
    with pytest.raises(IngestError, match="does not exist"):
        sample_landing(tmp_path / "none", 10)
