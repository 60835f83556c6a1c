"""A lake on a disk of a few megabytes, that can be filled and emptied."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from stupid_dagster.project import Project

MEGABYTES = 48
_BALLAST = "ballast"


def small_disk(folder: Path, project: Path) -> tuple[str, ...] | None:
    """Return a command that runs another, which finds a small disk with a copy of a project.

    Only it and its children see the disk, which goes with them. None where that isn't allowed.
    """
    mount = f'mount -t tmpfs -o size={MEGABYTES}m small "$0" && cp -r "$1"/. "$0"'
    command = ("unshare", "-rm", "sh", "-c", f'{mount} && shift && exec "$@"', folder, project)
    command = tuple(map(str, command))
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return command


def fill(project: Project, free: str = "0") -> None:
    """Leave so many bytes free on the disk of the project's lake."""
    disk = project.settings.root
    with (disk / _BALLAST).open("wb") as stream:
        size = _free(disk) - int(free)
        os.posix_fallocate(stream.fileno(), 0, max(1, size))


def empty(project: Project) -> None:
    """Take the ballast away."""
    (project.settings.root / _BALLAST).unlink()


def _free(disk: Path) -> int:
    stats = os.statvfs(disk)
    return stats.f_bavail * stats.f_frsize
