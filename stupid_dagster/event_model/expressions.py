"""Polars expressions built from an event model: cleaning, typing, keys, texts, filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl
import xxhash

from stupid_dagster.event_model.checked import FieldType
from stupid_dagster.event_model.references import available_fields, needed_fields
from stupid_dagster.event_model.schema import LOCAL_HOUR, Derived, EventModel, EventType, FieldRule
from stupid_dagster.event_model.templates import Piece, parse_template
from stupid_dagster.event_model.values import FALSE, TRUE

_GLANCE = 2000
_EXACT = 2**53
"""Floats from here on stand for more than one integer."""
POLARS_TYPES: dict[FieldType, type[pl.DataType]] = {
    "string": pl.String,
    "integer": pl.Int64,
    "float": pl.Float64,
    "boolean": pl.Boolean,
}


def cleaned(column: str, nulls: Sequence[str]) -> pl.Expr:
    """Return a string column without surrounding white space, null spellings as null."""
    return without_nulls(pl.col(column).str.strip_chars(), nulls).alias(column)


def without_nulls(value: pl.Expr, nulls: Sequence[str]) -> pl.Expr:
    """Return a string as it is, null spellings as null."""
    return pl.when(~value.is_in(list(nulls))).then(value)


def typed_values(
    values: pl.Series, nulls: Sequence[str], rule: FieldRule
) -> tuple[pl.Series, pl.Series]:
    """Return a column cleaned and typed, and its distinct texts that can't be read as its type.

    Such texts become null. Each distinct value is read once where there are few of them.
    """
    # A column of many different values shows it at once.
    many = values.head(_GLANCE).n_unique() > _GLANCE // 4
    given = values if many else values.unique()
    texts = given.str.strip_chars()
    texts = texts.to_frame().select(without_nulls(pl.col(values.name), nulls)).to_series()
    made = texts.to_frame().select(typed(values.name, rule).alias(values.name)).to_series()
    unread = texts.filter(made.is_null() & texts.is_not_null()).unique()
    if rule.case != "keep":
        # Such as `NULL`, which has become `null`.
        made = made.to_frame().select(without_nulls(pl.col(values.name), nulls)).to_series()
    return (made if many else _spread(values, given, made)), unread


def _spread(values: pl.Series, old: pl.Series, new: pl.Series) -> pl.Series:
    """Return `values` with each of the distinct `old` replaced by its `new`."""
    if new.dtype != values.dtype:
        return values.replace_strict(old, new, return_dtype=new.dtype)
    changed = new.ne_missing(old)
    old, new = old.filter(changed), new.filter(changed)
    if old.is_empty():
        return values
    if new.null_count() == len(new):
        value = pl.col(values.name)
        return values.to_frame().select(pl.when(~value.is_in(old.implode())).then(value))[
            values.name
        ]
    return values.replace(old, new)


def typed(column: str, rule: FieldRule) -> pl.Expr:
    """Return a cleaned string column in its type; null where a value can't be read as one."""
    value = pl.col(column)
    if rule.type == "string":
        return _in_case(value, rule.case)
    if rule.type == "boolean":
        lower = value.str.to_lowercase()
        return (
            pl.when(lower.is_in(TRUE))
            .then(pl.lit(value=True))
            .when(lower.is_in(FALSE))
            .then(pl.lit(value=False))
            .alias(column)
        )
    number = value.cast(pl.Float64, strict=False)
    # -0.0 becomes 0.0: they are equal, and would be two texts and keys.
    number = pl.when(number == 0).then(0.0).when(number.is_finite()).then(number)
    if rule.type == "integer":
        # Large integers lose digits as floats, so they are read as what they are first.
        exact = (number == number.round()) & (number.abs() < _EXACT)
        whole = pl.when(exact).then(number).cast(pl.Int64, strict=False)
        return pl.coalesce(value.cast(pl.Int64, strict=False), whole).alias(column)
    return number.alias(column)


def _in_case(value: pl.Expr, case: str) -> pl.Expr:
    if case == "lower":
        return value.str.to_lowercase()
    return value.str.to_uppercase() if case == "upper" else value


def with_derived(
    frame: pl.DataFrame,
    model: EventModel,
    event_type: EventType,
    only: Iterable[str] | None = None,
) -> pl.DataFrame:
    """Return `frame` (typed, with `timestamp`) with the derived fields its event type can have.

    `only` leaves out those that are neither named in it nor needed for one that is.
    """
    wanted = available_fields(model, event_type)
    if only is not None:
        wanted &= needed_fields(model, only)
    if LOCAL_HOUR in wanted:
        hour = pl.col("timestamp").dt.convert_time_zone(model.timezone).dt.hour()
        frame = frame.with_columns(hour.cast(pl.Int64).alias(LOCAL_HOUR))
    for name, derived in model.derived.items():
        if name in wanted:
            frame = frame.with_columns(_derived(derived).alias(name))
    return frame


