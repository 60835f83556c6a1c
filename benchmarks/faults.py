"""Faults at length: how often the work was killed, and what was left. The rules: `tests/faults`."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import report
from tests.faults.commands import EVICT, RUN, Commanding
from tests.faults.kills import Kill, Killing
from tests.faults.pairs import LOSES, PAIRS, Pairing
from tests.faults.rounds import KILLED_IN
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
    torn: dict[str, Counter[str]] = {step: Counter() for step in KILLED_IN}
    for kill in killing.kills:
        torn[kill.step].update(folder.split("/")[0] for folder in kill.half_made)
    rows = [
        [step, str(hits[step]), ", ".join(f"{t} {n}" for t, n in sorted(torn[step].items()))]
        for step in KILLED_IN
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
        "kills": {step: hits[step] for step in KILLED_IN},
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
    rare = [step for step in KILLED_IN if hits[step] < LEAST_KILLS]
    click.echo(f"... {len(done)} kills, steps still to hit: {len(rare)}", err=True)
    if len(done) >= kills:
        return rare
    return list(KILLED_IN)[: kills - len(done)] if not rare else list(KILLED_IN)


def pair_part(work: Path, repeat: int) -> tuple[str, dict[str, Any]]:
    """Return what came of two writers at the same time, each pair so many times."""
    started = time.perf_counter()
    with Workers() as workers:
        pairing = Pairing(work / "pairs" / "project", workers)
        pairing.begin()
        for pair in [*PAIRS] * repeat:
            click.echo(f"... {pair}", err=True)
            pairing.run(pair)
    seconds = time.perf_counter() - started
    rows = [
        [pair, *(str(ends[end]) for end in ("done", *LOSES))] for pair, ends in pairing.ends.items()
    ]
    text = [
        "## Two writers at the same time",
        report.table(["pair", "done", *LOSES], rows),
        f"Snapshots checked, most of them meanwhile: {pairing.snapshots}. **Violations: "
        f"{len(pairing.violations)}.** {seconds:.0f} s, {pairing.cpu:.0f} CPU s of the workers.",
        *pairing.violations,
    ]
    figures = {name: dict(ends) for name, ends in pairing.ends.items()}
    return "\n\n".join(text), {"pairs": figures, "violations": pairing.violations}


def command_part(work: Path, seed: int) -> tuple[str, dict[str, Any]]:
    """Return what came of commands that were killed, and of two runs at the same time."""
    commanding = Commanding(work / "commands" / "project", random.Random(seed))
    commanding.begin()
    for command in (RUN, EVICT, RUN, RUN, EVICT):
        click.echo(f"... killing {command[0]}", err=True)
        commanding.kill(command)
    commanding.run_two()
    kills = ", ".join(f"`{name}` after {after:.1f} s" for name, after in commanding.kills)
    first, *rest = commanding.seconds["run"]
    text = [
        "## Through the command line",
        f"Killed: {kills}. The first run took {first:.1f} s, those after a kill "
        f"{min(rest):.1f} to {max(rest):.1f} s. Two runs at the same time: once. **Violations: "
        f"{len(commanding.violations)}.**",
        *commanding.violations,
    ]
    figures = {"kills": commanding.kills, "seconds": commanding.seconds}
    return "\n\n".join(text), figures | {"violations": commanding.violations}


def measure(machine: Mapping[str, Any], kills: int, repeat: int, seed: int) -> tuple[str, Any]:
    """Return the report of all faults, and its figures."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        parts = {
            "kills": kill_part(work, kills, seed),
            "pairs": pair_part(work, repeat),
            "commands": command_part(work, seed),
        }
    text = report.page("Faults", machine, *(text for text, _ in parts.values()))
    return text, {"machine": machine} | {name: figures for name, (_, figures) in parts.items()}
