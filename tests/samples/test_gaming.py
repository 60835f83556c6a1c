"""The gaming sample's files, counted again from what can be read back."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from stupid_dagster.cli import main
from stupid_dagster.errors import IngestError, SettingsError
from stupid_dagster.samples.gaming import write_gaming

FIRST, DAYS, EVENTS = date(2025, 3, 1), 6, 5_000
COLUMNS = {
    "Login": 72,
    "GameOpened": 80,
    "API Error": 155,
    "PopupModule": 60,
    "PopUpModule": 60,
    "GridClick": 48,
}
SHARES = {"Login": 57, "GameOpened": 308, "API Error": 421, "PopupModule": 172}
NULLS = {"None": "None", "null": "null", "undefined": "undefined", "": "empty", " ": "whitespace"}
PLATFORMS = {
    *("web-android", "android", "pwa-android", "web-ios", "ios", "pwa-ios"),
    *("web-windows", "web-mac"),
}
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
Frames = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gaming")
    write_gaming(out, FIRST, DAYS, EVENTS)
    return out


@pytest.fixture(scope="module")
def files(sample: Path) -> Frames:
    """Every file, by its path below the folder."""
    paths = sorted(sample.rglob("*.parquet"))
    return {f.relative_to(sample).as_posix(): pl.read_parquet(f) for f in paths}


@pytest.fixture(scope="module")
def events(files: Frames) -> Frames:
    """The rows of each event type but duplicates and those without a time, nulls as nulls."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for path, frame in files.items():
        event_type = path.split("/")[0].replace("PopUp", "Popup")
        cleaned = frame.unique(maintain_order=True).with_columns(
            pl.col("@timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", strict=False),
            pl.exclude("@timestamp").replace(dict.fromkeys(NULLS)),
            file_day=pl.lit(day_of(path)),
        )
        parts.setdefault(event_type, []).append(cleaned.drop_nulls("@timestamp"))
    return {kind: pl.concat(frames, how="diagonal") for kind, frames in parts.items()}


def day_of(path: str) -> str:
    return path.split("/")[1].removesuffix(".parquet")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")
    }


def test_every_column_is_a_string_and_every_file_has_its_number_of_them(files, truth) -> None:
    assert len(files) == len(COLUMNS) * DAYS
    for path, frame in files.items():
        assert set(frame.dtypes) == {pl.String}
        assert frame.width == COLUMNS[path.split("/")[0]] == truth["files"][path]["columns"]


def test_some_columns_come_and_go_between_days(files) -> None:
    for event_type in COLUMNS:
        names = [set(frame.columns) for path, frame in files.items() if path.startswith(event_type)]
        assert set.union(*names) != set.intersection(*names)


def test_columns_named_after_error_pages_are_in_api_error_only(files, truth) -> None:
    for path, frame in files.items():
        junk = [name for name in frame.columns if "<" in name or len(name) > 120]
        assert junk == (truth["junk_columns"] if path.startswith("API Error") else [])
    assert sum("<html" in name for name in truth["junk_columns"]) >= 6


def test_volumes_have_the_proportions_of_the_real_log(files) -> None:
    total = sum(frame.height for path, frame in files.items() if not path.startswith("GridClick"))
    # Six days from a Saturday on: the weekend is a little busier than the weekdays.
    assert total == pytest.approx(DAYS * EVENTS, rel=0.03)
    for event_type, share in SHARES.items():
        rows = sum(
            f.height for path, f in files.items() if path.lower().startswith(event_type.lower())
        )
        assert rows / total == pytest.approx(share / 958, rel=0.03)
    by_day = {
        day: sum(f.height for path, f in files.items() if day_of(path) == day)
        for day in map(day_of, files)
    }
    assert by_day["2025-03-01"] > by_day["2025-03-04"] * 1.05


def test_counts_of_each_file_are_those_of_the_truth(files, truth, members) -> None:
    tested = members.filter("is_test")["memberCode"].implode()
    assert len(truth["files"]) == len(files)
    seen = dict.fromkeys(("duplicates", "previous_day", "next_day", "garbled", "test"), 0)
    for path, frame in files.items():
        told, day = truth["files"][path], day_of(path)
        stamps = frame.unique()["@timestamp"].to_list()
        fine = [
            stamp for stamp in stamps if stamp and STAMP.fullmatch(stamp) and "-45T" not in stamp
        ]
        missing = sum(stamp is None or stamp in NULLS for stamp in stamps)
        assert told["rows"] == frame.height
        assert told["duplicates"] == frame.height - len(stamps)
        assert told["previous_day"] == sum(stamp[:10] < day for stamp in fine)
        assert told["next_day"] == sum(stamp[:10] > day for stamp in fine)
        assert told["timestamps_missing"] == missing
        assert told["timestamps_garbled"] == len(stamps) - len(fine) - missing
        flags = frame["isTestAccount"].str.to_lowercase().is_in(["true", "1", "yes"])
        assert told["test_flagged"] == flags.sum()
        assert told["of_test_members"] == frame["memberCode"].is_in(tested).sum()
        for name in ("duplicates", "previous_day", "next_day"):
            seen[name] += told[name]
        seen["garbled"] += told["timestamps_garbled"] + told["timestamps_missing"]
        seen["test"] += told["test_flagged"]
    assert min(seen.values()) > 0
    first = {path: told for path, told in truth["files"].items() if day_of(path) == str(FIRST)}
    assert not any(told["previous_day"] for told in first.values())


