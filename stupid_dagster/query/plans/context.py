"""What the check of a plan's step knows: the snapshot, and the columns of the steps before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from stupid_dagster.errors import InvalidQueryError, hint, nearest
from stupid_dagster.query.filters import MOST_VALUES, Filter, condition
from stupid_dagster.query.frames import is_hash
from stupid_dagster.query.plans.model import Measure, PlanFilter, RowsRef, ValuesRef
from stupid_dagster.query.plans.problems import Problems, quoted, unknown
from stupid_dagster.query.plans.tables import measure_name
from stupid_dagster.query.reader import SnapshotReader

Schema = Mapping[str, pl.DataType]

MOST_PARTS = 100
"""Conditions, columns to group by, and measures that a step may have of each."""
_SUMMED = ("sum", "mean")
_NUMERIC = (*_SUMMED, "median", "p95")


@dataclass
class StepContext:
    """Checks parts of one step; `schemas` has the columns of all steps that it refers to.

    None in place of columns means: not known, as their step is wrong itself.
    """

    reader: SnapshotReader
    catalog: Mapping[str, Any]
    schemas: Mapping[str, Schema | None]
    kept: Mapping[str, Sequence[int]]
    where: str
    problems: Problems

    def add(self, part: str, what: str) -> None:
        """Note a mistake in a part of the parameters."""
        self.problems.add(f"{self.where}.{part}", what)

    def attempt(self, part: str, check: Callable[[], Any]) -> Any:
        """Return what a check returns; note the InvalidQueryError that it raises."""
        try:
            return check()
        except InvalidQueryError as error:
            self.add(part, str(error))

    def rows(self, ref: RowsRef) -> Schema | None:
        """Return the columns of a step that is referred to."""
        return self.schemas.get(ref.ref)

    def values(self, part: str, ref: ValuesRef) -> pl.DataType | None:
        """Return the type of the values that a reference gives; those of lists are their items."""
        schema = self.rows(RowsRef(ref=ref.ref))
        if schema is None or not self.column(f"{part}.field", ref.field, schema):
            return None
        dtype = schema[ref.field]
        if isinstance(dtype, pl.List):
            dtype = instance(dtype.inner)
        if dtype.is_nested():
            self.add(f"{part}.field", f"{quoted(ref.field)} holds objects, which aren't values")
            return None
        return dtype

    def texts(self, part: str, given: str | Sequence[str] | ValuesRef) -> None:
        """Check ids: literal ones, or a reference to texts."""
        if isinstance(given, ValuesRef):
            dtype = self.values(part, given)
            if dtype is not None and dtype != pl.String:
                self.add(f"{part}.field", f"{quoted(given.field)} holds {meaning(dtype)}, not ids")
        elif not isinstance(given, str) and not 1 <= len(given) <= MOST_VALUES:
            self.add(part, f"there are {len(given)}; give from 1 to {MOST_VALUES}, or a reference")

    def ids(self, part: str, given: str | Sequence[str] | ValuesRef, types: Iterable[str]) -> None:
        """Check the ids of entities of some types, literal ones by their prefix."""
        self.texts(part, given)
        if isinstance(given, ValuesRef):
            return
        prefixes = [self.catalog["entities"][name]["prefix"] for name in types]
        listed = [given] if isinstance(given, str) else given
        for index, one in enumerate(listed[:MOST_VALUES]):
            prefix, colon, _ = one.partition(":")
            if not colon or prefix not in prefixes:
                at = part if isinstance(given, str) else f"{part}[{self.place(part, index)}]"
                wanted = " or ".join(f"{name}:" for name in prefixes)
                near = hint(one[:80], _meant(one[:80], prefixes))
                self.add(at, f"{quoted(one)} is no id{near}: it would begin with {wanted}")

    def place(self, part: str, index: int) -> int:
        """Return where an item of a list stands in the plan as it was given."""
        return self.kept[part][index] if part in self.kept else index

    def column(self, part: str, name: str, schema: Schema, *, flat: bool = False) -> bool:
        """Check that there is a column of a name, `flat`: that isn't a list or an object."""
        if name not in schema:
            self.add(part, unknown("column", name, schema))
        elif flat and schema[name].is_nested():
            self.add(part, f"{quoted(name)} holds lists or objects")
        else:
            return True
        return False

    def columns(self, part: str, names: Sequence[str] | None, schema: Schema) -> Schema:
        """Check a projection; return its columns, those that there are."""
        if names is None:
            return schema
        if not names:
            self.add(part, "name one column or more, or leave it out for all")
        known = [
            name
            for index, name in enumerate(names)
            if self.column(f"{part}[{self.place(part, index)}]", name, schema)
        ]
        return {name: schema[name] for name in dict.fromkeys(known)}

    def sort(self, sort: str | None, schema: Schema) -> None:
        """Check what is sorted by."""
        if sort is not None:
            self.column("sort", sort.removeprefix("-"), schema, flat=True)

    def limit(self, limit: int | None) -> None:
        """Check the number of rows that a step may give."""
        most = self.reader.project.settings.rows_most
        if limit is not None and not 1 <= limit <= most:
            self.add("limit", f"{limit}: a step gives from 1 to {most} rows (setting rows_most)")

    def filters(self, filters: Sequence[PlanFilter], schema: Schema) -> None:
        """Check conditions on columns of a schema as it's stored."""
        if len(filters) > MOST_PARTS:
            self.add("filters", f"there are {len(filters)}; a step has at most {MOST_PARTS}")
            return
        for index, one in enumerate(filters):
            part = f"filters[{self.place('filters', index)}]"
            if self.column(f"{part}.field", one.field, schema):
                self._filter(part, one, schema)

    def _filter(self, part: str, one: PlanFilter, schema: Schema) -> None:
        value, dtype = one.value, schema[one.field]
        if isinstance(value, ValuesRef):
            given = self.values(f"{part}.value", value)
            if one.op != "in":
                self.add(f"{part}.op", f"{one.op} takes one value; a reference gives many: use in")
            elif dtype.is_nested():
                self.add(f"{part}.op", "a list allows is_null only")
            elif given is not None:
                wanted = pl.String() if is_hash(one.field, dtype) else dtype
                if not fit(given, wanted):
                    self.add(
                        f"{part}.value.field",
                        f"{quoted(value.field)} holds {meaning(given)}, and {quoted(one.field)} "
                        f"{meaning(wanted)}",
                    )
            return
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            self.add(
                f"{part}.value",
                'should be a value, a list of them, or a reference {"ref": step, "field": column}',
            )
            return
        condition_of = Filter(field=one.field, op=one.op, value=value)
        try:
            condition([condition_of], schema)
        except InvalidQueryError as error:
            self.add(part, str(error).removeprefix(f"filter on {one.field}: "))

    def groups(self, by: Sequence[str], measures: Sequence[Measure], schema: Schema) -> bool:
        """Check what rows are grouped by and measured; return whether all of it can be done."""
        good = True
        for part, given in (("by", by), ("measures", measures)):
            if len(given) > MOST_PARTS:
                self.add(part, f"there are {len(given)}; a step has at most {MOST_PARTS}")
                return False
        for index, name in enumerate(by):
            good &= self.column(f"by[{self.place('by', index)}]", name, schema, flat=True)
        if not measures:
            self.add("measures", 'name one or more, such as {"op": "count"}')
            return False
        taken = set(by)
        for index, one in enumerate(measures):
            part = f"measures[{self.place('measures', index)}]"
            good &= self._measure(part, one, schema)
            name = measure_name(one)
            if name in taken:
                self.add(f"{part}.name", f"there is a column {quoted(name)} already: name another")
                good = False
            taken.add(name)
        return good

    def _measure(self, part: str, one: Measure, schema: Schema) -> bool:
        if one.field is None:
            if one.op != "count":
                self.add(f"{part}.field", f"is missing: the column to make the {one.op} of")
            return one.op == "count"
        if not self.column(f"{part}.field", one.field, schema, flat=one.op != "count"):
            return False
        dtype = schema[one.field]
        numeric = dtype.is_numeric() or (one.op in _SUMMED and dtype == pl.Boolean)
        if one.op in _NUMERIC and not numeric:
            self.add(
                f"{part}.field",
                f"{quoted(one.field)} holds {meaning(dtype)}, and {one.op} needs numbers",
            )
            return False
        return True


def _meant(said: str, prefixes: Iterable[str]) -> list[str]:
    """Return the id that a text would be with another sign after its prefix, or a prefix nearby."""
    prefix, key = re.match(r"(\w*)\W*(.*)", said, re.DOTALL).groups()  # type: ignore[union-attr]
    near = nearest(prefix, prefixes)
    return [f"{near}:{key}"] if near and key else []


def fit(left: pl.DataType, right: pl.DataType) -> bool:
    """Return whether two columns' values can be equal, by their types."""
    if left.is_numeric() and right.is_numeric():
        return True
    return left.base_type() == right.base_type() and not left.is_nested()


def meaning(dtype: pl.DataType) -> str:
    """Return in a word what values of a type are."""
    if dtype.is_nested():
        return "lists or objects"
    if dtype.is_numeric():
        return "numbers"
    names = {pl.String: "texts", pl.Boolean: "true or false", pl.Date: "days"}
    return names.get(dtype.base_type(), "times")


def instance(dtype: Any) -> pl.DataType:
    """Return a type, which may be given as its class."""
    return dtype if isinstance(dtype, pl.DataType) else dtype()
