"""A full disk, in every step: one clear error, nothing torn, and room is all that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.full_disk import small_disk
from tests.faults.rounds import STEPS, make_project
from tests.faults.workers import Workers, succeed

pytestmark = pytest.mark.slow

WRITE_NOTHING = {"evict", "collect_garbage"}
"""Steps that make room, and so must succeed where there is none."""


def test_a_full_disk_tears_nothing_and_the_next_run_with_room_succeeds(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = small_disk(disk, make_project(tmp_path / "project").settings.root)
    if command is None:
        pytest.skip("neither root nor user namespaces here: a small disk can't be mounted")
    # With nothing free the first byte fails; with a page, what comes after a small file.
    free = {step: n % 2 * 4096 for n, step in enumerate(STEPS)}
    steps = ["plant 1", *STEPS, "check", "plant 2"]
    for step in STEPS:
        steps += [f"fill {free[step]}", f"try {step}", "check", "empty", step]
    with Workers(*command) as workers:
        worker = succeed(workers.start(disk, [*steps, "check", "clean"]))

    assert not any(disk.iterdir()), "the disk was the workers' own"
    failed = {name.removeprefix("try "): error for name, error in worker.errors.items()}
    assert STEPS.keys() - failed.keys() == WRITE_NOTHING
    for step, (kinds, text) in failed.items():
        assert "StoreError" in kinds and "the disk is full" in text, f"{step}: {text}"
        assert str(disk / "lake") in text, f"{step} doesn't say where: {text}"
