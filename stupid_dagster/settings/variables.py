"""What the environment says beside the settings."""

from __future__ import annotations

PREFIX = "STUPID_"
"""Of the settings' own variables."""
ROOT = f"{PREFIX}ROOT"
VARIABLES = {
    ROOT: "Folder of the project: its `stupid.toml`, and what relative paths are relative to. The "
    "option `--root` wins; unset: the folder that the process was started in.",
    "DAGSTER_HOME": "Folder of Dagster's `dagster.yaml` and history, an absolute path. Unset: "
    "`.dagster_home` in the project's folder, for the commands here; `dagster …` needs it, or a "
    "`.env` with it where it is started, which these commands write.",
    "DAGSTER_POSTGRES_URL": "Where a `dagster.yaml` keeps the history on Postgres: "
    "`postgresql://USER:PASSWORD@HOST:5432/DATABASE`.",
    "OPENAI_API_KEY": "Key of the provider openai, of language models and embedders.",
    "OPENAI_BASE_URL": "URL for the embedder openai where `embedder_url` is unset.",
    "ANTHROPIC_API_KEY": "Key of the provider anthropic.",
    "OLLAMA_HOST": "Ollama's server where `llm_ollama_url` or `embedder_url` is unset.",
    "OLLAMA_API_KEY": "Key of an Ollama server that wants one.",
    "AWS_ENDPOINT_URL_S3": "URL of a bucket's server other than AWS; else `AWS_ENDPOINT_URL`. "
    "Credentials and region come as AWS's own tools take them: `AWS_ACCESS_KEY_ID`, "
    "`AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, or a role.",
}
"""Environment variable to what it says; keys of providers stand nowhere else."""
