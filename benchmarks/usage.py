"""What a piece of work cost its own process: seconds and memory."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Spent:
    """Wall seconds, and CPU seconds (user and system) of all threads and ended children."""

    wall: float = 0.0
    cpu: float = 0.0


def cpu_seconds() -> float:
    """Return the CPU seconds of this process so far, its threads and ended children included."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def process_cpu(process: int) -> float:
    """Return the CPU seconds of a process so far, its ended children included; 0 if it is gone.

    As Linux tells them.
    """
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    # The name, in brackets, may have blanks in it; the 14th to 17th fields are the times.
    times = text.rpartition(")")[2].split()[11:15]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def machine_cpu() -> float:
    """Return the CPU seconds that all processes of the machine have used, as Linux tells them."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()
    user, nice, system = map(int, fields[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


@contextmanager
def measured() -> Iterator[Spent]:
    """Yield a `Spent` that is filled when the block ends."""
    spent = Spent()
    wall, cpu = time.perf_counter(), cpu_seconds()
    yield spent
    spent.wall, spent.cpu = time.perf_counter() - wall, cpu_seconds() - cpu


def peak_bytes(process: int | str = "self") -> int:
    """Return the most memory that a process has had resident; 0 for one that is gone.

    Linux says so of a process's present program alone. `ru_maxrss` (elsewhere, this process only)
    does not: a child starts with what its parent had.
    """
    found = _status(process, "VmHWM")
    if found is None and process == "self":
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return found or 0


def resident_bytes(process: int | str = "self") -> int:
    """Return the memory that a process has resident now; 0 where that can't be told."""
    return _status(process, "VmRSS") or 0


def reset_peak() -> None:
    """Let `peak_bytes` of this process begin anew, where the system can do that (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _status(process: int | str, name: str) -> int | None:
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
