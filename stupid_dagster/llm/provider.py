"""What all providers share: retries, schemas that are refused or ignored, errors with a reason."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import structlog
from pydantic import ValidationError

from stupid_dagster.llm.budget import CHARACTERS_PER_TOKEN
from stupid_dagster.llm.meter import Meter, Request
from stupid_dagster.llm.protocol import Answer, CallError, Completion, Message, Usage
from stupid_dagster.llm.schemas import json_part, schema_words, strict_schema
from stupid_dagster.providers import (
    MOST_SAID,
    RequestDelayed,
    RequestFailed,
    Terms,
    wait_before,
)
from stupid_dagster.stopping import Limit, limited

log = structlog.get_logger(__name__)
Pieces = Generator[str | Usage]

MOST_TOKENS = 8192
"""Tokens of an answer, those that a model thinks in included."""
MOST_TEXT = MOST_TOKENS * CHARACTERS_PER_TOKEN
"""Characters of a text, whatever a server goes on to send."""
_BUSY = (429, 503, 529)
_LONGEST_WAIT = 10.0
_PATIENCE = 120.0
"""Seconds for which a server may be busy, within a time, that doesn't say when it isn't."""
_MISSING = "is the model's name right, and the URL?"
_ODD = "answered what can't be read; is the URL right?"


class ProviderError(CallError):
    """A provider's failure."""


class CallFailed(RequestFailed):
    """A request that was answered, with what is of no use; None if it isn't known what it took."""

    def __init__(self, reason: str, usage: Usage | None = None) -> None:
        super().__init__(reason)
        self.usage = usage


class Reply(NamedTuple):
    """What a model said, and the tokens it took."""

    text: str
    usage: Usage


class TextStream:
    """A `Streamed`: text in pieces, and the usage when it has ended."""

    def __init__(self, model_id: str, pieces: Pieces) -> None:
        self._model_id = model_id
        self._pieces = pieces
        self._usage = Usage()

    @property
    def model_id(self) -> str:
        """`provider/model`."""
        return self._model_id

    @property
    def usage(self) -> Usage:
        """Tokens, as far as they are known yet."""
        return self._usage

    def __iter__(self) -> Iterator[str]:
        with closing(self._pieces):
            for piece in self._pieces:
                if isinstance(piece, Usage):
                    self._usage = piece
                elif piece:
                    yield piece


class Provider(ABC):
    """A LanguageModel by some provider's client, which is imported when it is first asked.

    `url` is None for the client's own default. `seconds` is how long a request may take.
    Any number of threads may use one.
    """

    name: ClassVar[str]

    def __init__(self, model: str, url: str | None, seconds: float) -> None:
        self.model = model
        self.url = url
        self.seconds = seconds
        self._unenforced: set[str] = set()
        self._connected: _Connected | None = None
        self._opening = threading.Lock()

    def close(self) -> None:
        """Close the connections, or let the last request under way do so; the next opens new ones.

        A socket that another thread reads from isn't closed: its number might be another's by then.
        """
        with self._opening:
            one, self._connected = self._connected, None
            if one is None:
                return
            one.ended = True
            idle = not one.requests
        if idle:
            one.client.close()

    @property
    def model_id(self) -> str:
        """`provider/model`."""
        return f"{self.name}/{self.model}"

    def complete(
        self, messages: Sequence[Message], schema: type[Answer], meter: Meter | None = None
    ) -> Completion[Answer]:
        """Return an answer of the schema's form; one that isn't is asked for once more.

        A server that refuses the schema, being too large for it, gets it in words. The meter is
        asked before each request. Raises ProviderError, and BudgetExhaustedError or OverError
        where no more may be made; each says what was taken until then.
        """
        meter = meter or Meter()
        wanted = strict_schema(schema)
        conversation, usage, problems = [*messages], Usage(), ""
        for _ in range(2):
            try:
                reply = self._reply(conversation, schema.__name__, wanted, meter)
            except CallError as error:
                error.usage += usage
                raise
            usage += reply.usage
            try:
                value = schema.model_validate_json(json_part(reply.text))
                return Completion(value, self.model_id, usage)
            except ValidationError as error:
                problems = _problems(error)
            conversation += form_repair_messages(reply.text, problems, wanted)
        raise ProviderError(
            f"{self.model_id} gave no answer of the form that it was asked for, asked twice: "
            f"{problems}; use a model that follows JSON schemas",
            usage,
        )

    def stream(self, messages: Sequence[Message], meter: Meter | None = None) -> TextStream:
        """Return plain text as it is written; raises as `complete` does, while it is read."""
        return TextStream(self.model_id, self._text(messages, meter or Meter()))

    @abstractmethod
    def _connect(self) -> Any:
        """Return the provider's client; raises RequestFailed."""

    @abstractmethod
    def _ask(
        self,
        client: Any,
        messages: Sequence[Message],
        seconds: float,
        name: str,
        schema: Mapping[str, Any] | None,
    ) -> Reply:
        """Return what the model answers, held to a schema; raises what `_failures` knows."""

    @abstractmethod
    def _pieces(self, client: Any, messages: Sequence[Message], seconds: float) -> Pieces:
        """Yield what the model answers, and its usage; raises what `_failures` knows."""

    @abstractmethod
    def _failures(self, terms: Terms) -> AbstractContextManager[None]:
        """Return what turns the client's exceptions into RequestFailed."""

    def _reply(
        self, messages: Sequence[Message], name: str, schema: Mapping[str, Any], meter: Meter
    ) -> Reply:
        if name not in self._unenforced:
            try:
                return self._answer(messages, name, schema, meter)
            except ProviderError as error:
                cause = error.__cause__
                refused = isinstance(cause, RequestFailed) and cause.status in (400, 422)
                if not (refused and "schema" in str(cause).lower()):
                    raise
                log.warning("schema refused", model=self.model_id, problem=str(cause))
                self._unenforced.add(name)
        told = [*messages, Message("user", schema_words(schema))]
        return self._answer(told, name, None, meter)

    def _answer(
        self,
        messages: Sequence[Message],
        name: str,
        schema: Mapping[str, Any] | None,
        meter: Meter,
    ) -> Reply:
        """Return what the model answers; it is asked again when busy (`_Busy`)."""
        busy = _Busy(meter)
        while True:
            try:
                with self._request(messages, schema, meter) as (request, client, limit):
                    with limit.working():
                        reply = self._ask(client, messages, limit.seconds, name, schema)
                    request.usage = reply.usage
                    return reply
            except ProviderError as error:
                if not busy.waited(error):
                    raise

    def _text(self, messages: Sequence[Message], meter: Meter) -> Pieces:
        busy, written = _Busy(meter), 0
        while True:
            try:
                with self._request(messages, None, meter) as (request, client, limit):
                    with closing(self._pieces(client, messages, limit.seconds)) as pieces:
                        for piece in _one_by_one(pieces, limit):
                            if isinstance(piece, Usage):
                                request.usage = piece
                            else:
                                written += len(piece)
                                request.usage = _at_least(request.usage, written)
                            if written > MOST_TEXT:
                                raise CallFailed(f"wrote more than {MOST_TEXT:,} characters")
                            yield piece
                    return
            except ProviderError as error:
                if written or not busy.waited(error):
                    raise

    @contextmanager
    def _request(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None, meter: Meter
    ) -> Iterator[tuple[Request, Any, Limit]]:
        """Let one request be made, if it may be; raises ProviderError with what it took."""
        with meter.request(self.model_id, messages, schema) as request:
            patience = meter.patience(self.seconds)
            try:
                with (
                    self._failures(Terms(*patience, _MISSING, _ODD)),
                    self._lent() as client,
                    limited(patience.seconds) as limit,
                ):
                    yield request, client, limit
            except RequestFailed as failed:
                took = _took(failed)
                if took is not None:
                    request.usage = took
                raise ProviderError(f"{self.model_id}: {failed}", request.usage) from failed

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        """Lend the provider's client, made when first asked for; raises RequestFailed."""
        with self._opening:
            if self._connected is None:
                self._connected = _Connected(self._connect())
            one = self._connected
            one.requests += 1
        try:
            yield one.client
        finally:
            with self._opening:
                one.requests -= 1
                last = one.ended and not one.requests
            if last:
                one.client.close()


