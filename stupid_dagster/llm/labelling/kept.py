"""Words of the window before that are still right: they are kept, and nobody is asked."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl

from stupid_dagster.compute.profiles.traits import Profile
from stupid_dagster.llm.labelling.checks import LabelAnswer, untrue
from stupid_dagster.llm.labelling.prompts import VERSION
from stupid_dagster.llm.labelling.reading import Reading
from stupid_dagster.llm.labels import PROVENANCE, first_label
from stupid_dagster.tables import TABLES


def traits_hash(profile: Profile) -> str:
    """Return 16 hexadecimal digits of what a profile tells, whatever its numbers are.

    It is what its own deterministic label says, numbers left out: the group's kind, the
    features that set it apart, which way they do, and the entities and values that stand out.
    """
    told = Reading(profile).bound(first_label(profile))
    return hashlib.sha256(f"{profile.kind}\n{profile.noun}\n{told}".encode()).hexdigest()[:16]


def asked_hash(model_id: str, saw: str) -> str:
    """Return 16 hexadecimal digits of which model was asked, and of what it may see and say."""
    return hashlib.sha256(f"{VERSION}\n{model_id}\n{saw}".encode()).hexdigest()[:16]


def template_of(said: Mapping[str, Any], profile: Profile) -> str:
    """Return label, description and what distinguishes as JSON, places for the numbers in them."""
    bound = Reading(profile).bound
    items = [*map(bound, said["distinguishing"])]
    return json.dumps([bound(said["label"]), bound(said["description"]), items], ensure_ascii=False)


class Former:
    """Labels that were made before: words that were taken, and refusals.

    `tables` of `labels`, those of which words are taken first; `models` whose words count.
    """

    def __init__(self, tables: Sequence[pl.DataFrame], models: Collection[str]) -> None:
        # An older release kept no templates.
        needed = {*TABLES["labels"].schema} - {"asked_hash"}
        known = [labels for labels in tables if needed <= {*labels.columns}]
        rows = [labels.filter(pl.col("prompt") == VERSION) for labels in known]
        self._taken: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._refused: dict[tuple[str, str, str], str] = {}
        for row in itertools.chain.from_iterable(t.iter_rows(named=True) for t in rows):
            if row["provenance"] in models:
                self._taken[row["kind"], row["traits_hash"]].append(row)
            elif row["refused"] and row["provenance"] == PROVENANCE and row.get("asked_hash"):
                place = row["kind"], row["profile_hash"], row["asked_hash"]
                self._refused[place] = row["refused"]
        self._models = models

    def refusal(self, profile: Profile, saw: str) -> tuple[str, str] | None:
        """Return why words for a profile that was just the same were refused, if they were.

        Those of one of the models, who `saw` as much; and its `asked_hash`.
        """
        for asked in (asked_hash(model, saw) for model in self._models):
            if why := self._refused.get((profile.kind, profile.profile_hash, asked)):
                return why, asked
        return None

    def words(
        self, profile: Profile, vocabulary: frozenset[str]
    ) -> tuple[dict[str, Any], LabelAnswer] | None:
        """Return a former row and its words with the profile's numbers, if they are right of it.

        Each row's words are given once; those of the same subject go first.
        """
        if not self._taken:
            return None
        rows = self._taken.get((profile.kind, traits_hash(profile)), [])
        reading = Reading(profile)
        for row in sorted(rows, key=lambda row: row["subject"] != profile.subject):
            answer = _filled(row["template"], reading)
            if answer is not None and not untrue(answer, reading, vocabulary):
                rows.remove(row)
                return row, answer
        return None


def _filled(template: str, reading: Reading) -> LabelAnswer | None:
    label, description, items = json.loads(template)
    said: Sequence[str | None] = [reading.filled(text) for text in (label, description, *items)]
    found = [text for text in said if text is not None]
    if len(found) < len(said):
        return None
    return LabelAnswer.model_construct(
        label=found[0], description=found[1], distinguishing=found[2:]
    )
