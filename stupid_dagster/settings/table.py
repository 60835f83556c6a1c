"""The one table of settings: name, type, default and help are the fields of `Settings`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field


def _setting(
    default: Any, help: str, minimum: float | None = None, maximum: float = sys.maxsize
) -> Any:
    return field(default=default, metadata={"help": help, "range": (minimum, maximum)})


def _parted(value: Any) -> Any:
    """Return the names of a text that has commas between them, or is a list in JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [name for part in value.split(",") if (name := part.strip())]


LanguageModel = Literal["openai", "anthropic", "ollama"]
PROVIDERS: tuple[str, ...] = get_args(LanguageModel)
RemoteBackend = Literal["openai", "ollama"]
"""Embedders that are asked over HTTP: a class each in `embed/`, which `embed/choose.py` names."""
EmbedderBackend = Literal["bundled", "onnx", RemoteBackend]
REMOTE_BACKENDS: tuple[str, ...] = get_args(RemoteBackend)
BACKENDS: tuple[str, ...] = get_args(EmbedderBackend)
LanguageModels = Annotated[tuple[LanguageModel, ...], BeforeValidator(_parted)]
Names = Annotated[tuple[str, ...], BeforeValidator(_parted)]


def _tree(value: Any) -> Any:
    """Return what a text says as JSON, which an environment variable is."""
    return json.loads(value) if isinstance(value, str) else value


_Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Prices = Annotated[Mapping[str, tuple[_Dollars, _Dollars]], BeforeValidator(_tree)]
"""By `provider/model`: dollars per million tokens of prompts, and of answers."""


