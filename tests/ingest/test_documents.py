from __future__ import annotations

import datetime as dt
import os
import random
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster import connect
from stupid_dagster.event_model import load_event_model
from stupid_dagster.ingest import DayDocuments, LandingIndex, build_documents, index_landing
from stupid_dagster.ingest import rows as ingest_rows
from stupid_dagster.ingest.checks import schema_failures
from stupid_dagster.samples import write_flights
from stupid_dagster.tables import TABLES
from tests.gaming import DAY, PARTITIONS, day_documents, gaming_model, land
from tests.nycflights import cancelled, day_rows, departed

MODEL = gaming_model()
FLIGHTS = load_event_model("flights")
YEAR = (date(2013, 1, 1), date(2013, 12, 31))
FLIGHT_DAYS = ["2013-02-08", "2013-02-09", "2013-03-10", "2013-11-03"]


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> LandingIndex:
    """Return the index of landing files of the blizzard and the days on which clocks change."""
    folder: Path = tmp_path_factory.mktemp("landing")
    for first, last in (FLIGHT_DAYS[:2], FLIGHT_DAYS[2:3] * 2, FLIGHT_DAYS[3:] * 2):
        write_flights(folder, date.fromisoformat(first), date.fromisoformat(last))
    return index_landing(FLIGHTS, folder)


@pytest.mark.parametrize("day", FLIGHT_DAYS)
def test_real_days_have_the_csv_s_events(flights: LandingIndex, day: str) -> None:
    made = build_documents(FLIGHTS, flights, date.fromisoformat(day), YEAR)
    assert {name: frame.height for name, frame in made.documents.items()} == {
        "Departure": len(departed(day)),
        "Cancellation": len(cancelled(day)),
        "WeatherReport": len(day_rows("weather", day)),
    }
    assert (made.files, made.duplicates, made.rejects.height, made.rows_rejected) == (3, 0, 0, 0)
    assert made.rows == made.rows_read
    assert schema_failures(made.documents, date.fromisoformat(day), FLIGHTS.zone) == []

    documents = made.documents["Departure"]
    assert Counter(documents["actor"]) == Counter(
        None if r["tailnum"] == "NA" else f"aircraft:{r['tailnum']}" for r in departed(day)
    )
    delays = sum(float(r["dep_delay"]) for r in departed(day))
    assert documents["dep_delay"].sum() == pytest.approx(delays)
    local = documents["timestamp"].dt.convert_time_zone("America/New_York")
    hours = Counter(int(r["hour"]) for r in departed(day))
    assert Counter(local.dt.hour()) == hours
    assert set(local.dt.date()) == {date.fromisoformat(day)}


def test_the_blizzard_cancelled_472_and_393_flights(flights: LandingIndex) -> None:
    counts = [
        build_documents(FLIGHTS, flights, date(2013, 2, day), YEAR).documents["Cancellation"]
        for day in (8, 9)
    ]
    assert [frame.height for frame in counts] == [472, 393]
    assert all(frame["actor"].null_count() for frame in counts), "many have no tail number"


def same(one: DayDocuments, other: DayDocuments) -> None:
    assert list(one.documents) == list(other.documents)
    for name, frame in one.documents.items():
        assert frame.equals(other.documents[name]), name
    assert (one.duplicates, one.rows_read) == (other.duplicates, other.rows_read)


def test_files_in_any_order_and_cut_anyhow_make_the_same_documents(
    flights: LandingIndex, tmp_path: Path
) -> None:
    day = date(2013, 2, 8)
    made = build_documents(FLIGHTS, flights, day, YEAR)
    same(made, build_documents(FLIGHTS, flights, day, YEAR))
    source = Path(flights.source.location) / "Departure" / f"{day}.parquet"
    shuffled = pl.read_parquet(source).sample(fraction=1, shuffle=True, seed=5)
    shuffled = shuffled.select(shuffled.columns[::-1])
    land(tmp_path, "departure", shuffled.head(300), "z.parquet")
    land(tmp_path, "Departure", shuffled.tail(-300), f"{day}.parquet")
    again = build_documents(FLIGHTS, index_landing(FLIGHTS, tmp_path), day, YEAR)
    assert again.documents["Departure"].equals(made.documents["Departure"])


