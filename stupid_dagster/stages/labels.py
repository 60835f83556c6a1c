"""The stage of labels: by the rules, and where the settings say so by a language model."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import Any

import polars as pl

from stupid_dagster.compute.events.event_clusters import NOISE_ID
from stupid_dagster.compute.insights.phrases import symbol_text
from stupid_dagster.compute.profiles.behaviour import event_cluster_profiles, pattern_profiles
from stupid_dagster.compute.profiles.build import cluster_profiles, community_profiles
from stupid_dagster.compute.profiles.traits import Profile
from stupid_dagster.compute.sequences.patterns import VANISHED
from stupid_dagster.errors import LanguageModelError, StoreError
from stupid_dagster.llm.chain import configured_model
from stupid_dagster.llm.ending import Ending
from stupid_dagster.llm.labelling.checks import model_words
from stupid_dagster.llm.labelling.kept import Former
from stupid_dagster.llm.labelling.prompts import MOST_SAMPLES
from stupid_dagster.llm.labelling.run import OUTCOME, STOPPED, Labeller, Limits, Report, asked_first
from stupid_dagster.llm.labels import label_profiles
from stupid_dagster.llm.privacy import Pseudonyms, hidden_types, pseudonym_key
from stupid_dagster.llm.protocol import Message
from stupid_dagster.llm.spending import SPENT, spending, spending_told, window_budget
from stupid_dagster.project import Project
from stupid_dagster.stages.window import Window, open_window
from stupid_dagster.stages.written import Written

LABELLED_SIZE, LABELLED_COMMUNITIES = 3, 1_000
"""Communities get a label from so many members on, the largest so many of them."""


def make_labels(project: Project, last_day: str) -> list[Written]:
    """Write `labels` of the window's clusters, larger communities, event clusters and patterns.

    With a language model in the settings, its words stand where they are right; whatever it does,
    the stage ends within the setting `llm_run_seconds`, and there is a label for each. What it may
    take is held to the settings `llm_run_tokens` and `llm_run_cost`; what it took is kept with the
    table.
    """
    window = open_window(project, last_day)
    stage = window.stage()
    profiles = window_profiles(window)
    labels = label_profiles(profiles)
    details = {
        **{kind: rows.height for (kind,), rows in labels.group_by("kind", maintain_order=True)},
        "communities_unlabelled": window.version("communities").rows
        - labels.filter(pl.col("kind") == "community").height,
    }
    settings = project.settings
    metadata: dict[str, Any] = {}
    asker = _asker(window, details) if settings.llm_share != "nothing" and settings.llm else None
    if asker is not None:
        former = _former(window)
        ending = Ending(settings.llm_run_seconds)
        model = configured_model(settings, window_budget(settings), ending)
        assert model is not None
        limits = Limits(settings.llm_labels_most, ending, settings.llm_at_once)
        with closing(model):
            labels, report = asker.relabel(profiles, labels, model, former, limits)
            spent = spending(model, under_way=True)
            metadata = {SPENT: spent, OUTCOME: report.outcome()}
        details |= report.details() | spending_told(spent)
    elif STOPPED in details:
        metadata = {OUTCOME: Report(stopped=str(details[STOPPED])).outcome()}
    stage.table("labels", labels, metadata=metadata, details=details)
    return stage.written


def _asker(window: Window, details: dict[str, Any]) -> Labeller | None:
    """Return what asks for the window's labels; None, and told in the details, if nothing may."""
    try:
        return labeller(window)
    except LanguageModelError as error:
        details[STOPPED] = str(error)
        return None


def label_prompts(project: Project, last_day: str) -> list[tuple[Profile, list[Message]]]:
    """Return what the stage would send for the window's labels: to nobody, but as it would be."""
    window = open_window(project, last_day)
    settings = project.settings
    if settings.llm_share == "nothing":
        return []
    profiles, former = window_profiles(window), _former(window)
    labels = labeller(window, keep_key=False)
    wanted = [
        profile
        for profile in profiles
        if not former.words(profile, labels.vocabulary) and not former.refusal(profile, labels.saw)
    ]
    chosen = asked_first(wanted, settings.llm_labels_most)
    return [(profile, messages) for profile, messages, _ in labels.prompts(chosen, profiles)]


