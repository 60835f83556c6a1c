"""What a language model is to the rest of the project, whoever provides it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from stupid_dagster.errors import LanguageModelError

Answer = TypeVar("Answer", bound=BaseModel)


class Message(NamedTuple):
    """A part of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Usage:
    """Tokens that were sent and received."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


class CallError(LanguageModelError):
    """A call that gave nothing, and the tokens that it took all the same."""

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


@dataclass(frozen=True)
class Completion(Generic[Answer]):
    """A structured answer, which model gave it (`provider/model`), and the tokens it took."""

    value: Answer
    model_id: str
    usage: Usage


class Streamed(Protocol):
    """Text that arrives in pieces; `usage` and `model_id` are known when it has ended."""

    @property
    def usage(self) -> Usage: ...

    @property
    def model_id(self) -> str: ...

    def __iter__(self) -> Iterator[str]: ...


class LanguageModel(Protocol):
    """A language model. Every failure is a LanguageModelError that says what to do."""

    @property
    def model_id(self) -> str:
        """`provider/model`."""
        ...

    def complete(self, messages: Sequence[Message], schema: type[Answer]) -> Completion[Answer]:
        """Return an answer that has the schema's form; raises LanguageModelError."""
        ...

    def stream(self, messages: Sequence[Message]) -> Streamed:
        """Return plain text as it is written; raises LanguageModelError, also while it is read."""
        ...
