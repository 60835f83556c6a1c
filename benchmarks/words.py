"""What words cost: labels of two windows a day apart, a digest, questions, by a model on loopback.

Tokens are counted where they arrive (`words_model.py`); nothing leaves the machine.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import report
from benchmarks.child import BenchmarkError, Run, run_task
from benchmarks.data import make_project
from benchmarks.evict import link_file
from benchmarks.gaming import stage_runs
from benchmarks.words_model import Model, Request, counting_model, tokenizer

FLIGHTS = (date(2013, 1, 10), date(2013, 2, 9))
"""So that the demo's window and the one before it have thirty days each."""
# What labels are made of.
_STAGES = (
    *("window_days", "graph", "graph_knowledge", "features", "clusters", "event_clusters"),
    "patterns",
)
_ALL = 100_000
_SECONDS = 3600


def measure(
    machine: dict[str, Any], project: Path | None, prices: tuple[float, float], questions: int
) -> tuple[str, dict[str, Any]]:
    """Return the report, and its figures: of the demo's flights, or of a project where given.

    The project is copied as links; of the window before its newest one is made there what labels
    need. Raises BenchmarkError where that has no day, or no snapshot is published.
    """
    if project and not (project / "lake" / "SNAPSHOT").exists():
        raise BenchmarkError(
            f"nothing is published in {project}: make it with `make bench-month`, or name another"
        )
    with tokenizer() as (counted, tokens):
        model = Model(tokens)
        with (
            counting_model(model) as url,
            tempfile.TemporaryDirectory(dir=project and _linkable(project)) as folder,
        ):
            root = Path(folder) / "project"
            days, peak = _copied(project, root) if project else (_flights(root), 0)
            found = _Measured(root, days, model, url, prices, questions, peak)
    about = (
        f"Tokens: {counted}, of the conversation in ChatML, of the JSON schema that the answer is "
        "held to (sent with each request; a server that makes a grammar of it counts none for it), "
        "and of the answer. The model answers with the rules' words, which the checks see as any "
        f"other's. Dollars: ${prices[0]:g} per million tokens of prompts and ${prices[1]:g} of "
        "answers, **an example and no provider's price** (`--prices`)."
    )
    text = report.page("What words cost", machine, about, found.text())
    return text, {"machine": machine, "tokens": counted, "prices": prices, **found.figures}


def _linkable(project: Path) -> Path | None:
    """Return where links reach a project: None for the system's own folder, if they do there."""
    same = project.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev
    return None if same else project.parent


def _flights(root: Path) -> list[str]:
    """Make the demo's days and its window, and the window before; return their last days."""
    first, last = FLIGHTS
    make_project(root, "flights", str(first), str(last))
    run_task("flights", {"root": root, "first": first, "last": last})
    days = [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]
    for some in (days[:-1], days[-1:]):
        name = f"days and window to {some[-1]}"
        run_task("days and window", {"root": root, "days": some, "window": True}, name=name)
    run_task("publish", {"root": root, "day": days[-1]})
    return days[-2:]


def _copied(project: Path, root: Path) -> tuple[list[str], int]:
    """Copy a project as links, make the window before its newest.

    Returns the last days of both, and the peak memory of the stages.
    """
    ignored = shutil.ignore_patterns(".dagster_home", ".env", "landing")
    shutil.copytree(project, root, copy_function=link_file, ignore=ignored)
    (root / "landing").mkdir()
    last = max(path.name for path in (root / "lake" / "window_days").iterdir())
    before = str(date.fromisoformat(last) - timedelta(days=1))
    if not (root / "lake" / "documents" / before).is_dir():
        raise BenchmarkError(f"{project} has a window to {last}, and no day {before}")
    if (root / "lake" / "labels" / before).is_dir():
        return [before, last], 0
    runs = [stage_runs(root, name, before) for name in _STAGES]
    return [before, last], max(each.peak_bytes for each in runs)


