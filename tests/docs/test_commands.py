"""What the pages tell people to type is there: commands and options, make's targets, modules."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from benchmarks.__main__ import PARTS
from stupid_dagster.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks" / "README.md",
]
_BLOCK = re.compile(r"^```\w*\n(.*?)^```$|((?:^    \S.*\n)+)", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(
    r"^\s*(?:\$ )?(?:(?:[A-Z_]+=\S+|sudo(?: -E)? -u \w+) )*(?:[\w./-]*/)?stupid-dagster (.*)$",
    re.MULTILINE,
)
_ENDS = {"|", "&&", ">", ";", "||", "&"}


def shown(page: Path) -> Iterator[str]:
    """Yield the arguments of each `stupid-dagster` line in a page's blocks."""
    for block in _BLOCK.finditer(page.read_text("utf-8")):
        text = (block[1] or block[2]).replace("\\\n", " ")
        yield from _COMMAND.findall(text)


def words_of(line: str) -> list[str]:
    """Return the words of a command line up to its comment, pipe or redirection."""
    words = shlex.split(line, comments=True)
    ends = [place for place, word in enumerate(words) if word in _ENDS]
    return words[: min(ends, default=len(words))]


def parse(words: list[str], command: click.Command = main) -> None:
    """Parse a command line as click does, without running it; raises UsageError.

    Files that it names need not be here.
    """
    name = command.name
    parent: click.Context | None = None
    while True:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)
            context = command.make_context(name, words, parent=parent)
        if not isinstance(command, click.Group):
            return
        words = [*context._protected_args, *context.args]
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, parent = found, context


SHOWN = [(page.name, line) for page in PAGES for line in shown(page)]


def test_commands_are_found_in_the_pages() -> None:
    assert {name for name, _ in SHOWN} >= {"README.md", "eviction.md", "embedders.md"}
    assert len(SHOWN) > 20


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_each_command_in_a_block_can_be_parsed(page: str, line: str) -> None:
    try:
        parse(words_of(line))
    except click.exceptions.NoArgsIsHelpError:
        pytest.fail(f"{page}: `stupid-dagster {line}` lacks a command")
    except click.UsageError as error:
        pytest.fail(f"{page}: `stupid-dagster {line}`: {error.format_message()}")


@pytest.mark.parametrize(
    "line",
    [
        "statsu",
        "run --form 2013-02-08",
        "run --from yesterday",
        "embedder compare bundled",
        "--rot /srv status",
        "sample flights",
    ],
)
def test_a_mistaken_command_can_t(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(words_of(line))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_running_text_are_there(page: Path) -> None:
    for words in re.findall(r"`(?:\S*/)?stupid-dagster ([^`]+)`", page.read_text("utf-8")):
        command: click.Command = main
        for word in words.split():
            if isinstance(command, click.Group) and word in command.commands:
                command = command.commands[word]
            elif word.startswith("--"):
                known = {name for option in command.params for name in option.opts}
                assert word.partition("=")[0] in known, words
        assert command is not main or "…" in words, words


def test_targets_and_benchmarks_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text("utf-8")
        blocks = "\n".join(block[0] for block in _BLOCK.finditer(text))
        shown = re.findall(r"^make ([a-z-]+)", blocks, re.MULTILINE)
        for target in shown + re.findall(r"`make ([a-z-]+)", text):
            assert target in targets, f"{page.name}: make {target}"
        for module in re.findall(r"python -m (benchmarks\.\w+)", text):
            assert find_spec(module), f"{page.name}: {module}"
        for part in re.findall(r"python -m benchmarks (\w+)", text):
            assert part in PARTS, f"{page.name}: {part}"