def _derived(derived: Derived) -> pl.Expr:
    if derived.template is not None:
        return rendered(derived.template, drop_empty_chunks=False)
    value = pl.col(derived.field or "")
    if derived.scale is not None:
        return value.cast(pl.Float64) * derived.scale
    if derived.one_of is not None:
        return text_of(value).is_in(derived.one_of)
    if derived.map is not None:
        otherwise = None if derived.otherwise is None else pl.lit(derived.otherwise)
        mapped = text_of(value).replace_strict(derived.map, default=None, return_dtype=pl.String)
        return pl.when(value.is_not_null()).then(pl.coalesce(mapped, otherwise))
    banded = pl.lit(None, dtype=pl.String)
    for label, bound in reversed((derived.bands or {}).items()):
        if bound is None:
            banded = pl.lit(label)
        else:
            banded = pl.when(value < bound).then(pl.lit(label)).otherwise(banded)
    return pl.when(value.is_not_null()).then(banded)


def text_of(value: pl.Expr) -> pl.Expr:
    """Return a value as text, as it stands in keys, templates and filters."""
    return value.cast(pl.String)


def rendered(template: str, *, drop_empty_chunks: bool = True) -> pl.Expr:
    """Return a template filled with fields.

    A chunk (parted by white space) with a missing field is left out; without
    `drop_empty_chunks` the whole is null instead.
    """
    chunks = [_concat(chunk) for chunk in parse_template(template)]
    return pl.concat_str(chunks, separator=" ", ignore_nulls=drop_empty_chunks)


def _concat(pieces: Iterable[Piece]) -> pl.Expr:
    parts = []
    for piece in pieces:
        if piece.field is None:
            parts.append(pl.lit(piece.literal))
            continue
        value = text_of(pl.col(piece.field))
        parts.append(value if piece.length is None else value.str.slice(0, piece.length))
    return pl.concat_str(parts)


def entity_key(model: EventModel, citation: str, columns: Iterable[str]) -> pl.Expr:
    """Return the normalised key of the entity that `Type` or `Type.role` cites; null if missing.

    For `normalise: hash` the key still is the text: `id_of_key` turns distinct ones to hashes.
    """
    entity, fields = model.entity_role(citation)
    present = set(columns)
    value = pl.coalesce(text_of(pl.col(f)) for f in fields if f in present)
    return _in_case(value, entity.normalise)


def entity_id(model: EventModel, citation: str, columns: Iterable[str]) -> pl.Expr:
    """Return `<prefix>:<key>` of the cited entity; null where the event has no key for it."""
    return id_of_key(model, citation, entity_key(model, citation, columns))


def id_of_key(model: EventModel, citation: str, key: pl.Expr) -> pl.Expr:
    """Return `<prefix>:<key>` of an entity whose key `entity_key` has returned."""
    entity, _ = model.entity_role(citation)
    if entity.normalise == "hash":
        key = key.map_batches(hashed_text, return_dtype=pl.String)
    return pl.concat_str(pl.lit(f"{entity.prefix}:"), key)


def hashed_text(texts: pl.Series) -> pl.Series:
    """Return 16 hex digits a text; each distinct text is hashed once."""
    hashes = distinct_hashes(texts)
    return texts.to_frame("text").join(
        hashes.select("text", pl.col("hash").map_elements(lambda h: f"{h:016x}", pl.String)),
        on="text",
        how="left",
        maintain_order="left",
    )["hash"]


def distinct_hashes(texts: pl.Series) -> pl.DataFrame:
    """Return (text, hash UInt64) of the distinct texts; XXH64, the same on every machine."""
    distinct = texts.drop_nulls().unique()
    values = [xxhash.xxh64_intdigest(text.encode()) for text in distinct.to_list()]
    return pl.DataFrame({"text": distinct, "hash": pl.Series(values, dtype=pl.UInt64)})


def matches(where: Mapping[str, Sequence[str]]) -> pl.Expr:
    """Return whether an event has one of the accepted values in each field of `where`."""
    conditions = [text_of(pl.col(field)).is_in(list(values)) for field, values in where.items()]
    return pl.all_horizontal(conditions) if conditions else pl.lit(value=True)
