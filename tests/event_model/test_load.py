from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from stupid_dagster.errors import EventModelError
from stupid_dagster.event_model import (
    bundled_models,
    load_event_model,
    model_hash,
    parse_event_model,
)
from stupid_dagster.event_model.schema import EdgeType, FieldRule
from tests.gaming import GAMING

SMALL = """\
name: m
actor: A
timestamp: {fields: t}
entities:
  A: {prefix: a, key: k}
events:
  E:
    fields: [k, x]
    entities: A
    text: "E {x}"
features:
  columns:
    c: {count: true}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(EventModelError) as caught:
        parse_event_model(text, "m.yaml")
    assert caught.value.source == "m.yaml"
    return caught.value.problems


@pytest.mark.parametrize("name", bundled_models())
def test_bundled_models_load_by_name(name: str) -> None:
    assert load_event_model(name).name == name


def test_there_are_bundled_models() -> None:
    assert "flights" in bundled_models()


def test_a_file_is_found_relative_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.yaml").write_text(SMALL)
    assert load_event_model("models/m.yaml", tmp_path) == parse_event_model(SMALL)
    assert load_event_model(tmp_path / "models" / "m.yaml") == parse_event_model(SMALL)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventModelError, match=r"(?s)flihgts.*no bundled model.*flights"):
        load_event_model("flihgts", tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(EventModelError, match="can't be read: File name too long"):
        load_event_model("model" * 100, tmp_path)


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(EventModelError, match="can't be a file's name"):
        load_event_model("a\0b", tmp_path)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(EventModelError, match="not UTF-8"):
        load_event_model("m.yaml", tmp_path)


@pytest.mark.parametrize(
    "text", ["", "- a\n", "just words", "[", "a: b: c", "\tname: m", "&a [*a]"]
)
def test_what_is_no_mapping_is_refused(text: str) -> None:
    [problem] = problems(text)
    assert "not valid YAML" in problem or "must be a mapping" in problem


def test_all_mistakes_are_told_at_once_with_lines_and_hints() -> None:
    text = SMALL.replace("actor: A", "actr: A").replace("prefix: a", "prefix: a-b")
    text = text.replace("count: true", "coutn: true")
    found = problems(text)
    assert "line 2: actr: unknown key (did you mean 'actor'?)" in found
    assert any(p.startswith("line 5: entities.A.prefix: 'a-b' must be a letter") for p in found)
    assert any(
        p.startswith("line 13:") and "unknown key (did you mean 'count'?)" in p for p in found
    )
    assert any("actor: Field required" in p for p in found)


def test_names_that_cite_nothing_are_told_at_once() -> None:
    text = SMALL.replace("actor: A", "actor: B").replace("{x}", "{xx}").replace("key: k", "key: kk")
    found = problems(text)
    assert len(found) == 4
    assert any(p.startswith("line 10: events.E.text: no field is named 'xx'") for p in found)


def test_a_key_that_stands_twice_is_no_silent_last_one() -> None:
    twice = SMALL.replace("  E:\n", "  E: {fields: [k], text: 'old'}\n  E:\n")
    assert problems(twice) == ["line 8: 'E' stands twice; only the last would count"]


def test_anchors_may_be_used_often() -> None:
    text = SMALL.replace("fields: [k, x]", "fields: &f [k, x]")
    text = text.replace("features:", "  F: {fields: *f, text: 'F {x}'}\nfeatures:")
    assert parse_event_model(text).events["F"].fields == ["k", "x"]


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("name: m", "name: m\ntimezone: Mars/Olympus", "is not a timezone"),
        ("{count: true}", "{count: true, sum: x}", "exactly one of"),
        ("{count: true}", "{}", "exactly one of"),
        ("{count: true}", "{count: false}", "exactly one of"),
        ("[k, x]", "[k, x, k]", "'k' must stand there only once"),
        ('"E {x}"', '""', "must not be empty"),
        ('"E {x}"', '"E {x"', "unmatched brace"),
        ("actor: A", "actor: A\nderived: {d: {template: '{x'}}", "unmatched brace"),
        ("actor: A", "actor: A\nderived: {d: {scale: 2}}", "needs the `field`"),
        ("actor: A", "actor: A\nderived: {d: {field: x, bands: {a: 2, b: 1}}}", "must ascend"),
        ("actor: A", "actor: A\nderived: {d: {field: x, bands: {a: null, b: 1}}}", "ascend"),
        ("key: k", "key: k, roles: {r: x}", "either `key` or `roles`"),
        ("prefix: a, key: k", "prefix: a", "either `key` or `roles`"),
        ("actor: A", "actor: A\nsession_gap_minutes: 0", "greater than 0"),
        ("actor: A", "actor: A\n2013-01-01: 3", "should be strings"),
        ("    c: {", "    1: {", "valid string"),
        ("events:\n", "events: {}\nold:\n", "at least 1 item"),
    ],
)
def test_values_that_make_no_sense(old: str, new: str, part: str) -> None:
    assert old in SMALL
    found = problems(SMALL.replace(old, new))
    assert any(part in problem for problem in found), found
    assert all(problem.startswith("line ") for problem in found)


def test_an_edge_leads_between_entity_types_whatever_their_roles() -> None:
    edge = EdgeType.model_validate({"from": "Player", "to": "Team.away"})
    assert edge.ends == ("Player", "Team")


def test_the_hash_changes_with_the_meaning_and_not_with_the_spelling() -> None:
    model = parse_event_model(GAMING)
    assert model_hash(model) == model_hash(parse_event_model("# a comment\n" + GAMING))
    respelled = yaml.safe_dump(yaml.safe_load(GAMING), sort_keys=False)
    assert model_hash(parse_event_model(respelled)) == model_hash(model)
    changed = GAMING.replace("session_gap_minutes: 30", "session_gap_minutes: 31")
    assert model_hash(parse_event_model(changed)) != model_hash(model)
    assert len(model_hash(model)) == 16


def _changed(part: BaseModel) -> Iterator[str]:
    """Change each description and unit below a part of a model, and yield where that was."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if name in ("description", "unit"):
            object.__setattr__(part, name, "other words")  # It is frozen.
            yield f"{type(part).__name__}.{name}"
        for below in value.values() if isinstance(value, dict) else (value,):
            if isinstance(below, BaseModel):
                yield from _changed(below)


@pytest.mark.parametrize("name", bundled_models())
def test_words_for_readers_don_t_change_what_days_are_made_by(name: str) -> None:
    model = load_event_model(name)
    before = model_hash(model)
    words = model.model_copy(deep=True)
    words.fields["only_words"] = FieldRule(description="A string.")

    assert {*_changed(words)} == {
        *("EventModel.description", "EventType.description"),
        *("FieldRule.description", "FieldRule.unit"),
        *("Metric.description", "Metric.unit", "Feature.unit"),
    }
    assert model_hash(words) == before

    words.fields["only_words"] = FieldRule(type="integer")
    assert model_hash(words) != before
    # A field may be called so; its rule is no description.
    words = model.model_copy(deep=True)
    words.fields["description"] = FieldRule(case="lower")
    assert model_hash(words) != before
