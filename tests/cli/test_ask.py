from __future__ import annotations

import os
import subprocess
import sys

from stupid_dagster.project import Project
from tests.questions.replay import replayed


def ask(project: Project, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", str(project.settings.root)]
    return subprocess.run(
        [*command, "ask", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_a_conversation_in_the_terminal(flights_project: Project) -> None:
    with replayed(flights_project) as (_, server):
        done = ask(
            flights_project,
            "Which carriers cancelled most flights on 8 February?",
            "How did those develop on the 9th?",
            "--show-plan",
            STUPID_LLM="openai",
            STUPID_LLM_OPENAI_MODEL="recorded",
            STUPID_LLM_OPENAI_URL=server.url,
        )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "plan by openai/recorded, repaired 1 time: s1 documents.scan, s2 table.agg" in said
    assert '"event_type": "Cancellation"' in said
    assert "s1 documents.scan: 472 rows in" in said
    assert "ExpressJet Airlines Inc." in said
    assert "cancelled most, 88 flights. There were 472 cancellations in all." in said
    assert "1 unsupported sentence(s) removed" in said
    assert "Cancellations on 9 February: 3 rows." in said


def test_without_a_model_it_is_told_what_to_set(flights_project: Project) -> None:
    done = ask(flights_project, "Who?")
    assert done.returncode == 1
    assert "no language model is set" in done.stderr
    assert "Traceback" not in done.stderr
