"""Sample data, made once and kept, and throw-away projects over it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks.child import run_task
from benchmarks.machine import code_state

FIRST = date(2025, 3, 1)
_META = "sample.json"


def default_folder() -> Path:
    """Return the folder under the system's temporary one that samples are kept in."""
    return Path(tempfile.gettempdir()) / "stupid-dagster-benchmarks"


@dataclass(frozen=True)
class Sample:
    """Gaming landing files in `landing`.

    `seconds` is how long a day of them took to make, `generator` the state of what made them.
    """

    landing: Path
    events: int
    seed: int
    days: int
    seconds: float
    generator: str

    def day(self, number: int) -> str:
        """Return a day's name; the first is 0."""
        return (FIRST + timedelta(days=number)).isoformat()

    def files(self, day: str) -> list[Path]:
        """Return a day's landing files."""
        return sorted(self.landing.glob(f"*/{day}.parquet"))

    def bytes(self, days: Sequence[str]) -> int:
        """Return the size of the landing files of some days."""
        return sum(file.stat().st_size for day in days for file in self.files(day))


def gaming_sample(folder: Path, days: int, events: int, seed: int) -> Sample:
    """Return a sample of at least so many days, made where it is missing, short or outdated."""
    home = folder / f"gaming-{events}-seed{seed}"
    meta, state = home / _META, code_state("stupid_dagster/samples/gaming")
    if meta.is_file():
        known = json.loads(meta.read_text(encoding="utf-8"))
        if known["generator"] == state and known["days"] >= days:
            return Sample(home / "landing", events, seed, **known)
    meta.unlink(missing_ok=True)
    shutil.rmtree(home / "landing", ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    arguments = {"landing": home / "landing", "first": FIRST, "days": days}
    made = run_task("sample", arguments | {"events": events, "seed": seed}).runs[0]
    known = {"generator": state, "days": days, "seconds": made.wall / days}
    meta.write_text(json.dumps(known), encoding="utf-8")
    return Sample(home / "landing", events, seed, **known)


def make_project(root: Path, model: str, first: str, last: str) -> Path:
    """Return `root`, made a project with an empty landing folder and lake."""
    (root / "landing").mkdir(parents=True)
    (root / "stupid.toml").write_text(
        f'landing = "landing"\ndata_root = "lake"\nevent_model = "{model}"\n'
        f"partitions_start = {first}\npartitions_end = {last}\n",
        encoding="utf-8",
    )
    return root


def land(sample: Sample, days: Sequence[str], landing: Path) -> None:
    """Put days' files into a landing folder: the same files by another name, else copies."""
    for day in days:
        for file in sample.files(day):
            target = landing / file.relative_to(sample.landing)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                continue
            try:
                os.link(file, target)
            except OSError:
                shutil.copy2(file, target)
