"""What the window's knowledge finds of what the gaming sample planted (its folder `truth`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MIN_EVENTS = 50
"""Events in the feature window of the members whose segments are compared: who has hardly done
anything can't be told apart by anyone (a classifier trained on the truth gets 0.69 of all)."""
QUIET = ("2025-03-10", "2025-03-17")
"""A week (its end excluded) in which nothing is planted that a metric must show."""
STAGES = ("features", "clusters", "event_clusters", "patterns", "trends", "anomalies")
"""What makes the tables that it reads."""


def planted(root: str, day: str, truth: str) -> dict[str, Any]:
    """Return the figures of the window ending on `day` against the truth in a folder."""
    import polars as pl
    from sklearn.metrics import adjusted_rand_score

    from stupid_dagster.project import Project

    project = Project.load(root)
    lake, silence = project.lake, project.model.patterns.silence
    assert silence is not None
    told = json.loads((Path(truth) / "truth.json").read_text(encoding="utf-8"))
    members = pl.read_ipc(Path(truth) / "members.arrow").select(
        "segment", "bot_group", "sharing_group", actor=pl.format("member:{}", "memberCode")
    )
    features = lake.read("features", day).select("actor", "events")
    segments = lake.read("cluster_members", day).join(features, on="actor")
    segments = segments.join(members.filter(pl.col("segment") != "bot"), on="actor")
    busy = segments.filter(pl.col("events") >= MIN_EVENTS)

    def agreement(found: pl.DataFrame) -> float:
        return float(adjusted_rand_score(found["segment"], found["cluster_id"]))

    bots = lake.read("bot_candidates", day).join(members, on="actor", how="left")
    groups = set(members["bot_group"].drop_nulls())
    accounts = set(members.filter(pl.col("sharing_group").str.starts_with("account-"))["actor"])
    ranked = lake.read("anomalies", day).sort("rank")["actor"].head(len(accounts)).to_list()
    trends = lake.read("trends", day).with_columns(hour=pl.col("time").dt.hour())
    critical = trends.filter(pl.col("severity") == "critical")
    on_day = pl.col("time").dt.date().cast(pl.String)
    burst = critical.filter(
        pl.col("grain") == "hour",
        on_day == told["error_burst"]["day"],
        pl.col("hour") == told["error_burst"]["hour_utc"],
        pl.col("member").is_in([told["error_burst"]["stage"], told["error_burst"]["status"]]),
    )
    quiet = critical.filter(on_day.is_between(*map(pl.lit, QUIET), closed="left"))
    stage = told["churn"]["sequence"][0]["stage"]
    churn = lake.read("patterns", day).filter(
        pl.col("category").is_in(["Churn", "ErrorChain"]),
        pl.col("status").ne_missing("vanished"),
        pl.col("symbols").list.eval(pl.element() == f"E:{stage}").list.sum() >= 2,
        pl.col("symbols").list.last() == silence.code,
    )
    return {
        "busy_members": busy.height,
        "segments_ari": agreement(busy),
        "segments_ari_of_all": agreement(segments),
        "bot_groups_found": len(set(bots["bot_group"].drop_nulls()) & groups) / len(groups),
        "bot_precision": bots["bot_group"].is_not_null().mean(),
        "shared_accounts_precision": len(accounts & set(ranked)) / len(accounts),
        "burst_rows_critical": burst["member"].n_unique(),
        "critical_rows_in_quiet_week": quiet.height,
        "churn_patterns": churn.height,
    }


if __name__ == "__main__":
    import sys

    for name, value in planted(*sys.argv[1:4]).items():
        print(f"{name:30} {value}")
