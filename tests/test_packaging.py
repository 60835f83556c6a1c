"""The files around the package agree with each other and with the code."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml

from stupid_dagster.event_model import bundled_models
from stupid_dagster.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TARGETS = {"demo", "test", "dev", "serve", "lint", "bench", "clean", "help"}


def make(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_code_location_has_one_name() -> None:
    """Sensors keep their state by it: with two names they would start anew, or run twice."""
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (entry,) = workspace["load_from"]
    tool, dg = PYPROJECT["tool"]["dagster"], PYPROJECT["tool"]["dg"]["project"]
    names = {tool["code_location_name"], dg["code_location_name"]}
    assert names == {entry["python_module"]["location_name"]}
    modules = {tool["module_name"], dg["code_location_target_module"]}
    assert modules == {entry["python_module"]["module_name"]}


def test_the_shipped_settings_are_the_demo_s() -> None:
    settings = load_settings(ROOT, environment={})
    assert (settings.partitions_start, settings.partitions_end) == (
        date(2013, 1, 11),
        date(2013, 2, 9),
    )
    assert settings.event_model in bundled_models()
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "data/" in ignored
    assert Path(settings.landing).parts[0] == Path(settings.data_root).parts[0] == "data"


def test_every_folder_of_code_is_a_package() -> None:
    """import-linter sees no folder that has no `__init__.py`, and so guards none."""
    files = [*(ROOT / "stupid_dagster").rglob("*.py"), *(ROOT / "assets").rglob("*.py")]
    folders = {file.parent for file in files}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()] == []


def test_each_dependency_has_a_bound_and_a_release_in_use() -> None:
    project = PYPROJECT["project"]
    wanted = [project["dependencies"], *project["optional-dependencies"].values()]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.split("==")[0] for line in lines if "==" in line}
    for requirement in itertools.chain.from_iterable(wanted):
        parts = re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?[<>]=?[\d.]+(,<[\d.]+)?", requirement)
        assert parts, f"{requirement} has no bound"
        assert parts[1] in pins, f"{requirement}: run `make lock`"
    assert not re.search(r"https?://|@ ", "\n".join(lines)), "releases only, no addresses"


def test_help_lists_every_target() -> None:
    done = make("help")
    assert done.returncode == 0, done.stderr
    listed = set(re.findall(r"^make (\w+) ", done.stdout, re.MULTILINE))
    assert listed >= TARGETS


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A tree with no .venv, as far as the Makefile needs one, in a folder with a space."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def test_make_says_which_pythons_it_needs(clone: Path) -> None:
    done = make("test", "PYTHON=/no/such/python", folder=clone)
    assert done.returncode != 0
    assert "Python 3.11, 3.12, 3.13 or 3.14 is needed" in done.stderr
    assert "/no/such/python" in done.stderr
    assert not (clone / ".venv").exists()


def test_make_home_keeps_what_else_is_in_dotenv(clone: Path) -> None:
    """A tree that was moved must not go on with the old place's Dagster home."""
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    (clone / ".venv" / ".ready").touch()
    dotenv = clone / ".env"
    dotenv.write_text("STUPID_SEED=8\nDAGSTER_HOME=/somewhere/else\n")
    for _ in range(2):
        done = make("home", folder=clone, DAGSTER_HOME="/the/shell's")
        assert done.returncode == 0, done.stderr
        assert dotenv.read_text() == f"STUPID_SEED=8\nDAGSTER_HOME={clone}/.dagster_home\n"


def test_the_allocator_s_setting_is_made_before_polars_is_loaded_and_leaves_the_user_s() -> None:
    program = (
        "import os, sys, stupid_dagster;"
        "assert 'polars' not in sys.modules; print(os.environ['_RJEM_MALLOC_CONF'])"
    )
    for given, wanted in ((None, "dirty_decay_ms:10000,muzzy_decay_ms:10000"), ("x:1", "x:1")):
        environment = {k: v for k, v in os.environ.items() if k != "_RJEM_MALLOC_CONF"}
        environment |= {"_RJEM_MALLOC_CONF": given} if given else {}
        found = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True
        )
        assert found.stdout.strip() == wanted, found.stderr
