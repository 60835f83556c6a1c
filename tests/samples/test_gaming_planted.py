"""What the gaming sample's truth says was planted, looked for in the events."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.samples.gaming import write_gaming

FIRST, DAYS, EVENTS = date(2025, 3, 1), 8, 6_000
NULLS = ["None", "null", "undefined", "", " "]
KEPT = [
    *("@timestamp", "memberCode", "platform", "currency", "rGroup", "fingerprint", "game"),
    *("gameUid", "category", "error", "stage", "clickType", "success", "from", "sessionId"),
]
Frames = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gaming")
    write_gaming(out, FIRST, DAYS, EVENTS, seed=11)
    return out


@pytest.fixture(scope="module")
def events(sample: Path) -> Frames:
    """Each event type's rows without duplicates, nulls as nulls, values in lower case."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for path in sorted(sample.rglob("*.parquet")):
        frame = pl.read_parquet(path).unique(maintain_order=True)
        frame = frame.select(name for name in KEPT if name in frame.columns).with_columns(
            pl.col("@timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", strict=False),
            pl.exclude("@timestamp", "error", "stage", "rGroup", "currency", "gameUid")
            .replace(dict.fromkeys(NULLS))
            .str.to_lowercase(),
            file_day=pl.lit(path.stem),
        )
        kind = path.parent.name.replace("PopUp", "Popup")
        parts.setdefault(kind, []).append(frame)
    return {kind: pl.concat(frames) for kind, frames in parts.items()}


def test_members_of_the_truth_are_those_of_the_files(events, members) -> None:
    rows = pl.concat([frame.select("memberCode", "file_day") for frame in events.values()])
    found = (
        rows.drop_nulls()
        .group_by("memberCode")
        .agg(
            pl.len().alias("rows"),
            pl.col("file_day").n_unique().alias("active_days"),
            pl.col("file_day").min().str.to_date().alias("first_active"),
            pl.col("file_day").max().str.to_date().alias("last_active"),
        )
    )
    told = members.select(found.columns).with_columns(pl.col("rows", "active_days").cast(pl.UInt32))
    assert told.sort("memberCode").equals(found.sort("memberCode"))


def test_members_keep_their_vip_group_and_currency(events, members) -> None:
    for kind in ("Login", "GameOpened"):
        joined = events[kind].join(members, on="memberCode")
        for column, told in (("rGroup", "vip"), ("currency", "currency_right")):
            given = joined.filter(~pl.col(column).is_in(NULLS))
            assert (given[column] == given[told]).all()
    assert set(members["vip"]) == {"VIPB", "VIPS", "VIPG", "VIPP", "VIPA", "VIPC"}
    assert set(members["currency"]) == {"VND", "THB", "IDR"}


def test_a_session_is_one_member_s_in_all_event_types(events) -> None:
    rows = pl.concat([frame.select("sessionId", "memberCode") for frame in events.values()])
    sessions = rows.drop_nulls().group_by("sessionId").agg(pl.col("memberCode").n_unique())
    assert sessions["memberCode"].max() == 1
    kinds = [set(frame["sessionId"]) for frame in events.values()]
    assert len(kinds[0] & kinds[1]) > 100


def test_the_burst_is_in_its_hour(events, truth) -> None:
    burst = truth["error_burst"]
    assert burst["day"] == str(FIRST + timedelta(days=2))
    found = events["API Error"].filter(
        (pl.col("error") == burst["error"])
        & (pl.col("stage") == burst["stage"])
        & (pl.col("@timestamp").dt.date().cast(pl.String) == burst["day"])
        & (pl.col("file_day") == burst["day"])
    )
    hours = found["@timestamp"].dt.hour()
    assert [(hours == hour).sum() for hour in range(24)] == burst["rows_by_hour_of_day"]
    assert (hours == burst["hour_utc"]).sum() == burst["rows"] > burst["rows_added"] * 0.9
    others = (
        events["API Error"]
        .filter(pl.col("error") == burst["error"], pl.col("file_day") != burst["day"])
        .filter(pl.col("@timestamp").dt.hour() == burst["hour_utc"])
    )
    assert burst["rows"] > 4 * max(1.0, others.height / (DAYS - 1))


