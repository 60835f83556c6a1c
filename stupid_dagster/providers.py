"""What fails when a provider's server is asked, told alike for all clients, models and embedders.

Each client has exceptions of its own; here they become `RequestFailed`, in whose text no key
stands, with what a caller has to know to send the request again, or to say what it took.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

from stupid_dagster.keys import provider_key, without_keys
from stupid_dagster.stopping import CONNECT_SECONDS, STOPPED_WITH_WORK, TookTooLongError

PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 529)
"""HTTP statuses after which the same request may go well later."""
MOST_SAID = 500
"""Characters of a server's own words."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
OLLAMA_KEY = "OLLAMA_API_KEY"
_USED_UP = "insufficient_quota"
_UNSENT = {
    *("ConnectError", "ConnectTimeout", "PoolTimeout", "LocalProtocolError"),
    *("UnsupportedProtocol", "ConnectionError"),
}
_OLLAMA = threading.local()
"""Of this thread's last request: `seconds` it may take, `retry_after` when the server said."""


class RequestFailed(Exception):
    """A request that failed, in the terms of no client's own; sending it again won't help.

    `sent` is False where the server can't have got it.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(without_keys(reason))
        self.status = status
        self.retry_after = retry_after
        self.sent = sent


class RequestDelayed(RequestFailed, TimeoutError):
    """A request that failed, and may go well later."""


@dataclass(frozen=True)
class Terms:
    """How long a request may take, by which setting, and what its user is told of failures.

    `missing` follows an HTTP status of 404, `odd` tells of an answer that can't be read.
    """

    seconds: float
    setting: str
    missing: str
    odd: str


def openai_failures(terms: Terms) -> AbstractContextManager[None]:
    """Return what turns the exceptions of OpenAI's client into RequestFailed."""
    import openai

    return _stainless(openai, openai.OpenAIError, terms)


def anthropic_failures(terms: Terms) -> AbstractContextManager[None]:
    """Return what turns the exceptions of Anthropic's client into RequestFailed."""
    import anthropic

    return _stainless(anthropic, anthropic.AnthropicError, terms)


@contextmanager
def ollama_failures(terms: Terms) -> Iterator[None]:
    """Turn the exceptions of a client by `ollama_client` into RequestFailed."""
    import httpx
    import ollama

    try:
        yield
    except (httpx.TimeoutException, TookTooLongError) as error:
        raise _silent(terms, error) from error
    except ollama.ResponseError as error:
        raise status_failure(error.status_code, error.error, _OLLAMA.retry_after, terms) from error
    except (ConnectionError, httpx.HTTPError) as error:
        # The client's own ConnectionError is of one that could not be made.
        raise _unreached(error) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestFailed(terms.odd) from error


def usable_key(name: str) -> str | None:
    """Return a provider's key, None if there is none; RequestFailed for one no header can hold."""
    key = provider_key(name)
    if key and not (key.isascii() and key.isprintable()):
        raise RequestFailed(
            f"the key {name} in the environment has characters that no HTTP header can hold: "
            "set it anew",
            sent=False,
        )
    return key


def key_for(name: str, url: str | None) -> str:
    """Return a provider's key; any text where there is none and the server is one's own.

    Those mostly want none, but their clients do. Raises RequestFailed where a key is needed and
    missing, or is one that no header can hold.
    """
    key = usable_key(name)
    if not key and not url:
        raise RequestFailed(f"there is no key: set {name} in the environment", sent=False)
    return key or "none"


def ollama_within(seconds: float) -> None:
    """Give so many seconds to each request that this thread sends by an `ollama_client`."""
    _OLLAMA.seconds = seconds


