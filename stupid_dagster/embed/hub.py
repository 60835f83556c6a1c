"""The folder of an ONNX model: one of this machine's, or one fetched from Hugging Face."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import structlog

from stupid_dagster.embed.onnx import PLACES, TOKENIZER
from stupid_dagster.errors import EmbedderError

log = structlog.get_logger(__name__)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# With the weights of a model above 2 GB, which lie beside it.
_FILES = [*PLACES, *(f"{place}_data" for place in PLACES), TOKENIZER]


def model_folder(model: str, root: Path) -> Path:
    """Return the folder that `model` names: below `root`, an absolute one, or a repository's.

    A repository is fetched once, and kept where `huggingface_hub` keeps all (`HF_HOME`); its
    weights never change by themselves. Raises EmbedderError where it can't be fetched.
    """
    folder = (root / Path(model).expanduser()).resolve()
    if folder.is_dir():
        return folder
    if not _REPOSITORY.fullmatch(model):
        raise EmbedderError(
            f"embedder_model = {model!r}: there is no folder {folder}, and it isn't the name of a "
            "repository such as BAAI/bge-small-en-v1.5"
        )
    return _fetched(model, folder)


def _fetched(repository: str, folder: Path) -> Path:
    import httpx2
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        with suppress(LocalEntryNotFoundError):
            kept = Path(snapshot_download(repository, allow_patterns=_FILES, local_files_only=True))
            if (kept / TOKENIZER).exists() and any((kept / place).exists() for place in PLACES):
                return kept
        log.info("fetching a model", repository=repository)
        return Path(snapshot_download(repository, allow_patterns=_FILES))
    except (OSError, httpx2.HTTPError, HFValidationError) as error:  # its own are OSErrors
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise EmbedderError(
            f"embedder_model = {repository!r}: there is no folder {folder}, and the repository "
            f"can't be fetched ({reason[0][:200]}). Where no hub can be reached, download its "
            f"{PLACES[1]} (or {PLACES[0]}) and {TOKENIZER} elsewhere, and set embedder_model to "
            "the folder with them"
        ) from error