def test_one_segment_shifts_from_slots_to_live_casino(events, truth, members) -> None:
    shift = truth["shift"]
    assert shift["from_day"] == str(FIRST + timedelta(days=4))
    opened = events["GameOpened"].join(members, on="memberCode").drop_nulls("category")
    mine = opened.filter(pl.col("segment") == shift["segment"])
    for told in shift["opened_by_day_of_file"]:
        counts = mine.filter(pl.col("file_day") == told["day"])["category"].value_counts()
        assert dict(counts.iter_rows()) == {k: n for k, n in told["opened"].items() if n}

    def share(frame: pl.DataFrame, category: str, after: bool) -> float:
        days = pl.col("file_day") >= shift["from_day"]
        counted = frame.filter(days if after else ~days)["category"]
        return sum(value == category for value in counted) / len(counted)

    assert share(mine, "slots", False) > 0.6 > 0.3 > share(mine, "slots", True)
    assert share(mine, "live-casino", False) < 0.2 < 0.6 < share(mine, "live-casino", True)
    rest = opened.filter(pl.col("segment") != shift["segment"])
    assert share(rest, "slots", True) == pytest.approx(share(rest, "slots", False), abs=0.06)


def test_churners_have_two_errors_and_then_no_game_for_48_hours(events, truth, members) -> None:
    churn = truth["churn"]
    error = churn["sequence"][0]["error"]
    mine = events["API Error"].filter(pl.col("error") == error)
    codes = [one["memberCode"] for one in churn["members"]]
    assert sorted(codes) == sorted(members.drop_nulls("churn_day")["memberCode"])
    assert {one["day"] for one in churn["members"]} == {
        str(FIRST + timedelta(days=day)) for day in range(1, DAYS)
    }
    for one in churn["members"]:
        times = [datetime.fromisoformat(one[key][:-1]) for key in ("first_error", "second_error")]
        member = pl.col("memberCode") == one["memberCode"]
        day = pl.col("@timestamp").dt.date() == date.fromisoformat(one["day"])
        assert mine.filter(member & day)["@timestamp"].sort().to_list() == times
        games = events["GameOpened"].filter(member)["@timestamp"]
        quiet = games.is_between(times[0], times[1] + timedelta(hours=churn["quiet_hours"]))
        assert not quiet.any()
        before = games.is_between(times[0] - timedelta(hours=1), times[0])
        assert before.sum() >= 3
        covered = date.fromisoformat(one["day"]) + timedelta(days=2) < FIRST + timedelta(days=DAYS)
        assert one["quiet_seen_to_the_end"] == covered


def test_shared_accounts_and_devices_have_the_degrees_of_the_truth(events, truth) -> None:
    pairs = {
        name: pl.concat([events[kind].select("memberCode", "fingerprint") for kind in kinds])
        .drop_nulls()
        .unique()
        for name, kinds in (("used", [*events]), ("logins", ["Login"]))
    }
    for one in truth["shared_accounts"]:
        mine = pl.col("memberCode") == one["memberCode"]
        assert pairs["used"].filter(mine).height == one["devices_used"] >= 12
        assert pairs["logins"].filter(mine).height == one["devices_logged_in_from"] >= 12
        assert one["devices_used"] <= one["devices"]
    for one in truth["shared_devices"]:
        mine = pl.col("fingerprint") == one["fingerprint"]
        used = set(pairs["used"].filter(mine)["memberCode"])
        assert used == set(one["members"])
        assert len(used) == one["members_used"] >= 8
        assert pairs["logins"].filter(mine).height == one["members_logged_in"] == len(used)
    planted = [one["fingerprint"] for one in truth["shared_devices"]]
    others = pairs["used"].filter(~pl.col("fingerprint").is_in(planted))
    assert others["fingerprint"].value_counts()["count"].max() <= 3


