"""What a bucket's server refused, told without what may be secret.

A server's refusal, and a provider of credentials, may repeat a session's token: of obstore's text
only the status, the code and the kind are passed on, and never the exception itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from stupid_dagster.errors import StoreError, UnavailableError

ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
# obstore asks the machine's own address for them when the environment has none.
_METADATA_ADDRESS = "169.254.169.254"
_NOT_IMPLEMENTED = 501
_NO_BUCKET = "NoSuchBucket"
_ODD_KEY = re.compile(r'with invalid path: .*?Path "(.+?)"(?: contained|: Encountered)', re.DOTALL)
_REDIRECT = "redirect without LOCATION"
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,80})</Code>")
_OF_SCAN = "object-store error: "
_SCANNED = {
    "bucket": re.compile(r"\(path: s3://([^/()]+)/"),
    "path": re.compile(r"Error performing [A-Z]+ https?://[^/\s]+(/[^\s?]+)"),
    "server": re.compile(r"Error performing [A-Z]+ (?:https?://)(?:[^/@\s]*@)?([^/@\s?]+)"),
    "patience": re.compile(r"(max_retries: \d+, retry_timeout: [\w.]+)"),
}
_KIND = re.compile(r"kind: (Connect|Timeout|Interrupted|Request|Decode|Body)\b")


@dataclass(frozen=True)
class Failure:
    """Why a request failed: the answer's status and code, or the kind of trouble without one."""

    status: int | None
    code: str
    kind: str

    @property
    def is_missing(self) -> bool:
        """Whether the object isn't there; a missing bucket is another matter."""
        return self.kind == "FileNotFoundError" and self.code != _NO_BUCKET

    @property
    def is_final(self) -> bool:
        """Whether nothing was written, and nothing would be by trying again."""
        status = self.status or 0
        refused = status in {408, 409, 412, 429} or (status == 404 and self.code != _NO_BUCKET)
        return self.kind == "credentials" or (
            (300 <= status < 500 and not refused) or status == _NOT_IMPLEMENTED
        )

    @property
    def may_be_sent_again(self) -> bool:
        """Whether obstore left that to us: the answer was lost, or the condition wasn't met."""
        if self.status is None:
            return self.kind != "Connect"
        return self.status < 500


def failure_of(error: BaseException) -> Failure:
    """Return what is known of an exception of obstore's."""
    text = str(error)
    if _METADATA_ADDRESS in text:
        return Failure(None, "", "credentials")
    if _REDIRECT in text:
        return Failure(301, "PermanentRedirect", "")
    if odd := _ODD_KEY.search(text):
        return Failure(None, odd[1], "odd key")
    status = _STATUS.search(text)
    code = _CODE.search(text)
    kind = None if status else _KIND.search(text)
    return Failure(
        int(status[1]) if status else None,
        code[1] if code else "",
        kind[1] if kind else type(error).__name__,
    )


class OddKeyError(UnavailableError):
    """A key is there that can't be a file's, and keeps obstore from listing those beside it."""


def told(failure: Failure, url: str, server: str, patience: str) -> UnavailableError:
    """Return the error that says what failed where, and what to do.

    Its cause is a ConnectionError or TimeoutError where doing it again may help
    (errors.retry_helps).
    """
    status, code = failure.status, failure.code
    answer = f"{server} answered {status} {code}".rstrip()
    cause: OSError | None = None
    if failure.kind == "credentials":
        says = (
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
            "environment, or run where a role gives them"
        )
    elif failure.kind == "odd key":
        says = (
            f"{code!r} is there, which can't be a file's key, and keeps others from being listed: "
            "remove it, or give it a key of names with `/` between them"
        )
    elif code == _NO_BUCKET:
        says = f"{answer}: there is no such bucket; make it, or correct its name in the settings"
    elif status in {401, 403}:
        says = (
            f"{answer}: access denied; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the "
            "clock, and that they may get, put, delete and list objects there"
        )
    elif status == _NOT_IMPLEMENTED:
        says = f"{answer}: {_CONDITIONS}"
    elif status in {301, 307, 308} or code == "AuthorizationHeaderMalformed":
        says = f"{answer}: the bucket is in another region; set AWS_REGION to its own"
    elif status == 409 or status == 429 or (status or 0) >= 500:
        says = f"{answer} to every attempt ({patience}); run it again later"
        cause = ConnectionError(answer)
    elif status == 412:
        says = (
            f"{answer}: others change it at the same time, or it is a folder to that server; run "
            "it again"
        )
        cause = ConnectionError(answer)
    elif status is not None:
        says = f"{answer}; see the server's log"
    elif failure.kind == "Timeout":
        says = (
            f"{server} gave no answer in time ({patience}); check the network, or allow it more "
            "time, and run it again"
        )
        cause = TimeoutError(f"no answer from {server}")
    else:
        says = (
            f"{server} can't be reached, or broke off ({failure.kind}, {patience}); check "
            f"{' or '.join(ENDPOINT_VARIABLES)} and the network, and run it again"
        )
        cause = ConnectionError(f"{server} can't be reached")
    kind = OddKeyError if failure.kind == "odd key" else UnavailableError
    error = kind(f"{url}: {says}")
    error.__cause__ = cause
    return error


def told_of_scan(error: BaseException) -> StoreError | None:
    """Return what kept Polars from reading of a bucket, None for another error than that."""
    text = str(error)
    if not text.startswith(_OF_SCAN):
        return None
    found = {name: pattern.search(text) for name, pattern in _SCANNED.items()}
    bucket, path, server, patience = (match[1] if match else "" for match in found.values())
    # Polars names the file that its client of the bucket was first made for, not the one it asked.
    path = unquote(path)
    key = path.partition(f"/{bucket}/")[2] or path.removeprefix("/")
    url = f"s3://{bucket}/{key}" if bucket and key else "a file of the bucket"
    failure = failure_of(error)
    if failure.is_missing:
        return StoreError(f"{url} isn't there any more")
    if failure.status is None and "timed out" in text:
        failure = replace(failure, kind="Timeout")
    return told(failure, url, server or "the server", patience)


_CONDITIONS = (
    "it can't write on a condition (`If-None-Match: *`, `If-Match`), without which two writers "
    "would undo each other's work; use a server that can, as AWS S3 and SeaweedFS 4.48 do"
)


def unconditional(url: str, server: str, header: str) -> StoreError:
    """Return the error for a server that doesn't look at a condition."""
    return StoreError(f"{url}: {server} ignores `{header}`: {_CONDITIONS}")
