from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stupid_dagster.cli.ask import _Printer
from stupid_dagster.project import Project
from tests.questions.scripted import scripted


def ask(project: Project, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", str(project.settings.root)]
    return subprocess.run(
        [*command, "ask", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_a_conversation_in_the_terminal(flights_project: Project) -> None:
    with scripted(flights_project) as (_, server):
        done = ask(
            flights_project,
            "Which carriers cancelled most flights on 8 February?",
            "How did those develop on the 9th?",
            "--show-plan",
            STUPID_LLM="openai",
            STUPID_LLM_OPENAI_MODEL="scripted",
            STUPID_LLM_OPENAI_URL=server.url,
        )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "plan by openai/scripted, repaired 1 time: s1 documents.scan, s2 table.agg" in said
    assert '"event_type": "Cancellation"' in said
    assert "s1 documents.scan: 472 rows in" in said
    assert "ExpressJet Airlines Inc." in said
    assert "cancelled most, 88 flights. There were 472 cancellations in all." in said
    assert "1 unsupported sentence(s) removed" in said
    # What was told in vain isn't printed: the rule's text alone.
    assert said.count("Cancellations on 9 February: 3 rows.") == 1
    assert "; told by rule" in said


def test_a_replaced_text_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    told = _Printer(show_plan=False)
    told.event("text", {"text": "Here is what was found:", "replaces": False})
    told.event("text", {"text": "3 rows.", "replaces": True})
    told.event(
        "done",
        {
            "text": "3 rows.",
            "text_by": "rule",
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
            "sentences_removed": 1,
            "seconds": {"total": 0.1},
        },
    )
    said = capsys.readouterr().out
    assert said.count("3 rows.") == 1
    assert "Here is" not in said


def test_without_a_model_it_is_told_what_to_set(flights_project: Project) -> None:
    done = ask(flights_project, "Who?")
    assert done.returncode == 1
    assert "no language model is set" in done.stderr
    assert "Traceback" not in done.stderr
