"""Print a bash script of a Markdown file's commands: `python3 readme_commands.py README.md | bash`.

Commands are the ```sh blocks that follow one of these comments; blank lines may lie between.

    <!-- run -->                                       run the block, and stop where it fails
    <!-- serve until http://127.0.0.1:8000/health -->  start the block, go on when the address
                                                       answers, stop it at the end

All blocks run in one shell, so that `cd`, `export` and `source` last.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

PROLOGUE = r"""set -euo pipefail
set -m  # each server gets a process group of its own, and ends with all its children
servers=()
end() {
    for server in "${servers[@]}"; do kill -- "-$server" 2>/dev/null || true; done
    for server in "${servers[@]}"; do wait "$server" 2>/dev/null || true; done
}
trap end EXIT
await() {
    for _ in $(seq 120); do
        kill -0 "${servers[-1]}" 2>/dev/null || { echo "ended before $1 answered" >&2; exit 1; }
        python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)' "$1" \
            2>/dev/null && return
        sleep 0.5
    done
    echo "$1 did not answer" >&2
    exit 1
}
"""

_COMMENT = re.compile(r"^<!--\s*(run|serve)\b\s*(.*?)\s*-->\s*$")
_FENCE = re.compile(r"^(`{3,}|~{3,})\s*(\w*)")


@dataclass(frozen=True)
class Block:
    """A block of commands; `awaited` is the address that tells that a server is up."""

    line: int
    commands: str
    awaited: str | None = None


def read_blocks(text: str) -> list[Block]:
    """Return the blocks that are to be run, in order; raises ValueError for a wrong mark."""
    blocks: list[Block] = []
    mark: re.Match[str] | None = None
    lines = enumerate(text.splitlines(), start=1)
    for number, line in lines:
        if found := _COMMENT.match(line):
            if mark:
                raise ValueError(f"line {number}: the mark before it has no block")
            mark = found
        elif fence := _FENCE.match(line):
            body: list[str] = []
            for _, inner in lines:
                if inner.strip() == fence[1]:
                    break
                body.append(inner)
            if mark:
                if fence[2] != "sh":
                    raise ValueError(f"line {number}: only ```sh blocks can be run")
                blocks.append(Block(number, "\n".join(body), _awaited(mark, number)))
            mark = None
        elif line.strip() and mark:
            raise ValueError(f"line {number}: the mark above must stand right above a ```sh block")
    if mark:
        raise ValueError("the last mark has no block")
    if not blocks:
        raise ValueError("no block is marked with <!-- run -->")
    return blocks


def _awaited(mark: re.Match[str], line: int) -> str | None:
    argument = mark[2]
    if mark[1] == "run" and not argument:
        return None
    if mark[1] == "serve" and (address := re.fullmatch(r"until (http\S+)", argument)):
        return address[1]
    raise ValueError(f"line {line}: the mark above is neither `run` nor `serve until <address>`")


def script(blocks: list[Block], name: str) -> str:
    """Return the bash script that runs the blocks."""
    parts = [PROLOGUE]
    for block in blocks:
        shown = f"\n--- {name}, line {block.line}\n{block.commands}\n---"
        parts.append(f"printf '%s\\n' {shlex.quote(shown)}\n")
        if block.awaited:
            # The pid is the subshell's, and of its group: what it starts belongs to that, too.
            parts.append(f"(\n{block.commands}\n) &\nservers+=($!)\nawait {block.awaited}\n")
        else:
            parts.append(f"{block.commands}\n")
    return "".join(parts)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    try:
        print(script(read_blocks(source.read_text(encoding="utf-8")), source.name))
    except ValueError as error:
        sys.exit(f"{source}: {error}")
