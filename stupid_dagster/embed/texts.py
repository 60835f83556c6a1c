"""What all embedders make of texts and vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stupid_dagster.errors import EmbedderError


def encodable(texts: Sequence[str], first: int = 0) -> list[str]:
    """Return texts that UTF-8 can hold: lone surrogates, no characters, become question marks.

    Raises EmbedderError for what isn't a text, by its number; `first` is the first one's.
    """
    if isinstance(texts, str):
        raise EmbedderError("embed was given one string; pass a sequence of strings")
    return [_encodable(text, row) for row, text in enumerate(texts, first)]


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return vectors [n, dimensions] with length 1; those of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _encodable(text: str, row: int) -> str:
    if not isinstance(text, str):
        raise EmbedderError(f"text {row} is {text!r}, not a string; pass '' for a missing text")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
