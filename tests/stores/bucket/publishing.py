"""Publish given versions, whatever is live."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import Manifest, publish
from stupid_dagster.stores.version import Version


def publish_versions(lake: Lake, versions: Mapping[str, Mapping[str, Version]]) -> Manifest:
    """Return the manifest of a snapshot of these versions."""
    return publish(
        lake,
        window=(date(2013, 1, 11), date(2013, 2, 9)),
        versions=versions,
        event_model="m",
        event_model_hash="h",
        embedder_id="e",
        code_version="1",
    )
