"""What every run, command and server has to load before it can begin."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    *("numba", "scipy.stats", "sklearn", "networkit", "matplotlib"),
    *("lancedb", "kuzu", "ladybug", "onnxruntime", "pandera"),
}
"""Each takes from a tenth of a second to several, and only some stages need it."""


@pytest.mark.parametrize(
    "module", ["stupid_dagster.definitions", "stupid_dagster.cli", "stupid_dagster.api.app"]
)
def test_no_heavy_library_is_loaded_and_nothing_is_said(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert done.stderr == "", "Dagster's notices of beta parts among them"
