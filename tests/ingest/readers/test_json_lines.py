from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers import json_lines, open_file
from stupid_dagster.ingest.source import Source
from tests.ingest.readers.opening import all_of, opened, survives


def values(folder: Path, *lines: str) -> list[str | None]:
    """Return column a of a file of these lines."""
    return opened(folder, "x.jsonl", "\n".join(lines).encode()).read(["a"])["a"].to_list()


@pytest.mark.parametrize("name", ["x.jsonl", "x.NDJSON", "x.jsonl.gz", "x.ndjson.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_names_line_ends_and_marks(tmp_path: Path, name: str, end: str, mark: bytes) -> None:
    text = mark + end.join(["", '{"a": "1", "b": 2}', "  ", "{}", ' {"c":null,"a":"x"} ']).encode()
    content = gzip.compress(text) if name.endswith("gz") else text
    columns, rows, good, bad = all_of(opened(tmp_path, name, content))
    assert (columns, good, bad) == (["a", "b", "c"], [0, 1, 2], [])
    assert rows == [("1", "2", None), (None, None, None), ("x", None, None)]


def test_a_value_is_told_as_it_stands(tmp_path: Path) -> None:
    texts = {
        **{"7": "7", "-7": "-7", "7.0": "7", "0.5": "0.5", "1e3": "1000", "true": "true"},
        **{'"7.0"': "7.0", '"true"': "true", '"null"': "null", "null": None, '""': ""},
        **{"9007199254740993": "9007199254740993", "18446744073709551615": "18446744073709551615"},
        **{'"2025-03-02 01:00:00"': "2025-03-02 01:00:00", '"2025-03-02"': "2025-03-02"},
        **{'"2025-03-02T01:00:00.000Z"': "2025-03-02T01:00:00.000Z"},
        **{'{"x":1,"y":["z",null]}': '{"x": 1, "y": ["z", null]}', "[]": "[]", "{}": "{}"},
        **{r'"\u00e9\ud83d\ude00\n\"\\\/"': 'é😀\n"\\/', '"雪"': "雪", '"1\u2028"': "1\u2028"},
    }
    wanted = list(texts.values())
    assert values(tmp_path, *(f'{{"a":{text}}}' for text in texts)) == wanted
    for text, value in texts.items():
        assert values(tmp_path, *[f'{{"a":{text}}}'] * 2) == [value] * 2, "whatever is beside it"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("NaN", None),
        ("-Infinity", None),
        ("123456789012345678901234567890123456789012345", None),
        (r'"a\ud800b"', "a\ufffdb"),
        ("[" * 400 + "]" * 400, "[" * 400 + "]" * 400),
        ("[" * 1500 + "]" * 1500, None),
    ],
)
def test_what_one_parser_takes_and_another_does_not(
    tmp_path: Path, text: str, wanted: str | None
) -> None:
    """Neither the records beside it nor their values may suffer."""
    lines = ['{"a":1.0,"b":[1]}', f'{{"a":{text},"b":"x"}}', '{"a":{"k":"v"},"c":true}']
    reader = opened(tmp_path, "x.jsonl", "\n".join(lines).encode())
    rows = dict(zip(reader.numbers(), reader.read(["a", "b", "c"]).rows(), strict=True))
    assert rows[0] == ("1", "[1]", None)
    assert rows[2] == ('{"k": "v"}', None, "true")
    if 1 in rows:
        assert rows[1][1] == "x"
        assert rows[1][0] == (wanted or (text if text.isdigit() else wanted)) or "[[" in text
    else:
        assert reader.bad_records[0].raw == lines[1]


def test_types_that_change_from_line_to_line(tmp_path: Path) -> None:
    lines = ['{"a":7}', '{"a":"7"}', '{"a":7.0}', '{"a":{"x":1}}', '{"a":{"x":{}}}', '{"a":[1]}']
    wanted = ["7", "7", "7", '{"x": 1}', '{"x": {}}', "[1]"]
    assert values(tmp_path, *lines) == wanted
    assert values(tmp_path, *reversed(lines)) == wanted[::-1]


