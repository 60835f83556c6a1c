"""What a step asks a cluster for: CPUs and memory, one table for Ray and for Kubernetes.

A line a step, `base + slope * memory_scale`. Scale 1 is the gaming profile, 958,000 events a day
and 30 days of them; 5.2 is 150 million events, as in docs/scaling.md, which has the figures.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import Any

from stupid_dagster.project import Project

RAY_TAG, KUBERNETES_TAG = "dagster-ray/config", "dagster-k8s/config"
# Dagster with its storage and the loaded definitions, in a process that does nothing yet.
_DAGSTER_GIB = 0.2
_HEAD_ROOM = 1.25
_STEP_GIB = 0.5
_LARGE_WINDOW, _LARGE_DAY = 5.2, 4.0
_MB = 1e6 / 2**30
# Polars, OpenMP (NetworKit, BLAS) and Rust's Rayon take all of a machine's cores unless told.
_THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True)
class Need:
    """What a step's process takes at its peak, in GiB by the volume, and its CPUs."""

    base_gib: float
    slope_gib: float
    cpus: int = 1

    def peak_gib(self, scale: float = 1.0) -> float:
        """Return the peak at `scale` times the gaming profile's volume."""
        return self.base_gib + self.slope_gib * scale

    def memory(self, scale: float = 1.0) -> int:
        """Return the bytes to ask for: the peak and head-room, in steps of half a GiB."""
        gib = self.peak_gib(scale) * _HEAD_ROOM
        return int(math.ceil(gib / _STEP_GIB) * _STEP_GIB * 2**30)


def _line(gib: float, large_gib: float, large: float) -> Need:
    slope = (large_gib - gib) / (large - 1)
    return Need(gib - slope, slope)


def _day(gib: float, large_gib: float) -> Need:
    """A day of 958,000 events and one of 3,832,000, Dagster loaded (python -m benchmarks workers).

    Twice the events took up to 8 % more than this line, which the head-room holds.
    """
    return _line(gib, large_gib, _LARGE_DAY)


def _window(mb: float, large_mb: float) -> Need:
    """Peaks at 28.8 and at 150 million events, by docs/scaling.md, without Dagster."""
    return _line(mb * _MB + _DAGSTER_GIB, large_mb * _MB + _DAGSTER_GIB, _LARGE_WINDOW)


def _proportional(mb: float) -> Need:
    """A peak that is known at scale 1 only: all of it is taken to grow, as an upper bound."""
    return Need(_DAGSTER_GIB, mb * _MB)


DAY_NEEDS = {
    "documents": _day(0.79, 1.85),
    "connections": _day(0.89, 2.44),
    "vectors": _day(0.55, 0.83),
}
# All three in one process, as a run in a pod of its own makes them: 1.32 GiB without Dagster,
# measured at scale 1 only. It is taken to grow by as much as the three do together.
_DAY_SLOPE = sum(need.slope_gib for need in DAY_NEEDS.values())
DAY_RUN = Need(1.32 + _DAGSTER_GIB - _DAY_SLOPE, _DAY_SLOPE)
WINDOW_NEEDS = {
    # By 30 days at scale 1 (the most that any run took) and the page's line to 150 million events.
    "graph": _window(3_160, 3_500),
    "graph_database": _window(2_990, 12_550),
    "graph_knowledge": _window(2_060, 8_700),
    "cooccurrence": _window(870, 1_790),
    "features": _window(650, 3_200),
    "patterns": _window(1_460, 3_030),
    "clusters": _window(870, 2_600),
    "search_index": _window(2_650, 4_270),
    "event_clusters": _window(940, 2_500),
    "trends": _window(430, 960),
    "anomalies": _window(1_180, 3_900),
    "history": _window(320, 320),
    "labels": _window(1_000, 3_830),
    "insights": _window(420, 450),
    "catalog": _window(470, 1_140),
    "window_days": _window(140, 140),
    # Without a language model 160; its client takes more. The rest are estimates.
    "digest": _window(430, 430),
    "snapshot": _proportional(330),
}
RETENTION_NEEDS = {  # estimates
    "eviction": _proportional(1_100),
    "audit": _proportional(1_600),
    "remove_garbage": _proportional(330),
}
NEEDS = DAY_NEEDS | WINDOW_NEEDS | RETENTION_NEEDS
"""By step: the name of the op that makes an asset, or several together."""


def op_tags(step: str) -> dict[str, Any]:
    """Return a step's tags, which the executors of Ray and Kubernetes read, and others don't."""
    need = NEEDS[step]
    memory = need.memory(_scale())
    return {
        RAY_TAG: json.dumps(
            {
                "num_cpus": need.cpus,  # without any Ray would start it on the head
                "memory": memory,
                "runtime_env": {"env_vars": dict.fromkeys(_THREADS, str(need.cpus))},
            }
        ),
        KUBERNETES_TAG: _kubernetes(need.cpus, memory),
    }


def run_tags(*needs: Need) -> dict[str, Any]:
    """Return the tags of a job for runs that do all in a pod of their own: the most of `needs`.

    None outside of Kubernetes, where they would only fill the UI's list of runs.
    """
    if "KUBERNETES_SERVICE_HOST" not in os.environ:  # Each pod has it.
        return {}
    memory = max(need.memory(_scale()) for need in needs)
    return {KUBERNETES_TAG: _kubernetes(max(need.cpus for need in needs), memory)}


def _kubernetes(cpus: int, memory: int) -> dict[str, Any]:
    quantity = f"{memory >> 20}Mi"
    requests = {"cpu": str(cpus), "memory": quantity}
    # More than asked for would be taken from the node's other pods.
    return {
        "container_config": {"resources": {"requests": requests, "limits": {"memory": quantity}}}
    }


def _scale() -> float:
    return Project.load().settings.memory_scale
