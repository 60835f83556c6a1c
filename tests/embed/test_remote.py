"""Every embedder behind HTTP against a server on loopback that speaks its protocol."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import numpy as np
import pytest

from stupid_dagster.deadline import deadline
from stupid_dagster.embed import Embedder
from stupid_dagster.embed.choose import REMOTE
from stupid_dagster.embed.openai import OpenAIEmbedder
from stupid_dagster.embed.remote import Remote, RemoteEmbedder
from stupid_dagster.errors import EmbedderError, TimedOutError, retry_helps
from tests.embed.servers import (
    DIMENSIONS,
    Act,
    Fail,
    Protocol,
    Raw,
    Served,
    Silence,
    Vectors,
    embedding_server,
    vector_of,
)

TEXTS = [f"Departure to {n} " + "far " * (n % 7) for n in range(50)]


@pytest.fixture(params=[*REMOTE])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return request.param


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_BASE_URL", "OLLAMA_HOST", "OLLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    yield


def embedder(protocol: Protocol, served: Served, **options: Any) -> RemoteEmbedder:
    remote = {"concurrency": 2, "max_batch": 10, "patience": 5.0, "seconds": 5.0} | options
    return REMOTE[protocol](Remote("some-model", served.url, **remote))


def expected(texts: list[str], dimensions: int = DIMENSIONS) -> np.ndarray:
    rows = np.stack([vector_of(text, dimensions) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def failure(protocol: Protocol, *acts: Act, **options: Any) -> tuple[str, Served]:
    """Return what is said of a server that answers so, and the server."""
    with embedding_server(protocol, [*acts]) as served, pytest.raises(EmbedderError) as caught:
        embedder(protocol, served, **options).embed(TEXTS[:3])
    assert "sk-secret" not in str(caught.value)
    return str(caught.value), served


def test_texts_become_unit_vectors_in_their_order(protocol: Protocol) -> None:
    with embedding_server(protocol, seconds=0.05) as served:
        made = embedder(protocol, served)
        vectors = made.embed([*TEXTS[:20], "", " \t", *TEXTS[20:], "lone \ud800"])
        assert isinstance(made, Embedder) and made.dimensions == DIMENSIONS
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[:20], expected(TEXTS[:20]), atol=1e-6)
    assert not vectors[20:22].any()
    np.testing.assert_allclose(vectors[22:-1], expected(TEXTS[20:]), atol=1e-6)
    np.testing.assert_allclose(vectors[-1:], expected(["lone ?"]), atol=1e-6)
    # Six requests of at most ten, those of like length together, two at a time.
    assert len(served.requests) == 6 and len(served.texts) == 51
    assert served.most_at_once == 2
    first, last = (
        [len(text) for text in request["input"]]
        for request in sorted(served.requests, key=lambda r: -max(map(len, r["input"])))[::5]
    )
    assert min(first) >= max(last)


def test_what_is_sent(protocol: Protocol) -> None:
    with embedding_server(protocol) as served:
        made = embedder(protocol, served, dimensions=5)
        assert made.dimensions == 5 and not served.requests
        np.testing.assert_allclose(made.embed(["a"]), expected(["a"], 5), atol=1e-6)
    [request] = served.requests
    if protocol == "openai":
        assert request == {
            "model": "some-model", "input": ["a"], "dimensions": 5, "encoding_format": "base64"
        }  # fmt: skip
        assert served.headers[0]["authorization"] == "Bearer sk-secret"
        assert made.model_id == f"openai/some-model@5 at {served.url.removeprefix('http://')}"
    else:
        assert request == {"model": "some-model", "input": ["a"], "dimensions": 5}
        assert made.model_id == "ollama/some-model@5"


def test_parts_tell_what_they_took(protocol: Protocol) -> None:
    with embedding_server(protocol, [Fail(503)]) as served:
        parts = [*embedder(protocol, served, concurrency=1).parts(TEXTS[:20])]
    assert sorted(np.concatenate([part.rows for part in parts])) == [*range(20)]
    assert [(part.requests, part.retries) for part in parts] == [(2, 1), (1, 0)]
    assert sum(part.tokens for part in parts) == sum(len(text.split()) for text in TEXTS[:20])


def test_a_long_text_is_cut(protocol: Protocol) -> None:
    with embedding_server(protocol) as served:
        made = embedder(protocol, served, max_tokens=9)
        made.embed(["x" * 100, "日本語日本語", "short"])
        assert made.model_id.endswith("+9 bytes" + made._place())
    assert sorted(served.texts) == ["short", "x" * 9, "日本語"]


def test_requests_hold_so_many_bytes_at_most(protocol: Protocol) -> None:
    with embedding_server(protocol) as served:
        embedder(protocol, served, max_batch=2048).embed(["y" * 8000 + str(n) for n in range(80)])
    assert sorted(len(request["input"]) for request in served.requests) == [6, 37, 37]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_passes_is_sent_again(protocol: Protocol, status: int) -> None:
    with embedding_server(protocol, [Fail(status), Fail(status)]) as served:
        vectors = embedder(protocol, served).embed(TEXTS[:3])
    np.testing.assert_allclose(vectors, expected(TEXTS[:3]), atol=1e-6)
    first, second, third = served.times
    # 0.25 to 0.5 seconds, then 0.5 to 1.
    assert 0.2 < second - first < third - first - 0.2


def test_retry_after_holds_all_requests(protocol: Protocol) -> None:
    acts: list[Act] = [Fail(429, {"Retry-After": "1"}), Silence(0.3)]
    with embedding_server(protocol, acts) as served:
        embedder(protocol, served).embed(TEXTS[:40])
    # The second was under way; the third had its turn when that was answered.
    assert served.times[2] - served.times[0] >= 0.95 and len(served.requests) == 5
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    with embedding_server(protocol, [Fail(429, {"Retry-After": later})]) as served:
        embedder(protocol, served).embed(TEXTS[:3])
    # The date has no fractions of a second.
    assert served.times[1] - served.times[0] >= 0.9


def test_patience_ends(protocol: Protocol) -> None:
    said, served = failure(protocol, *[Fail(503)] * 9, patience=0.6)
    assert "HTTP 503: no; given up after" in said and "only the rest is sent" in said
    assert 2 <= len(served.requests) <= 4
    said, served = failure(protocol, Fail(429, {"Retry-After": "3600"}))
    assert "HTTP 429" in said and len(served.requests) == 1


@pytest.mark.parametrize(
    ("status", "part"), [(400, "HTTP 400: no"), (401, "is the key"), (404, "is the model pulled")]
)
def test_what_does_not_pass_is_told_at_once(protocol: Protocol, status: int, part: str) -> None:
    said, served = failure(protocol, Fail(status), Fail(status))
    assert part in said and "some-model" in said
    assert len(served.requests) == 1


def test_money_that_is_used_up_does_not_come_back() -> None:
    said, served = failure("openai", Fail(429, {}, "key sk-secret", "insufficient_quota"))
    assert "HTTP 429: key ***" in said and len(served.requests) == 1


@pytest.mark.parametrize(
    ("act", "part"),
    [
        (Raw(b"<html>"), "answered what are no embeddings"),
        (Raw(b"[1, 2]"), "answered what are no embeddings"),
        (Raw(b'{"data": 3, "embeddings": 3}'), "embeddings"),
        (Raw(b'{"data": [{"index": 0}], "embeddings": [[1]]}'), "1 vectors for 3 texts"),
        (Vectors([[1.0], [2.0]]), "gave 2 vectors for 3 texts"),
        (Vectors([[1.0, 2.0], [1.0], [1.0]]), "of one length"),
        (Vectors([[1.0], [float("nan")], [1.0]]), "aren't finite"),
        (Vectors([[], [], []]), "no vectors"),
    ],
)
def test_answers_that_are_no_vectors(protocol: Protocol, act: Act, part: str) -> None:
    said, served = failure(protocol, act)
    assert part in said
    assert len(served.requests) == 1


def test_vectors_of_another_length(protocol: Protocol) -> None:
    said, _ = failure(protocol, Vectors([[1.0] * 7] * 3), dimensions=5)
    assert "of 7 numbers, not of 5 as embedder_dimensions" in said
    with embedding_server(protocol, [None, Vectors([[1.0] * 7])]) as served:
        made = embedder(protocol, served)
        made.embed(["a"])
        with pytest.raises(EmbedderError, match="of 7 numbers, not of 12 as those before: its"):
            made.embed(["b"])


def test_a_server_that_is_slow_once(protocol: Protocol) -> None:
    with embedding_server(protocol, [Silence(1.5)]) as served:
        vectors = embedder(protocol, served, seconds=0.8).embed(TEXTS[:3])
    np.testing.assert_allclose(vectors, expected(TEXTS[:3]), atol=1e-6)
    assert len(served.requests) == 2
    said, _ = failure(protocol, *[Silence(0.5)] * 5, seconds=0.2, patience=0.1)
    assert "no answer in 0.2 s (setting embedder_seconds)" in said


def test_a_server_that_is_not_there(protocol: Protocol) -> None:
    with embedding_server(protocol) as served:
        pass
    with pytest.raises(EmbedderError, match="can't be reached") as caught:
        embedder(protocol, served, patience=0.1).embed(TEXTS[:3])
    assert retry_helps(caught.value)


def test_other_requests_end_well_when_one_fails_for_good(protocol: Protocol) -> None:
    def act(number: int) -> Act:
        return Fail(400) if number == 2 else None

    with embedding_server(protocol, act, seconds=0.1) as served:
        parts = embedder(protocol, served, max_batch=5).parts(TEXTS)
        made = 0
        with pytest.raises(EmbedderError, match="HTTP 400"):
            for part in parts:
                made += len(part.rows)
    # Of ten: what was sent beside the one that failed is kept, and soon no more was sent.
    assert 3 <= len(served.requests) <= 6
    assert made == 5 * (len(served.requests) - 1)


def test_requests_a_minute(protocol: Protocol) -> None:
    with embedding_server(protocol) as served:
        embedder(protocol, served, per_minute=300, concurrency=4).embed(TEXTS)
    gaps = np.diff(served.times)
    assert len(served.requests) == 5 and gaps.sum() > 0.5


@pytest.mark.parametrize("act", [Fail(503), Silence(4)])
def test_a_question_waits_no_longer_than_it_may(protocol: Protocol, act: Act) -> None:
    with embedding_server(protocol, lambda _: act) as served:
        made = embedder(protocol, served, patience=60, seconds=9)
        assert made.client  # Its making takes a while, once.
        started = time.monotonic()
        # A machine that is busy may not get as far as an answer.
        wanted = "(given up after|gave no vector in the time).*mode=text"
        with deadline(0.6), pytest.raises((EmbedderError, TimedOutError), match=wanted) as caught:
            made.embed(["what"])
        assert time.monotonic() - started < 2
        assert isinstance(act, Fail) or isinstance(caught.value, TimedOutError)
        # Nor do its requests go on.
        until = time.monotonic() + 2
        while _working(made) and time.monotonic() < until:
            time.sleep(0.05)
        assert not _working(made)


def test_a_question_does_not_wait_for_its_turn(protocol: Protocol) -> None:
    with embedding_server(protocol) as served:
        made = embedder(protocol, served, per_minute=6)
        made.embed(["first"])
        started = time.monotonic()
        with deadline(0.3), pytest.raises(TimedOutError, match="mode=text"):
            made.embed(["second"])
        assert time.monotonic() - started < 1 and len(served.requests) == 1


def _working(made: RemoteEmbedder) -> bool:
    return any(thread.name.startswith(f"{made.name}_") for thread in threading.enumerate())


def test_a_key_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    made = OpenAIEmbedder(Remote("text-embedding-3-small"))
    assert made.model_id == "openai/text-embedding-3-small"
    with pytest.raises(EmbedderError, match="set OPENAI_API_KEY"):
        made.embed(["a"])
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.org/v1")
    assert made.model_id == "openai/text-embedding-3-small at example.org/v1"


def test_models_of_one_name_at_two_places() -> None:
    urls = (
        "http://h:80/v1",
        "http://h:81/v1",
        "http://u:sk-secret@h/a/v1?key=sk",
        "https://h/b/v1/",
    )
    places = [OpenAIEmbedder(Remote("default", url)).model_id for url in urls]
    told = ("h:80/v1", "h:81/v1", "h/a/v1", "h/b/v1")
    assert places == [f"openai/default at {place}" for place in told]
    own = OpenAIEmbedder(Remote("m", "https://api.openai.com/v1"))
    assert own.model_id == OpenAIEmbedder(Remote("m")).model_id == "openai/m"
