"""What language models did for a window's words, in lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from stupid_dagster.cli.console import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stupid_dagster.project import Project
    from stupid_dagster.stores.lake import Version

LONGEST_REASON = 200


def tell_words(project: Project, last_day: str) -> None:
    """Print of a window's labels and digest what models wrote, took, and why they did no more.

    Nothing, where none was to be asked.
    """
    for table in ("labels", "digest"):
        version = project.lake.find(table, last_day)
        for line in _told(project, version) if version else ():
            console.print(f"{table}: {escape(line)}")


def _told(project: Project, version: Version) -> Iterator[str]:
    from stupid_dagster.llm.labelling.run import OUTCOME
    from stupid_dagster.llm.labels import PROVENANCE
    from stupid_dagster.llm.spending import SPENT

    if made := version.metadata.get(OUTCOME):
        total, by_models = version.rows, made["accepted"] + made["kept"]
        said = f"{by_models} of {total} are a language model's"
        said += f" ({made['kept']} of them kept)" if made["kept"] else ""
        if by_models < total:
            said += f", {total - by_models} stayed the rule's"
        names = ("refused", "failed", "unanswered")
        counts = [f"{made[name]} {name}" for name in names if made[name]]
        said += f" ({', '.join(counts)})" if counts else ""
        why = [text for text in (made["stopped"], made["why not"]) if text]
        yield said + (f": {'; '.join(why)[:LONGEST_REASON]}" if why else "")
    if version.table == "digest":
        [row] = project.lake.scan_versions([version]).collect().iter_rows(named=True)
        if row["refused"]:
            yield f"stayed the rule's: {row['refused'][:LONGEST_REASON]}"
        elif row["provenance"] != PROVENANCE:
            yield f"written by {row['provenance']}"
    for model_id, one in version.metadata.get(SPENT, {}).items():
        dollars = f", ${one['dollars']:,.4g}" if "dollars" in one else ""
        yield (
            f"{model_id} took {one['prompt_tokens']:,} tokens sent and "
            f"{one['completion_tokens']:,} received in {one['requests']:,} requests{dollars}"
        )
