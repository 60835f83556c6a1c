"""This folder's tests once more, with ladybug: Kuzu can't share a process with it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores.graph.made import ENGINE


@pytest.mark.skipif(ENGINE == "ladybug", reason="this is that run")
@pytest.mark.skipif(
    importlib.util.find_spec("ladybug") is None, reason="the extra [ladybug] isn't installed"
)
def test_ladybug_passes_these_tests_in_its_own_process() -> None:
    # Without conftest.py, which may load Kuzu.
    options = ["-q", "-x", "--noconftest", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(Path(__file__).parent)]
    run = subprocess.run(
        command,
        env={**os.environ, "TEST_GRAPH_ENGINE": "ladybug"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout[-4_000:]
    assert "passed" in run.stdout and "failed" not in run.stdout
