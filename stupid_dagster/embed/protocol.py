"""What every embedder offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np


class Part(NamedTuple):
    """Vectors that are ready: of which texts, and what they took where that is known.

    `rows` are the texts' places in what was asked for, `vectors` float32 [rows, dimensions].
    """

    rows: np.ndarray
    vectors: np.ndarray
    requests: int = 0
    retries: int = 0
    tokens: int = 0


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their cosine similarity.

    `model_id` names the weights and all that decides a vector; vectors of different ids must not
    be compared. `dimensions` is a vector's length. `max_batch` is the most texts that reach the
    model at once; `embed` takes any number and divides them itself. `costly` is whether looking a
    vector up is cheaper than making it anew. An attribute that only the model knows may load it,
    or ask its server.
    """

    @property
    def model_id(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_batch(self) -> int: ...

    @property
    def costly(self) -> bool: ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors [len(texts), dimensions], in the order of `texts`.

        Rows have length 1, but for a text in which the model finds nothing (an empty one, for
        instance): its row is zeros. Raises EmbedderError.
        """
        ...

    def parts(self, texts: Sequence[str]) -> Iterator[Part]:
        """Yield the same vectors as they are made, each text's once, in any order.

        So that what is ready can be kept, whatever becomes of the rest. Raises EmbedderError, in
        the end, after all parts that could be made.
        """
        ...
