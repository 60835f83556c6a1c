"""Keys of providers: read from the environment, and kept out of every text."""

from __future__ import annotations

import os

NAMES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OLLAMA_API_KEY")


def provider_key(name: str) -> str | None:
    """Return a key without the white space around it that files leave; None if there is none."""
    assert name in NAMES, f"add {name} to keys.NAMES, so that it is kept out of every text"
    return os.environ.get(name, "").strip() or None


def without_keys(text: str) -> str:
    """Return a text with *** for each provider's key in it, also as Python would show it."""
    for name in NAMES:
        if key := provider_key(name):
            text = text.replace(key, "***").replace(repr(key)[1:-1], "***")
    return text
