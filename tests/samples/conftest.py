"""What a gaming sample says of itself; each file of tests has a `sample` (a folder) of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest


@pytest.fixture(scope="module")
def truth(sample: Path) -> dict[str, Any]:
    return json.loads((sample / "truth" / "truth.json").read_text())


@pytest.fixture(scope="module")
def members(sample: Path) -> pl.DataFrame:
    return pl.read_ipc(sample / "truth" / "members.arrow")
