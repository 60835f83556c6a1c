"""What all providers share: retries, schemas that are refused or ignored, errors with a reason."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, ClassVar, NamedTuple, TypeVar

import structlog
from pydantic import ValidationError

from stupid_dagster.errors import LanguageModelError
from stupid_dagster.keys import without_keys
from stupid_dagster.llm.protocol import Answer, Completion, Message, Usage
from stupid_dagster.llm.schemas import json_part, schema_words, strict_schema

log = structlog.get_logger(__name__)
T = TypeVar("T")
Pieces = Generator[str | Usage]

MOST_TOKENS = 8192
"""Tokens of an answer, those that a model thinks in included."""
_BUSY = (429, 503, 529)
_WAIT, _LONGEST_WAIT = 1.0, 10.0
_MOST_SAID = 500


class ProviderError(LanguageModelError):
    """A provider's failure, and the tokens that it took all the same."""

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


class CallFailed(Exception):
    """A call that failed, in the terms of no provider's own."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(without_keys(reason))
        self.status = status
        self.retry_after = retry_after
        self.usage = usage or Usage()


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

    `url` is None for the client's own default. `seconds` is how long the server may be silent.
    Any number of threads may use one.
    """

    name: ClassVar[str]

    def __init__(self, model: str, url: str | None, seconds: float) -> None:
        self.model = model
        self.url = url
        self.seconds = seconds
        self._unenforced: set[str] = set()
        self._client: Any = None
        self._opening = threading.Lock()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._opening:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def model_id(self) -> str:
        """`provider/model`."""
        return f"{self.name}/{self.model}"

    def complete(self, messages: Sequence[Message], schema: type[Answer]) -> Completion[Answer]:
        """Return an answer of the schema's form; one that isn't is asked for once more.

        A server that refuses the schema, being too large for it, gets it in words. Raises
        ProviderError.
        """
        wanted = strict_schema(schema)
        conversation, usage, problems = [*messages], Usage(), ""
        for _ in range(2):
            try:
                reply = self._reply(conversation, schema.__name__, wanted)
            except ProviderError as error:
                raise ProviderError(str(error), usage + error.usage) from error
            usage += reply.usage
            try:
                value = schema.model_validate_json(json_part(reply.text))
                return Completion(value, self.model_id, usage)
            except ValidationError as error:
                problems = _problems(error)
            again = f"That is not right: {problems}. {schema_words(wanted)}"
            conversation += [Message("assistant", reply.text or "-"), Message("user", again)]
        raise ProviderError(
            f"{self.model_id} gave no answer of the form that it was asked for, asked twice: "
            f"{problems}; use a model that follows JSON schemas",
            usage,
        )

    def stream(self, messages: Sequence[Message]) -> TextStream:
        """Return plain text as it is written; raises ProviderError while it is read."""
        return TextStream(self.model_id, self._text(messages))

    @abstractmethod
    def _connect(self) -> Any:
        """Return the provider's client; raises CallFailed."""

    @abstractmethod
    def _ask(
        self, messages: Sequence[Message], name: str, schema: Mapping[str, Any] | None
    ) -> Reply:
        """Return what the model answers, held to a schema; raises what `_failures` knows."""

    @abstractmethod
    def _pieces(self, messages: Sequence[Message]) -> Pieces:
        """Yield what the model answers, and its usage; raises what `_failures` knows."""

    @abstractmethod
    def _failures(self) -> AbstractContextManager[None]:
        """Return what turns the client's exceptions into CallFailed."""

    @property
    def client(self) -> Any:
        """The provider's client, made when first asked for; raises CallFailed."""
        with self._opening:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _reply(self, messages: Sequence[Message], name: str, schema: dict[str, Any]) -> Reply:
        if name not in self._unenforced:
            try:
                return self._tried(lambda: self._ask(messages, name, schema))
            except ProviderError as error:
                cause = error.__cause__
                refused = isinstance(cause, CallFailed) and cause.status in (400, 422)
                if not (refused and "schema" in str(cause).lower()):
                    raise
                log.warning("schema refused", model=self.model_id, problem=str(cause))
                self._unenforced.add(name)
        told = [*messages, Message("user", schema_words(schema))]
        return self._tried(lambda: self._ask(told, name, None))

    def _text(self, messages: Sequence[Message]) -> Pieces:
        def begun() -> tuple[Pieces, str | Usage | None]:
            pieces = self._pieces(messages)
            return pieces, next(pieces, None)

        pieces, piece = self._tried(begun)
        with closing(pieces):
            while piece is not None:
                yield piece
                piece = self._once(lambda: next(pieces, None))

    def _tried(self, call: Callable[[], T]) -> T:
        """Return what a call gives; it is tried again when a server is busy, but not for long."""
        try:
            with self._failures():
                return call()
        except CallFailed as failed:
            wait = _WAIT if failed.retry_after is None else failed.retry_after
            if failed.status not in _BUSY or wait > _LONGEST_WAIT:
                raise self._error(failed) from failed
        time.sleep(wait)
        return self._once(call)

    def _once(self, call: Callable[[], T]) -> T:
        try:
            with self._failures():
                return call()
        except CallFailed as failed:
            raise self._error(failed) from failed

    def _error(self, failed: CallFailed) -> ProviderError:
        return ProviderError(f"{self.model_id}: {failed}", failed.usage)


def status_failure(status: int, said: str, headers: Mapping[str, str]) -> CallFailed:
    """Return the failure of a call that was answered with an error status."""
    # The clients of OpenAI and Anthropic begin with the status. Part of a key would be no key.
    said = without_keys(said.removeprefix(f"Error code: {status} - "))
    told = headers.get("retry-after", "")
    later = float(told) if told.replace(".", "", 1).isdigit() else None
    advice = ""
    if status in (401, 403):
        advice = "; is the key in the environment right, and may it use the model?"
    elif status == 404:
        advice = "; is the model's name right, and the URL?"
    elif later is not None:
        advice = f"; it asks to wait for {later:g} s"
    return CallFailed(
        f"HTTP {status}: {said[:_MOST_SAID]}{advice}", status=status, retry_after=later
    )


def _problems(error: ValidationError) -> str:
    found = [
        f"{'.'.join(str(part) for part in one['loc']) or 'the answer'}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False)
    ]
    return "; ".join(found[:10])[:_MOST_SAID]
