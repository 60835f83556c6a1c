"""`estimate`: what it says is what it measured, and grows as it should."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.cli.estimate import Cost, extrapolated, scaled
from stupid_dagster.cli.main import main
from stupid_dagster.project import Project

COSTS = st.builds(
    Cost,
    st.integers(1, 10**7),
    st.floats(0.1, 1e4),
    st.floats(0.1, 1e4),
    st.integers(10**6, 10**10),
    st.integers(1, 10**10),
)


@given(st.lists(COSTS, min_size=1, max_size=6), st.floats(1, 60))
def test_a_longer_window_never_takes_less(costs: list[Cost], days: float) -> None:
    shorter, longer = extrapolated(costs, days), extrapolated(costs, days + 10)
    for name in ("events", "seconds", "cpu_seconds", "memory", "disk"):
        assert getattr(longer, name) >= getattr(shorter, name) - 1


def test_what_grows_by_the_day_goes_on_so() -> None:
    costs = [Cost(100 * n, 5 + 2 * n, 10 + n, 1000 + 50 * n, 7 * n) for n in (1, 2, 3)]
    month = extrapolated(costs, 30)
    assert (month.events, month.memory, month.disk) == (3000, 2500, 210)
    assert (month.seconds, month.cpu_seconds) == (pytest.approx(65), pytest.approx(40))
    assert extrapolated(costs[:1], 30) == Cost(3000, 210, 330, 31_500, 210)
    assert extrapolated(costs[:1], 0.5) == costs[0]


def test_a_day_is_scaled_by_its_events() -> None:
    costs = [Cost(100, 4, 8, 1000, 10), Cost(300, 8, 16, 3000, 30)]
    assert scaled(costs, 400) == Cost(400, 12, 24, 6000, 40)
    assert scaled(costs, 50) == Cost(50, 1.5, 3, 3000, 5)


@pytest.mark.slow
def test_days_are_really_made_and_the_project_stays(
    own_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = own_project.settings.root
    monkeypatch.chdir(root)
    before = sorted(root.rglob("*"))
    found = CliRunner().invoke(main, ["--root", str(root), "estimate", "landing", "--days", "1"])
    assert "far too much" in found.stdout
    assert "making window of 1 day (2 of 2)" in found.stderr
    assert "window of 1 day, made" in found.stdout and "disk: what stays" in found.stdout
    assert found.exit_code == 0, found.output
    assert sorted(root.rglob("*")) == before
    lines = {
        label: [float(n.replace(",", "")) for n in re.findall(r"[\d,.]+", numbers)]
        for label, numbers in re.findall(
            r"^(.*?(?:made|day|days)) {2,}([\d., ]+)$", found.output, re.M
        )
    }
    made, window = (numbers for label, numbers in lines.items() if label.endswith("made"))
    (last,) = (numbers for label, numbers in lines.items() if label.startswith("window of 30"))
    assert all(number > 0 for number in (*made, *window))
    assert last[1] == pytest.approx(30 * window[1], rel=0.02)


def test_a_run_that_fails_says_why(own_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    root = own_project.settings.root
    monkeypatch.setenv("STUPID_EMBEDDER_BACKEND", "onnx")
    monkeypatch.setenv("STUPID_EMBEDDER_MODEL", str(root / "no-model"))
    found = CliRunner().invoke(main, ["--root", str(root), "estimate", str(root / "landing")])
    assert found.exit_code == 1
    assert "no-model" in found.output


def test_an_empty_folder_is_told(own_project: Project) -> None:
    root = own_project.settings.root
    (root / "empty").mkdir()
    found = CliRunner().invoke(main, ["--root", str(root), "estimate", str(root / "empty")])
    assert found.exit_code == 1
    assert "no file in" in found.output
