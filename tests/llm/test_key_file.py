"""Where the key of the pseudonyms is kept, and where it can't be."""

from __future__ import annotations

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stupid_dagster.errors import StoreError
from stupid_dagster.llm.privacy import KEY_FILE, has_pseudonym_key, pseudonym_key
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import LocalFiles, open_files


def test_a_key_for_this_once_leaves_nothing_behind(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    once = pseudonym_key(files, keep=False)
    assert len(once) == 64 and not [*tmp_path.iterdir()] and not has_pseudonym_key(files)
    assert pseudonym_key(files, keep=False) != once
    kept = pseudonym_key(files)
    assert pseudonym_key(files, keep=False) == kept and has_pseudonym_key(files)


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FAT and some network mounts are: none can be mounted here."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    key = pseudonym_key(LocalFiles(tmp_path))
    assert len(key) == 64 and pseudonym_key(LocalFiles(tmp_path)) == key
    assert (tmp_path / KEY_FILE).read_bytes() == key
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(StoreError, match=f"{KEY_FILE} can't be read as a file"):
        pseudonym_key(LocalFiles(tmp_path))


@pytest.mark.parametrize("made_before", [True, False])
def test_all_machines_of_a_bucket_have_one_key(
    bucket: str, tmp_path: Path, made_before: bool
) -> None:
    lakes = [BucketLake(open_files(bucket), tmp_path / str(n), 1 << 20) for n in range(6)]
    first = pseudonym_key(lakes[0].files) if made_before else None
    ready = threading.Barrier(len(lakes))

    def ask(lake: BucketLake) -> bytes:
        ready.wait(20)
        return pseudonym_key(lake.files)

    with ThreadPoolExecutor(len(lakes)) as pool:
        keys = {*pool.map(ask, lakes)}
    assert len(keys) == 1 and keys == {first or lakes[0].files.read(KEY_FILE).data}
    assert not [*tmp_path.rglob(KEY_FILE)], "no machine keeps it"
