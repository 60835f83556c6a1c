"""The same events make the same documents, whatever kind of file they come in, and from where."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

from stupid_dagster.event_model import parse_event_model
from stupid_dagster.ingest import DayDocuments, build_documents, index_landing
from tests.gaming import DAY, GAMING, PARTITIONS, day_documents, gaming_model

MODEL = gaming_model()
BY_COLUMN = gaming_model(name="games\nevent_type_column: kind")
KINDS = ["parquet", "csv", "csv.gz", "tsv", "tsv.gz", "jsonl", "jsonl.gz", "ndjson", "ndjson.gz"]
Event = dict[str, Any]


def packed(events: list[Event], kind: str) -> bytes:
    """Return a file's content; a column is there if one of the events has it."""
    columns = list(dict.fromkeys(name for event in events for name in event))
    if kind.startswith(("jsonl", "ndjson")):
        content = "\n".join(json.dumps(event) for event in events).encode()
    else:
        frame = pl.DataFrame(events, schema=columns, orient="row", infer_schema_length=None)
        if kind == "parquet":
            with fsspec.open("memory://packed", "wb") as file:
                frame.write_parquet(file)  # pyright: ignore[reportArgumentType] (a file is meant)
            return fsspec.filesystem("memory").cat("/packed")
        content = frame.write_csv(separator="\t" if "tsv" in kind else ",").encode()
    return gzip.compress(content) if kind.endswith(".gz") else content


def put(folder: Path, path: str, content: str | bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)


def at(hour: int, member: Any, **fields: Any) -> Event:
    return {"@timestamp": f"{DAY}T{hour:02}:00:00.000Z", "memberCode": member, **fields}


EVENTS = {
    "Login/2025-03-02": [
        at(1, "ann", level=7, success=True, platform=' "web", or\n so ', affiliateid="a1"),
        at(2, "bob", level=None, success=False, platform="雪\\n", affiliateid=None),
        at(3, None, level=12, success=None, platform="null", affiliateid="undefined"),
        {"@timestamp": "2025-03-01T16:59:59Z", "memberCode": "yesterday's"},
        {"@timestamp": "never", "memberCode": "undated"},
        {"@timestamp": None, "memberCode": "nothing"},
        {"@timestamp": "2024-01-01T00:00:00Z", "memberCode": "far"},
    ],
    # Another day's file, in which columns are missing and others are there.
    "Login/2025-03-03": [
        at(4, "cid", currency="THB", extra="x", affiliateID="a2"),
        at(5, "dee", currency=None, extra=None, affiliateId="a3"),
    ],
    "GameOpened/2025-03-02": [
        at(1, 7, bet=1.5, game="Slots", gameUid=9007199254740993),
        at(2, 8, bet=20.25, game="Poker", gameUid=None),
    ],
}


def landed(folder: Path, kind: str) -> DayDocuments:
    for path, events in EVENTS.items():
        put(folder, f"{path}.{kind}", packed(events, kind))
    return day_documents(MODEL, folder)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> DayDocuments:
    return landed(tmp_path_factory.mktemp("landing"), "parquet")