def test_nulls_are_counted_by_spelling(files, truth) -> None:
    spellings = set()
    for path, frame in files.items():
        for name, counts in truth["files"][path]["nulls"].items():
            found = {
                NULLS.get(value, value) if value is not None else "missing": count
                for value, count in frame[name].value_counts().iter_rows()
            }
            found = {k: found[k] for k in ("missing", *NULLS.values()) if k in found}
            assert counts == found, (path, name)
            spellings |= set(found)
    assert spellings == {"missing", *NULLS.values()}
    errors = [
        (f["memberCode"], truth["files"][path]) for path, f in files.items() if "Error" in path
    ]
    share = sum(sum(told["nulls"]["memberCode"].values()) for _, told in errors)
    assert share / sum(told["rows"] for _, told in errors) == pytest.approx(0.35, abs=0.02)


def test_case_variants_are_counted(files, truth, sample) -> None:
    games = set(pl.read_ipc(sample / "truth" / "games.arrow")["game"])
    known = {"platform": PLATFORMS, "game": games}
    counted = 0
    for path, frame in files.items():
        told = truth["files"][path]["case_variants"]
        for name in known.keys() & told.keys():
            values = frame[name].drop_nulls()
            values = values.filter(~values.is_in(list(NULLS)))
            other = values.filter(~values.is_in(list(known[name])))
            assert told[name] == len(other)
            assert set(other.str.to_lowercase()) <= {value.lower() for value in known[name]}
            counted += len(other)
    assert counted > 100


def test_each_row_has_one_spelling_of_the_affiliate_at_most(files, truth) -> None:
    spellings = ["affiliateId", "affiliateid", "affiliateID"]
    for path, frame in files.items():
        if path.split("/")[0] not in ("Login", "GameOpened", "API Error"):
            continue
        filled = frame.select(pl.col(spellings).str.starts_with("aff").fill_null(False))
        assert filled.select(pl.sum_horizontal(pl.all()).max()).item() == 1
        assert truth["files"][path]["affiliate_spellings"] == filled.sum().row(0, named=True)
        assert min(filled.sum().row(0)) > 0


def test_events_belong_to_the_days_of_the_truth(events, truth) -> None:
    found: dict[str, dict[str, int]] = {}
    for event_type, frame in events.items():
        days = frame["@timestamp"].dt.date().cast(pl.String).value_counts()
        for day, count in days.iter_rows():
            found.setdefault(day, {})[event_type] = count
    assert found == truth["events"]
    assert set(found) == {str(FIRST + timedelta(days=day)) for day in range(DAYS + 1)}


def test_no_two_events_of_a_file_have_the_same_time(events) -> None:
    for frame in events.values():
        assert not frame.select("file_day", "@timestamp").is_duplicated().any()


def test_files_are_roughly_in_the_order_of_time(files) -> None:
    for path, frame in files.items():
        if frame.height < 200:
            continue
        stamps = frame["@timestamp"].filter(frame["@timestamp"].str.starts_with(day_of(path)))
        times = stamps.str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ").dt.epoch("ms")
        backward = (times - times.cum_max()).abs()
        assert backward.quantile(0.95) < 60_000
        assert backward.max() > 0


def test_a_day_s_files_do_not_depend_on_how_many_days_are_asked_for(sample, tmp_path) -> None:
    write_gaming(tmp_path, FIRST, 2, EVENTS)
    longer, shorter = contents(sample), contents(tmp_path)
    assert len(shorter) == 2 * len(COLUMNS)
    assert shorter.items() <= longer.items()


def test_another_seed_gives_other_members(sample, tmp_path) -> None:
    write_gaming(tmp_path, FIRST, 1, EVENTS, seed=8)
    other = pl.read_ipc(tmp_path / "truth" / "members.arrow")["memberCode"]
    own = pl.read_ipc(sample / "truth" / "members.arrow")["memberCode"]
    assert not set(other) & set(own)
    assert len(set(own)) == len(own)


def test_equal_files_are_left_alone(tmp_path) -> None:
    rows = write_gaming(tmp_path, FIRST, 1, 1_000)
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    times = {path: path.stat().st_mtime_ns for path in paths}
    spoilt = tmp_path / "Login" / f"{FIRST}.parquet"
    spoilt.write_bytes(b"half a file")

    assert write_gaming(tmp_path, FIRST, 1, 1_000) == rows
    changed = [path for path in paths if path.stat().st_mtime_ns != times[path]]
    assert changed == [spoilt]
    assert pl.read_parquet(spoilt).height == rows["Login"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == paths


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"days": 0}, "--days"),
        ({"events_per_day": 999}, "--events-per-day"),
        ({"seed": -1}, "--seed"),
        ({"first": date(9999, 12, 30)}, "--from"),
    ],
)
def test_arguments_out_of_range_say_which_option_to_change(tmp_path, changed, message) -> None:
    arguments = {"first": FIRST, "days": 2, "events_per_day": 1_000} | changed
    with pytest.raises(SettingsError, match=message):
        write_gaming(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "Login").write_text("in the way")
    with pytest.raises(IngestError, match=r"Login.*--out"):
        write_gaming(tmp_path, FIRST, 1, 1_000)


def test_the_command_prints_the_rows_of_each_event_type(tmp_path) -> None:
    arguments = ["--out", str(tmp_path), "--days", "2", "--events-per-day", "1000"]
    arguments += ["--seed", "3", "--from", "2024-12-31"]
    result = CliRunner().invoke(main, ["sample", "gaming", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    truth = json.loads((tmp_path / "truth" / "truth.json").read_text())
    assert truth["parameters"] == {
        "seed": 3,
        "first_day": "2024-12-31",
        "days": 2,
        "events_per_day": 1_000,
    }
    assert (tmp_path / "GridClick" / "2025-01-01.parquet").is_file()
    printed = dict(re.findall(r"^ *([\d,]+)  (.+)$", result.output, re.MULTILINE))
    assert {v: int(k.replace(",", "")) for k, v in printed.items()} == truth["rows"]
