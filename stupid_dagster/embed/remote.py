"""What embedders behind HTTP share: requests of like texts, several at once, sent again in need."""

from __future__ import annotations

import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, ClassVar, NamedTuple

import numpy as np
import structlog

from stupid_dagster.deadline import inner_stop, remaining
from stupid_dagster.embed.pace import Pace
from stupid_dagster.embed.protocol import Part
from stupid_dagster.embed.texts import encodable, unit_rows
from stupid_dagster.errors import EmbedderError, TimedOutError
from stupid_dagster.providers import RequestDelayed, RequestFailed, Terms, wait_before
from stupid_dagster.stopping import in_thread, limited

log = structlog.get_logger(__name__)
MAX_TOKENS = 8192
REQUEST_BYTES = 300_000
"""OpenAI takes 300,000 tokens a request, and no token of a text is shorter than a byte."""
PATIENCE = 120.0
_MISSING = "is embedder_model right, is the model pulled, and embedder_url?"
ODD_ANSWER = "answered what are no embeddings; is embedder_url right?"
_NEAR = 0.05
"""Seconds before a deadline in which a failure is its doing."""
_THEN = "What was embedded is kept: run it again when the server answers, and only the rest is sent"
_THEN_ASK = "Ask again when its server answers; a search with mode=text asks none"


class Reply(NamedTuple):
    """What a server answered: a vector a text, and the tokens that it counted."""

    vectors: Sequence[Sequence[float]]
    tokens: int


@dataclass(frozen=True)
class Remote:
    """How a server is asked.

    `url` is None for the client's own default. `patience` is for how many seconds a request that
    may go well later is sent again.
    """

    model: str
    url: str | None = None
    dimensions: int | None = None
    max_tokens: int | None = None
    max_batch: int | None = None
    concurrency: int = 4
    per_minute: int | None = None
    seconds: float = 60.0
    patience: float = PATIENCE


