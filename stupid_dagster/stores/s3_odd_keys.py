"""Listing a bucket in which somebody has put keys that obstore refuses, such as `Login//x.csv`.

obstore fails at the whole page of a listing that has one
(https://github.com/developmentseed/obstore/issues/429). Arrow's own client lists any key, but tells
no ETags, by which changes are told: those come from obstore again, of whole folders where no such
key is, and of one object after the other beside them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from pyarrow import fs

from stupid_dagster.stores.files import Entry, Files, StorageOptions, folders_of, is_key

_AT_ONCE = 16


def listed_by_arrow(
    url: str, endpoint: str | None, options: StorageOptions
) -> dict[str, Entry] | None:
    """Return all objects below a bucket's URL by key, their times as stamps; None where it fails.

    Why it fails may tell secrets, and ends here.
    """
    scheme, _, address = (endpoint or "https://").rstrip("/").partition("://")
    root = url.removeprefix("s3://")
    try:
        system = fs.S3FileSystem(
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            scheme=scheme,
            endpoint_override=address or None,
            request_timeout=options.request_seconds,
            connect_timeout=options.request_seconds,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=options.retries + 1),
        )
        found = system.get_file_info(fs.FileSelector(root, recursive=True))
    except (OSError, pa.ArrowException, ImportError, AttributeError):
        return None
    # Without what consoles make for folders: their keys end with a slash.
    files = {info.path[len(root) + 1 :]: info for info in found if info.type == fs.FileType.File}
    return {
        key: Entry(key, info.size or 0, info.mtime, str(info.mtime_ns))
        for key, info in files.items()
    }


def beside_odd_keys(files: Files, listed: Mapping[str, Entry]) -> list[Entry]:
    """Return the listed objects, with ETags where obstore gives them; those that are gone not.

    Raises StoreError where it can't be reached.
    """
    odd = {key: entry for key, entry in listed.items() if not is_key(key)}
    mixed = {folder for key in odd for folder in folders_of(key)}
    folders, alone = set[str](), list[str]()
    for key in listed.keys() - odd.keys():
        folder = next((one for one in folders_of(key) if one not in mixed), None)
        if folder is None:
            alone.append(key)
        else:
            folders.add(folder)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        of_folders = pool.map(lambda folder: [*files.below(folder)], folders)
        found = [entry for entry in pool.map(files.entry, alone) if entry]
        return [*odd.values(), *found, *(entry for some in of_folders for entry in some)]
