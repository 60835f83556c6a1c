"""Changes of what others change too."""

from __future__ import annotations

from pathlib import Path

import pytest

from stupid_dagster.errors import ConflictError
from stupid_dagster.stores.changing import JsonObject, changed
from stupid_dagster.stores.files import LocalFiles


def test_who_is_always_too_late_is_told() -> None:
    tries: list[int] = []

    def too_late(number: int, tag: str) -> bool:
        assert (number, tag) == (2, "tag")
        tries.append(number)
        return False

    with pytest.raises(ConflictError, match=r"lake/k was changed by others for 0.1 s: try again"):
        changed("lake/k", lambda: (1, "tag"), lambda one: one + 1, too_late, 0.1)
    assert len(tries) > 1


def test_what_does_not_change_is_not_written() -> None:
    def no_writing(number: int, tag: str) -> bool:
        raise AssertionError

    assert changed("k", lambda: (1, "tag"), lambda one: one, no_writing) == 1


def test_an_object_is_written_by_who_knows_it(tmp_path: Path) -> None:
    here, there = (JsonObject(LocalFiles(tmp_path), "k.json") for _ in range(2))
    assert here.read() == there.read() == ({}, "")
    assert here.write({"a": 1}, "") and not there.write({"a": 2}, "")
    tree, tag = there.read()
    assert tree == {"a": 1} and there.read() == (tree, tag)
    assert there.write({"a": 1}, tag) and not here.write({"a": 3}, tag)
    assert here.read()[0] == tree and here.read()[1] != tag, "no two writings are the same"
