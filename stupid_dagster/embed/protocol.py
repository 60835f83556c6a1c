"""What every embedder offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their cosine similarity.

    `model_id` names the weights and all that decides a vector; vectors of different ids must not
    be compared. `dimensions` is a vector's length. `max_batch` is the most texts that reach the
    model at once; `embed` takes any number and divides them itself. An attribute that only the
    model knows may load it.
    """

    @property
    def model_id(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_batch(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors [len(texts), dimensions], in the order of `texts`.

        Rows have length 1, but for a text in which the model finds nothing (an empty one, for
        instance): its row is zeros. Raises EmbedderError.
        """
        ...
