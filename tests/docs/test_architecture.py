"""The page for those who change the code: its layers are the contract's, its files are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_layers_are_those_that_import_linter_keeps() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    engine, *_ = pyproject["tool"]["importlinter"]["contracts"]
    layers = [set(re.split(r"[ |:]+", layer)) for layer in engine["layers"]]
    table = PAGE.partition("| in `stupid_dagster/` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    told = [{Path(name).stem for name in re.findall(r"`([\w./]+)`", row)} for row in rows]
    assert told == layers, "a row of docs/architecture.md for each layer of pyproject.toml"


def test_the_files_that_it_names_are_there() -> None:
    adding = PAGE.partition("\n## To add")[2]
    named = set(re.findall(r"`((?:[\w-]+/)+[\w-]*(?:\.\w+)?)`", adding))
    missing = [
        name
        for name in named
        if not any((at / name).exists() for at in (ROOT, ROOT / "stupid_dagster"))
    ]
    assert len(named) > 20 and not missing
