"""Reports in Markdown, and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.child import Runs
from benchmarks.machine import QUIET_LOAD, code_state


def write(folder: Path, name: str, text: str, figures: Mapping[str, Any]) -> None:
    """Write `<name>.md` and `<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


def page(title: str, machine: Mapping[str, Any], *parts: str) -> str:
    """Return a report: its title, the machine, and parts, each a paragraph or a table."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    about = (
        f"{machine['when']}, {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}, Python "
        f"{machine['python']}, {versions}; code {machine['code']}; load before the start "
        f"{machine['load']}."
    )
    noise = []
    if not machine["quiet"]:
        noise.append(
            f"**Not quiet:** the load was {machine['load']} before the start (at most {QUIET_LOAD} "
            "is quiet). Other work made wall times longer, and CPU times somewhat."
        )
    if code_state() != machine["code"]:
        noise.append("**The code changed** while it was measured: parts are of different states.")
    return "\n\n".join([f"# {title}", about, *noise, *(part for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table: the first column flush left, the others flush right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def stage_table(stages: Sequence[Runs]) -> str:
    """Return stages with their least cost, and the median where there are several runs."""
    several = any(len(runs.runs) > 1 for runs in stages)
    head = ["stage", "wall s", "CPU s", "rows", "bytes", "peak MB", "of which before"]
    head += ["median wall s", "median CPU s"] if several else []
    rows = []
    for runs in stages:
        base = max(run.base_bytes for run in runs.runs)
        row = [
            runs.name,
            f"{runs.least('wall'):.2f}",
            f"{runs.least('cpu'):.2f}",
            *(f"{runs.told[name]:,}" if name in runs.told else "" for name in ("rows", "bytes")),
            f"{runs.peak_bytes / 1e6:,.0f}",
            f"{base / 1e6:,.0f}" if base else "",
        ]
        if several:
            row += [f"{runs.median('wall'):.2f}", f"{runs.median('cpu'):.2f}"]
        rows.append(row)
    return table(head, rows)


def target_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return targets with what was measured."""
    words = {True: "yes", False: "**no**", None: "not judged"}
    return table(
        ["target", "limit", "measured", "met"],
        [
            [
                row["says"],
                f"{'at least' if row['at_least'] else 'at most'} {row['limit']:g} {row['unit']}",
                f"{row['measured']:.2f} {row['unit']}",
                words[row["met"]],
            ]
            for row in rows
        ],
    )