def test_bots_open_their_games_in_fixed_intervals(events, truth, members) -> None:
    assert len(truth["bot_groups"]) == 4
    for group in truth["bot_groups"]:
        told = members.filter(pl.col("bot_group") == group["bot_group"])
        assert sorted(told["memberCode"]) == sorted(group["members"])
        mine = events["GameOpened"].filter(pl.col("memberCode").is_in(group["members"]))
        assert set(mine["game"]) == {name.lower() for name in group["games"]}
        assert mine.select("platform", "currency", "rGroup", "from").n_unique() == 1
        gaps = (
            mine.sort("memberCode", "@timestamp")
            .select(pl.col("@timestamp").diff().over("memberCode", "file_day"))
            .to_series()
            .drop_nulls()
            .dt.total_milliseconds()
        )
        assert (gaps / 1_000 - group["seconds_between_games"]).abs().max() < 0.5


def test_members_play_mostly_the_games_of_their_community(sample, events, truth, members) -> None:
    games = pl.read_ipc(sample / "truth" / "games.arrow")
    named = games.with_columns(pl.col("game").str.to_lowercase())
    opened = events["GameOpened"].drop_nulls("game").join(named, on="game", validate="m:1")
    assert opened.height == events["GameOpened"]["game"].drop_nulls().len()
    opened = opened.join(members.filter(pl.col("segment") != "bot"), on="memberCode")
    before = pl.col("file_day") < truth["shift"]["from_day"]
    own = pl.when(before).then("community_right").otherwise("community_after")
    either = (pl.col("community") == own) | (pl.col("community") == pl.col("community_2"))
    share = opened.select(either.fill_null(value=False).mean()).item()
    # One in five is drawn from all games, some of which are the member's community's own.
    assert truth["community_loyalty"] + 0.005 < share < truth["community_loyalty"] + 0.07
    found = events["GameOpened"].select(
        pl.when(pl.col("game").is_not_null()).then("game").alias("game"), "gameUid"
    )
    uids = {uid: name for uid, name in named.select("gameUid", "game").iter_rows() if uid}
    names = [game or uids.get(uid) for game, uid in found.iter_rows()]
    counts = pl.Series("game", names).drop_nulls().value_counts()
    told = named.filter(pl.col("rows") > 0).select("game", pl.col("rows").alias("count"))
    assert dict(told.iter_rows()) == dict(counts.iter_rows())


def test_segments_behave_as_described(events, truth, members) -> None:
    counts = members.select("memberCode", "segment", "vip", "active_days")
    for kind, frame in events.items():
        rows = frame.drop_nulls("memberCode").group_by("memberCode").agg(pl.len().alias(kind))
        counts = counts.join(rows, on="memberCode", how="left").with_columns(
            pl.col(kind).fill_null(0)
        )
    sums = counts.group_by("segment").agg(
        pl.col(*events).sum() / pl.col("active_days").sum(),
        pl.len(),
        (pl.col("vip") > "VIPG").mean(),
    )
    assert {row["segment"]: row["len"] for row in sums.to_dicts()} == {
        one["segment"]: one["members"] for one in truth["segments"]
    }
    of = {row["segment"]: row for row in sums.to_dicts()}
    games = sorted(set(of) - {"bot"}, key=lambda name: of[name]["GameOpened"])
    assert games[-1] == "high_roller" and games[0] == "error_newcomer"
    most = {kind: max(of, key=lambda name: of[name][kind]) for kind in ("API Error", "PopupModule")}
    assert most == {"API Error": "error_newcomer", "PopupModule": "popup_clicker"}
    clicks = events["PopupModule"].join(members, on="memberCode").group_by("segment")
    rates = dict(clicks.agg((pl.col("clickType") == "cta").mean()).iter_rows())
    assert (
        rates["popup_clicker"]
        > 0.6
        > 0.3
        > max(rate for name, rate in rates.items() if name != "popup_clicker")
    )
    opened = events["GameOpened"].join(members, on="memberCode")
    night = opened.filter(pl.col("segment") == "night_mobile")["@timestamp"].dt.hour()
    assert night.is_in([16, 17, 18, 19, 20]).mean() > 0.6
    fans = opened.filter(pl.col("segment") == "sports_fan")
    assert (fans["category"] == "sports").mean() > 0.6


def test_what_comes_after_the_last_day_is_not_told(tmp_path) -> None:
    write_gaming(tmp_path, FIRST, 1, 1_000)
    truth = json.loads((tmp_path / "truth" / "truth.json").read_text())
    assert truth["error_burst"] is None
    assert truth["shift"] is None
    assert truth["churn"]["members"] == []
