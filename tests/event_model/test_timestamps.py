from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stupid_dagster.event_model.schema import TimestampRule
from stupid_dagster.event_model.timestamps import parse_timestamps
from stupid_dagster.tables import TIME

UTC = dt.UTC
TEN = dt.datetime(2013, 2, 8, 10, tzinfo=UTC)


def parse(*texts: str | None, **rule) -> list[dt.datetime | None]:
    series = pl.Series("t", texts, dtype=pl.String)
    found = parse_timestamps(series, TimestampRule(fields=["t"], **rule))
    assert found.dtype == TIME
    assert len(found) == len(texts)
    return found.to_list()


@pytest.mark.parametrize(
    "text",
    [
        *("2013-02-08T10:00:00Z", "2013-02-08T10:00:00.000Z", "2013-02-08T10:00:00.000000000Z"),
        *("2013-02-08T11:00:00+01:00", "2013-02-08T05:00:00.0-05:00", "2013-02-08T11:00:00+0100"),
        *("2013-02-08 10:00:00+00:00", "2013-02-08 15:30:00.000+05:30"),
        *("2013-02-08T10:00:00", "2013-02-08 10:00:00.000", "2013-02-08T10:00", "2013-02-08 10:00"),
        *("2013/02/08 10:00:00", "1360317600", "1360317600000"),
        *("2013-02-08T10:00Z", "2013-02-08 10:00Z", "2013-02-08 10:00:00Z", "2013-02-08T17:00+07"),
        *("2013-02-08T17:00:00+07", "2013-02-08 04:30:00.0-0530", "2013-02-08T10:00:00,000Z"),
        *("20130208T100000Z", "20130208T170000+0700", "20130208T100000", "20130208T100000.000Z"),
        *("1360317600.0", "1360317600.0000000", "1360317600000.0"),
    ],
)
def test_known_spellings(text: str) -> None:
    assert parse(text) == [TEN]


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "10:00", "20130208", "2013-02-30T10:00:00Z", "2013-02-08T25:00:00Z"),
        *("2013-02-08T10:00:00Z and more", "13603176000", "136031760000000", "1360317600."),
        *("+12345-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "0000-00-00 00:00:00"),
        *("+262142-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
        *("2013-02-08T10:00:00+99:99", "<html>", "٢٠١٣-02-08T10:00:00Z"),
        *("2013-02-30", "2013-2-8", "2013-02", "2013-02-08Z", "2013-02-08T10", "٢٠١٣-02-08"),
        *("2013-02-08T25:00Z", "2013-02-08T10:00:00+0", "2013-02-08T10:00:00,Z", "20130208100000"),
        *("2013-0208T100000Z", "20130230T100000Z", "20130208T100000Zx", "2013-02-08T10:00.5Z"),
        *("136031760.5", "13603176000.5", "1360317600,5", "1360317600.5.5", "1360317600.5e1"),
        *("+136031760", "-136031760", "1360317600.5s"),
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    assert parse(text, "2013-02-08T10:00:00Z") == [None, TEN]


def test_one_column_may_mix_spellings() -> None:
    texts = ["1360317600", None, "2013-02-08T10:00:00Z", "nothing", "2013-02-08 10:00:00"]
    assert parse(*texts) == [TEN, None, TEN, None, TEN]
    assert parse(*[None, None]) == [None, None]
    assert parse() == []


def test_fractions_are_cut_to_milliseconds() -> None:
    assert (
        parse(
            *("2013-02-08T10:00:00.123999Z", "1360317600123", "2013-02-08T10:00:00,123999Z"),
            *("20130208T100000.1239Z", "1360317600.123", "1360317600.1239999", "1360317600123.9"),
        )
        == [TEN.replace(microsecond=123_000)] * 7
    )
    assert parse("1360317600.5") == [TEN.replace(microsecond=500_000)]


def test_a_date_alone_is_its_first_moment_in_the_rule_s_zone() -> None:
    assert parse("2013-02-08") == [TEN.replace(hour=0)]
    assert parse("2013-02-08", timezone="Asia/Bangkok") == [dt.datetime(2013, 2, 7, 17, tzinfo=UTC)]
    # Clocks went from midnight to 1:00.
    assert parse("2018-11-04", timezone="America/Sao_Paulo") == [
        dt.datetime(2018, 11, 4, 3, tzinfo=UTC)
    ]
    assert parse("2011-12-30", timezone="Pacific/Apia") == [None], "the day didn't occur"


def test_the_model_s_formats_come_before_dates_and_epochs() -> None:
    texts = ["2013-08-02", "20130208", "1360317600.5"]
    formats = ["%Y-%d-%m", "%Y%m%d"]
    day = TEN.replace(hour=0)
    assert parse(*texts, formats=formats) == [day, day, TEN.replace(microsecond=500_000)]


def test_the_model_s_formats_come_first() -> None:
    rule = {"formats": ["%d/%m/%Y %H:%M", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y/%d/%m %H:%M:%S"]}
    assert parse("08/02/2013 10:00", "2013-02-08T11:00:00+0100", "2013/08/02 10:00:00", **rule) == [
        TEN,
        TEN,
        TEN,
    ]
    assert parse("2013/02/08 10:00:00") == [TEN], "the usual order, when the model has none"


def test_a_format_with_an_offset_is_no_local_time() -> None:
    rule = {"formats": ["%d.%m.%Y %H:%M %z"], "timezone": "America/New_York"}
    assert parse("08.02.2013 11:00 +0100", **rule) == [TEN]


def test_times_that_state_no_zone_are_in_the_rule_s() -> None:
    rule = {"timezone": "America/New_York"}
    texts = ["2013-02-08 05:00:00", "2013-02-08T10:00:00Z", "1360317600"]
    texts += ["20130208T050000", "2013-02-08T05:00:00,0", "2013-02-08T10:00Z", "1360317600.0"]
    assert parse(*texts, **rule) == [TEN] * 7


def test_an_hour_that_does_not_occur_is_no_time_and_one_that_occurs_twice_is_the_first() -> None:
    rule = {"timezone": "America/New_York"}
    before, missing, after = parse(
        "2013-03-10 01:59:59", "2013-03-10 02:30:00", "2013-03-10 03:00:00", **rule
    )
    assert missing is None
    assert before and after and after - before == dt.timedelta(seconds=1)
    assert parse("2013-11-03 01:30:00", "2013-11-03 02:00:00", **rule) == [
        dt.datetime(2013, 11, 3, 5, 30, tzinfo=UTC),
        dt.datetime(2013, 11, 3, 7, 0, tzinfo=UTC),
    ]


moments = st.datetimes(
    dt.datetime(1970, 1, 1), dt.datetime(2200, 1, 1), timezones=st.timezones()
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


@given(st.lists(moments, max_size=5), st.sampled_from(["T", " "]))
def test_iso_8601_comes_back_with_its_offset(found: list[dt.datetime], between: str) -> None:
    # Before they were fixed to whole minutes, some zones' offsets had seconds: no ISO 8601.
    found = [m for m in found if (m.utcoffset() or dt.timedelta()).seconds % 60 == 0]
    texts = [moment.isoformat(between, "milliseconds") for moment in found]
    assert parse(*texts) == [moment.astimezone(UTC) for moment in found]


@given(st.lists(st.one_of(st.none(), st.text(max_size=30), st.integers().map(str)), max_size=5))
@example(["2013-02-08", "1360317600.5", "9999-12-31", "0001-01-01", "99991231T235959-12"])
def test_no_text_raises(texts: list[str | None]) -> None:
    for time in parse(*texts, formats=["%d.%m.%Y", "%s"], timezone="Asia/Kathmandu"):
        assert time is None or 1 < time.year < 9999
