from __future__ import annotations

from pathlib import Path

import pytest

from tests.gaming import land
from tests.ingest.landed import GOOD


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a landing folder with one good file."""
    folder = tmp_path / "landing"
    land(folder, "GameOpened", [GOOD])
    return folder
