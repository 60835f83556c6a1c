"""A server with keys that S3 allows and SeaweedFS, which has folders, doesn't."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import xxhash

from tests.loopback import Handler, serving

_XML = {"content-type": "application/xml"}
_OBJECT = (
    "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>"
)
_LISTING = (
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<IsTruncated>{}</IsTruncated><NextContinuationToken>{}</NextContinuationToken>{}"
    "</ListBucketResult>"
)


@contextmanager
def listing_server(
    objects: Mapping[str, bytes], *, page: int = 1000, refused: str = "nobody"
) -> Iterator[str]:
    """Lend the URL of a server that lists and gives what is in a bucket, so many keys a page.

    Who calls itself `refused` (User-Agent) is answered 403.
    """

    class Bucket(Handler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            if refused in self.headers["User-Agent"]:
                self.answer(403, b"<Error><Code>AccessDenied</Code></Error>", _XML)
            elif "list-type" in asked:
                self.answer(200, _listed(objects, page, asked), _XML)
            else:
                self.give(unquote(url.path).split("/", 2)[2])

        def give(self, key: str) -> None:
            if key not in objects:
                self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>", _XML)
                return
            data = objects[key]
            headers = {"ETag": _tag(data), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            if wanted := self.headers["Range"]:
                first, last = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                self.answer(206, data[first : last + 1], headers)
            else:
                self.answer(200, data, headers)

    with serving(Bucket) as url:
        yield url


def _listed(objects: Mapping[str, bytes], page: int, asked: Mapping[str, str]) -> bytes:
    """Return a page of a listing; its continuation token is the last key before it."""
    prefix, after = asked.get("prefix", ""), asked.get("continuation-token", "")
    keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
    shown = [
        _OBJECT.format(escape(key), _tag(objects[key]).strip('"'), len(objects[key]))
        for key in keys[:page]
    ]
    more = len(keys) > page
    token = escape(keys[page - 1]) if more else ""
    return _LISTING.format(str(more).lower(), token, "".join(shown)).encode()


def _tag(data: bytes) -> str:
    return f'"{xxhash.xxh3_64_hexdigest(data)}"'
