from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.event_model.templates import Piece, parse_template, template_fields


def test_chunks_and_pieces() -> None:
    assert parse_template("  Login\tplatform:{platform},  {a}-{b:.10}  ") == [
        [Piece("Login")],
        [Piece("platform:"), Piece(field="platform"), Piece(",")],
        [Piece(field="a"), Piece("-"), Piece(field="b", length=10)],
    ]
    assert template_fields("{b} x{a}{b}") == ["b", "a", "b"]


def test_names_of_columns_may_have_white_space_and_other_signs() -> None:
    assert template_fields("a {API Error}b {@time} {é}") == ["API Error", "@time", "é"]
    assert len(parse_template("a {API Error}b c")) == 3


@pytest.mark.parametrize("template", ["", "   "])
def test_nothing(template: str) -> None:
    assert parse_template(template) == []


@pytest.mark.parametrize(
    "template", ["{a", "a}", "{}", "{{a}}", "{a:}", "{a:10}", "{a:.x}", "x {a b", "} {"]
)
def test_braces_that_belong_to_no_field_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="unmatched brace"):
        parse_template(template)


@given(st.lists(st.lists(st.text("ab:,-.", min_size=1), min_size=1, max_size=3), max_size=4))
def test_templates_come_back_as_they_were_put_together(chunks: list[list[str]]) -> None:
    names = [[f"f{n}" for n, _ in enumerate(chunk)] for chunk in chunks]
    template = " ".join(
        "".join(f"{literal}{{{name}}}" for literal, name in zip(chunk, found, strict=True))
        for chunk, found in zip(chunks, names, strict=True)
    )
    assert template_fields(template) == [name for found in names for name in found]
    literals = [
        [piece.literal for piece in chunk if not piece.field] for chunk in parse_template(template)
    ]
    assert literals == chunks