@dataclass
class _Connected:
    """A client, and how many requests it has under way."""

    client: Any
    requests: int = 0
    ended: bool = False


def form_repair_messages(said: str, problems: str, schema: Mapping[str, Any]) -> list[Message]:
    """Return what a model is told whose answer isn't of the form that it was asked for."""
    told = f"That is not right: {problems}. {schema_words(schema)}"
    return [Message("assistant", said or "-"), Message("user", told)]


def _took(failed: RequestFailed) -> Usage | None:
    """Return what a request took that failed, None if nobody knows.

    One that was refused, or never arrived, took nothing. One that broke off, that the server was
    silent about or broke at, may be worked at still, and is paid for then.
    """
    if isinstance(failed, CallFailed):
        return failed.usage
    refused = failed.status is not None and (400 <= failed.status < 500 or failed.status in _BUSY)
    return Usage() if refused or not failed.sent else None


class _Busy:
    """For how long a server that is busy is asked again: until the meter's end, where it waits.

    Else once, if the server doesn't ask to wait for long.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._tries = 0
        self._until: float | None = None

    def waited(self, error: ProviderError) -> bool:
        """Wait where the server is busy; return whether it may be asked again then."""
        failed = error.__cause__
        if not isinstance(failed, RequestDelayed) or failed.status not in _BUSY:
            return False
        self._tries += 1
        wait = wait_before(self._tries, failed.retry_after)
        if not self._worth(wait, failed.retry_after):
            return False
        self._meter.ending.wait(wait)
        return True

    def _worth(self, wait: float, asked: float | None) -> bool:
        left = self._meter.ending.left()
        if not self._meter.waits or left is None:
            return self._tries == 1 and (asked or wait) <= _LONGEST_WAIT
        now = time.monotonic()
        self._until = self._until or now + _PATIENCE
        return wait < left and (asked is not None or now + wait < self._until)


def _one_by_one(pieces: Pieces, limit: Limit) -> Pieces:
    while True:
        with limit.working():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece


def _at_least(usage: Usage, written: int) -> Usage:
    """Return what is expected of a request that has written so many characters."""
    tokens = written // CHARACTERS_PER_TOKEN
    return Usage(usage.prompt_tokens, max(usage.completion_tokens, tokens))


def _problems(error: ValidationError) -> str:
    found = [
        f"{'.'.join(str(part) for part in one['loc']) or 'the answer'}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False)
    ]
    return "; ".join(found[:10])[:MOST_SAID]
