"""Asking a language model for the labels of a window, within a time, some at once."""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl
import structlog

from stupid_dagster.compute import words
from stupid_dagster.compute.profiles.traits import Profile
from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.budget import BudgetExhaustedError
from stupid_dagster.llm.ending import Ending
from stupid_dagster.llm.labelling.checks import LabelAnswer, problems
from stupid_dagster.llm.labelling.kept import Former, asked_hash, template_of, traits_hash
from stupid_dagster.llm.labelling.prompts import VERSION, Asked, label_messages, repair_messages
from stupid_dagster.llm.labelling.reading import Reading
from stupid_dagster.llm.phrases import revealed
from stupid_dagster.llm.privacy import Pseudonyms
from stupid_dagster.llm.protocol import CallError, LanguageModel, Message, Usage
from stupid_dagster.tables import conform

log = structlog.get_logger(__name__)
TRIES = 2
"""Times that a profile is asked about; the second time with what was wrong."""
MOST_FAILURES = 3
"""Failures in a row after which nobody is asked any more."""
EXAMPLES = 2
STOPPED = "model: stopped"
"""In a materialisation's details: why not all were asked that could be."""
OUTCOME = "model_labels"
"""In the metadata of a table's version: what came of asking."""
_REASONS_TOLD = 5
_ASKED = ("prompt", "prompt_tokens", "completion_tokens", "asked_hash")


@dataclass(frozen=True)
class Limits:
    """How many profiles a run asks about, until when, and how many at once."""

    most: int
    ending: Ending
    at_once: int


@dataclass
class Report:
    """What happened when a model was asked for labels.

    `asked` were answered or failed; `unasked` are more than may be asked about; `unanswered` were
    waiting when the run stopped asking, or the budget was used up.
    """

    asked: int = 0
    accepted: int = 0
    kept: int = 0
    refused: int = 0
    failed: int = 0
    unasked: int = 0
    unanswered: int = 0
    seconds: float = 0
    stopped: str | None = None
    reasons: Counter[str] = field(default_factory=Counter)

    def details(self) -> dict[str, Any]:
        """Return it as numbers and texts by name, as materialisations show it."""
        told: dict[str, Any] = {
            f"model: {name}": getattr(self, name)
            for name in ("asked", "accepted", "kept", "refused", "failed", "unasked", "unanswered")
        }
        told["model: seconds"] = round(self.seconds, 2)
        if self.stopped:
            told[STOPPED] = self.stopped
        if self.reasons:
            first = self.reasons.most_common(_REASONS_TOLD)
            told["model: why not"] = "\n".join(f"- {times}x {why}" for why, times in first)
        return told

    def outcome(self) -> dict[str, Any]:
        """Return what is kept with the table of it, as plain data."""
        why, times = next(iter(self.reasons.most_common(1)), ("", 0))
        counts = {
            name: getattr(self, name)
            for name in ("accepted", "kept", "refused", "failed", "unanswered")
        }
        told = f"{times}x {why}" if times > 1 else why
        return {**counts, "stopped": self.stopped, "why not": told}


class _Result(NamedTuple):
    subject: tuple[str, str]
    answer: LabelAnswer | None
    model_id: str
    usage: Usage
    problems: list[str]
    failed: str | None = None
    no_budget: bool = False
    late: bool = False


