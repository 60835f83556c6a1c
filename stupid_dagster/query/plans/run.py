"""Run a plan: steps side by side, each as soon as those that it depends on are done."""

from __future__ import annotations

import contextvars
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import polars as pl
import structlog

from stupid_dagster.catalog.knowledge import type_name
from stupid_dagster.deadline import current_stop, deadline
from stupid_dagster.errors import StupidError
from stupid_dagster.query.plans.model import Plan, Render, Step
from stupid_dagster.query.plans.ops import StepRun, run_op
from stupid_dagster.query.reader import SnapshotReader

log = structlog.get_logger(__name__)

Status = Literal["ok", "failed", "skipped"]
MOST_AT_ONCE = 4
"""Steps of a plan that run at once; a step has more threads where the stores use them."""
_GRACE_SECONDS = 1.0
"""After its deadline a step has this long to notice it; then it's left to itself."""


@dataclass(frozen=True)
class StepResult:
    """A step that ended: its rows, or the error; `notes` is what whoever reads them should know.

    `truncated`: there are more rows than these. `partial`: rows of a step that it rests on were
    truncated, so that some may be missing here, and counts be too low.
    """

    id: str
    op: str
    status: Status
    rows: pl.DataFrame | None = None
    truncated: bool = False
    partial: bool = False
    total: int | None = None
    limit: int = 0
    seconds: float = 0.0
    error: str | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return how it ended as plain data: its rows' columns and types, without the rows."""
        columns = None
        if self.rows is not None:
            columns = {name: type_name(dtype) for name, dtype in self.rows.schema.items()}
        return {
            "id": self.id,
            "op": self.op,
            "status": self.status,
            "count": None if self.rows is None else self.rows.height,
            "total": self.total,
            "truncated": self.truncated,
            "partial": self.partial,
            "seconds": round(self.seconds, 4),
            "error": self.error,
            "notes": self.notes,
            "columns": columns,
        }

    def as_json(self, rows: pl.DataFrame | None) -> str:
        """Return the same as a JSON object, with `rows`, of its own those that are given."""
        told = json.dumps(self.as_dict(), ensure_ascii=False)
        return f'{told[:-1]},"rows":{"null" if rows is None else rows.write_json()}}}'


@dataclass(frozen=True)
class PlanResult:
    """Every step's result, in the plan's order."""

    plan: Plan
    steps: dict[str, StepResult]
    seconds: float

    @property
    def render(self) -> Render:
        """What is to be shown, and how."""
        return render_of(self.plan)

    @property
    def rendered(self) -> StepResult:
        """The result of the step that is to be shown."""
        return self.steps[self.render.step]


def render_of(plan: Plan) -> Render:
    """Return what a plan shows, unsaid its last step's table."""
    return plan.render or Render(step=plan.steps[-1].id)


def run_plan(
    reader: SnapshotReader,
    plan: Plan,
    *,
    on_step: Callable[[StepResult], None] | None = None,
) -> PlanResult:
    """Return the results of a plan that `validate_plan` returned.

    A step that fails, or takes longer than the setting `step_seconds`, skips those that depend on
    it; all others run. After `plan_seconds` those that run fail, and the rest is skipped: what was
    done until then is the result. `on_step` is called in the caller's thread as each step ends;
    what it raises ends the run. Raises Stopped as soon as the work that it is part of is stopped.
    """
    return _Run(reader, plan).finish(on_step)


class _Begun(NamedTuple):
    at: float
    seconds: float
    setting: str
    """Which of the settings gives it so many seconds."""

    @property
    def over(self) -> float:
        return self.at + self.seconds + _GRACE_SECONDS