ROW = st.fixed_dictionaries(
    {
        # Equal rows, nearly equal ones, and ones without a time at the day's first moment.
        "@timestamp": st.sampled_from(["2025-03-01T17:00:00Z", f"{DAY}T01:00:00Z", "", "junk"]),
        "memberCode": st.sampled_from(["ann", " bob", None]),
        "bet": st.sampled_from(["0", "-0.0", "1.5", "x", None]),
        "game": st.sampled_from(["Slots", None]),
        "isTestAccount": st.sampled_from(["yes", None]),
    }
)


@settings(deadline=None, max_examples=15)
@given(
    rows=st.lists(ROW, max_size=12), seed=st.integers(0, 99), key=st.sampled_from(["[]", "game"])
)
def test_shuffled_rows_make_the_same_documents(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict], seed: int, key: str
) -> None:
    model = gaming_model(name=f"games\nduplicate_key: {key}")
    shuffled = random.Random(seed).sample(rows, len(rows))
    made = []
    for found in (rows, shuffled):
        folder = tmp_path_factory.mktemp("landing")
        land(folder, "GameOpened", [dict.fromkeys(["@timestamp"]), *found])
        made.append(day_documents(model, folder))
    same(*made)
    assert made[0].documents["GameOpened"]["row"].to_list() == list(range(made[0].rows))


def test_text_ids_are_the_same_whatever_else_the_day_holds(tmp_path: Path) -> None:
    login = {"memberCode": "ann", "platform": "ios", "success": "1"}
    ids = []
    for n, others in enumerate(([], ["web", "android", None])):
        rows = [login | {"@timestamp": f"{DAY}T01:00:00Z"}]
        rows += [
            login | {"@timestamp": f"{DAY}T0{k}:30:00Z", "platform": p}
            for k, p in enumerate(others)
        ]
        land(tmp_path / str(n), "Login", rows)
        frame = day_documents(MODEL, tmp_path / str(n)).documents["Login"]
        texts = connect.build_texts(MODEL, connect.enrich(MODEL, {"Login": frame}), str(DAY))
        assert set(texts["text_id"]) == set(frame["text_id"])
        [text_id] = texts.filter(text="Login platform:ios success:true in the day")["text_id"]
        ids.append(text_id)
    known = xxhash.xxh64_intdigest(b"Login\0Login platform:ios success:true in the day")
    assert ids == [known, known]


def test_events_of_neighbouring_days_are_found_in_any_file(tmp_path: Path) -> None:
    def login(member: str, moment: str) -> dict[str, str]:
        return {"memberCode": member, "@timestamp": moment}

    rows = [
        login("before", "2025-03-01T16:59:59.999Z"),
        login("first", "2025-03-01T17:00:00.000Z"),
        login("last", "2025-03-02T16:59:59.999Z"),
        login("after", "2025-03-02T17:00:00.000Z"),
    ]
    land(tmp_path, "Login", rows[:2], "2025-03-01.parquet")
    land(tmp_path, "Login", rows[2:], "2025-03-03.parquet")
    land(tmp_path, "SignIn", [login("no date", "2025-03-02T00:00:00Z")], "export.parquet")
    days = {
        day: set(
            day_documents(MODEL, tmp_path, date(2025, 3, day)).documents["Login"]["memberCode"]
        )
        for day in (1, 2, 3, 4)
    }
    assert days == {1: {"before"}, 2: {"first", "last", "no date"}, 3: {"after"}, 4: set()}


def test_rows_outside_the_partitions_are_rejected_once_under_their_file_s_date(tmp_path) -> None:
    outside = ["2025-02-28T16:00:00Z", "2025-04-01T00:00:00Z", "1970-01-01T00:00:00Z"]
    moments = [*outside, f"{DAY}T00:00:00Z"]
    land(tmp_path, "Login", [{"@timestamp": moment} for moment in moments])
    made = day_documents(MODEL, tmp_path)
    assert (made.rows, made.rows_rejected, made.rows_read, made.reject_share) == (1, 3, 4, 0.75)
    assert set(made.rejects["scope"]) == {"row"}
    assert sorted(made.rejects["raw"]) == sorted(outside)
    assert "outside the partitions (2025-03-01 to 2025-03-31)" in made.rejects["reason"][0]
    for day in (1, 3, 31):
        other = day_documents(MODEL, tmp_path, date(2025, 3, day))
        assert (other.rows, other.rejects.height) == (0, 0)


