"""Hashes as clients see them."""

from __future__ import annotations

import polars as pl
import pytest

from stupid_dagster.query.frames import hex_ids, hex_row


@pytest.mark.parametrize("text_id", [0, 1, 2**63, 2**64 - 1, None])
def test_a_row_has_its_hashes_as_a_table_has_them(text_id: int | None) -> None:
    rows = pl.DataFrame(
        {"text_id": [text_id, 7], "events": [text_id, 7], "user_id": ["m7", None]},
        schema={"text_id": pl.UInt64, "events": pl.UInt64, "user_id": pl.String},
    )
    shown = None if text_id is None else format(text_id, "x").zfill(16)
    assert hex_row(rows) == {"text_id": shown, "events": text_id, "user_id": "m7"}
    assert hex_ids(rows).row(0, named=True) == hex_row(rows)