class _Run:
    def __init__(self, reader: SnapshotReader, plan: Plan) -> None:
        self.reader = reader
        self.plan = plan
        self.settings = reader.project.settings
        self.results: dict[str, StepResult] = {}
        self._end = 0.0
        self._waiting = {step.id: step for step in plan.steps}
        self._begun: dict[str, _Begun] = {}
        self._ended: queue.SimpleQueue[StepResult | None] = queue.SimpleQueue()
        """Steps that ended; None: look whether the run was stopped."""

    def finish(self, on_step: Callable[[StepResult], None] | None) -> PlanResult:
        started = time.perf_counter()
        self._end = started + self.settings.plan_seconds
        stop = current_stop()
        if stop:
            stop.then(lambda: self._ended.put(None))
        while self._waiting or self._begun:
            if stop:
                stop.check()
            for result in self._start_ready() or self._wait():
                self.results[result.id] = result
                if on_step:
                    on_step(result)
        seconds = time.perf_counter() - started
        steps = {step.id: self.results[step.id] for step in self.plan.steps}
        return PlanResult(self.plan, steps, seconds)

    def _start_ready(self) -> list[StepResult]:
        """Start what can be; return what can't be any more."""
        now = time.perf_counter()
        if self._waiting and now >= self._end:
            steps = [*self._waiting.values()]
            self._waiting.clear()
            why = (
                f"skipped, for the plan's {self.settings.plan_seconds:g} seconds are over "
                "(setting plan_seconds)"
            )
            return [StepResult(step.id, step.op, "skipped", error=why) for step in steps]
        skipped = []
        for step in [*self._waiting.values()]:
            before = [self.results.get(name) for name in step.depends_on]
            if failed := [one.id for one in before if one and one.status != "ok"]:
                del self._waiting[step.id]
                why = f"skipped, for it depends on {', '.join(failed)}"
                skipped.append(StepResult(step.id, step.op, "skipped", error=why))
            elif None not in before and len(self._begun) < MOST_AT_ONCE:
                del self._waiting[step.id]
                begun = self._begun[step.id] = min(
                    _Begun(now, self.settings.step_seconds, "step_seconds"),
                    _Begun(now, self._end - now, "plan_seconds"),
                )
                # A thread of its own, which nobody waits for: a store that doesn't notice its
                # deadline can't keep the plan's other steps, or the process, from ending.
                run = contextvars.copy_context().run
                name = f"plan step {step.id}"
                threading.Thread(
                    target=run, args=(self._run, step, begun), name=name, daemon=True
                ).start()
        return skipped

    def _wait(self) -> list[StepResult]:
        """Return the next step to end, or those whose time is over."""
        # The plan's end too: steps that wait for others are told then.
        latest = min(begun.over for begun in self._begun.values())
        if self._waiting:
            latest = min(latest, self._end)
        try:
            result = self._ended.get(timeout=max(0.0, latest - time.perf_counter()))
        except queue.Empty:
            now = time.perf_counter()
            return [self._overdue(name) for name, b in [*self._begun.items()] if b.over <= now]
        # Of one that was given up, nothing is wanted any more.
        return [result] if result and self._begun.pop(result.id, None) else []

    def _overdue(self, name: str) -> StepResult:
        begun = self._begun.pop(name)
        seconds = time.perf_counter() - begun.at
        why = f"the step didn't end within {begun.seconds:.3g} seconds (setting {begun.setting})"
        return StepResult(name, self._op(name), "failed", seconds=seconds, error=why)

    def _op(self, name: str) -> str:
        return next(step.op for step in self.plan.steps if step.id == name)

    def _run(self, step: Step, begun: _Begun) -> None:
        started = time.perf_counter()
        try:
            with deadline(begun.seconds, begun.setting):
                result = _result(step, self.reader, self.results, started)
        except StupidError as error:
            seconds = time.perf_counter() - started
            result = StepResult(step.id, step.op, "failed", seconds=seconds, error=str(error))
        except Exception:
            seconds = time.perf_counter() - started
            log.exception("step failed", step=step.id, op=step.op)
            why = "the step failed unexpectedly; the server's log has the reason"
            result = StepResult(step.id, step.op, "failed", seconds=seconds, error=why)
        self._ended.put(result)


def _result(
    step: Step, reader: SnapshotReader, before: Mapping[str, StepResult], started: float
) -> StepResult:
    sources = [before[name] for name in step.depends_on]
    run = StepRun(reader, {one.id: one.rows for one in sources if one.rows is not None})
    page = run_op(step, run)
    rests = [one for one in sources if one.truncated or one.partial]
    notes = [
        f"{one.id} is truncated to {one.rows.height} rows: what follows from its others is missing"
        for one in rests
        if one.truncated and one.rows is not None
    ]
    return StepResult(
        step.id,
        step.op,
        "ok",
        page.rows,
        page.truncated,
        bool(rests),
        page.total,
        page.limit,
        time.perf_counter() - started,
        notes=[*notes, *run.notes],
    )