class Labeller:
    """Asks a language model for the words of profiles, and takes those that are right.

    `samples` are example texts by subject. Nothing but what `pseudonyms` lets through is sent.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        vocabulary: frozenset[str],
        samples: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.pseudonyms = pseudonyms
        self.vocabulary = vocabulary
        self.samples = samples or {}
        told = [bool(samples), sorted(pseudonyms.hidden), sorted(vocabulary)]
        self.saw = json.dumps(told)
        """What words depend on besides a profile: what a model may see, and what it may say."""

    def prompts(
        self, profiles: Sequence[Profile], everyone: Sequence[Profile]
    ) -> Iterator[tuple[Profile, list[Message], Asked]]:
        """Yield each profile, what is sent about it, and the profile as it is sent.

        The examples in it are the first others of its kind among `everyone`.
        """
        first: dict[str, list[Profile]] = {}
        for profile in everyone:
            of_kind = first.setdefault(profile.kind, [])
            if len(of_kind) <= EXAMPLES:
                of_kind.append(profile)
        hidden = {kind: [*map(self.pseudonyms.profile, some)] for kind, some in first.items()}
        for profile in profiles:
            asked = self._shown(profile)
            others = [
                shown
                for one, shown in zip(first[profile.kind], hidden[profile.kind], strict=True)
                if key(one) != key(profile)
            ]
            yield profile, label_messages(asked, others[:EXAMPLES]), asked

    def _shown(self, profile: Profile) -> Asked:
        samples = tuple(map(self.pseudonyms.hide, self.samples.get(profile.subject, ())))
        return Asked(self.pseudonyms.profile(profile), samples)

    def relabel(
        self,
        profiles: Sequence[Profile],
        rows: pl.DataFrame,
        model: LanguageModel,
        former: Former,
        limits: Limits,
    ) -> tuple[pl.DataFrame, Report]:
        """Return the table `labels` with a model's words where they are right, and what happened.

        `rows` are the deterministic labels of the profiles, in their order: they stay where a
        model is not asked, fails, is late, or says what can't be checked. Words of the window
        before are kept where they are right still. Returns by the limits' ending, also if a model
        doesn't answer, and brings it about: who is under way then asks nobody else. Words are taken
        in the profiles' order, so that their label is unique.
        """
        report, started = Report(), time.monotonic()
        found: dict[tuple[str, str], dict[str, Any]] = {}
        wanted = []
        for profile in profiles:
            if kept := former.words(profile, self.vocabulary):
                row, answer = kept
                same = ("provenance", "prompt", "prompt_tokens", "completion_tokens", "template")
                found[key(profile)] = _words(answer) | {name: row[name] for name in same}
            elif refusal := former.refusal(profile, self.saw):
                why, asked = refusal
                found[key(profile)] = {"refused": why, "prompt": VERSION, "asked_hash": asked}
            else:
                wanted.append(profile)
        report.kept = sum("label" in said for said in found.values())
        chosen = asked_first(wanted, limits.most)
        report.unasked = len(wanted) - len(chosen)
        jobs = [*self.prompts(chosen, profiles)]
        try:
            for result in self._answers(jobs, model, limits, report):
                found[result.subject] = self._taken(result, report)
        finally:
            limits.ending.now()
        by_key = {key(profile): profile for profile in profiles}
        _unique(rows, found, report)
        for subject, said in found.items():
            if "label" in said:
                said["traits_hash"] = traits_hash(by_key[subject])
                said.setdefault("template", template_of(said, by_key[subject]))
        report.seconds = time.monotonic() - started
        told = [
            row | found.get((row["kind"], row["subject"]), {}) for row in rows.iter_rows(named=True)
        ]
        return conform("labels", pl.DataFrame(told, schema=rows.schema)), report

    def _taken(self, result: _Result, report: Report) -> dict[str, Any]:
        tokens = {"prompt_tokens": result.usage.prompt_tokens,
                  "completion_tokens": result.usage.completion_tokens}  # fmt: skip
        used = {"prompt": VERSION, "asked_hash": asked_hash(result.model_id, self.saw), **tokens}
        if result.failed:
            if not result.no_budget:
                report.failed += 1
                report.reasons[result.failed] += 1
            # Without the prompt's version it is asked about again.
            return {"refused": result.failed, **(tokens if result.usage != Usage() else {})}
        if result.answer is None or result.problems:
            report.refused += 1
            report.reasons.update(result.problems)
            return {"refused": "; ".join(result.problems), **used}
        report.accepted += 1
        answer = LabelAnswer.model_construct(
            label=revealed(result.answer.label.strip(), self.pseudonyms),
            description=revealed(result.answer.description.strip(), self.pseudonyms),
            distinguishing=[
                revealed(text.strip(), self.pseudonyms) for text in result.answer.distinguishing
            ],
        )
        return {**_words(answer), "provenance": result.model_id, **used}

    def _answers(
        self,
        wanted: Sequence[tuple[Profile, list[Message], Asked]],
        model: LanguageModel,
        limits: Limits,
        report: Report,
    ) -> Iterator[_Result]:
        jobs: queue.SimpleQueue[tuple[Profile, list[Message], Asked]] = queue.SimpleQueue()
        for job in wanted:
            jobs.put(job)
        results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        ending = limits.ending

        def work() -> None:
            while not ending.over:
                try:
                    job = jobs.get_nowait()
                except queue.Empty:
                    return
                results.put(self._ask(model, *job, ending))

        # Daemons: a call can't be cancelled, and the run must end though a server doesn't answer.
        for _ in range(min(limits.at_once, len(wanted))):
            threading.Thread(target=work, daemon=True).start()
        failures, waiting, exhausted = 0, len(wanted), ""
        while waiting:
            try:
                result = results.get(timeout=ending.left())
            except queue.Empty:
                result = None
            if result is None or result.late:
                report.stopped = f"after {ending.seconds:g} s (setting {ending.setting})"
                break
            waiting -= 1
            if result.no_budget:
                # A smaller prompt may still have room.
                report.unanswered += 1
                exhausted = result.failed or ""
                yield result
                continue
            report.asked += 1
            failures = failures + 1 if result.failed else 0
            yield result
            if failures >= MOST_FAILURES:
                report.stopped = f"after {failures} failures in a row"
                break
        report.unanswered += waiting
        if exhausted:
            stayed = words.counted(report.unanswered, "label")
            report.stopped = report.stopped or f"{exhausted}: {stayed} stayed the rule's"
        if report.unanswered:
            log.warning("labels stay as they are", labels=report.unanswered, why=report.stopped)

    def _ask(
        self,
        model: LanguageModel,
        profile: Profile,
        messages: list[Message],
        asked: Asked,
        ending: Ending,
    ) -> _Result:
        usage, reading = Usage(), Reading(asked.profile)
        answer, model_id, wrong = None, model.model_id, ["no answer"]
        try:
            for _ in range(TRIES):
                done = model.complete(messages, LabelAnswer)
                usage, answer, model_id = usage + done.usage, done.value, done.model_id
                wrong = problems(answer, reading, self.vocabulary)
                if not wrong or ending.over:
                    break
                messages = [*messages, *repair_messages(wrong, answer)]
        except LanguageModelError as error:
            if isinstance(error, CallError):
                usage += error.usage
            no_budget = isinstance(error, BudgetExhaustedError)
            # Whose request the end cut short has not failed.
            late = ending.over
            return _Result(key(profile), None, model_id, usage, [], str(error), no_budget, late)
        except Exception as error:  # A bug must not hold the run up until its time is over.
            log.exception("labelling failed", subject=profile.subject)
            return _Result(
                key(profile), None, model_id, usage, [], f"{type(error).__name__}: {error}"
            )
        return _Result(key(profile), answer, model_id, usage, wrong)


def key(profile: Profile) -> tuple[str, str]:
    """Return what tells a profile from all others of a run."""
    return profile.kind, profile.subject


def asked_first(profiles: Sequence[Profile], most: int) -> list[Profile]:
    """Return at most so many profiles: all clusters, then the others in turn, kind by kind.

    They are in the order of asking, of which what ends it early leaves only the beginning. Within
    a kind they keep their order: the largest first.
    """
    by_kind: dict[str, list[Profile]] = {}
    for profile in profiles:
        by_kind.setdefault(profile.kind, []).append(profile)
    clusters = by_kind.pop("cluster", [])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_kind.values()))
    return [*clusters, *(profile for profile in turns if profile is not None)][:most]


def _words(answer: LabelAnswer) -> dict[str, Any]:
    return {
        "label": answer.label,
        "description": answer.description,
        "distinguishing": list(answer.distinguishing),
    }


def _unique(
    rows: pl.DataFrame, found: dict[tuple[str, str], dict[str, Any]], report: Report
) -> None:
    """Take back words whose label another of its kind has already."""
    labels = list(rows.select("kind", "subject", "label").iter_rows())
    taken = Counter((kind, label.casefold()) for kind, _, label in labels)
    for kind, subject, label in labels:
        said = found.get((kind, subject), {})
        if "label" not in said:
            continue
        own, new = (kind, label.casefold()), (kind, said["label"].casefold())
        if taken[new] - (own == new):
            report.refused += 1
            report.accepted -= "template" not in said
            report.kept -= "template" in said
            reason = "the label is that of another already"
            report.reasons[reason] += 1
            found[kind, subject] = {
                **{name: said.get(name) for name in _ASKED},
                "refused": reason,
            }
        else:
            taken[own] -= 1
            taken[new] += 1
