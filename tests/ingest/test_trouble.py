"""Whatever a landing file holds: good rows arrive, the rest is told, nothing raises."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.event_model import load_event_model
from stupid_dagster.ingest import build_documents, index_landing
from stupid_dagster.ingest.checks import schema_failures
from tests.gaming import DAY, PARTITIONS, day_documents, land
from tests.ingest.landed import GOOD, HTML, MODEL, MOMENT, OWN, read


def damaged(kind: str, good: bytes) -> bytes:
    return {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "no footer": good[:-8],
        "text": b"@timestamp,memberCode\n2025-03-02,ann\n",
        "noise": bytes(range(256)) * 8,
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "truncated", "no footer", "text", "noise"])
def test_a_file_that_can_t_be_read_is_one_reject(folder: Path, kind: str) -> None:
    file = land(folder, "Login", [GOOD] * 50)
    file.write_bytes(damaged(kind, file.read_bytes()))
    land(folder, "SignIn", [GOOD])
    made = read(folder)
    assert made.documents["Login"]["memberCode"].to_list() == ["good"]
    [reject] = made.rejects.to_dicts()
    assert (reject["scope"], reject["file"]) == ("file", f"Login/{DAY}.parquet")
    assert reject["reason"].startswith(f"Login/{DAY}.parquet: the file ")
    assert (made.unreadable_files, made.files, made.reject_share) == (1, 3, pytest.approx(1 / 3))


def test_files_that_go_or_shrink_after_they_were_indexed(folder: Path) -> None:
    gone, empty = land(folder, "Login", [GOOD]), land(folder, "API Error", [GOOD])
    index = index_landing(MODEL, folder)
    gone.unlink()
    empty.write_bytes(b"")
    made = build_documents(MODEL, index, DAY, PARTITIONS)
    assert made.rows == 1
    assert sorted(made.rejects["file"]) == [f"API Error/{DAY}.parquet", f"Login/{DAY}.parquet"]


def test_an_unknown_folder_is_told_with_a_hint(folder: Path) -> None:
    land(folder, "Logn", [GOOD])
    [reject] = read(folder).rejects.to_dicts()
    assert reject["scope"] == "file"
    assert reject["reason"] == "no event type is named 'Logn' (did you mean 'Login'?)"


def test_a_file_without_a_time_is_dated_by_its_name_and_told_once(folder: Path) -> None:
    land(folder, "Login", [{"memberCode": "ann"}, {"memberCode": "bob"}])
    made = read(folder)
    assert made.documents["Login"]["memberCode"].to_list() == ["ann", "bob"]
    assert made.documents["Login"]["timestamp_missing"].all()
    [reject] = made.rejects.to_dicts()
    assert (reject["scope"], reject["rows"]) == ("column", 2)
    assert (
        reject["reason"] == "no timestamp in @timestamp, clientTime: its rows are dated 2025-03-02"
    )
    assert made.reject_share == 0, "its rows arrived"


def test_a_file_with_neither_time_nor_date_is_told_by_the_index(folder: Path) -> None:
    land(folder, "Login", [{"memberCode": "ann"}], "export.parquet")
    assert read(folder).rows == 1
    [file] = [file for file in index_landing(MODEL, folder).files if file.untold]
    assert "1 of 1 rows have no usable timestamp" in (file.problem or "")


def test_times_in_many_spellings_in_one_file(folder: Path) -> None:
    times = {
        "iso": f"{DAY}T01:00:00.000Z",
        "offset": f"{DAY} 08:00:00+07:00",
        "seconds": "1740877200",
        "millis": " 1740877200000 ",
        "own": "02.03.2025 01:00:00",
        "junk": "yesterday",
        "nothing": "undefined",
        "far": "+99999-01-01T00:00:00Z",
    }
    land(
        folder, "Login", [{"memberCode": name, "@timestamp": text} for name, text in times.items()]
    )
    made = read(folder)
    documents = made.documents["Login"]
    told = dict(documents.select("memberCode", "timestamp_missing").iter_rows())
    assert told == {name: name in ("junk", "nothing", "far") for name in times}
    assert set(documents.filter(~pl.col("timestamp_missing"))["timestamp"]) == {MOMENT}
    assert {row["raw"]: row["reason"] for row in made.rejects.to_dicts()} == {
        "yesterday": "@timestamp, clientTime: 'yesterday' is no known time: dated 2025-03-02",
        times[
            "far"
        ]: f"@timestamp, clientTime: '{times['far']}' is no known time: dated 2025-03-02",
        None: "@timestamp, clientTime: no value is no known time: dated 2025-03-02",
    }
    assert set(made.rejects["scope"]) == {"value"}


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([MOMENT], pl.Datetime("us", "UTC")),
        ([MOMENT.replace(tzinfo=None)], pl.Datetime("ns")),
        ([MOMENT], pl.Datetime("ms", "America/New_York")),
        ([1740877200], pl.Int64),
        ([1740877200000], pl.UInt64),
        ([f"{DAY}T01:00:00Z"], pl.Categorical),
        ([f"{DAY}T01:00:00Z".encode()], pl.Binary),
    ],
)
def test_times_of_other_types(folder: Path, values: list, dtype: Any) -> None:
    land(folder, "Login", pl.DataFrame({"@timestamp": pl.Series(values).cast(dtype)}))
    made = read(folder)
    assert made.documents["Login"].select("timestamp", "timestamp_missing").rows() == [
        (MOMENT, False)
    ]
    assert made.rejects.is_empty()


@pytest.mark.parametrize(
    "value",
    [
        *(True, 1.5, dt.date(2025, 3, 2), dt.timedelta(1), b"\xff\xfe", None),
        *([1, None], [], [b"\xff"], {"a": [1]}, {"a": b"\xff"}, [{"a": dt.time(1)}]),
        *("9" * 400, float("nan"), dt.datetime(9999, 12, 31, 23), dt.datetime(1, 1, 1)),
    ],
    ids=repr,
)
def test_any_type_of_column_anywhere(folder: Path, value: Any) -> None:
    odd = {
        name: [value] for name in ("@timestamp", "level", "success", "platform", "isTestAccount")
    }
    land(folder, "Login", pl.DataFrame({"memberCode": ["ann"], **odd}, strict=False))
    [document] = read(folder).documents["Login"].to_dicts() or [None]
    assert document is None or document["memberCode"] == "ann"


@pytest.mark.parametrize(
    ("day", "times"),
    [
        # 02:30 does not come on 10 March, 01:30 comes twice on 3 November.
        ("2013-03-10", ["2013-03-10T05:00:00Z", "2013-03-11T03:59:59Z", "2013-03-10 03:30:00"]),
        ("2013-11-03", ["2013-11-03T04:00:00Z", "2013-11-04T04:59:59Z", "2013-11-03 01:30:00"]),
    ],
)
def test_days_on_which_clocks_change(tmp_path: Path, day: str, times: list[str]) -> None:
    flights = load_event_model("flights")
    rule = flights.timestamp.model_copy(update={"timezone": "America/New_York"})
    flights = flights.model_copy(update={"timestamp": rule})
    start = dt.datetime.fromisoformat(times[0])
    others = [start - dt.timedelta(milliseconds=1), start + dt.timedelta(days=2)]
    texts = [*times, f"{day} 02:30:00", *(moment.isoformat() for moment in others)]
    rows = [{"scheduled_at": text, "tailnum": f"N{n}"} for n, text in enumerate(texts)]
    land(tmp_path, "Departure", rows, f"{day}.parquet")
    date = dt.date.fromisoformat(day)
    made = build_documents(flights, index_landing(flights, tmp_path), date, (date, date))
    documents = made.documents["Departure"].sort("tailnum")
    assert documents["tailnum"].to_list() == ["N0", "N1", "N2", "N3"]
    local = documents["timestamp"].dt.convert_time_zone("America/New_York")
    assert set(local.dt.date()) == {date}
    missing = documents["timestamp_missing"].to_list()
    assert missing == [False, False, False, day == "2013-03-10"]
    assert made.rows_rejected == 2


NAMES = [*OWN, "memberCode", "@timestamp", "clientTime", "level", "affiliateID", HTML, ""]
ANY_NAME = st.sampled_from(NAMES) | st.text(max_size=5).filter(lambda name: "\0" not in name)
ANY_VALUE = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.sampled_from([f"{DAY}T01:00:00Z", "2025-03-09 10:00", "null", "1e309", "yes", "\u0000"]),
)


@settings(deadline=None, max_examples=20)
@given(st.dictionaries(ANY_NAME, st.lists(ANY_VALUE, min_size=4, max_size=4)))
def test_no_table_of_texts_raises_and_no_row_is_lost(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, list[str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("landing")
    keys = {"fingerprint": [str(n) for n in range(4)]}  # So that no two rows are one.
    schema = dict.fromkeys([*columns, *keys], pl.String)
    land(folder, "Login", pl.DataFrame(columns | keys, schema=schema))
    made = {day: day_documents(MODEL, folder, day) for day in (DAY, dt.date(2025, 3, 9))}
    assert sum(of_day.rows + of_day.rows_rejected for of_day in made.values()) == 4
    for day, of_day in made.items():
        assert schema_failures(of_day.documents, day, MODEL.zone) == []
