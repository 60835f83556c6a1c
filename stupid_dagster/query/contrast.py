"""What sets actors apart from all others in a snapshot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import structlog

from stupid_dagster.compute.contrast import Population, contrast
from stupid_dagster.compute.graph.incidence import Incidence
from stupid_dagster.deadline import check
from stupid_dagster.errors import NotFoundError
from stupid_dagster.query.frames import collected_all
from stupid_dagster.query.paging import Page
from stupid_dagster.stores.snapshots import Snapshot

log = structlog.get_logger(__name__)

MOST_ACTORS = 100_000
"""Actors that one question may list."""


@dataclass(frozen=True)
class ContrastPage(Page):
    """Rows as in `compute.contrast.CONTRAST_SCHEMA`.

    `asked` different ids were given, `actors` of them are actors of the window, and `rest` others
    there are.
    """

    asked: int = 0
    actors: int = 0
    rest: int = 0


class Contrasts:
    """Compares actors of one snapshot with its others; any number of threads may ask.

    What all comparisons share is made when the first asks. `edges` gives the graph, held by who
    answers for paths.
    """

    def __init__(self, snapshot: Snapshot, edges: Callable[[], Incidence]) -> None:
        self.snapshot = snapshot
        self._edges = edges
        self._lock = threading.Lock()
        self._population: Population | None = None

    def warm(self, actor: str) -> None:
        """Make what all comparisons share; `actor` is the entity type of actors."""
        self._open(actor)

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._population = None

    def page(self, actors: pl.Series, actor: str, limit: int) -> ContrastPage:
        """Return what sets the actors, whose entity type is `actor`, apart; strongest first.

        Ids that aren't actors of the window, or test accounts, are left out; raises NotFoundError
        when none is left, or nobody to compare with.
        """
        population = self._open(actor)
        check()
        asked = actors.drop_nulls().unique()
        places = population.places(asked)
        rest = population.size - len(places)
        if not len(places) or not rest:
            raise NotFoundError(
                f"{len(places)} of the {len(asked)} ids are of the window's {population.size} "
                f"actors (entity type {actor}); give some, but not all of them"
            )
        check()
        found = contrast(population, places)
        return ContrastPage(
            found.head(limit),
            limit,
            found.height > limit,
            found.height,
            asked=len(asked),
            actors=len(places),
            rest=rest,
        )

    def _open(self, actor: str) -> Population:
        with self._lock:
            if self._population is None:
                graph = self._edges()
                started = time.perf_counter()
                nodes, features = collected_all(
                    [
                        self.snapshot.scan("graph_nodes").sort("entity_id"),
                        self.snapshot.scan("features"),
                    ]
                )
                self._population = Population.of(graph, nodes, features, actor)
                log.info(
                    "actors read for contrasts",
                    actors=self._population.size,
                    bytes=self._population.bytes,
                    seconds=round(time.perf_counter() - started, 2),
                )
            return self._population
