"""The machine that a benchmark ran on, and what it ran."""

from __future__ import annotations

import hashlib
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
PACKAGES = (
    *("polars", "pyarrow", "dagster", "numpy", "onnxruntime", "lancedb", "kuzu", "networkit"),
    *("scikit-learn", "pandas", "networkx"),
)
QUIET_LOAD = 0.5
"""One-minute load average above which other work shares the cores."""


def describe() -> dict[str, Any]:
    """Return processor, cores, memory, versions, the code's state and the load average now."""
    load = os.getloadavg()[0]
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "code": code_state(),
        "load": round(load, 2),
        "quiet": load <= QUIET_LOAD,
    }


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def code_state(*folders: str) -> str:
    """Return 12 hex digits that change when any module or event model in the folders does.

    The folders are the repository's; without any, the engine's and the assets'.
    """
    digest = hashlib.sha256()
    for folder in folders or ("stupid_dagster", "assets"):
        for file in sorted((REPOSITORY / folder).rglob("*")):
            if file.suffix in (".py", ".yaml"):
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