def test_the_documents_are_the_events(wanted: DayDocuments) -> None:
    login = wanted.documents["Login"].sort("actor", "timestamp", nulls_last=True)
    assert login["memberCode"].to_list() == ["ann", "bob", "cid", "dee", "nothing", "undated", None]
    assert login["affiliateId"].to_list() == ["a1", None, "a2", "a3", None, None, None]
    assert login["level"].to_list() == [7, None, None, None, None, None, 12]
    assert login["success"].to_list() == [True, False, *[None] * 5]
    assert login["platform"].to_list()[:2] == ['"web", or\n so', "雪\\n"]
    games = wanted.documents["GameOpened"]
    assert games["actor"].to_list() == ["member:7", "member:8"]
    assert games["gameUid"].to_list() == ["9007199254740993", None]
    assert (wanted.rows, wanted.rows_rejected, wanted.unreadable_files) == (9, 1, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_the_same_documents(
    tmp_path: Path, wanted: DayDocuments, kind: str
) -> None:
    made = landed(tmp_path, kind)
    for name, frame in wanted.documents.items():
        assert made.documents[name].equals(frame), name
    assert (made.rows_read, made.rows_rejected) == (wanted.rows_read, wanted.rows_rejected)
    shown = ["row", "rows", "scope", "field", "reason", "raw"]
    assert made.rejects[shown].equals(wanted.rejects[shown])
    assert made.dropped_columns == wanted.dropped_columns
    # That file's home is another day.
    assert day_documents(MODEL, tmp_path, dt.date(2025, 3, 3)).dropped_columns == {
        "Login": {"extra": 1}
    }


@pytest.mark.parametrize("place", ["memory", "zip", "file"])
def test_every_place_makes_the_same_documents(
    tmp_path: Path, wanted: DayDocuments, place: str
) -> None:
    content = {
        f"{path}.{kind}": packed(events, kind)
        for (path, events), kind in zip(EVENTS.items(), ["csv.gz", "jsonl", "parquet"], strict=True)
    }
    location = {
        "memory": "memory://kinds landing",
        "zip": f"zip://land::{tmp_path}/x.zip",
        "file": f"file://{tmp_path}/land",
    }[place]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path, raw in content.items():
            archive.writestr(f"land/{path}", raw)
            fsspec.filesystem("memory").pipe(f"/kinds landing/{path}", raw)
            put(tmp_path / "land", path, raw)
    cache = tmp_path / "index.json"
    index = index_landing(MODEL, location, cache)
    assert index_landing(MODEL, location, cache) == index
    made = build_documents(MODEL, index, DAY, PARTITIONS)
    for name, frame in wanted.documents.items():
        assert made.documents[name].equals(frame), name


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("value", [7, 7.0, "7", " 7 "])
def test_an_id_is_one_whatever_its_type(tmp_path: Path, kind: str, value: Any) -> None:
    put(tmp_path, f"Login/2025-03-02.{kind}", packed([at(1, value, level=value)], kind))
    [row] = day_documents(MODEL, tmp_path).documents["Login"].to_dicts()
    # Text is left as it stands, and that is all that a CSV file has.
    as_written = kind == "csv" and value == 7.0 and isinstance(value, float)
    assert row["actor"] == ("member:7.0" if as_written else "member:7")
    assert row["level"] == 7


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_event_types_by_a_column(tmp_path: Path, kind: str) -> None:
    def event(hour: int, name: Any, member: str) -> Event:
        return at(hour, member, kind=name, game="Slots", junk="1", **{"<html>": "x"})

    events = [
        event(1, "Login", "ann"),
        event(2, "sign-in", "bob"),
        event(3, " GAMEOPENED ", "ann"),
        event(4, "Logout", "cid"),
        event(5, "Logout", "dee"),
        event(6, None, "eve"),
        {**event(0, "Teleport", "tomorrow's"), "@timestamp": "2025-03-03T10:00:00Z"},
        {**event(0, "Login", "tomorrow's"), "@timestamp": "2025-03-03T10:00:00Z"},
    ]
    put(tmp_path, f"Purchases/2025-03-02.{kind}", packed(events, kind))
    put(tmp_path, f"Login/2025-03-02.{kind}", packed([at(7, "by its folder")], kind))
    put(tmp_path, f"Purchases/none-2025-03-02.{kind}", packed([at(7, "lost")], kind))
    index = index_landing(BY_COLUMN, tmp_path)
    found = {file.path: file for file in index.files}
    several = found[f"Purchases/2025-03-02.{kind}"]
    assert several.event_types == {"GameOpened": 1, "Login": 3}
    assert several.days == {"2025-03-02": 6, "2025-03-03": 2}

    made = build_documents(BY_COLUMN, index, DAY, PARTITIONS)
    members = {name: frame["memberCode"].to_list() for name, frame in made.documents.items()}
    assert members == {
        "Login": ["ann", "bob", "by its folder"],
        "GameOpened": ["ann"],
        "API Error": [],
    }
    assert (made.rows_rejected, made.rows_read, made.unreadable_files) == (3, 7, 1)
    told = made.rejects.select("scope", "field", "row", "rows", "reason").rows()
    assert ("row", "kind", 3, 2, "kind: 'Logout' is no event type") in told
    assert ("row", "kind", 5, 1, "kind: no value is no event type") in told
    [junk] = [reason for scope, *_, rows, reason in told if (scope, rows) == ("column", 8)]
    assert junk.startswith("junk column '<")
    assert "its name has '<' in it (`junk_columns` of the event model)" in junk
    [lost] = [reason for scope, *_, reason in told if scope == "file"]
    assert lost == "no event type is named 'Purchases', and it has no column 'kind'"
    assert len(told) == 4
    assert made.dropped_columns["GameOpened, Login"] == {"junk": 8}

    after = build_documents(BY_COLUMN, index, dt.date(2025, 3, 3), PARTITIONS)
    assert after.documents["Login"]["memberCode"].to_list() == ["tomorrow's"]
    assert after.rejects["reason"].to_list() == ["kind: 'Teleport' is no event type"]
    assert (after.rows_rejected, after.dropped_columns) == (1, {})


def test_a_field_of_the_model_can_be_the_event_type_s_column(tmp_path: Path) -> None:
    text = GAMING.replace("name: games", "name: games\nevent_type_column: platform")
    put(tmp_path, "2025-03-02.csv", f"@timestamp,platform\n{DAY}T01:00:00Z,Login\n")
    made = day_documents(parse_event_model(text), tmp_path)
    assert made.documents["Login"]["platform"].to_list() == ["Login"]


def test_bad_records_are_told_once_with_their_number_on_the_file_s_day(tmp_path: Path) -> None:
    lines = ["@timestamp,memberCode", f"{DAY}T01:00:00Z,ann", "too,many,fields", "2025-03-01,x,"]
    lines += ["few", "2025-03-03T10:00:00Z,bob", "04.03.2025 10:00:00,cid"]
    put(tmp_path, "Login/2025-03-02.csv", "\n".join(lines))
    put(tmp_path, "Login/undated.jsonl", '{"@timestamp":"2025-03-03T10:00:00Z"}\nbroken\n')
    made = {n: day_documents(MODEL, tmp_path, dt.date(2025, 3, n)) for n in (1, 2, 3, 4)}
    assert {n: of_day.rows for n, of_day in made.items()} == {1: 0, 2: 1, 3: 2, 4: 1}
    assert {n: of_day.rows_rejected for n, of_day in made.items()} == {1: 0, 2: 3, 3: 1, 4: 0}
    assert {n: of_day.rows_read for n, of_day in made.items()} == {1: 0, 2: 4, 3: 3, 4: 1}
    assert made[2].rejects.select("row", "rows", "scope", "raw").rows() == [
        (1, 1, "row", "too,many,fields"),
        (2, 1, "row", "2025-03-01,x,"),
        (3, 1, "row", "few"),
    ]
    assert made[3].rejects.select("file", "row", "raw").rows() == [
        ("Login/undated.jsonl", 1, "broken")
    ]


def test_values_that_don_t_fit_are_told_with_their_record_s_number(tmp_path: Path) -> None:
    good = f"{DAY}T01:00:00Z"
    text = f"@timestamp,level,memberCode\nbroken\n{good},1,a\nnever,2,b\n{good}\n{good},many,c\n"
    put(tmp_path, "Login/2025-03-02.csv", text)
    told = day_documents(MODEL, tmp_path).rejects.select("row", "scope", "raw").rows()
    assert told == [
        (0, "row", "broken"),
        (2, "value", "never"),
        (3, "row", good),
        (4, "value", "many"),
    ]


def test_a_changed_file_makes_its_days_anew(tmp_path: Path) -> None:
    cache = tmp_path / "index.json"
    folder = tmp_path / "landing"

    def members(day: int) -> list[str]:
        index = index_landing(MODEL, folder, cache)
        made = build_documents(MODEL, index, dt.date(2025, 3, day), PARTITIONS)
        return made.documents["Login"]["memberCode"].to_list()

    put(folder, "Login/export.csv", f"@timestamp,memberCode\n{DAY}T01:00:00Z,ann\n")
    assert (members(2), members(3)) == (["ann"], [])
    put(folder, "Login/export.csv", "@timestamp,memberCode\n2025-03-03T01:00:00Z,bob\n")
    assert (members(2), members(3)) == ([], ["bob"])


def test_an_undated_file_s_rows_without_time_are_told_once(tmp_path: Path) -> None:
    days = ["2025-02-01", "2025-03-05", "2025-03-07"]
    lines = [*(f"{day}T10:00:00Z,{day}" for day in days), "never,lost", ",lost too"]
    put(tmp_path, "Login/export.csv", "@timestamp,memberCode\n" + "\n".join(lines))
    index = index_landing(MODEL, tmp_path)
    [file] = index.files
    assert file.home(PARTITIONS) == "2025-03-05", "the first day that there is a partition of"
    assert [f.path for f in index.files if f.untold] == ["Login/export.csv"]
    home, other = (build_documents(MODEL, index, dt.date(2025, 3, n), PARTITIONS) for n in (5, 7))
    assert (home.rows, home.rows_rejected) == (1, 3)
    assert sorted(home.rejects["raw"].to_list(), key=str) == [f"{days[0]}T10:00:00Z", None, "never"]
    assert (other.rows, other.rejects.height) == (1, 0)


def test_a_file_dated_outside_the_partitions_is_told_on_its_first_day_in_them(tmp_path) -> None:
    text = f"@timestamp,memberCode,x\nbroken\n{DAY}T01:00:00Z,ann,1\n2025-03-05T01:00:00Z,bob,1\n"
    put(tmp_path, "Login/2024-12-31.csv", text)
    made = {n: day_documents(MODEL, tmp_path, dt.date(2025, 3, n)) for n in (2, 5)}
    assert [of_day.rows for of_day in made.values()] == [1, 1]
    assert made[2].rejects["raw"].to_list() == ["broken"]
    assert made[5].rejects.is_empty()
    assert (made[2].dropped_columns, made[5].dropped_columns) == ({"Login": {"x": 2}}, {})


def test_a_file_of_rows_of_no_known_event_type_and_no_date_is_still_read(tmp_path: Path) -> None:
    text = f"@timestamp,kind\n{DAY}T01:00:00Z,Logout\nnever,Logout\n"
    put(tmp_path, "export.csv", text)
    made = day_documents(BY_COLUMN, tmp_path)
    assert made.unreadable_files == 0
    assert {row["raw"] for row in made.rejects.to_dicts()} == {"Logout", "never"}


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_junk_columns_are_told_with_their_values(tmp_path: Path, kind: str) -> None:
    junk = "<html>" + "x" * 3000
    events = [at(n, f"m{n}", **{junk: v}) for n, v in enumerate(["1", None, "None", "2"])]
    put(tmp_path, f"Login/2025-03-02.{kind}", packed(events, kind))
    [told] = day_documents(MODEL, tmp_path).rejects.to_dicts()
    assert (told["scope"], told["raw"]) == ("column", junk[:2000])
    assert told["rows"] == (3 if kind == "parquet" else 2), "of Parquet, an upper bound"


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.jsonl", "x.tsv", "x.jsonl.gz"])
def test_a_parquet_file_by_another_name_is_one_reject(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"Login/2025-03-02-{name}", packed([at(1, "ann")], "parquet"))
    made = day_documents(MODEL, tmp_path)
    assert (made.rows, made.unreadable_files, made.reject_share) == (0, 1, 1.0)
    [reject] = made.rejects.to_dicts()
    assert reject["scope"] == "file"
    assert "the file can't be read: " in reject["reason"]
