"""Embedding with any ONNX text model, on the CPU, by onnxruntime."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from importlib.resources.abc import Traversable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import structlog

from stupid_dagster.embed.protocol import Part
from stupid_dagster.embed.texts import encodable, unit_rows
from stupid_dagster.embed.tokens import Tokenise, Tokens, whole_texts
from stupid_dagster.errors import EmbedderError, hint

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

logger = structlog.get_logger(__name__)

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
PLACES = (MODEL, f"onnx/{MODEL}")
"""Where a model's folder may have the model, as repositories of models lay it out."""
CPU = "CPUExecutionProvider"
TEXTS_A_PART = 512  # some seconds of a transformer on a CPU
MAX_BATCH = 32  # fastest of 8 to 256 for a transformer on a CPU
MAX_TOKENS = 256
TOKENS_A_RUN = 8192  # bounds a run's memory where texts are long
TEXTS_A_SLICE = 16_384  # bounds the memory of token ids
INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class OnnxEmbedder:
    """An embedder over a directory with `model.onnx` (or that in `onnx/`) and `tokenizer.json`.

    The model may ask for `input_ids`, `attention_mask` and `token_type_ids`. A rank-3 output
    [batch, tokens, dimensions] is pooled, a rank-2 output is taken as it is; both end with
    length 1. Nothing is loaded before it is needed. Safe to share between threads.

    Texts run in batches of like length. A model without `attention_mask` would read padding as
    tokens, so its batches are of exactly one length. Where a model's own arithmetic depends on
    the batch (dynamic int8 quantisation takes one scale for all of it), so do the last digits.
    """

    def __init__(
        self,
        directory: str | Path | Traversable,
        *,
        name: str | None = None,
        pooling: Literal["mean", "cls"] = "mean",
        output: str | None = None,
        max_tokens: int = MAX_TOKENS,
        max_batch: int = MAX_BATCH,
        threads: int | None = None,
        execution: Sequence[str] = (),
        tokenise: Tokenise = whole_texts,
        costly: bool = True,
    ) -> None:
        """Check the directory and the options; raise EmbedderError if they can't work.

        `name` begins the model id (default: the directory's name). `output` is the output to
        use (default: the first). A text's tokens beyond `max_tokens` are ignored. `threads` run
        the model (default: the CPUs this process may use, at most 4). `execution` are execution
        providers in order of preference (default: the CPU's). `tokenise` turns texts into token
        ids; for one that isn't the default, and for the tokenizer's file, the name must vouch.
        """
        self._directory = Path(directory) if isinstance(directory, str) else directory
        found = [self._directory.joinpath(*place.split("/")) for place in PLACES]
        self._file = next((file for file in found if file.is_file()), None) or found[0]
        for wanted, file in ((MODEL, self._file), (TOKENIZER, self._directory / TOKENIZER)):
            if not file.is_file():
                raise EmbedderError(
                    f"{self._directory}: no {wanted}. An ONNX embedder needs a directory with"
                    f" {MODEL} (or {PLACES[1]}) and {TOKENIZER} in it"
                )
        if pooling not in ("mean", "cls"):
            raise EmbedderError(f"pooling is {pooling!r}; use 'mean' or 'cls'")
        if max_tokens < 8 or max_batch < 1:
            raise EmbedderError(
                f"max_tokens is {max_tokens} and max_batch {max_batch}; use at least 8 and 1"
            )
        self.max_batch = max_batch
        self.costly = costly
        self._name = name or self._directory.name
        self._pooling = pooling
        self._output = output
        self._max_tokens = max_tokens
        self._threads = threads or min(4, _available_cpus())
        self._execution = [*execution] or [CPU]
        self._tokenise = tokenise
        self._lock = threading.Lock()
        self._loaded: tuple[InferenceSession, Tokenizer] | None = None

    @property
    def model_id(self) -> str:
        """`<name>@<first 12 hex digits of a SHA-256>`, then options not default.

        The hash is of the model, the files of weights beside it that it names, and the tokenizer;
        where `tokenise` isn't the default, of the model alone: `name` stands for the rest.
        """
        return self._model_id

    @property
    def dimensions(self) -> int:
        """The length of a vector, asked of the model."""
        return self._dimensions

    @property
    def model_bytes(self) -> int:
        """The size of the model file, and of its weights where they are beside it."""
        with self._file.open("rb") as stream:
            return stream.seek(0, os.SEEK_END) + sum(f.stat().st_size for f in self._weights())

    @cached_property
    def _model_id(self) -> str:
        digest = _digest(self._file)
        if self._tokenise is whole_texts:
            others = [*self._weights(), self._directory / TOKENIZER]
            digest = hashlib.sha256("".join([digest, *map(_digest, others)]).encode()).hexdigest()
        options = [] if self._output is None else [self._output]
        options += [] if self._pooling == "mean" else [self._pooling]
        return "+".join([f"{self._name}@{digest[:12]}", *options])

    def _weights(self) -> list[Path]:
        """Return the files beside the model that it names: those of large models' weights.

        The path of such a file is a text in the model (`external_data` of a tensor in
        https://onnx.ai/onnx/repo-docs/ExternalData.html), and so stands there as it is.
        """
        if not isinstance(self._file, Path) or not self._file.stat().st_size:
            return []
        beside = sorted(file for file in self._file.parent.iterdir() if file.is_file())
        with self._file.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as model:
            return [f for f in beside if f != self._file and model.find(f.name.encode()) >= 0]

    @cached_property
    def _dimensions(self) -> int:
        session, _ = self._load()
        declared = self._chosen_output(session).shape
        if declared and isinstance(declared[-1], int):
            return declared[-1]
        return self._run(session, np.zeros((1, 1), np.int64), np.ones(1, np.int64)).shape[1]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 unit vectors [len(texts), dimensions]; empty texts get rows of zeros.

        Lone surrogates, which are no characters, count as question marks. Raises EmbedderError
        if the model can't be loaded or run, or if a text isn't a string.
        """
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        session, tokenizer = self._load()
        for start in range(0, len(texts), TEXTS_A_SLICE):
            part = encodable(texts[start : start + TEXTS_A_SLICE], start)
            tokens = self._tokenise(tokenizer, part, self._max_tokens)
            starts = tokens.starts
            for rows in self._batches(session, tokens):
                lengths = tokens.lengths[rows]
                columns = np.arange(lengths.max())
                inside = columns < lengths[:, None]
                # Past a text's end, repeat its own first token: the mask hides it.
                ids = tokens.ids[starts[rows][:, None] + np.where(inside, columns, 0)]
                vectors[start + rows] = unit_rows(self._run(session, ids, lengths))
        if not np.isfinite(vectors).all():
            bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise EmbedderError(
                f"{self.model_id}: the vector of text {bad} has values that aren't finite;"
                " the model file is damaged or unfit for this CPU, fetch or export it again"
            )
        return vectors

    def parts(self, texts: Sequence[str]) -> Iterator[Part]:
        """Yield the vectors of some hundred texts after the other; raises as `embed` does."""
        # Of like length, so that no batch has much padding.
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), TEXTS_A_PART):
            rows = order[start : start + TEXTS_A_PART]
            yield Part(rows, self.embed([texts[int(row)] for row in rows]))

    def _batches(self, session: InferenceSession, tokens: Tokens) -> Iterator[np.ndarray]:
        """Yield the numbers of texts to run together, longest first, empty texts left out."""
        order = np.argsort(-tokens.lengths, kind="stable")
        lengths = tokens.lengths[order]
        end = int(np.count_nonzero(lengths))
        masked = any(entry.name == "attention_mask" for entry in session.get_inputs())
        start = 0
        while start < end:
            size = min(self.max_batch, max(1, TOKENS_A_RUN // int(lengths[start])))
            stop = min(end, start + size)
            if not masked:
                stop = start + int(np.count_nonzero(lengths[start:stop] == lengths[start]))
            yield order[start:stop]
            start = stop

    def _run(self, session: InferenceSession, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return pooled vectors [batch, dimensions] of `ids` [batch, tokens], not normalised."""
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {
            entry.name: known[entry.name].astype(INTEGERS[entry.type], copy=False)
            for entry in session.get_inputs()
        }
        try:
            output = session.run([self._chosen_output(session).name], feed)[0]
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise EmbedderError(
                f"{self.model_id}: onnxruntime failed on {ids.shape[0]} texts of"
                f" {ids.shape[1]} tokens (max_tokens is {self._max_tokens}): {error}"
            ) from error
        states = np.asarray(output, np.float32)
        if states.ndim == 2:
            return states
        if self._pooling == "cls":
            return states[:, 0]
        shares = mask.astype(np.float32) / lengths[:, None].astype(np.float32)
        return np.matmul(shares[:, None, :], states)[:, 0]

    def _chosen_output(self, session: InferenceSession):
        outputs = {entry.name: entry for entry in session.get_outputs()}
        return outputs[self._output] if self._output else next(iter(outputs.values()))

    def _load(self) -> tuple[InferenceSession, Tokenizer]:
        with self._lock:
            if self._loaded is None:
                start = time.perf_counter()
                self._loaded = self._open_session(), self._open_tokenizer()
                logger.debug(
                    "embedder.loaded",
                    model=self.model_id,
                    seconds=round(time.perf_counter() - start, 3),
                )
            return self._loaded

    def _open_session(self) -> InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Idle threads would otherwise spin on cores that other runs need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        file = self._file
        self._check_execution(onnxruntime.get_available_providers())
        # A path lets the model refer to further files beside it.
        source = str(file) if isinstance(file, Path) else file.read_bytes()
        try:
            session = onnxruntime.InferenceSession(source, options, providers=self._execution)
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise EmbedderError(
                f"{file}: onnxruntime can't load it; fetch or export it again: {error}"
            ) from error
        self._check(session, str(file))
        # onnxruntime goes on without one whose libraries it can't load, and is slow without a word.
        if missing := [name for name in self._execution if name not in session.get_providers()]:
            raise EmbedderError(
                f"onnxruntime couldn't start {', '.join(missing)}: are its libraries and driver"
                " installed? Else leave it out of the setting embedder_execution"
            )
        return session

    def _check_execution(self, available: Sequence[str]) -> None:
        for name in self._execution:
            if name not in available:
                raise EmbedderError(
                    f"embedder_execution has {name!r}{hint(name, available)}, which this"
                    f" onnxruntime lacks: it has {', '.join(available)}. CUDAExecutionProvider"
                    " comes with the package onnxruntime-gpu, in the place of onnxruntime"
                )

    def _check(self, session: InferenceSession, file: str) -> None:
        """Raise EmbedderError unless inputs and output are of the kinds that `_run` handles."""
        for entry in session.get_inputs():
            known = entry.name in ("input_ids", "attention_mask", "token_type_ids")
            if not known or entry.type not in INTEGERS:
                raise EmbedderError(
                    f"{file}: input {entry.name!r} of type {entry.type} isn't supported; export a"
                    " text model with integer input_ids, attention_mask and token_type_ids only"
                )
        names = [entry.name for entry in session.get_outputs()]
        if self._output is not None and self._output not in names:
            raise EmbedderError(
                f"{file}: no output {self._output!r}{hint(self._output, names)};"
                f" it has {', '.join(names)}"
            )
        shape = self._chosen_output(session).shape
        if len(shape) not in (2, 3):
            raise EmbedderError(
                f"{file}: output {self._chosen_output(session).name!r} has shape {shape}; choose"
                f" one of rank 2 or 3 by name, of {', '.join(names)}"
            )

    def _open_tokenizer(self) -> Tokenizer:
        # Unless the user says otherwise: tokenizers would start a thread a core, and print a
        # warning in every process forked afterwards. Tokenising is a small part of the work.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        file = self._directory.joinpath(TOKENIZER)
        try:
            tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises Exception itself
            raise EmbedderError(
                f"{file}: not a tokenizer of the `tokenizers` library: {error}"
            ) from error
        # Files often carry the padding and truncation of the training. Set here once: to change
        # a tokenizer while another thread uses it is an error.
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._max_tokens)
        return tokenizer


def _available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _digest(file: Traversable) -> str:
    """Return the SHA-256 of a file; that of an unchanged one isn't computed again."""
    if isinstance(file, Path):
        state = file.stat()
        return _digest_of(file, state.st_size, state.st_mtime_ns)
    with file.open("rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


@lru_cache(maxsize=32)
def _digest_of(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
