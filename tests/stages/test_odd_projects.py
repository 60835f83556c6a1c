"""Windows with nothing in them, and event models that say little."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from stupid_dagster.project import Project
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot
from tests.pipeline import make_day, make_window

DAY = "2013-02-08"


def made(project: Project) -> Project:
    """Return the project with one day and its window made and published."""
    make_day(project, DAY)
    make_window(project, DAY)
    return project


def test_a_window_without_any_event_is_published_empty(own_project: Project) -> None:
    landing = Path(own_project.settings.landing_location)
    shutil.rmtree(landing)
    landing.mkdir()

    project = made(own_project)

    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        assert reader.manifest.days == [DAY]
        assert reader.search("anything").is_empty()
        assert reader.knowledge("insights").rows.is_empty()


def test_a_model_without_metrics_edges_and_actors_in_events_is_enough(
    own_project: Project,
) -> None:
    root = own_project.settings.root
    model = {
        "name": "least",
        "actor": "Aircraft",
        "timestamp": {"fields": ["scheduled_at"]},
        "entities": {"Aircraft": {"prefix": "aircraft", "key": "tailnum"}},
        "events": {"WeatherReport": {"fields": ["origin", "tailnum"], "text": "At {origin}"}},
        "features": {"columns": {"reports": {"count": "WeatherReport"}}},
    }
    (root / "least.yaml").write_text(yaml.safe_dump(model))
    config = root / "stupid.toml"
    config.write_text(config.read_text().replace('"flights"', '"least.yaml"'))

    project = made(Project.load(root))

    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        texts = reader.search("At JFK")["text"].to_list()
        assert sorted(texts) == ["At EWR", "At JFK", "At LGA"]
        assert texts[0] == "At JFK"
        # Of a model without metrics there are the engine's own.
        assert set(reader.knowledge("trends").rows["metric"]) == {"new_actors"}
