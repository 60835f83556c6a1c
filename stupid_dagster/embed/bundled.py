"""The embedder inside the package: static token vectors distilled from all-MiniLM-L6-v2.

How the files were made, their source and their licence: benchmarks/distil/README.md.
"""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import files

from stupid_dagster.embed.onnx import OnnxEmbedder
from stupid_dagster.embed.tokens import distinct_words

# The name vouches for `split_words` too: a change of its results needs a new name, so that vectors
# of both kinds are never compared.
NAME = "minilm-static-256"


@cache
def bundled_embedder() -> OnnxEmbedder:
    """Return the bundled embedder: 256 dimensions, nothing to download, one for the process.

    Texts go through `split_words` first. A text made only of characters that the vocabulary
    lacks gets a row of zeros, as an empty one does.
    """
    return OnnxEmbedder(
        files("stupid_dagster.embed").joinpath("models", NAME),
        name=NAME,
        max_tokens=512,
        max_batch=64,  # the fastest of 16 to 1024
        threads=1,  # a run is too small to share: more threads only cost
        tokenise=partial(distinct_words, prepare=split_words),
        costly=False,
    )


def split_words(text: str) -> str:
    """Return `text` with a space where words were joined by case or by underscores.

    `LoginFailed` becomes `Login Failed`, `APIError` `API Error`, `A320Neo` `A320 Neo`,
    `wind_speed` `wind speed`. Left alone are runs of capitals and digits (`N725MQ`) and one small
    letter before a capital at a word's start (`iPhone`, `eBay`), which is part of a name.

    Why: WordPiece lowers the case first and then cuts `loginfailed` into log, in, fa and iled,
    which mean nothing. Characters on both sides of a space never influence each other.
    """
    if "_" in text:
        text = text.replace("_", " ")
    if text.islower() or text.isupper():
        return text
    pieces = []
    begin = 0
    for i in range(1, len(text)):
        if not text[i].isupper():
            continue
        before = text[i - 1]
        if before.islower():
            joined = i > 1 and text[i - 2].isalnum()  # else the small letter begins a name
        else:
            follows = i + 1 < len(text) and text[i + 1].islower()
            joined = follows and (before.isupper() or before.isdigit())
        if joined:
            pieces.append(text[begin:i])
            begin = i
    return " ".join([*pieces, text[begin:]])
