"""Faults at length: how often the work was killed, and what was left. The rules: `tests/faults`."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import report
from tests.faults.kills import Kill, Killing
from tests.faults.rounds import STEPS
from tests.faults.workers import Workers

LEAST_KILLS = 2
"""Of each step."""
_REPAIR_EVERY = 8


def kill_part(work: Path, kills: int, seed: int) -> tuple[str, dict[str, Any]]:
    """Return what came of at least so many kills, at least two of them in each step."""
    started = time.perf_counter()
    with Workers() as workers:
        killing = Killing(work / "kills" / "project", workers, random.Random(seed))
        killing.begin()
        while wanted := _wanted(killing.kills, kills):
            for step in wanted:
                killing.kill(step)
                if len(killing.kills) % _REPAIR_EVERY == 0:
                    killing.repair()
            if not (killing.kills or killing.missed):
                break
        killing.repair()
    seconds = time.perf_counter() - started
    hits = Counter(kill.step for kill in killing.kills)
    torn: dict[str, Counter[str]] = {step: Counter() for step in STEPS}
    for kill in killing.kills:
        torn[kill.step].update(folder.split("/")[0] for folder in kill.half_made)
    rows = [
        [step, str(hits[step]), ", ".join(f"{t} {n}" for t, n in sorted(torn[step].items()))]
        for step in STEPS
    ]
    text = [
        f"## SIGKILL, {len(killing.kills)} times",
        report.table(["killed in", "kills", "left half-made"], rows),
        f"Snapshots checked: {killing.snapshots}. Repaired by the next run, and then equal to a "
        f"fresh lake: {killing.repairs}. Done before they were killed: {killing.missed}. "
        f"**Violations: {len(killing.violations)}.** {seconds:.0f} s, {killing.cpu:.0f} CPU s "
        "of the workers.",
        *killing.violations,
    ]
    figures = {
        "kills": {step: hits[step] for step in STEPS},
        "half_made": sum(bool(kill.half_made) for kill in killing.kills),
        "snapshots": killing.snapshots,
        "repairs": killing.repairs,
        "missed": killing.missed,
        "violations": killing.violations,
        "seconds": seconds,
        "cpu": killing.cpu,
    }
    return "\n\n".join(text), figures


def _wanted(done: Sequence[Kill], kills: int) -> list[str]:
    """Return the steps of the next round of kills, none when it is enough."""
    hits = Counter(kill.step for kill in done)
    rare = [step for step in STEPS if hits[step] < LEAST_KILLS]
    click.echo(f"... {len(done)} kills, steps still to hit: {len(rare)}", err=True)
    if len(done) >= kills:
        return rare
    return list(STEPS)[: kills - len(done)] if not rare else list(STEPS)
