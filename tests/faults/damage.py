"""Ways in which a file can be lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


def truncate(file: Path) -> None:
    """Cut the last half of a file off."""
    file.chmod(0o644)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def flip(file: Path) -> None:
    """Change a byte in the middle of a file."""
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def remove(file: Path) -> None:
    """Remove a file."""
    file.unlink()


def make_folder(file: Path) -> None:
    """Put a folder in a file's place."""
    file.unlink()
    file.mkdir()


def make_unreadable(file: Path) -> None:
    """Let every attempt to open a file fail, for root too: a link that leads to itself."""
    file.unlink()
    file.symlink_to(file.name)


DAMAGES: dict[str, Callable[[Path], None]] = {
    damage.__name__: damage for damage in (truncate, flip, remove, make_folder, make_unreadable)
}


def largest(folder: Path) -> Path:
    """Return a version's largest file."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size)


def copy(project: Path, root: Path) -> Path:
    """Return `root`, made a copy of a project's folder."""
    return shutil.copytree(project, root, symlinks=True)
