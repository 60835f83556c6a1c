"""The bundled models, on the samples that they are for."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from stupid_dagster.event_model import load_event_model
from stupid_dagster.event_model.expressions import with_derived
from stupid_dagster.samples.gaming import write_gaming
from tests.gaming import day_documents

DAY = date(2025, 3, 1)


def test_popups_are_shown_for_times_of_several_bands(tmp_path: Path) -> None:
    write_gaming(tmp_path, DAY, 1, 5_000)
    model = load_event_model("gaming")
    popups = day_documents(model, tmp_path, DAY).documents["PopupModule"]
    bands = with_derived(popups, model, model.events["PopupModule"])["display_band"].drop_nulls()

    assert len(bands) > 300
    counts = bands.value_counts()["count"]
    assert len(counts) >= 3
    assert counts.max() <= 0.8 * len(bands)  # type: ignore[operator]  # of integers: one
    assert model.fields["displayTime"].unit == "milliseconds"