def test_duplicates_are_taken_out_within_and_across_files(tmp_path: Path) -> None:
    login = {"@timestamp": f"{DAY}T01:00:00Z", "memberCode": "ann", "dropped": "1"}
    land(tmp_path, "Login", [login, login | {"dropped": "2"}, login | {"memberCode": " ann "}])
    land(tmp_path, "SignIn", [login, login | {"@timestamp": f"{DAY} 08:00:00+07:00"}])
    land(tmp_path, "Login", [login, login | {"platform": "ios"}], "2025-03-03.parquet")
    made = day_documents(MODEL, tmp_path)
    assert made.documents["Login"]["platform"].to_list() == ["ios", None]
    assert (made.duplicates, made.rows_read) == (5, 7)


def test_a_model_s_duplicate_key_decides(tmp_path: Path) -> None:
    model = gaming_model(name="games\nduplicate_key: [fingerprint, place]")
    base = {"@timestamp": f"{DAY}T01:00:00Z", "platform": "ios", "currency": "THB"}
    rows = [
        base | {"fingerprint": f, "level": level}
        for f, level in (("a", "2"), ("a", "1"), ("b", "1"))
    ]
    land(tmp_path, "Login", [*rows, rows[0] | {"currency": "IDR"}])
    land(tmp_path, "GameOpened", [base | {"game": game} for game in ("x", "y", "y")])
    made = day_documents(model, tmp_path)
    assert sorted(made.documents["Login"].select("fingerprint", "currency").rows()) == [
        ("a", "IDR"),
        ("a", "THB"),
        ("b", "THB"),
    ]
    assert made.documents["GameOpened"].height == 2, "without a fingerprint they compare whole"


def test_an_actor_that_is_once_marked_is_a_test_s_all_day(tmp_path: Path) -> None:
    def row(member: str | None, flag: str | None, hour: int) -> dict[str, str | None]:
        return {"@timestamp": f"{DAY}T0{hour}:00:00Z", "memberCode": member, "isTestAccount": flag}

    land(tmp_path, "Login", [row("ann", "YES", 1), row("ann", "0", 2), row("bob", "junk", 3)])
    land(
        tmp_path,
        "GameOpened",
        [row("ann", None, 1), row("bob", None, 2), row(None, "1", 3), row(None, None, 4)],
    )
    land(tmp_path, "API Error", [row("ann", None, 1)])
    made = day_documents(MODEL, tmp_path)
    flags = {
        name: frame.select("actor", "is_test").rows() for name, frame in made.documents.items()
    }
    assert flags == {
        "Login": [("member:ann", True), ("member:ann", True), ("member:bob", False)],
        "GameOpened": [("member:ann", True), ("member:bob", False), (None, True), (None, False)],
        "API Error": [("member:ann", True)],
    }


def test_documents_are_sorted_by_actor_and_time_and_numbered(tmp_path: Path) -> None:
    rows = [
        {"@timestamp": f"{DAY}T0{hour}:00:00Z", "memberCode": member}
        for hour, member in ((3, "b"), (1, None), (2, "a"), (1, "b"))
    ]
    land(tmp_path, "Login", rows)
    frame = day_documents(MODEL, tmp_path).documents["Login"]
    assert frame.select("row", "actor", pl.col("timestamp").dt.hour().alias("hour")).rows() == [
        (0, "member:a", 2),
        (1, "member:b", 1),
        (2, "member:b", 3),
        (3, None, 1),
    ]
    own = list(TABLES["documents"].schema)
    assert frame.columns == [*own, *MODEL.events["Login"].fields]
    assert frame.schema["success"] == pl.Boolean
    assert frame.schema["level"] == pl.Int64


@pytest.mark.parametrize("folder", ["Login", "elsewhere"])
def test_a_day_with_no_rows_has_empty_documents_of_every_type(tmp_path: Path, folder: str) -> None:
    if folder == "Login":
        land(
            tmp_path,
            "Login",
            pl.DataFrame(schema={"@timestamp": pl.String, "memberCode": pl.String}),
        )
    made = day_documents(MODEL, tmp_path)
    assert {name: frame.height for name, frame in made.documents.items()} == dict.fromkeys(
        MODEL.events, 0
    )
    assert (made.reject_share, made.rejects.height, made.rows_read) == (0.0, 0, 0)
    assert schema_failures(made.documents, DAY, MODEL.zone) == []
    full = tmp_path / "full"
    land(full, "Login", [{"@timestamp": f"{DAY}T01:00:00Z"}])
    other = day_documents(MODEL, full)
    for name, frame in made.documents.items():
        assert frame.schema == other.documents[name].schema


