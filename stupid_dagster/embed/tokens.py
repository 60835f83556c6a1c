"""Texts to token ids, ragged: one flat array and the number of tokens of each text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Tokens(NamedTuple):
    """Token ids of n texts: `ids` int64 [sum(lengths)], text after text; `lengths` int64 [n].

    A text without content has length 0, whatever markers the tokenizer would put around it.
    """

    ids: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Where each text begins in `ids`, int64 [n]."""
        return np.cumsum(self.lengths) - self.lengths


Tokenise = Callable[["Tokenizer", Sequence[str], int], Tokens]
"""From a tokenizer that cuts its input at a number of tokens, texts, and that number."""


def whole_texts(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> Tokens:
    """Tokenise each text with the model's markers ([CLS], [SEP]), as far as the tokenizer cuts."""
    markers = tokenizer.num_special_tokens_to_add(False)
    encodings = tokenizer.encode_batch_fast(list(texts))
    return _ragged([ids if len(ids) > markers else [] for ids in (e.ids for e in encodings)])


def distinct_words(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_tokens: int,
    prepare: Callable[[str], str] = str,
) -> Tokens:
    """Tokenise each distinct space-separated word once, without markers, then put texts together.

    Event texts repeat a few thousand words, so this is some ten times faster than tokenising
    each text. The result is the same for a tokenizer that breaks at spaces and doesn't mark a
    word's beginning (BERT's, for one), if `prepare`, applied to each word, never looks past a
    space. Each text is cut to its first `max_tokens` tokens.
    """
    words_of = [text.split(" ") for text in texts]
    words = list(chain.from_iterable(words_of))
    number = {word: index for index, word in enumerate(dict.fromkeys(words))}
    encodings = tokenizer.encode_batch_fast(
        [prepare(word) for word in number], add_special_tokens=False
    )
    distinct = _ragged([encoding.ids for encoding in encodings])

    codes = np.fromiter(map(number.__getitem__, words), np.int64, len(words))
    kept = distinct.lengths[codes]  # tokens of each occurrence of a word
    first_word = np.cumsum([0] + [len(word) for word in words_of[:-1]])
    lengths = np.add.reduceat(kept, first_word) if len(kept) else kept
    ids = _ranges(distinct.ids, distinct.starts[codes], kept)
    tokens = Tokens(ids, lengths)
    if len(lengths) == 0 or lengths.max() <= max_tokens:
        return tokens
    cut = np.minimum(lengths, max_tokens)
    return Tokens(_ranges(ids, tokens.starts, cut), cut)


def _ragged(rows: Sequence[Sequence[int]]) -> Tokens:
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return Tokens(np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum())), lengths)


def _ranges(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return `values[start:start + length]` for each start and length, end to end."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return values[np.repeat(starts - (ends - lengths), lengths) + np.arange(total)]
