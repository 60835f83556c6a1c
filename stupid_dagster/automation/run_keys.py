"""Keys by which Dagster knows that it was asked for the same run before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def run_key(*names: object, of: Iterable[str]) -> str:
    """Return `<name>:...:<digest>`; the digest is that of `of`, in whatever order."""
    digest = hashlib.sha256("\n".join(sorted(of)).encode()).hexdigest()[:16]
    return ":".join([*map(str, names), digest])