def test_lines_that_are_no_objects_are_set_aside(tmp_path: Path) -> None:
    lines = {
        '{"a":1}': "",
        "[1, 2]": "is no JSON object",
        "5": "is no JSON object",
        '"x"': "is no JSON object",
        "null": "is no JSON object",
        '{"a":2': "is no JSON: ",
        "": None,
        '{"a":2} more': "is no JSON: ",
        '{"a":3}{"a":4}': "is no JSON: ",
        "{'a':5}": "is no JSON: ",
        '{"a":6},': "is no JSON: ",
        '{"a":"x\ty"}': "is no JSON: ",
        '{"a":"x\0y"}': "is no JSON: ",
        '{"a":01}': "is no JSON: ",
        '{"a":8} ': "",
    }
    reader = opened(tmp_path, "x.jsonl", "\n".join(lines).encode())
    records = [(line, reason) for line, reason in lines.items() if reason is not None]
    wanted = [(n, *record) for n, record in enumerate(records) if record[1]]
    assert all_of(reader) == (
        ["a"],
        [("1",), ("8",)],
        [0, len(records) - 1],
        [n for n, *_ in wanted],
    )
    for bad, (_, line, reason) in zip(reader.bad_records, wanted, strict=True):
        assert bad.raw == line
        assert bad.reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"a":1},\n{"a":2}]', "it is one JSON list; an object a line is expected"),
        ('[\n{"a":1},\n{"a":2}\n]', "it is one JSON list"),
        ('\n [\n  {"a": 1}\n ]\n', "it is one JSON list"),
        ('[{"a":1},{"a":2}]', "no line of it is a JSON object"),
        ('{\n"a":\n1\n}', "no line of it is a JSON object"),
        ("a,b\n1,2\n", "no line of it is a JSON object .*, the first is no JSON: "),
        ("PAR1\x15\x04", "by its content it is a Parquet file"),
    ],
)
def test_files_of_another_shape(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(IngestError, match=rf"^x\.jsonl: the file can't be read: {reason}"):
        opened(tmp_path, "x.jsonl", text.encode())


@pytest.mark.parametrize("text", ["", "\n\n", "{}\n{}"])
def test_files_of_no_columns(tmp_path: Path, text: str) -> None:
    reader = opened(tmp_path, "x.jsonl", text.encode())
    assert (reader.columns, reader.height) == ([], text.count("{}"))
    assert reader.numbers().to_list() == list(range(reader.height))


def test_keys_of_any_name(tmp_path: Path) -> None:
    keys = ["", "a.b", "a", "x" * 200_000, "é", "\n", "null"]
    text = "\n".join(json.dumps({key: n}) for n, key in enumerate(keys))
    reader = opened(tmp_path, "x.jsonl", text.encode())
    assert reader.columns == keys
    assert reader.filled(keys, []) == dict.fromkeys(keys, 1)


def test_a_key_that_comes_twice_in_a_line_is_one_column(tmp_path: Path) -> None:
    reader = opened(tmp_path, "x.jsonl", b'{"a":"1","a":"2","b":"x"}\n{"a":"3"}')
    assert reader.columns == ["a", "b"]
    assert reader.read(["a", "b"]).rows()[1:] == [("3", None)]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    reader = opened(tmp_path, "x.jsonl", '{"a":"café"}\n{"a":'.encode("latin-1"))
    assert reader.read(["a"]).rows() == [("caf\ufffd",)]
    assert [bad.row for bad in reader.bad_records] == [1]
    wide = opened(tmp_path, "x.jsonl", '{"a":"café"}'.encode("utf-16"))
    assert wide.read(["a"]).rows() == [("café",)]


def test_values_are_counted_exactly(tmp_path: Path) -> None:
    lines = ['{"a":" null ","b":1,"c":null}', '{"a":"","b":"x"}', '{"a":{},"d":"null"}']
    reader = opened(tmp_path, "x.jsonl", "\n".join(lines).encode())
    assert reader.filled(["a", "b", "c", "d"], ["", "null"]) == {"a": 1, "b": 2, "c": 0, "d": 0}


def test_blocks_fit_together(tmp_path: Path, monkeypatch) -> None:
    """Columns come and go, types change and lines break in some blocks and not in others."""
    monkeypatch.setattr(json_lines, "_BLOCK", 300)
    records: list[Any] = []
    for n in range(400):
        record: dict[str, Any] = {"n": n, "text": f"t{n}"}
        if n > 100:
            record["late"] = n if n % 50 else f"x{n}"
        if n < 200:
            record["early"] = "2025-03-02 01:00:00" if n < 100 else "soon"
        if n % 90 == 0:
            record["nested"] = {"n": [n]}
        records.append(record)
    lines = [json.dumps(record) for record in records]
    broken = [0, 33, 34, 250, 399]
    for n in broken:
        lines[n] = lines[n][:-1]
    reader = opened(tmp_path, "x.jsonl", "\n\n".join(lines).encode())
    columns, rows, good, bad = all_of(reader)
    assert set(columns) == {"n", "text", "late", "early", "nested"}
    assert bad == broken
    assert good == [n for n in range(400) if n not in broken]
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    for n, row in zip(good, found, strict=True):
        wanted = {k: json.dumps(v) if k == "nested" else str(v) for k, v in records[n].items()}
        assert {key: value for key, value in row.items() if value is not None} == wanted


@pytest.mark.parametrize("block", [1, 2, 5, 64, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_the_same_in_blocks_of_any_size(
    tmp_path: Path, monkeypatch, block: int, packed: bool, encoding: str
) -> None:
    """Blocks may break anywhere: within characters, line ends, and members of an archive."""
    monkeypatch.setattr(json_lines, "_BLOCK", block)
    lines = [f'{{"a":"é😀{n}","{"b" if n > 5 else "雪"}":{n}}}' for n in range(9)]
    lines[3], lines[7] = "{", "  "
    text = "\r\n".join(lines).encode(encoding)
    if packed:
        text = gzip.compress(text[:77]) + gzip.compress(text[77:])
    columns, rows, good, bad = all_of(opened(tmp_path, "x.jsonl", text))
    assert (columns, good, bad) == (["a", "雪", "b"], [0, 1, 2, 4, 5, 6, 7], [3])
    wanted = [(f"é😀{n}", str(n), None) for n in (0, 1, 2, 4, 5)]
    assert rows == [*wanted, ("é😀6", None, "6"), ("é😀8", None, "8")]


def test_a_byte_that_fits_nowhere_harms_no_other_block(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", 30)
    lines = [f'{{"a":"é{n}"}}'.encode() for n in range(20)]
    lines[7] = b'{"a":"\xc3"}'
    reader = opened(tmp_path, "x.jsonl", b"\n".join(lines))
    assert reader.read(["a"])["a"].to_list() == ["\ufffd" if n == 7 else f"é{n}" for n in range(20)]


@pytest.mark.parametrize(
    "wanted",
    [[], [0], [99], [3, 4, 5], list(range(100)), list(range(0, 100, 7)), list(range(50, 100))],
)
def test_records_that_are_wanted(tmp_path: Path, monkeypatch, wanted: list[int]) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", 200)
    lines = [f'{{"a":{n},"{"b" if n < 50 else "c"}":"x{n}"}}' for n in range(100)]
    reader = opened(tmp_path, "x.jsonl", "\n".join(["[]", *lines]).encode())
    positions = pl.Series(wanted, dtype=pl.UInt32)
    found = reader.read(["c", "a"], positions)
    assert found.schema == {"c": pl.String, "a": pl.String}
    assert found.rows() == [(f"x{n}" if n >= 50 else None, str(n)) for n in wanted]
    with pytest.raises(IngestError, match="no record 100"):
        reader.read(["a"], pl.Series([*wanted, 100], dtype=pl.UInt32))


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_neither_text_nor_values_are_held(tmp_path: Path, monkeypatch, name: str) -> None:
    """A day of JSON Lines is larger than what a small machine has in memory."""
    monkeypatch.setattr(json_lines, "_BLOCK", 1 << 18)
    lines = [json.dumps({f"key {k}": f"value {n * k}" for k in range(80)}) for n in range(4000)]
    text = "\n".join(lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(text, 1) if name.endswith("gz") else text)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        reader = open_file(Source(str(tmp_path)), name)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.height == 4000
    held += pa.total_allocated_bytes() - before
    assert held < len(text) / 3
    assert peak < len(text) / 2


SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True).filter(lambda x: x == 0 or 1e-4 < abs(x) < 1e15 or x != x),
    st.text(max_size=6),
    st.sampled_from(["2025-03-02", "2025-03-02 10:00:00", "null", "1.0", "\ud83d"]),
)
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=2), max_leaves=3)
RECORD = st.dictionaries(st.sampled_from(["a", "b", "", "c.d"]), VALUE, max_size=3)


