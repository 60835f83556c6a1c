"""The text of landing files: unpacked, in UTF-8, without a byte-order mark."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from typing import IO, Protocol, cast

import pyarrow as pa

from stupid_dagster.ingest.readers.base import unreadable
from stupid_dagster.ingest.source import Source

_GZIP = b"\x1f\x8b"
_NO_TEXT = {
    b"PAR1": "Parquet file",
    b"PK\x03\x04": "zip archive",
    b"\x28\xb5\x2f\xfd": "zstd archive",
    b"\xfd7zXZ": "xz archive",
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PIECE = 1 << 23


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Begun:
    """A stream of which the first bytes were looked at; not all streams can be rewound."""

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self.head = b""
        while len(self.head) < 4 and (more := stream.read(4 - len(self.head))):
            self.head += more

    def read(self, size: int) -> bytes:
        head, self.head = self.head[:size], self.head[size:]
        return head or self._stream.read(size)


def text_pieces(stream: IO[bytes], path: str, size: int = _PIECE) -> Iterator[bytes]:
    """Yield a file's text in pieces of about `size` bytes; UTF-16 as UTF-8.

    What is packed is unpacked, whatever its name. Raises IngestError for what is no text, and what
    reading and unpacking raise.
    """
    if isinstance(stream, io.RawIOBase):  # Each read of it is a request.
        stream = io.BufferedReader(stream, size)
    text = _Begun(stream)
    if path.lower().endswith(".gz") or text.head.startswith(_GZIP):
        text = _Begun(gzip.GzipFile(fileobj=cast(IO[bytes], text), mode="rb"))
    for magic, kind in _NO_TEXT.items():
        if text.head.startswith(magic):
            raise unreadable(path, f"by its content it is a {kind}")
    wide = None
    if text.head.startswith(_UTF_16):
        wide = codecs.getincrementaldecoder("utf-16")("replace")
    text.head = text.head.removeprefix(codecs.BOM_UTF8)
    while piece := text.read(size):
        yield wide.decode(piece).encode() if wide else piece
    if wide:
        yield wide.decode(b"", final=True).encode()


def content(source: Source, path: str) -> bytes:
    """Return a file's text in UTF-8, a byte that fits nowhere as a replacement character.

    Raises as `text_pieces` does.
    """
    with source.open(path) as stream:
        text = b"".join(text_pieces(stream, path))
    return text if _is_utf8(text) else as_utf8(text)


def as_utf8(text: bytes) -> bytes:
    """Return text with a replacement character for each byte that is no UTF-8."""
    return text.decode(errors="replace").encode()


def _is_utf8(text: bytes) -> bool:
    # Several times faster than to decode it, and in no memory.
    offsets = pa.array([0, len(text)], pa.int64()).buffers()[1]
    array = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)])
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
