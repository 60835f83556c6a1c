"""What anomalous actors have in common: where to look for the cause."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.scores import NOTABLE, WEIGHTS
from stupid_dagster.compute.anomalies.signals.links import INCOMING
from stupid_dagster.compute.names import type_of
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import conform

BEYOND_CHANCE = 0.5
"""A signal above it is more than chance is to show once among all actors: see `Evidence`."""
MAX_P_VALUE = 0.05
MIN_LIFT = 2.0
"""What all actors share half as often says little of the anomalous ones, however many they are."""
MAX_EXAMPLES = 5


def anomalous_actors(anomalies: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `anomalies` whose common cause is looked for.

    These are the notable ones, and those with any signal above 0.5: who differs in one way
    alone hardly reaches a notable score, but many who differ in the same way have a cause.
    """
    strong = pl.any_horizontal(pl.col(signal) > BEYOND_CHANCE for signal in WEIGHTS)
    return anomalies.filter((pl.col("score") >= NOTABLE) | strong)


def anomaly_causes(model: EventModel, anomalies: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Return the table `anomaly_causes`, the least likely by chance first.

    `links` is of `actor_links` on the last day. An entity that at least two anomalous actors are
    linked to is tested: if of the relation's links to anything the anomalous actors held the
    same number, but which ones were chance, how likely were they to have so many to this entity
    (hypergeometric tail)? Links are drawn, and not actors, since who does much is linked to
    much; so what only anomalous actors are linked to by a relation is no cause by that relation.
    The chance is multiplied by the number of all entities that two actors share (Bonferroni);
    what is at most 0.05, and twice as common as among all actors, is a cause.
    """
    anomalous = anomalous_actors(anomalies).select("actor", "rank")
    per_entity = (
        links.lazy()
        .join(anomalous.lazy(), on="actor", how="left")
        .group_by("relation", "entity_id")
        .agg(
            actors=pl.len(),
            anomalous=pl.col("rank").count(),
            examples=pl.col("actor")
            .filter(pl.col("rank").is_not_null())
            .sort_by(pl.col("rank").drop_nulls())
            .head(MAX_EXAMPLES),
        )
        .with_columns(
            all_links=pl.col("actors").sum().over("relation"),
            anomalous_links=pl.col("anomalous").sum().over("relation"),
        )
        .filter(pl.col("actors") >= 2)
        .with_columns(compared=pl.len())
        .filter(pl.col("anomalous") >= 2)
        .with_columns(
            share=pl.col("anomalous") / max(1, anomalous.height),
            overall=pl.col("actors") / max(1, anomalies.height),
        )
        .with_columns(lift=pl.col("share") / pl.col("overall"))
        .filter(pl.col("lift") >= MIN_LIFT)
        .collect()
    )
    from scipy.stats import hypergeom  # takes half a second

    columns = ("anomalous", "all_links", "actors", "anomalous_links")
    many, links_of_all, of_entity, drawn = (
        per_entity[name].cast(pl.Int64).to_numpy() for name in columns
    )
    chance = hypergeom.sf(many - 1, links_of_all, of_entity, drawn)
    causes = (
        per_entity.with_columns(p_value=pl.Series(np.asarray(chance, dtype=np.float64)))
        .with_columns((pl.col("p_value") * pl.col("compared")).clip(0.0, 1.0))
        .filter(pl.col("p_value") <= MAX_P_VALUE)
        .sort("p_value", "lift", "entity_id", "relation", descending=[False, True, False, False])
        .with_columns(pl.col("relation").str.strip_suffix(INCOMING))
    )
    kinds = [type_of(entity, model) for entity in causes["entity_id"]]
    typed = causes.with_columns(type=pl.Series(kinds, dtype=pl.String))
    return conform(
        "anomaly_causes", typed.drop("all_links", "anomalous_links", "compared", "overall")
    )


def with_causes(anomalies: pl.DataFrame, causes: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Return `anomalies` with the causes that each anomalous actor is linked to, in their order."""
    shared = (
        links.lazy()
        .join(anomalous_actors(anomalies).lazy().select("actor"), on="actor", how="semi")
        .join(
            causes.lazy().select("entity_id").unique(maintain_order=True).with_row_index("place"),
            on="entity_id",
        )
        .select("actor", "entity_id", "place")
        .unique()
        .sort("place")
        .group_by("actor", maintain_order=True)
        .agg(shared="entity_id")
        .collect()
    )
    found = anomalies.drop("shared").join(shared, on="actor", how="left", maintain_order="left")
    return conform("anomalies", found.with_columns(pl.col("shared").fill_null([])))
