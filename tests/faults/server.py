"""A process that forks workers: each begins with everything imported, in a tenth of a second.

    python -m tests.faults.server

It reads a JSON line a worker: the project's root, the steps to run, and the FIFO to tell of them.
It runs no query itself, so that no thread of Polars' pool is lost by the fork; LanceDB, whose
import starts one, is left to the workers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg
import matplotlib.figure
import networkit  # noqa: F401
import numba  # noqa: F401
import pyarrow.parquet  # noqa: F401
import scipy.sparse.csgraph
import scipy.sparse.linalg  # noqa: F401
import sklearn.cluster
import sklearn.metrics  # noqa: F401

from stupid_dagster.project import Project
from stupid_dagster.stages.evict import remove_garbage
from tests.faults import full_disk, rounds
from tests.faults.checking import check_clean, check_lake
from tests.faults.moments import kill_at

TRY = "try "
"""Before a step's name: that it fails stops nothing."""
_ACTIONS = {
    **rounds.STEPS,
    "check": check_lake,
    "collect": remove_garbage,
    "clean": lambda project: check_clean(project.lake),
    "kill_at": kill_at,
    "fill": full_disk.fill,
    "empty": full_disk.empty,
    "plant": lambda project, number: rounds.plant(project.settings.root, int(number)),
}
"""What a step's name may begin with; arguments follow it."""


def _save_blank(self: Any, fname: Any, **__: Any) -> None:
    fname.write(b"blank")


def main() -> None:
    """Fork a worker for each line of the standard input, until it ends."""
    # Plots are for Dagster's pages alone. They'd take a third of a worker's time.
    matplotlib.figure.Figure.savefig = _save_blank
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody asks for those that wait.
    for line in sys.stdin:
        if not os.fork():
            os._exit(_wait_for_worker(**json.loads(line)))


def _wait_for_worker(root: str, steps: list[str], fifo: str, log: str) -> int:
    """Run the steps in a child of this process, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pipe = os.open(fifo, os.O_WRONLY)

    def tell(*words: object) -> None:
        os.write(pipe, (json.dumps(words) + "\n").encode())

    child = os.fork()
    if not child:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(output, stream)
        os._exit(_run(Path(root), steps, tell))
    _, status, used = os.wait4(child, 0)
    tell("exit", os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)
    return 0


def _run(root: Path, steps: list[str], tell: Callable[..., None]) -> int:
    tell("pid", os.getpid())
    project = Project.load(root)
    for name in steps:
        tell("begin", name)
        action, *arguments = name.removeprefix(TRY).split()
        try:
            _ACTIONS[action](project, *arguments)
        except Exception as error:
            traceback.print_exc()
            kinds = [kind.__qualname__ for kind in type(error).__mro__]
            tell("error", name, kinds, str(error))
            if not name.startswith(TRY):
                return 1
        tell("end", name)
    return 0


if __name__ == "__main__":
    main()
