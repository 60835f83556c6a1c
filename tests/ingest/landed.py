"""What tests of troubled landing files share."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from stupid_dagster.ingest import DayDocuments
from stupid_dagster.ingest.checks import schema_failures
from tests.gaming import DAY, day_documents, gaming_model

MODEL = gaming_model()
MOMENT = dt.datetime(2025, 3, 2, 1, tzinfo=dt.UTC)
TIMES = "@timestamp, clientTime"
GOOD = {"@timestamp": f"{DAY}T01:00:00Z", "memberCode": "good", "platform": "ios"}
HTML = "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
OWN = ["file", "row", "timestamp", "actor", "event_type", "text", "is_test", "day", "raw", "count"]


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return time of change, size and mode of all below a folder, and of itself."""
    paths = [folder, *folder.rglob("*")]
    states = {str(path): path.lstat() for path in paths}
    return {path: (s.st_mtime_ns, s.st_size, s.st_mode) for path, s in states.items()}


def read(folder: Path, model=MODEL) -> DayDocuments:
    """Return the day's documents; reading them must leave the folder as it is."""
    paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = listing(folder)
    made = day_documents(model, folder)
    assert listing(folder) == before
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert made.documents["GameOpened"]["memberCode"].to_list() == ["good"]
    assert schema_failures(made.documents, DAY, MODEL.zone) == []
    return made
