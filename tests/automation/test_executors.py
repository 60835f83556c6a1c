"""One setting says where steps are done; what is asked of Ray is in tests/ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from stupid_dagster.automation.executors import day_backfill, executor
from stupid_dagster.errors import SettingsError
from stupid_dagster.settings import Settings

RAY = Settings(compute="ray")


def test_by_default_steps_are_done_in_their_run_s_process() -> None:
    assert executor(Settings()) is dg.in_process_executor


def test_a_backfill_of_days_is_a_day_a_run_on_ray_alone() -> None:
    assert day_backfill(Settings()).max_partitions_per_run == 10
    assert day_backfill(RAY).max_partitions_per_run == 1


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dagster_ray", None)
    with pytest.raises(SettingsError, match=r"dagster_ray.*stupid-dagster\[ray\].*workers"):
        executor(RAY)


def test_ray_is_imported_only_where_it_is_set(tmp_path: Path) -> None:
    code = "import sys, stupid_dagster.definitions; print({'ray', 'dagster_ray'} & {*sys.modules})"
    environment = {**os.environ, "STUPID_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"
