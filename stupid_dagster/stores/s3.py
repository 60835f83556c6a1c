"""Files in a bucket of S3, or of a server that speaks like it, by obstore.

Credentials and region come from the environment alone, which each library reads by itself. The
endpoint is read once, from AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL, and handed on: not every
library knows these. Every request is obstore's, save what Polars reads of Parquet files, and
listings that obstore doesn't give (`s3_odd_keys`).
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import polars as pl
import pyarrow.parquet as pq
import structlog

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.durable import durable_file
from stupid_dagster.stores.files import (
    PROBE,
    Entry,
    StorageOptions,
    Stored,
    checked_key,
    checked_prefix,
    files_below,
    footer_of,
    side_by_side,
)

try:
    from obstore import exceptions
    from obstore.store import S3Store
except ImportError as error:
    raise StoreError("what is at s3:// needs obstore: pip install 'stupid-dagster[s3]'") from error

from stupid_dagster.stores.s3_errors import (
    ENDPOINT_VARIABLES,
    Failure,
    OddKeyError,
    failure_of,
    told,
    unconditional,
)
from stupid_dagster.stores.s3_odd_keys import beside_odd_keys, listed_by_arrow

T = TypeVar("T")
_LOCATION = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,62})(?:/(.*?))?/*", re.DOTALL)
# A request's time is for its body too: 16 MB need 4.5 Mbit/s to come in 30 seconds.
_RANGE = 16 << 20
_CHUNK, _CHUNKS = 8 << 20, 2
_CONNECT_SECONDS = 5.0
_MOST_KEYS = 1000
log = structlog.get_logger(__name__)

_checked: set[tuple[str, str]] = set()
"""The endpoints and roots that were found to honour conditions, in this process."""
_checking = threading.Lock()


class S3Files:
    """Files below a bucket's prefix."""

    folder: Path | None = None

    def __init__(self, location: str, options: StorageOptions) -> None:
        found = _LOCATION.fullmatch(location)
        if not found:
            raise StoreError(f"{location!r} is no URL of a bucket: write s3://bucket/prefix")
        bucket, prefix = found[1], checked_prefix(found[2] or "")
        self.url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._options = options
        self._endpoint = _endpoint()
        self._server = _shown(self._endpoint)
        plain = self._endpoint is not None and self._endpoint.startswith("http://")
        connect_seconds = min(_CONNECT_SECONDS, options.request_seconds)
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "timeout": timedelta(seconds=options.request_seconds),
                "connect_timeout": timedelta(seconds=connect_seconds),
                "allow_http": plain,
            },
            retry_config={
                "max_retries": options.retries,
                "retry_timeout": timedelta(seconds=options.retry_seconds),
            },
            config={"endpoint": self._endpoint} if self._endpoint else {},
        )
        self._polars = {
            "timeout": f"{round(options.request_seconds * 1000)}ms",
            "connect_timeout": f"{round(connect_seconds * 1000)}ms",
            "max_retries": options.retries,
            "retry_timeout_ms": round(options.retry_seconds * 1000),
        }
        if self._endpoint:
            self._polars["aws_endpoint_url"] = self._endpoint
            self._polars["aws_allow_http"] = str(plain).lower()

    def __repr__(self) -> str:
        return f"S3Files({self.url!r})"

    def read(self, key: str) -> Stored:
        return self._do(key, lambda: self._get(checked_key(key), {}))

    def read_unless(self, key: str, tag: str) -> Stored | None:
        try:
            return self._do(key, lambda: self._get(checked_key(key), {"if_none_match": tag}))
        except exceptions.NotModifiedError:
            return None

    def entry(self, key: str) -> Entry | None:
        try:
            return _entry(self._do(key, lambda: self._store.head(checked_key(key))))
        except FileNotFoundError:
            return None

    def create(self, key: str, data: bytes, *, private: bool = False) -> bool:
        self._check_conditions(checked_key(key))
        return self._put_if(key, data, None)

    def replace(self, key: str, data: bytes, tag: str | None = None) -> bool:
        checked_key(key)
        if tag is not None:
            self._check_conditions(key)
            return self._put_if(key, data, tag)
        self._do(key, lambda: self._store.put(key, data))
        return True

    def upload(self, folder: Path, prefix: str) -> None:
        def put(file: Path) -> None:
            name = file.relative_to(folder).as_posix()
            key = checked_key(f"{prefix}/{name}" if prefix else name)
            options: Any = {"chunk_size": _CHUNK, "max_concurrency": _CHUNKS}
            self._do(key, lambda: self._store.put(key, file, **options))

        side_by_side(put, files_below(folder))

    def download(self, key: str, file: Path) -> None:
        size, tag = self._head(key)
        with durable_file(file) as stream:
            for start in range(0, size, _RANGE):
                stream.write(self._range(key, tag, start, min(size, start + _RANGE)))

    def remove(self, keys: Iterable[str]) -> None:
        left = iter(keys)
        while some := [checked_key(key) for key in itertools.islice(left, _MOST_KEYS)]:
            self._delete(some)

    def _delete(self, keys: list[str]) -> None:
        """Remove some objects; obstore doesn't ask again where the answer to a POST is lost."""
        until = time.monotonic() + self._options.retry_seconds
        for attempt in itertools.count():
            failure = self._failure(lambda: self._store.delete(keys))
            if failure is None or failure.is_missing:
                return
            if failure.is_final or not self._waits(failure, attempt, until):
                raise self._told(keys[0], failure)

    def below(self, prefix: str) -> Iterator[Entry]:
        pages = iter(self._store.list(checked_prefix(prefix) or None))
        while page := self._listed(prefix, lambda: next(pages, None)):
            yield from map(_entry, page)

    def everything(self) -> list[Entry]:
        try:
            return [*self.below("")]
        except OddKeyError as error:
            listed = listed_by_arrow(self.url, self._endpoint, self._options)
            if listed is None:
                raise
            log.warning("a bucket is listed key by key", problem=str(error))
            return beside_odd_keys(self, listed)

    def names(self, prefix: str) -> list[str]:
        answer = self._listed(
            prefix, lambda: self._store.list_with_delimiter(checked_prefix(prefix) or None)
        )
        return sorted(path.rpartition("/")[2] for path in answer["common_prefixes"])

    def scan_parquet(self, key: str) -> pl.LazyFrame:
        url = f"{self.url}/{checked_key(key)}"
        return pl.scan_parquet(url, glob=False, storage_options=self._polars)

    def open(self, key: str) -> io.RawIOBase:
        size, tag = self._head(key)
        return _Reader(size, lambda start, end: self._range(key, tag, start, end))

    def footer(self, key: str) -> pq.FileMetaData:
        with self.open(key) as stream:
            return footer_of(stream, f"{self.url}/{key}")

    def _get(self, key: str, options: dict[str, Any]) -> Stored:
        answer = self._store.get(key, options=options)  # pyright: ignore[reportArgumentType]
        return Stored(bytes(answer.bytes()), _tag(answer.meta))

    def _head(self, key: str) -> tuple[int, str]:
        meta = self._do(key, lambda: self._store.head(checked_key(key)))
        return meta["size"], _tag(meta)

    def _range(self, key: str, tag: str, start: int, end: int) -> bytes:
        # Of the object that was begun with, even if somebody replaces it meanwhile.
        return self._do(key, lambda: self._get(key, {"range": (start, end), "if_match": tag}).data)

    def _put_if(self, key: str, data: bytes, tag: str | None) -> bool:
        """Write on the condition that nothing is there, or what has that tag.

        Whether it was written is told by what is there afterwards, never by an answer alone: it
        may be lost, be a 409 of AWS (nothing was looked at), or be a refusal by what a first
        attempt of our own has written.
        """
        mode: Any = "create" if tag is None else {"e_tag": tag}
        until = time.monotonic() + self._options.retry_seconds
        for attempt in itertools.count():
            failure = self._failure(lambda: self._store.put(key, data, mode=mode))
            if failure is None:
                return True
            if failure.is_final:
                raise self._told(key, failure)
            there = None
            with suppress(FileNotFoundError):
                there = self.read(key)
            if there is not None and there.data == data:
                return True
            if (there is not None) if tag is None else (there is None or there.tag != tag):
                return False
            if not self._waits(failure, attempt, until):
                raise self._told(key, failure)
        raise AssertionError("counting never ends")

    def _waits(self, failure: Failure, attempt: int, until: float) -> bool:
        """Wait before a request is sent again; return False at once where it mustn't be."""
        if (
            not failure.may_be_sent_again
            or attempt >= self._options.retries
            or time.monotonic() > until
        ):
            return False
        time.sleep(min(0.1 * 2**attempt, 5) * random.uniform(0.5, 1))
        return True

    def _check_conditions(self, wanted: str) -> None:
        """Raise StoreError where the server doesn't look at conditions; asked once a process.

        Below the same folder, or the same beginning of a key: elsewhere this process may have no
        right to write.
        """
        place = (self._server, self.url)
        with _checking:
            if place in _checked:
                return
            folder, slash, name = wanted.rpartition("/")
            key = f"{folder}/" if slash else name
            key += f"{PROBE}{secrets.token_hex(8)}"
            try:
                if not self._put_if(key, b"created", None):
                    raise StoreError(f"{self.url}/{key} is there already; run it again")
                if self._put_if(key, b"created again", None):
                    raise unconditional(self.url, self._server, "If-None-Match: *")
                tag = self.read(key).tag
                if not self._put_if(key, b"replaced", tag):
                    raise unconditional(self.url, self._server, "If-Match")
                if self._put_if(key, b"replaced again", tag):
                    raise unconditional(self.url, self._server, "If-Match")
            finally:
                with suppress(StoreError):
                    self.remove([key])
            _checked.add(place)

    def _listed(self, prefix: str, call: Callable[[], T]) -> T:
        try:
            return self._do(prefix, call)
        except FileNotFoundError as error:
            raise StoreError(
                f"{self.url}/{prefix} can't be listed at {self._server}: it answered 404"
            ) from error

    def _do(self, key: str, call: Callable[[], T]) -> T:
        answers: list[T] = []
        failure = self._failure(lambda: answers.append(call()))
        if failure is None:
            return answers[0]
        if failure.is_missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.url}/{key}")
        raise self._told(key, failure)

    def _failure(self, call: Callable[[], object]) -> Failure | None:
        """Return why a call of obstore failed; its exception, which may tell secrets, ends here."""
        try:
            call()
        except (exceptions.NotModifiedError, StoreError):
            raise
        except (exceptions.BaseError, OSError, RuntimeError, ValueError) as error:
            return failure_of(error)
        return None

    def _told(self, key: str, failure: Failure) -> StoreError:
        options = self._options
        patience = (
            f"{options.request_seconds:g} s a request, retries: {options.retries}, "
            f"{options.retry_seconds:g} s in all"
        )
        return told(failure, f"{self.url}/{key}".rstrip("/"), self._server, patience)


