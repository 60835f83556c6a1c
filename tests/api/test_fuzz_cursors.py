"""Cursors that were tampered with, or that another question's answer gave."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import assume, given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
QUESTIONS = [
    "/documents?event_type=Departure",
    "/documents?event_type=Cancellation",
    "/documents?event_type=Departure&filter=origin:eq:JFK",
    "/documents?event_type=Departure&filter=origin:eq:LGA",
    "/documents?event_type=Departure&first_day=2013-02-07",
    "/documents?event_type=Departure&sort=dep_delay",
    "/documents?event_type=Departure&sort=-dep_delay",
    "/documents?event_type=Departure&sort=timestamp",
    "/documents?event_type=Departure&sort=origin&filter=origin:eq:JFK",
    "/actors/aircraft:N328AA/timeline?first_day=2013-02-06",
]


def next_cursor(client: TestClient, url: str) -> str:
    cursor = client.get(f"{url}&limit=2").json()["next_cursor"]
    assert cursor
    return cursor


def refused(client: TestClient, url: str, cursor: str) -> None:
    answer = client.get(f"{url}&limit=2&cursor={quote(cursor)}")
    assert answer.status_code == 422, (cursor, answer.text)
    assert answer.json()["detail"].startswith("cursor: not one that"), answer.text


@pytest.mark.parametrize("url", QUESTIONS)
def test_a_cursor_that_was_changed_is_refused(client: TestClient, url: str) -> None:
    cursor = next_cursor(client, url)

    @settings(max_examples=60, derandomize=True, database=None)
    @given(st.data())
    def change(data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(cursor) - 1))
        end = data.draw(st.integers(at, min(at + 4, len(cursor))))
        other = data.draw(st.text("ABCabc019-_=. \u00e9", max_size=4))
        changed = cursor[:at] + other + cursor[end:]
        assume(changed != cursor and changed)
        refused(client, url, changed)

    change()


@pytest.mark.parametrize("url", QUESTIONS)
def test_a_cursor_that_was_made_up_is_refused(client: TestClient, url: str) -> None:
    cursor = next_cursor(client, url)
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    seal, parts = raw[: raw.index("[")], json.loads(raw[raw.index("[") :])

    @settings(max_examples=60, derandomize=True, database=None)
    @given(st.integers(0, len(parts)), JSON)
    def make_up(at: int, value: Any) -> None:
        made = [*parts[:at], value, *parts[at + 1 :]]
        assume(made != parts)
        text = (seal + json.dumps(made)).encode()
        refused(client, url, base64.urlsafe_b64encode(text).decode().rstrip("="))

    make_up()


@settings(max_examples=100, derandomize=True, database=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_text_is_refused(client: TestClient, text: str) -> None:
    refused(client, QUESTIONS[0], text)
    refused(client, QUESTIONS[-1], text)


def test_a_cursor_is_of_its_question_alone(client: TestClient) -> None:
    cursors = {url: next_cursor(client, url) for url in QUESTIONS}
    for url in QUESTIONS:
        for other, cursor in cursors.items():
            if other == url:
                answer = client.get(f"{url}&limit=3&cursor={cursor}")
                assert answer.status_code == 200
                whole = client.get(f"{url}&limit=5").json()["rows"]
                assert answer.json()["rows"] == whole[2:]
            else:
                refused(client, url, cursor)


def test_columns_and_limit_may_change_from_page_to_page(client: TestClient) -> None:
    cursor = next_cursor(client, QUESTIONS[0])
    page = client.get(f"{QUESTIONS[0]}&columns=dest&limit=7&cursor={cursor}").json()
    assert len(page["rows"]) == 7
