"""What `search_index.json` says beside the LanceDB table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from stupid_dagster.errors import SearchIndexError

METADATA_FILE = "search_index.json"
TABLE = "texts"
FORMAT = 1

TEXT_SCHEMA = pl.Schema(
    {
        "text_id": pl.UInt64,
        "event_type": pl.String,
        "text": pl.String,
        "count": pl.UInt64,
        "days": pl.List(pl.Date),
        "example": pl.String,
    }
)


@dataclass(frozen=True)
class SearchIndexMetadata:
    """Content of `search_index.json`; `partitions` is 0 where there is no vector index."""

    format: int
    rows: int
    dimension: int
    embedder_id: str
    partitions: int
    event_types: list[str]
    days: list[str]

    def write(self, directory: Path) -> None:
        """Write it into `directory`."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (directory / METADATA_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> SearchIndexMetadata:
        """Read it from `directory`; raises SearchIndexError where it is missing or unreadable."""
        file = directory / METADATA_FILE
        try:
            metadata = cls(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise SearchIndexError(
                f"there is no search index in {directory}: {METADATA_FILE} is missing; "
                "materialise the window's search_index"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise SearchIndexError(
                f"{file} can't be read ({error}); materialise the window's search_index again"
            ) from error
        if metadata.format != FORMAT:
            raise SearchIndexError(
                f"{file} has format {metadata.format}, this release reads {FORMAT}; "
                "materialise the window's search_index again"
            )
        return metadata