def ollama_client(url: str | None) -> Any:
    """Return an Ollama client, whose requests may take what `ollama_within` gives them.

    The client itself waits for ever, keeps an answer's headers to itself, and reads the key with
    the white space around it. Raises RequestFailed for a key that can't be sent.
    """
    import httpx
    from ollama import Client

    def limit(request: httpx.Request) -> None:
        request.extensions["timeout"] = httpx.Timeout(_OLLAMA.seconds).as_dict()

    def note(response: httpx.Response) -> None:
        _OLLAMA.retry_after = retry_after(response.headers)

    key = usable_key(OLLAMA_KEY)
    client = Client(
        host=url,
        headers={"Authorization": f"Bearer {key}"} if key else None,
        # The limit first: what is stopped looks at it.
        event_hooks={"request": [limit, *STOPPED_WITH_WORK["request"]], "response": [note]},
    )
    if not key:
        client._client.headers.pop("Authorization", None)  # White space alone is no key.
    return client


def wait_before(tries: int, asked: float | None) -> float:
    """Return the seconds to wait after so many tries that failed.

    Those that the server asked for, and a little, so that not all come back at once. Else they
    double, with "equal jitter": half of them by chance
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    if asked is not None:
        return asked + random.uniform(0, FIRST_WAIT / 2)
    most = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tries - 1))
    return random.uniform(most / 2, most)


def status_failure(
    status: int, said: str, later: float | None, terms: Terms, *, passing: bool = True
) -> RequestFailed:
    """Return the failure of a request that was answered with an error status."""
    said = without_keys(said)  # Before it is cut: part of a key would be no key.
    reason = f"HTTP {status}: {said[:MOST_SAID]}"
    if status in (401, 403):
        reason += "; is the key in the environment right, and may it use the model?"
    elif status == 404:
        reason += f"; {terms.missing}"
    elif later is not None:
        reason += f"; it asks to wait for {later:g} s"
    kind = RequestDelayed if passing and status in PASSING else RequestFailed
    return kind(reason, status=status, retry_after=later)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks to wait, None where it doesn't say.

    Both of its forms are read, a number and a date (RFC 9110, 10.2.3).
    """
    told = headers.get("retry-after")
    if told is None:
        return None
    try:
        return max(0.0, float(told)) if float(told) < float("inf") else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(told)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):  # A date, or a time zone, may be out of all range.
        return None


@contextmanager
def _stainless(client: ModuleType, base: type[Exception], terms: Terms) -> Iterator[None]:
    """OpenAI's and Anthropic's clients are made by one generator, with the same exceptions."""
    import httpx2

    try:
        yield
    except (client.APITimeoutError, httpx2.TimeoutException, TookTooLongError) as error:
        raise _silent(terms, error.__cause__ or error) from error
    except client.APIStatusError as error:
        raise status_failure(
            error.status_code,
            # Its message begins with the status.
            error.message.removeprefix(f"Error code: {error.status_code} - "),
            retry_after(error.response.headers),
            terms,
            # What is paid for is used up: that doesn't pass by waiting.
            passing=getattr(error, "code", None) != _USED_UP,
        ) from error
    except (client.APIConnectionError, httpx2.HTTPError) as error:
        raise _unreached(error.__cause__ or error) from error
    except base as error:
        raise RequestFailed(str(error)) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestFailed(terms.odd) from error


def _silent(terms: Terms, cause: BaseException) -> RequestFailed:
    seconds = float(f"{terms.seconds:.3g}")  # What is left of a time has many digits.
    said = f"no answer in {seconds:g} s (setting {terms.setting})"
    if type(cause).__name__ == "ConnectTimeout" and seconds > CONNECT_SECONDS:
        said = f"can't be reached: no connection in {CONNECT_SECONDS:g} s"
    return RequestDelayed(said, sent=_sent(cause))


def _unreached(cause: BaseException) -> RequestFailed:
    return RequestDelayed(f"can't be reached: {cause}", sent=_sent(cause))


def _sent(cause: BaseException) -> bool:
    """Return whether a server may have got a request; httpx and httpx2 name exceptions alike."""
    return type(cause).__name__ not in _UNSENT