def window_profiles(window: Window) -> list[Profile]:
    """Return the profiles of all that gets a label, kind by kind, the largest first."""
    model = window.project.model

    def read(table: str, *columns: str) -> pl.DataFrame:
        return window.scan(table).select(*columns or [pl.all()]).collect()

    nodes = read("graph_nodes", "entity_id", "type", "key", "properties")
    communities = (
        read("communities")
        .filter(pl.col("size") >= LABELLED_SIZE)
        .sort("size", "community_id", descending=[True, False])
        .head(LABELLED_COMMUNITIES)
    )
    members = read("community_members", "entity_id", "type", "community_id")
    clusters = read("clusters").sort("size", "cluster_id", descending=[True, False])
    patterns = read("patterns").filter(pl.col("status").fill_null("") != VANISHED)
    return [
        *cluster_profiles(
            clusters,
            read("cluster_members"),
            read("features"),
            model,
            read("cluster_entities"),
            nodes,
            days=len(window.recent_days(model.features.window_days)),
        ),
        *event_cluster_profiles(
            read("event_clusters").filter(pl.col("event_cluster_id") != NOISE_ID),
            read("text_clusters"),
            window.scan_day("texts", window.days[-1]).collect(),
            model,
        ),
        *pattern_profiles(patterns, model, partial(symbol_text, model=model)),
        *community_profiles(communities, members, nodes, model),
    ]


def labeller(window: Window, *, keep_key: bool = True) -> Labeller:
    """Return what asks for the window's labels; raises as `window_pseudonyms` does."""
    vocabulary = model_words(window.project.model)
    return Labeller(window_pseudonyms(window, keep_key=keep_key), vocabulary, _samples(window))


def window_pseudonyms(window: Window, *, keep_key: bool = True) -> Pseudonyms:
    """Return what hides a window's ids; raises SettingsError for an unknown type.

    The key is the lake's. One that has none gets one, and LanguageModelError is raised where it
    can't be kept; if it isn't to be, it is good for this once.
    """
    project = window.project
    nodes = window.find("graph_nodes")
    counts = project.lake.scan_versions([nodes]).group_by("type").len().collect() if nodes else None
    entities = dict(counts.iter_rows()) if counts is not None else {}
    hidden = hidden_types(project.model, entities, project.settings.llm_hidden)
    try:
        key = pseudonym_key(project.lake.files, keep=keep_key)
    except StoreError as error:
        raise LanguageModelError(
            f"nobody was asked, for the key of the pseudonyms can't be kept in the lake: {error}"
        ) from error
    return Pseudonyms(key, project.model, hidden)


def _samples(window: Window) -> Mapping[str, list[str]]:
    """Return the texts of each event cluster that come most often, where the settings share any."""
    if window.project.settings.llm_share != "samples":
        return {}
    texts = window.scan_day("texts", window.days[-1]).select("text_id", "text")
    cluster = pl.col("event_cluster_id")
    frequent = (
        window.scan("text_clusters")
        .filter(cluster != NOISE_ID)
        .sort("count", "text_id", descending=[True, False])
        .group_by("event_cluster_id", maintain_order=True)
        .head(MOST_SAMPLES)
        .join(texts, on="text_id", maintain_order="left")
        .group_by("event_cluster_id", maintain_order=True)
        .agg("text")
    )
    return dict(frequent.collect().iter_rows())


def _former(window: Window) -> Former:
    """Return the labels of this window as it was made before, and of the one before it."""
    settings = window.project.settings
    models = [f"{name}/{getattr(settings, f'llm_{name}_model')}" for name in settings.llm]
    lake, own = window.project.lake, window.project.lake.find("labels", window.last_day)
    tables = [lake.scan_versions([own]).collect() if own else None, window.previous("labels")]
    return Former([table for table in tables if table is not None], models)
