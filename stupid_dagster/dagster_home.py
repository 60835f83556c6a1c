"""The folder that Dagster keeps its history in (`DAGSTER_HOME`)."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from stupid_dagster.errors import InstanceError

CONFIG_NAME = "dagster.yaml"


def ensure_dagster_home(directory: Path) -> Path:
    """Make a folder fit to be `DAGSTER_HOME` and return its absolute path.

    The folder is made if it's missing, and gets the packaged `dagster.yaml` if it has none; one
    that is there stays as it is. Raises InstanceError where the folder can't be made or written.
    """
    home = directory.expanduser().absolute()
    config = home / CONFIG_NAME
    try:
        home.mkdir(parents=True, exist_ok=True)
        # "x": of two processes that start at once only one writes.
        with config.open("x", encoding="utf-8") as file:
            file.write(files("stupid_dagster").joinpath(CONFIG_NAME).read_text("utf-8"))
    except FileExistsError as error:
        if not home.is_dir():
            raise InstanceError(
                f"Dagster's home {home} is a file, not a folder: move it away, or set "
                "DAGSTER_HOME to a folder"
            ) from error
    except OSError as error:
        raise InstanceError(
            f"Dagster's home {home} can't be made: {error}; set DAGSTER_HOME to a folder that "
            "can be written"
        ) from error
    return home


if __name__ == "__main__":
    ensure_dagster_home(Path(sys.argv[1]))
