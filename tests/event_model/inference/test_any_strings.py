"""Drafts from any strings whatever."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import InferenceError, StupidError
from stupid_dagster.event_model import parse_event_model
from stupid_dagster.event_model.inference import infer_model
from tests.event_model.inference.made import Columns, strings

_NAMES = st.one_of(
    st.sampled_from(
        [
            "id",
            "user id",
            "event",
            "^id$",
            "*",
            "time",
            "timestamp",
            "day",
            "row",
            "error",
            "isTest",
            "<b>",
            "null",
            "a:b",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
_VALUES = st.one_of(
    st.none(),
    st.sampled_from(["a", "b", "A", "None", "true", "no", "1", "007", "-", "10.0.0.1", "y: {z}"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
)


def frames(fewest_rows: int) -> st.SearchStrategy[Columns]:
    return st.integers(fewest_rows, 12).flatmap(
        lambda rows: st.dictionaries(
            _NAMES, st.lists(_VALUES, min_size=rows, max_size=rows), max_size=6
        )
    )


@settings(max_examples=40)
@given(
    st.dictionaries(_NAMES, frames(0), max_size=3),
    st.sampled_from([None, "user id", "id", "error"]),
    st.text(max_size=5),
)
def test_any_strings_give_a_model_or_the_one_error(
    columns: dict[str, Columns], actor: str | None, name: str
) -> None:
    samples = {event_type: strings(frame) for event_type, frame in columns.items()}
    try:
        draft = infer_model(samples, name, actor=actor)
    except InferenceError as error:
        assert isinstance(error, StupidError)
        assert "with mistakes" not in str(error)
    else:
        assert parse_event_model(draft.yaml) == draft.model


@settings(max_examples=50)
@given(st.dictionaries(_NAMES.filter(str.strip), frames(1), min_size=1, max_size=2), st.text())
def test_any_columns_beside_an_actor_and_a_time_give_a_model(
    columns: dict[str, Columns], name: str
) -> None:
    samples = {}
    for event_type, frame in columns.items():
        # Rows recur, so that columns may determine others and name things.
        rows = pl.concat([strings(frame).drop("time", "user id", strict=False)] * 6)
        height = rows.height or 6
        roles = {
            "time": [f"2025-03-01T00:00:{n % 60:02}Z" for n in range(height)],
            "user id": [f"u{n % 5}" for n in range(height)],
        }
        samples[event_type] = rows.hstack(strings(roles)) if rows.width else strings(roles)

    draft = infer_model(samples, name, actor="user id", timestamp="time")

    assert parse_event_model(draft.yaml) == draft.model
    assert draft.entities[draft.actor][0] == "user id"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_string_survives_yaml(text: str) -> None:
    import yaml

    from stupid_dagster.event_model.inference.yaml_text import scalar

    assert yaml.safe_load(f"k: {scalar(text)}") == {"k": text}
    assert yaml.safe_load(f"[{scalar(text)}]") == [text]
