from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from stupid_dagster.embed import split_words
from stupid_dagster.embed.tokens import distinct_words, whole_texts

# Words that BERT's rules treat each in its own way: accents apart from their letters, controls,
# wide spaces, ideographs, markers, digits, and more than 100 letters.
ODD = st.sampled_from(
    ["n\u0303", "\u0301e", "\x00", "\u3000", "a\u00a0b", "東京", "[SEP]", "[CLS]x", "e-mail",
     "##ing", "İ", "ß", "🛫", "a" * 101, "A320Neo", "wind_speed", "\t", "\n", ""]
)  # fmt: skip
TEXT = st.lists(ODD | st.text(max_size=8), max_size=8).map(" ".join) | st.text(max_size=60)


@cache
def tokenizer() -> Tokenizer:
    folder = files("stupid_dagster.embed").joinpath("models", "minilm-static-256")
    found = Tokenizer.from_str(folder.joinpath("tokenizer.json").read_text(encoding="utf-8"))
    found.no_padding()
    found.no_truncation()
    return found


@settings(deadline=None)
@given(st.lists(TEXT, max_size=6), st.integers(1, 30))
def test_words_give_the_tokens_of_the_texts(texts: list[str], max_tokens: int) -> None:
    tokens = distinct_words(tokenizer(), texts, max_tokens, split_words)
    rows = [tokens.ids[s : s + n] for s, n in zip(tokens.starts, tokens.lengths, strict=True)]
    assert [row.tolist() for row in rows] == [
        tokenizer().encode(split_words(text), add_special_tokens=False).ids[:max_tokens]
        for text in texts
    ]
    assert tokens.ids.dtype == tokens.lengths.dtype == np.int64


@settings(deadline=None)
@given(st.lists(TEXT, max_size=6))
def test_whole_texts_keep_the_markers(texts: list[str]) -> None:
    tokens = whole_texts(tokenizer(), texts, 512)
    rows = [tokens.ids[s : s + n] for s, n in zip(tokens.starts, tokens.lengths, strict=True)]
    for text, row in zip(texts, rows, strict=True):
        plain = tokenizer().encode(text, add_special_tokens=False).ids
        assert row.tolist() == ([101, *plain, 102] if plain else [])


@given(TEXT)
def test_split_words_only_moves_words_apart(text: str) -> None:
    split = split_words(text)
    assert split.replace(" ", "") == text.replace("_", "").replace(" ", "")
    assert split_words(split) == split
    assert split_words(text.lower()) == text.lower().replace("_", " ")


@given(st.lists(TEXT, max_size=5))
def test_split_words_never_looks_past_a_space(texts: list[str]) -> None:
    assert split_words(" ".join(texts)) == " ".join(split_words(text) for text in texts)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("LoginFailed", "Login Failed"),
        ("wind_speed", "wind speed"),
        ("dontShowAgain", "dont Show Again"),
        ("APIError stage:gameLaunch", "API Error stage:game Launch"),
        ("HTTPServer2Go", "HTTP Server2 Go"),
        ("A320Neo", "A320 Neo"),
        ("N725MQ LGA VIPS", "N725MQ LGA VIPS"),
        ("device:iPhone eBay iOS", "device:iPhone eBay iOS"),
        ("ĐăngNhập ÜberFlug", "Đăng Nhập Über Flug"),
        ("Title Case stays", "Title Case stays"),
        ("__init__", "  init  "),
        ("x", "x"),
        ("", ""),
    ],
)
def test_split_words(text: str, split: str) -> None:
    assert split_words(text) == split
