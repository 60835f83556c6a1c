"""What runs the README's commands: a mark that is wrong must not pass as one that isn't there."""

from __future__ import annotations

import importlib.util
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = shlex.quote(sys.executable)


@pytest.fixture(scope="module")
def readme_commands() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "readme_commands", ROOT / ".ci" / "readme_commands.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(module: ModuleType, text: str) -> subprocess.CompletedProcess[str]:
    script = module.script(module.read_blocks(text), "README.md")
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def block(mark: str, commands: str, language: str = "sh") -> str:
    return f"{mark}\n```{language}\n{commands}\n```\n"


def test_only_marked_blocks_run_in_one_shell(readme_commands) -> None:
    text = (
        block("<!-- run -->", "cd /\nname='it is'")
        + block("", "echo unmarked")
        + block("<!-- run -->\n", 'echo "$name in $PWD"')
    )
    done = run(readme_commands, text)
    assert done.returncode == 0, done.stderr
    assert "it is in /\n" in done.stdout
    assert "unmarked" not in done.stdout


def test_the_first_failure_ends_the_run(readme_commands) -> None:
    text = block("<!-- run -->", "echo one | grep two\necho $((40 + 2))")
    done = run(readme_commands, text + block("<!-- run -->", "echo $((40 + 3))"))
    assert done.returncode != 0
    assert "README.md, line 2" in done.stdout
    assert "42" not in done.stdout and "43" not in done.stdout


def test_a_server_is_awaited_used_and_stopped(readme_commands, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "page").write_text("hello from the server")
    address = f"http://127.0.0.1:{port}/page"
    fetch = (
        f"{sys.executable} -c \"import urllib.request as r; print(r.urlopen('{address}').read())\""
    )
    serve = f"cd {tmp_path}; {PYTHON} -m http.server --bind 127.0.0.1 {port}"
    done = run(
        readme_commands,
        block(f"<!-- serve until {address} -->", serve) + block("<!-- run -->", fetch),
    )
    assert done.returncode == 0, done.stderr
    assert "b'hello from the server'" in done.stdout
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server is still there"


def test_a_server_that_ends_is_a_failure(readme_commands) -> None:
    done = run(readme_commands, block("<!-- serve until http://127.0.0.1:9/ -->", "exit 3") + "\n")
    assert done.returncode != 0
    assert "ended before http://127.0.0.1:9/ answered" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# No marks\n```sh\nls\n```\n", "no block is marked"),
        (block("<!-- run -->", "ls", "python"), "line 2: only ```sh blocks"),
        (block("<!-- run this -->", "ls"), "neither `run` nor"),
        (block("<!-- serve -->", "ls"), "neither `run` nor"),
        ("<!-- run -->\nSome words.\n```sh\nls\n```\n", "must stand right above"),
        ("<!-- run -->\n<!-- run -->\n```sh\nls\n```\n", "the mark before it has no block"),
        ("```sh\nls\n```\n<!-- run -->\n", "the last mark has no block"),
    ],
)
def test_wrong_marks_are_refused(readme_commands, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        readme_commands.read_blocks(text)


def test_marks_inside_a_block_are_text(readme_commands) -> None:
    text = "```md\n<!-- run -->\n```\n" + block("<!-- run -->", "ls")
    assert [b.commands for b in readme_commands.read_blocks(text)] == ["ls"]
