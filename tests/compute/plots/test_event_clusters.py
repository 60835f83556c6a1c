from __future__ import annotations

import polars as pl

from stupid_dagster.compute.plots.event_clusters import event_cluster_plot
from stupid_dagster.tables import TABLES
from tests.compute.plots.test_plots import CRITICAL, count, pixels


def clusters(*names: str) -> pl.DataFrame:
    rows = [(name, ["Visit"], 3, 100 - n, 2, 0.9, "t", "d/Visit/1") for n, name in enumerate(names)]
    return pl.DataFrame(rows, schema=TABLES["event_clusters"].schema, orient="row")


def test_noise_is_red_and_always_drawn() -> None:
    actors = pl.DataFrame(
        [("a", 10, 5, 2, 0.2), ("b", 10, 5, 10, 1.0)],
        schema=TABLES["actor_noise"].schema,
        orient="row",
    )
    many = [f"event_cluster:{n}" for n in range(20)]
    calm = pixels(event_cluster_plot(clusters(*many), actors))
    noisy = pixels(event_cluster_plot(clusters(*many, "noise"), actors))
    assert count(calm, CRITICAL) == 0
    assert count(noisy, CRITICAL) > 100
    nothing = event_cluster_plot(clusters(), actors.clear())
    assert nothing == event_cluster_plot(clusters(), actors.clear())
    pixels(nothing)