class _Measured:
    """The figures of one project, measured as it is made."""

    def __init__(
        self,
        root: Path,
        days: Sequence[str],
        model: Model,
        url: str,
        prices: tuple[float, float],
        questions: int,
        peak_bytes: int,
    ) -> None:
        from stupid_dagster.project import Project

        self.sample = Project.load(root).model.name
        self.root, self.days, self.model, self.url, self.prices = root, days, model, url, prices
        self.runs: list[Run] = []
        self.labels = [
            self._labels(name, most, day)
            for name, most in (("at most 100", 100), ("all", _ALL))
            for day in days
        ]
        self.digest = self._digest()
        self.questions = self._questions(questions)
        self.figures = {
            "labels": self.labels,
            "digest": self.digest,
            "questions": self.questions,
            "sample": self.sample,
            "peak_bytes": max(peak_bytes, *(run.peak_bytes for run in self.runs)),
        }

    def _settings(self, name: str, most: int = 100) -> dict[str, Any]:
        # Words of another model are asked for anew: each row begins with none.
        return {
            "llm": ["openai"],
            "llm_openai_model": name,
            "llm_openai_url": self.url,
            "llm_prices": {f"openai/{name}": self.prices},
            "llm_labels_most": most,
            "llm_run_seconds": _SECONDS,
        }

    def _run(self, task: str, arguments: dict[str, Any], name: str) -> tuple[Run, list[Request]]:
        self.model.taken()
        run = run_task(task, {"root": self.root, **arguments}, name=f"{self.sample}, {name}").runs[
            0
        ]
        self.runs.append(run)
        return run, self.model.taken()

    def _labels(self, name: str, most: int, day: str) -> dict[str, Any]:
        settings = self._settings(f"example-{most}", most)
        run, requests = self._run(
            "words labels", {"day": day, "settings": settings}, f"{name} labels of {day}"
        )
        first = [one for one in requests if not one.again]
        by_kind = Counter(one.of.replace(" ", "_") for one in first)
        told = run.told["report"]
        found = {
            "day": day,
            "asked_for": name,
            "labels": sum(run.told["kinds"].values()),
            "kinds": run.told["kinds"],
            "asked": len(first),
            "asked_by_kind": dict(by_kind),
            "again": len(requests) - len(first),
            "accepted": int(told["model: accepted"]),
            "kept": int(told["model: kept"]),
            "same_profile": run.told["same"],
            "report": told,
            "cpu": run.cpu,
            "peak_bytes": run.peak_bytes,
        }
        return found | _cost(requests, run.told["spent"])

    def _digest(self) -> dict[str, Any]:
        settings = self._settings("example-digest")
        run, requests = self._run(
            "words digest", {"day": self.days[-1], "settings": settings}, "digest"
        )
        return {"report": run.told["report"]} | _cost(requests, run.told["spent"])

    def _questions(self, most: int) -> dict[str, Any]:
        from tests.questions.asked import SETS, asked

        if self.sample not in SETS:
            return {}
        some = asked(self.sample)[:most]
        self.model.plans = [one.plan for one in some]
        run, requests = self._run(
            "words questions",
            {"asked": [one.question for one in some], "settings": self._settings("example-asked")},
            f"{len(some)} questions",
        )
        by_step = {
            "plan": [one for one in requests if one.kind == "plan" and not one.again],
            "repair": [one for one in requests if one.kind == "plan" and one.again],
            "telling": [one for one in requests if one.kind == "telling"],
        }
        wrong = [one for one in run.told["questions"] if one["repairs"] != 1]
        if wrong or any(len(steps) != len(some) for steps in by_step.values()):
            raise BenchmarkError(f"not each question was planned, mended and told once: {wrong}")
        prompt, answer = self.prices
        steps = {
            name: {
                "prompt": fmean(one.prompt for one in of),
                "most_prompt": max(one.prompt for one in of),
                "schema": fmean(one.schema for one in of),
                "answer": fmean(one.answer for one in of),
                "dollars": fmean(
                    ((one.prompt + one.schema) * prompt + one.answer * answer) / 1e6 for one in of
                ),
            }
            for name, of in by_step.items()
        }
        return {"questions": len(some), "steps": steps}

    def text(self) -> str:
        """Return the figures as tables."""
        sections = [f"## {self.sample}, windows to {' and '.join(self.days)}", self._label_table()]
        whole = self.labels[-1]
        kept = {
            kind: number - whole["asked_by_kind"].get(kind, 0)
            for kind, number in whole["kinds"].items()
        }
        told = ", ".join(f"{kept[kind]} of {n} {kind}" for kind, n in whole["kinds"].items())
        sections.append(
            f"Kept of the words of the day before: {self.labels[1]['kept']} of the "
            f"{self.labels[0]['accepted']} that were asked for by default. Where all were: "
            f"{whole['kept']} of {self.labels[2]['accepted']}, and so of this window's "
            f"{whole['labels']} labels {whole['kept'] / whole['labels']:.0%}, "
            f"{whole['same_profile']} of them with the same profile and words, the others with "
            f"their own numbers filled in. Not asked by kind: {told}."
        )
        sections.append(self._other_table())
        peak = self.figures["peak_bytes"] / 1e6
        sections.append(
            f"The labels of the last window took {whole['cpu']:.1f} CPU-seconds of the stage's own "
            f"process, the client included; peak memory {peak:,.0f} MB. Its prompts have "
            f"{whole['characters'] / (whole['prompt'] or 1):.1f} characters a token."
        )
        return "\n\n".join(sections)

    def _label_table(self) -> str:
        head = ["window", "labels", "kept", "asked", "asked again", "accepted", "prompt tokens"]
        head += ["of schema", "answer tokens", "prompt, answer a label", "dollars"]
        rows = []
        for one in self.labels:
            asked = one["asked"] or 1
            sent = one["prompt"] + one["schema"]
            rows.append(
                [f"{one['day']}, {one['asked_for']}"]
                + [f"{one[name]:,}" for name in ("labels", "kept", "asked", "again", "accepted")]
                + [f"{sent:,}", f"{one['schema']:,}", f"{one['answer']:,}"]
                + [f"{sent / asked:,.0f}, {one['answer'] / asked:,.0f}", f"{one['dollars']:.4f}"]
            )
        return report.table(head, rows)

    def _other_table(self) -> str:
        one = self.digest
        rows = [["digest", *(f"{one[n]:,.0f}" for n in ("prompt", "schema", "answer"))]]
        rows[0].append(f"{one['dollars']:.5f}")
        steps = self.questions.get("steps", {})
        for name, step in steps.items():
            figures = [f"{step[n]:,.0f}" for n in ("prompt", "schema", "answer")]
            figures[0] += f" (at most {step['most_prompt']:,})"
            rows.append([f"question: {name}", *figures, f"{step['dollars']:.5f}"])
        for name, summed in (("question", ("plan", "telling")), ("question, mended once", steps)):
            if steps:
                sums = {n: sum(steps[s][n] for s in summed) for n in next(iter(steps.values()))}
                figures = [f"{sums[n]:,.0f}" for n in ("prompt", "schema", "answer")]
                rows.append([name, *figures, f"{sums['dollars']:.5f}"])
        table = report.table(["", "messages", "schema", "answer", "dollars"], rows)
        mean = f"Means of {self.questions['questions']} questions." if steps else ""
        return f"{table}\n\n{mean}"


def _cost(requests: Sequence[Request], spent: dict[str, Any]) -> dict[str, Any]:
    """Return what requests took by the server's count; raises where the stage's is another."""
    found = {
        name: sum(getattr(one, name) for one in requests)
        for name in ("prompt", "schema", "answer", "characters")
    }
    told = {"prompt_tokens": 0, "completion_tokens": 0, "dollars": 0.0}
    for one in spent.values():
        told = {name: told[name] + one[name] for name in told}
    if (told["prompt_tokens"], told["completion_tokens"]) != (
        found["prompt"] + found["schema"],
        found["answer"],
    ):
        raise BenchmarkError(f"the server counted {found}, the stage {told}")
    return {**found, "dollars": told["dollars"]}