class _Reader(io.RawIOBase):
    """An object that is read in ranges, as a file."""

    def __init__(self, size: int, read_range: Callable[[int, int], bytes]) -> None:
        self._size, self._at, self._read_range = size, 0, read_range

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        end = min(self._size, self._at + len(buffer))
        if end <= self._at:
            return 0
        # All of it: what reads Parquet takes a short answer for the file's end.
        begin = self._at
        while self._at < end:
            data = self._read_range(self._at, min(end, self._at + _RANGE))
            buffer[self._at - begin : self._at - begin + len(data)] = data
            self._at += len(data)
        return end - begin


def _endpoint() -> str | None:
    for empty in ENDPOINT_VARIABLES:
        if os.environ.get(empty) == "":
            # obstore and Polars read it by themselves too, and panic.
            del os.environ[empty]
    name, url = next(
        ((name, url) for name in ENDPOINT_VARIABLES if (url := os.environ.get(name))), ("", None)
    )
    if url is not None and not re.match(r"https?://[^/]", url):
        raise StoreError(f"{name} is no URL that begins with https:// or http://")
    return url


def _shown(endpoint: str | None) -> str:
    """Return a server's name for messages, without a password that an URL may have."""
    if endpoint is None:
        return "AWS S3"
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _tag(meta: Any) -> str:
    if not meta["e_tag"]:
        raise StoreError(f"{meta['path']} has no ETag: no change of it could be told")
    return meta["e_tag"]


def _entry(meta: Any) -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"], _tag(meta))