class RemoteEmbedder(ABC):
    """An embedder by some server's client, which is made when it is first needed.

    A text longer than `max_tokens` bytes is cut there, for no token is shorter. Empty texts aren't
    sent. Any number of threads may use one.
    """

    name: ClassVar[str]
    texts_a_request: ClassVar[int]
    costly = True

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.max_batch = remote.max_batch or self.texts_a_request
        self._max_bytes = remote.max_tokens or MAX_TOKENS
        self._pace = Pace(remote.per_minute)
        self._width = remote.dimensions
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def model_id(self) -> str:
        """`backend/model`, then what was asked for that isn't the model's own."""
        remote = self.remote
        cut = f"+{self._max_bytes} bytes" if self._max_bytes != MAX_TOKENS else ""
        asked = f"@{remote.dimensions}" if remote.dimensions else ""
        return f"{self.name}/{remote.model}{asked}{cut}{self._place()}"

    @property
    def dimensions(self) -> int:
        """The length of a vector: what is asked for, else what the server is found to give."""
        if self._width is None:
            for _ in self.parts(["dimensions"]):
                pass
        assert self._width is not None
        return self._width

    @property
    def client(self) -> Any:
        """The server's client, made when first asked for; raises RequestFailed."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
                # Its connections go with the embedder, whoever used it last.
                weakref.finalize(self, self._client.close)
            return self._client

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 unit vectors [len(texts), dimensions]; empty texts get rows of zeros.

        Raises EmbedderError.
        """
        parts = [*self.parts(texts)]
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for part in parts:
            vectors[part.rows] = part.vectors
        return vectors

    def parts(self, texts: Sequence[str]) -> Iterator[Part]:
        """Yield the vectors of a request after the other, as answers come.

        Several requests are under way at a time. When one fails for good, those that are under way
        are waited for. Raises EmbedderError. Within a deadline (`deadline`) all ends with it, and
        TimedOutError is raised. Requests under way are given up then, and when no more is read.
        """
        cut = [self._cut(text) for text in encodable(texts)]
        sizes = np.array([len(text.encode()) if text.strip() else 0 for text in cut], np.int64)
        requests = self._requests(sizes)
        left = remaining()
        until = None if left is None else time.monotonic() + left
        failed: EmbedderError | None = None
        running: set[Future[Part]] = set()
        ended = threading.Event()
        with inner_stop() as stop:
            stop.then(ended.set)
            try:
                while True:
                    while failed is None and len(running) < self.remote.concurrency:
                        if (rows := next(requests, None)) is None:
                            break
                        some = [cut[row] for row in rows]
                        work = partial(self._part, rows, some, until, ended)
                        running.add(in_thread(self.name, stop, work))
                    if not running:
                        break
                    patience = None if until is None else max(0.0, until - time.monotonic())
                    done, running = wait(running, patience, FIRST_COMPLETED)
                    if not done:
                        raise self._late()
                    for future in done:
                        try:
                            part = future.result()
                        except EmbedderError as error:
                            failed = failed or error
                            ended.set()
                        else:
                            yield part
            finally:
                stop.stop()
        if failed:
            raise failed
        if len(empty := np.flatnonzero(sizes == 0)):
            yield Part(empty, np.zeros((len(empty), self.dimensions), np.float32))

    @abstractmethod
    def _connect(self) -> Any:
        """Return the server's client, which must not hold the embedder; raises RequestFailed."""

    @abstractmethod
    def _ask(self, texts: Sequence[str], seconds: float) -> Reply:
        """Return the vectors of texts; raises what `_failures` knows.

        So it does when the server is silent for so many seconds. Who calls it ends one that drips.
        """

    @abstractmethod
    def _failures(self) -> AbstractContextManager[None]:
        """Return what turns the client's exceptions into RequestFailed."""

    def _terms(self) -> Terms:
        return Terms(self.remote.seconds, "embedder_seconds", _MISSING, ODD_ANSWER)

    @abstractmethod
    def _place(self) -> str:
        """Return what tells models of one name at several servers apart; often nothing."""

    def _cut(self, text: str) -> str:
        if len(text) * 4 <= self._max_bytes:
            return text
        return text.encode()[: self._max_bytes].decode(errors="ignore")

    def _requests(self, sizes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the numbers of texts to send together: the longest first, those of like length."""
        order = np.argsort(-sizes, kind="stable")
        order = order[: np.count_nonzero(sizes)]
        start = 0
        while start < len(order):
            most = max(1, REQUEST_BYTES // int(sizes[order[start]]))
            stop = start + min(self.max_batch, most)
            yield order[start:stop]
            start = stop

    def _part(
        self, rows: np.ndarray, texts: Sequence[str], until: float | None, stopped: threading.Event
    ) -> Part:
        """Return the vectors of one request, sent until it goes well; raises EmbedderError.

        `until` is when nobody waits for them any more, by `time.monotonic`: TimedOutError.
        """
        first_failure: float | None = None
        started = time.monotonic()
        for tries in count(1):
            if stopped.wait(self._pace.turn()):
                raise EmbedderError(f"{self.model_id}: given up, for another request failed")
            seconds = self.remote.seconds
            if until is not None:
                seconds = min(seconds, max(0.001, until - time.monotonic()))
            try:
                with self._failures():
                    assert self.client  # Its making is none of the server's time.
                    with limited(seconds) as limit, limit.working():
                        reply = self._ask(texts, seconds)
                vectors = self._checked(reply, len(texts))
                return Part(rows, vectors, tries, tries - 1, reply.tokens)
            except RequestDelayed as failure:
                now = time.monotonic()
                if until is not None and now > until - _NEAR:
                    raise self._late() from failure
                first_failure = first_failure or now
                wait_for = wait_before(tries, failure.retry_after)
                give_up = first_failure + self.remote.patience
                if now + wait_for > (give_up if until is None else min(give_up, until)):
                    raise EmbedderError(
                        f"{self.model_id}: {failure}; given up after {tries} tries in "
                        f"{now - started:.0f} s. {_THEN if until is None else _THEN_ASK}"
                    ) from failure
                log.info("embedding delayed", model=self.model_id, seconds=round(wait_for, 1))
                self._pace.hold(failure.retry_after or 0.0)
                stopped.wait(wait_for)
            except RequestFailed as failure:
                raise EmbedderError(f"{self.model_id}: {failure}") from failure
        raise AssertionError("unreachable")

    def _late(self) -> TimedOutError:
        return TimedOutError(
            f"{self.model_id} gave no vector in the time that the answer may take (setting "
            f"step_seconds). {_THEN_ASK}"
        )

    def _checked(self, reply: Reply, texts: int) -> np.ndarray:
        """Return a reply's vectors with length 1; raises RequestFailed for what is none."""
        if len(reply.vectors) != texts:
            raise RequestFailed(f"gave {len(reply.vectors)} vectors for {texts} texts")
        try:
            vectors = np.asarray(reply.vectors, np.float32)
        except (TypeError, ValueError) as error:
            raise RequestFailed("gave what are no vectors of one length; is the URL right?") from (
                error
            )
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise RequestFailed("gave what are no vectors; is the URL right?")
        if not np.isfinite(vectors).all():
            raise RequestFailed("gave vectors with values that aren't finite; use another model")
        with self._lock:
            self._width = self._width or vectors.shape[1]
        if vectors.shape[1] != self._width:
            gave = f"gave vectors of {vectors.shape[1]} numbers, not of {self._width} as"
            if self.remote.dimensions:
                raise RequestFailed(
                    f"{gave} embedder_dimensions: can the model shorten its vectors? If not, leave "
                    "it out"
                )
            raise RequestFailed(
                f"{gave} those before: its server has another model now. Start anew, and what is "
                "of the former length is made again"
            )
        return unit_rows(vectors)
