"""Score the language model that a project has set, on the kept questions (tests/questions).

    STUPID_LLM=ollama STUPID_LLM_OLLAMA_MODEL=... \\
        python -m benchmarks.questions --sample flights --project DIR --most 10

Of each question: is there a valid plan (at once, or repaired), and does it give the same rows as
the plan that is kept with it? Rows are compared as `tests/questions/asked.py` does, whatever the
columns are called. The project must hold the sample that the questions are about.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from stupid_dagster.errors import StupidError
from stupid_dagster.llm.protocol import Usage
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.plans import run_plan, validate_plan
from stupid_dagster.query.questions.asking import Questions
from stupid_dagster.query.questions.planner import make_plan
from stupid_dagster.stores.snapshots import open_snapshot
from tests.questions.asked import SETS, Asked, asked, plain_rows


def score(reader: SnapshotReader, questions: list[Asked]) -> dict[str, object]:
    """Return how many plans were valid, and how many gave the kept plan's rows."""
    language_model = Questions(reader.project).language_model()
    counted: Counter[str] = Counter()
    started = time.perf_counter()
    for one in questions:
        try:
            planned = make_plan(reader, language_model, one.question)
        except StupidError as error:
            counted["failed"] += 1
            print(f"- {one.question}\n    no plan: {str(error)[:300]}")
            continue
        counted["valid"] += 1
        counted["valid_at_once"] += planned.repairs == 0
        found = run_plan(reader, planned.plan).rendered.rows
        wanted = run_plan(reader, validate_plan(reader, one.plan)).rendered.rows
        same = found is not None and wanted is not None and plain_rows(found) == plain_rows(wanted)
        counted["same_rows"] += same
        print(f"- {one.question}\n    {'same rows' if same else 'other rows'}")
    # Failed plans' too.
    usage = sum(language_model.meter.spent().values(), Usage())
    language_model.close()
    return {
        "model": language_model.model_id,
        "questions": len(questions),
        **{name: counted[name] for name in ("valid", "valid_at_once", "same_rows", "failed")},
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Print each question's outcome, and the score as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", choices=SETS, required=True)
    parser.add_argument("--project", type=Path, required=True, help="Its folder.")
    parser.add_argument("--most", type=int, help="Ask only the first so many.")
    arguments = parser.parse_args()
    project = Project.load(arguments.project)
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        print(json.dumps(score(reader, asked(arguments.sample)[: arguments.most])))


if __name__ == "__main__":
    main()
