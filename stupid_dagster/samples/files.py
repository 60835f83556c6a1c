"""Files that are replaced in one step, and left alone where nothing changed."""

from __future__ import annotations

import os
from pathlib import Path

from stupid_dagster.errors import IngestError


def write_if_changed(file: Path, content: bytes) -> None:
    """Give `file` this content in one step; a file that has it already keeps its time of change.

    Raises IngestError when it can't be written.
    """
    # Readers of landing folders go by the suffix, which the temporary name has not.
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if file.is_file() and file.read_bytes() == content:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise IngestError(
            f"{file} can't be written ({error.strerror}); give another folder with --out"
        ) from error
