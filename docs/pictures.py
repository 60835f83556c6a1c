"""Draw the README's picture from what the demo published: `python docs/pictures.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from stupid_dagster.compute.plots.trends import trend_plot
from stupid_dagster.project import Project
from stupid_dagster.stores.snapshots import open_snapshot

FOLDER = Path(__file__).parent / "images"


def main(root: Path = FOLDER.parents[1], folder: Path = FOLDER) -> None:
    """Write the pictures of the project in `root`, the demo's, to a folder."""
    trends = open_snapshot(Project.load(root).lake).scan("trends").collect()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cancellations.png").write_bytes(trend_plot(trends, "cancellations"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
