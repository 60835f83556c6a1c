"""The process that one measured task has to itself: `python -m benchmarks.worker TASK FILE`.

`FILE` has the task's arguments as JSON; `FILE.out` gets what it cost and what it tells.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

import structlog

from benchmarks import tasks
from benchmarks.usage import cpu_seconds, measured, peak_bytes, reset_peak, resident_bytes


def main() -> None:
    """Import what the task needs, run it, and write what that alone cost."""
    name, arguments = sys.argv[1], Path(sys.argv[2])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    task = tasks.TASKS[name]
    given = json.loads(arguments.read_text(encoding="utf-8"))
    for module in task.imports:
        importlib.import_module(module)
    imports, before = cpu_seconds(), set(sys.modules)
    gc.collect()
    reset_peak()
    base = resident_bytes()
    with measured() as spent:
        told = task.run(**given)
    cost = {
        **asdict(spent),
        "peak_bytes": peak_bytes(),
        "base_bytes": base,
        "import_cpu": imports,
        # What is still imported while the clock runs makes a cost look larger.
        "late_imports": len({*sys.modules} - before),
        "late_packages": sorted({name.partition(".")[0] for name in {*sys.modules} - before}),
    }
    # What needs time of its own to tell comes as a function.
    told = told() if callable(told) else told
    out = arguments.with_name(f"{arguments.name}.out")
    out.write_text(json.dumps({"cost": cost, "told": told}), encoding="utf-8")


if __name__ == "__main__":
    main()
