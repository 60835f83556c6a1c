"""Which form of an answer a request wants (RFC 9110, sections 12.5.1 and 13.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
TABULAR = (JSON, CSV, ARROW)
"""What an answer of many rows can be; unasked it is the first."""


@dataclass(frozen=True)
class AnswerForm:
    """What a request wants of its answer: a media type, and the headers that go with it.

    `query` has the request's parameters, for the link to the next page.
    """

    media: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """Return the offer that an Accept header likes best, None where it takes none of them.

    Of those that it likes equally the first; without a header the first.
    """
    if not accept or not accept.strip():
        return offers[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best, liking = None, 0.0
    for offer in offers:
        if (quality := _quality(offer, ranges)) > liking:
            best, liking = offer, quality
    return best


def entity_tag(parts: Iterable[str]) -> str:
    """Return the tag of what the parts determine.

    It is weak: the bytes of an answer are others when it is packed.
    """
    digest = blake2b("\0".join(parts).encode(errors="surrogateescape"), digest_size=12)
    return f'W/"{digest.hexdigest()}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Return whether a client has what the tag names.

    `*` never matches: whether there is an answer at all isn't known before it is made.
    """
    opaque = tag.removeprefix("W/")
    tags = (part.strip().removeprefix("W/") for part in (if_none_match or "").split(","))
    return opaque in tags


def _range(text: str) -> tuple[str, float]:
    """Return a media range and how much it is liked, 0 to 1."""
    name, *parameters = (part.strip() for part in text.lower().split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return name, 1.0
    return name, 1.0


def _quality(offer: str, ranges: Iterable[tuple[str, float]]) -> float:
    """Return how much an offer is liked by the range that names it most exactly."""
    found = dict(ranges)
    names = (offer, f"{offer.partition('/')[0]}/*", "*/*")
    return next((found[name] for name in names if name in found), 0.0)