def as_text(value: Any) -> str | None:
    """Return what a scalar is told as."""
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    return str(value)


@settings(deadline=None, max_examples=80)
@given(st.lists(RECORD | st.sampled_from(["[]", "{", "{'a'}", "7"]), min_size=1, max_size=8))
def test_any_objects_are_read_as_python_reads_them(tmp_path_factory, records: list[Any]) -> None:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in [*records, {"z": "last"}]]
    folder = tmp_path_factory.mktemp("x")
    reader = opened(folder, "x.jsonl", "\n".join(['{"z":1}', *lines]).encode())
    columns, rows, good, bad = all_of(reader)
    objects = {n: r for n, r in enumerate(records, 1) if isinstance(r, dict)}
    assert set(columns) == {"z", *(key for record in objects.values() for key in record)}
    assert good == [0, *objects, len(records) + 1]
    assert bad == [n for n in range(1, len(records) + 1) if n not in objects]
    for record, row in zip(objects.values(), rows[1:-1], strict=True):
        for key, found in zip(columns, row, strict=True):
            value = record.get(key)
            if isinstance(value, list):
                assert found is not None
                assert isinstance(json.loads(found, strict=False), list)
            elif isinstance(value, float) and value == value and not value.is_integer():
                assert float(found or "nan") == pytest.approx(value, rel=1e-12)
            else:
                assert (found if found != "-0" else "0") == as_text(value)


SAMPLE = "".join(
    json.dumps({"a": f"value {n}", "n": n, "x": [n / 2, {"y": "é"}], "z": None}) + "\n"
    for n in range(8)
)


@settings(deadline=None, max_examples=80)
@given(
    packed=st.booleans(),
    damage=st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=3)), min_size=1, max_size=4),
    cut=st.integers(0, 80),
)
def test_no_damage_raises_anything_else(tmp_path_factory, packed, damage, cut) -> None:
    content = SAMPLE.encode()
    content = gzip.compress(content) if packed else content
    for place, other in damage:
        content = content[:place] + other + content[place + len(other) :]
    name = "x.jsonl.gz" if packed else "x.jsonl"
    survives(tmp_path_factory.mktemp("x"), name, content[: len(content) - cut])