@dataclass(frozen=True)
class Settings:
    """All settings of one project; relative paths are relative to `root`."""

    data_root: str | Path = _setting(
        "data/lake",
        "Folder of the lake (day segments, window knowledge, snapshots), or the URL of a place in "
        "a bucket, s3://bucket/prefix, that many machines work on.",
    )
    workplace: Path = _setting(
        Path("data/workplace"),
        "Folder of this machine for a lake in a bucket: what is written before it is brought "
        "there, and what was fetched.",
    )
    workplace_gb: float = _setting(
        20.0, "Most GiB of files fetched from a bucket that are kept; those in use stay.", minimum=0
    )
    storage_seconds: float = _setting(
        30.0, "Seconds for one request to a bucket, its body too.", minimum=0.1
    )
    storage_retries: int = _setting(10, "How often a request to a bucket is sent again.", minimum=0)
    storage_retry_seconds: float = _setting(
        180.0, "Seconds for all tries of a request to a bucket together.", minimum=0.1
    )
    landing: str = _setting(
        "data/landing",
        "Folder of the daily event files, or its URL: s3://bucket/prefix (with the extra `s3`), or "
        "any other that fsspec knows. It is only ever read.",
    )
    event_model: str = _setting(
        "flights", "A bundled event model's name, or the path of your own YAML file."
    )
    partitions_start: date = _setting(date(2013, 1, 11), "First day of the daily partitions.")
    partitions_end: date | None = _setting(
        None, "Last day of the daily partitions; unset: they go on to today."
    )
    window_days: int = _setting(30, "Days that the window's knowledge is drawn from.", 1)
    kept_windows: int = _setting(
        2, "Windows kept, so that the newest can be compared with the one before it.", 1
    )
    window_anchor: date | None = _setting(
        None, "Last day of the newest window; unset: the newest day that has documents."
    )
    kept_snapshots: int = _setting(
        2, "Snapshots kept, the published one included; older ones have garbage_minutes.", 1
    )
    garbage_minutes: float = _setting(
        10.0, "Minutes for which files that nothing names any more are left for slow readers.", 0
    )
    reject_share: float = _setting(
        0.05, "Share of rejected rows above which a day's check fails.", 0, 1
    )
    arrival_stable_seconds: float = _setting(
        60.0, "Seconds that a landing file must not change before the sensor `arrivals` uses it.", 0
    )
    arrival_poll_seconds: int = _setting(
        30, "Seconds between two looks of the sensor `arrivals` at the landing folder.", 1
    )
    arrival_runs_most: int = _setting(
        100, "Most runs that one look of the sensor `arrivals` asks for.", 1
    )
    trend_baseline_days: int = _setting(
        7, "Days before a day that its metrics are compared with.", 2
    )
    max_clusters: int = _setting(20, "Most k-means clusters that are tried.", 2)
    dbscan_eps: float = _setting(
        0.3, "Cosine distance within which texts of an event type are neighbours (DBSCAN).", 0, 2
    )
    dbscan_min_events: int = _setting(
        5, "Events that must lie that near for a text to be a core of an event cluster.", 1
    )
    dbscan_exact_texts: int = _setting(
        200_000,
        "Texts of an event type up to which DBSCAN is exact; of more, so many join clusters.",
        1,
    )
    community_algorithm: Literal["leiden", "louvain", "label_propagation"] = _setting(
        "leiden", "Whose communities are kept, profiled and followed from window to window."
    )
    pattern_days: int = _setting(7, "Last days of the window whose sequences are mined.", 1)
    pattern_min_support: float = _setting(
        0.01, "Share of the actors with a sequence that a pattern needs.", 0, 1
    )
    pattern_min_actors: int = _setting(50, "Actors that a pattern needs.", 1)
    pattern_max_length: int = _setting(10, "Symbols that a pattern has at most.", 1, 50)
    patterns_most: int = _setting(
        5_000, "Patterns that are kept, those of most actors first.", 1, 1_000_000
    )
    seed: int = _setting(7, "Seed of every algorithm that draws random numbers.", 0)
    graph_engine: Literal["kuzu", "ladybug"] = _setting(
        "kuzu", "Engine of the graph database; `ladybug` needs the extra of that name."
    )
    graph_buffer_mb: int = _setting(
        1024,
        "Megabytes of the graph database's buffer pool while it is built; 46 million edges need "
        "4096.",
        64,
    )
    embedder_backend: EmbedderBackend = _setting(
        "bundled", "What turns texts into vectors; see docs/embedders.md."
    )
    embedder_model: str | None = _setting(
        None, "onnx: a model's folder, or its repository on Hugging Face; else the model's name."
    )
    embedder_url: str | None = _setting(
        None, "URL of the embedder's server; unset: OpenAI's own, or OLLAMA_HOST."
    )
    embedder_dimensions: int | None = _setting(
        None, "Length of vectors that a server is asked for; unset: the model's own.", 1
    )
    embedder_pooling: Literal["mean", "cls"] = _setting(
        "mean", "How onnx makes one vector of a text's tokens; the model's card says which."
    )
    embedder_execution: Names = _setting(
        (), "ONNX Runtime's execution providers in order of preference; unset: the CPU."
    )
    embedder_max_tokens: int | None = _setting(
        None, "How much of a text counts; unset: 256 tokens for onnx, 8192 bytes for servers.", 8
    )
    embedder_batch: int | None = _setting(
        None, "Most texts at once; unset: 32 for onnx, for servers see docs/embedders.md.", 1, 2048
    )
    embedder_concurrency: int = _setting(
        4, "Requests to the embedder's server that run at a time.", 1, 64
    )
    embedder_per_minute: int | None = _setting(
        None, "Requests a minute to the embedder's server at most; unset: as many as it takes.", 1
    )
    embedder_seconds: float = _setting(
        60.0, "Seconds that a request to the embedder's server may take.", 0.1
    )
    api_host: str = _setting("127.0.0.1", "Address that the query API binds to.")
    api_port: int = _setting(8000, "Port of the query API.", 0, 65_535)
    api_key: str | None = _setting(
        None, "Key that clients send as `X-API-Key`; required on any but a loopback address."
    )
    api_concurrency: int = _setting(
        8, "Heavy requests (scans, searches, walks, plans) that the API works on at once.", 1
    )
    inbox: str | Path | None = _setting(
        None,
        "Folder, or the URL of a place in a bucket (s3://bucket/prefix), that POST /events adds "
        "files of events to; unset: it takes none.",
    )
    rows_default: int = _setting(10_000, "Rows that an answer of the API has at most, unasked.", 1)
    rows_most: int = _setting(100_000, "Most rows that an answer of the API may have.", 1)
    step_seconds: float = _setting(
        30.0, "Seconds that a request or a step of a plan may take.", 0.001
    )
    plan_seconds: float = _setting(
        60.0, "Seconds that a plan may take, all its steps together.", 0.001
    )
    plan_steps: int = _setting(20, "Steps that a query plan has at most.", 1, 100)
    llm: LanguageModels = _setting(
        (), "Language models' providers, the first that answers does: openai, anthropic, ollama."
    )
    llm_openai_model: str | None = _setting(
        None, "Model of the provider openai; the key is OPENAI_API_KEY in the environment."
    )
    llm_openai_url: str | None = _setting(
        None, "Base URL of a server that speaks OpenAI's protocol; unset: OpenAI's own."
    )
    llm_anthropic_model: str | None = _setting(
        None, "Model of the provider anthropic; the key is ANTHROPIC_API_KEY in the environment."
    )
    llm_anthropic_url: str | None = _setting(
        None, "Base URL of a server that speaks Anthropic's protocol; unset: Anthropic's own."
    )
    llm_ollama_model: str | None = _setting(None, "Model of the provider ollama.")
    llm_ollama_url: str | None = _setting(
        None, "URL of the Ollama server; unset: OLLAMA_HOST, else http://127.0.0.1:11434."
    )
    llm_seconds: float = _setting(
        60.0, "Seconds that a request to a language model's server may take.", 0.1
    )
    llm_share: Literal["profiles", "samples", "nothing"] = _setting(
        "profiles",
        "What language models get for labels: profiles, samples (example texts too) or nothing.",
    )
    llm_hidden: Names | None = _setting(
        None,
        "Entity types whose ids are pseudonyms in prompts, besides the actor, and fields to hide; "
        "without types: all whose entities have fewer than ten actors each.",
    )
    llm_labels_most: int = _setting(100, "Most labels that a window asks language models for.", 0)
    llm_run_seconds: float = _setting(
        300.0,
        "Seconds that a window's labels, and its digest, may each wait for language models.",
        0,
    )
    llm_at_once: int = _setting(4, "Requests to language models at the same time.", 1, 64)
    llm_run_tokens: int | None = _setting(
        None, "Tokens, sent and received, that a window may take; unset: no limit.", 0
    )
    llm_run_cost: float | None = _setting(
        None, "Dollars that a window may take, by llm_prices; unset: no limit.", 0
    )
    llm_question_tokens: int | None = _setting(
        None, "Tokens, sent and received, that a question may take; unset: no limit.", 0
    )
    llm_prices: Prices | None = _setting(
        None,
        "Prices by provider/model: dollars per million tokens of prompts, and of answers.",
    )
    compute: Literal["local", "ray"] = _setting(
        "local", "Where the steps of Dagster's queued runs are done; `ray` needs that extra."
    )
    ray_address: str = _setting(
        "http://127.0.0.1:8265", "URL of the Ray cluster's dashboard, which takes jobs."
    )
    memory_scale: float = _setting(
        1.0, "Million events a day, 30 days kept, that steps ask a cluster's memory for.", 0
    )
    log_format: Literal["console", "json"] = _setting("console", "Form of the log lines.")

    root: Path = field(default=Path("."), metadata={"internal": True})
    sources: Mapping[str, str] = field(default_factory=dict, metadata={"internal": True})

    @property
    def kept_days(self) -> int:
        """Days whose segments are kept: the newest window's and its predecessors'."""
        return self.window_days + self.kept_windows - 1

    def horizon(self, anchor: date) -> date:
        """Return the oldest day that is kept when the newest window ends on `anchor`."""
        return anchor - timedelta(days=self.kept_days - 1)

    @property
    def garbage_grace(self) -> timedelta:
        """Time for which files that nothing names any more are left for slow readers."""
        return timedelta(minutes=self.garbage_minutes)

    @property
    def lake_location(self) -> str | Path:
        """The lake: an absolute path, or the URL as it was given."""
        return self._location(self.data_root)

    @property
    def landing_location(self) -> str:
        """The landing folder: an absolute path, or the URL as it was given."""
        is_url = "://" in self.landing or "::" in self.landing
        return self.landing if is_url else str(self.path(self.landing))

    @property
    def inbox_location(self) -> str | Path | None:
        """The inbox, if there is one: an absolute path, or the URL as it was given."""
        return self._location(self.inbox) if self.inbox else None

    def _location(self, value: str | Path) -> str | Path:
        return str(value) if "://" in str(value) else self.path(value)

    def path(self, value: Path | str) -> Path:
        """Return `value` as an absolute path, relative ones taken from the project's root."""
        return (self.root / Path(value).expanduser()).resolve()


SETTINGS = {f.name: f for f in dataclasses.fields(Settings) if not f.metadata.get("internal")}