def test_the_day_of_a_row_without_time_has_its_local_midnight(tmp_path: Path) -> None:
    for zone, day, wanted in (
        ("Asia/Bangkok", date(2025, 3, 2), dt.datetime(2025, 3, 1, 17, tzinfo=dt.UTC)),
        ("America/New_York", date(2025, 3, 9), dt.datetime(2025, 3, 9, 5, tzinfo=dt.UTC)),
        ("Africa/Cairo", date(2025, 4, 25), dt.datetime(2025, 4, 24, 22, tzinfo=dt.UTC)),
    ):
        folder = tmp_path / zone
        land(folder, "Login", [{"memberCode": "ann"}], f"{day}.parquet")
        model = gaming_model(timezone=zone)
        made = build_documents(model, index_landing(model, folder), day, (day, day))
        assert made.documents["Login"].select("timestamp", "timestamp_missing").rows() == [
            (wanted, True)
        ]
        local = made.documents["Login"]["timestamp"].dt.convert_time_zone(zone).dt.date()
        assert local.to_list() == [day]


def test_partitions_are_inclusive(tmp_path: Path) -> None:
    for day in PARTITIONS:
        land(tmp_path, "Login", [{"@timestamp": f"{day}T00:00:00Z"}], f"{day}.parquet")
        made = day_documents(MODEL, tmp_path, day)
        assert (made.rows, made.rows_rejected) == (1, 0)


def test_a_duplicate_key_says_nothing_of_rows_that_lack_it_or_a_time(tmp_path: Path) -> None:
    model = gaming_model(name="games\nduplicate_key: [fingerprint]")
    moment = f"{DAY}T01:00:00Z"
    untimed = [{"fingerprint": "f", "memberCode": f"m{n}"} for n in range(3)]
    keyless = [{"@timestamp": moment, "memberCode": f"m{n}"} for n in range(3)]
    keyed = [{"@timestamp": moment, "memberCode": f"m{n}", "fingerprint": "f"} for n in range(3)]
    land(tmp_path, "Login", [*untimed, *untimed[:1], *keyless, *keyless[:1], *keyed])
    made = day_documents(model, tmp_path)
    assert (made.rows, made.duplicates) == (3 + 3 + 1, 1 + 1 + 2)


def test_a_spelling_of_null_is_no_time_even_where_it_could_be_one(tmp_path: Path) -> None:
    model = gaming_model(nulls='["", "1970-01-01T00:00:00.000Z"]')
    model = model.model_copy(
        update={"timestamp": model.timestamp.model_copy(update={"fields": ["@timestamp"]})}
    )
    land(tmp_path, "Login", [{"@timestamp": "1970-01-01T00:00:00.000Z", "memberCode": "ann"}])
    made = day_documents(model, tmp_path)
    assert made.rows_rejected == 0
    assert made.documents["Login"]["timestamp_missing"].to_list() == [True]


def test_a_file_that_is_replaced_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(name: str) -> list[dict[str, str]]:
        return [{"@timestamp": f"{DAY}T01:00:0{n}Z", "memberCode": f"{name}{n}"} for n in range(3)]

    land(tmp_path, "Login", rows("old"))
    index = index_landing(gaming_model(), tmp_path)
    real = ingest_rows.read_event_types

    def replaced(*arguments: Any) -> Any:
        land(tmp_path, "Login", rows("new and longer"))
        return real(*arguments)

    monkeypatch.setattr(ingest_rows, "read_event_types", replaced)
    made = build_documents(gaming_model(), index, DAY, PARTITIONS)
    assert (made.rows, made.unusable) == (0, ["Login/2025-03-02.parquet"])
    assert "changed while it was read" in made.rejects["reason"].item()


def test_a_file_whose_name_is_no_text_is_told_and_others_are_read(tmp_path: Path) -> None:
    good = land(tmp_path, "Login", [{"@timestamp": f"{DAY}T01:00:00Z", "memberCode": "ann"}])
    odd = os.fsencode(str(good.parent)) + b"/2025-03-02-\xff.parquet"
    with open(odd, "wb") as stream:
        stream.write(good.read_bytes())
    made = day_documents(gaming_model(), tmp_path)
    assert made.rows == 1
    assert made.unusable == ["Login/2025-03-02-\ufffd.parquet"]
