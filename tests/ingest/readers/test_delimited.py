from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers import delimited
from tests.ingest.readers.opening import all_of, opened, survives


@pytest.mark.parametrize("name", ["x.csv", "X.CSV", "x.csv.gz", "x.tsv", "x.tsv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_delimiters_line_ends_and_marks(tmp_path: Path, name: str, end: str, mark: bytes) -> None:
    between = "\t" if "tsv" in name else ","
    text = mark + end.join([between.join(line) for line in ("ab", "1 ", "xy", "z")]).encode()
    content = gzip.compress(text) if name.endswith("gz") else text
    found = all_of(opened(tmp_path, name, content))
    assert found == (["a", "b"], [("1", " "), ("x", "y")], [0, 1], [2])


@pytest.mark.parametrize("between", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_header_s(tmp_path: Path, between: str) -> None:
    others = ",;\t|".replace(between, "")
    text = f'"a{others * 3}"{between}b\n"{between}"{between}{others}\n'
    columns, rows, _, bad = all_of(opened(tmp_path, "x.csv", text.encode()))
    assert (columns, rows, bad) == ([f"a{others * 3}", "b"], [(between, others)], [])


def test_a_tsv_s_is_the_tab_whatever_its_header_holds(tmp_path: Path) -> None:
    columns, rows, *_ = all_of(opened(tmp_path, "x.tsv", b"a,b,c\td\n1,2\t3\n"))
    assert (columns, rows) == (["a,b,c", "d"], [("1,2", "3")])


def test_records_of_another_length_are_set_aside(tmp_path: Path) -> None:
    text = b'a,b\n1,2\n\n3\n4,5\n6,"7\n",8\n  \n9,\n'
    reader = opened(tmp_path, "x.csv", text)
    assert all_of(reader) == (
        ["a", "b"],
        [("1", "2"), ("4", "5"), ("9", None)],
        [0, 2, 5],
        [1, 3, 4],
    )
    assert [(bad.raw, bad.reason) for bad in reader.bad_records] == [
        ("3", "has 1 fields, and the header 2"),
        ('6,"7\n",8', "has 3 fields, and the header 2"),
        ("  ", "has 1 fields, and the header 2"),
    ]


def test_quotes_hold_anything(tmp_path: Path) -> None:
    text = b'"a,\n""x""",b\r\n"1\r\n2","say ""hi"", ok"\r\n3"4,"",\r\n"",""\r\n'
    columns, rows, _, bad = all_of(opened(tmp_path, "x.csv", text))
    assert columns == ['a,\n"x"', "b"]
    assert rows == [("1\r\n2", 'say "hi", ok'), (None, None)]
    assert bad == [1]


def test_no_text_is_taken_for_a_null_or_a_number(tmp_path: Path) -> None:
    values = ["NA", "null", "007", "1.0", "1e3", "true", "2025-03-02", "#N/A", "nan", " x "]
    text = "a,b\n" + "".join(f"{value},1\n" for value in values)
    assert opened(tmp_path, "x.csv", text.encode()).read(["a"])["a"].to_list() == values


def test_one_column(tmp_path: Path) -> None:
    found = all_of(opened(tmp_path, "x.csv", b'a\n1\n\n"2"\n3,4\n5'))
    assert found == (["a"], [("1",), ("2",), ("5",)], [0, 1, 3], [2])


@pytest.mark.parametrize("text", [b"a,b", b"a,b\n", b"a,b\r\n", b'"a",b\n\n', b"\n\na,b\n"])
def test_a_header_alone(tmp_path: Path, text: bytes) -> None:
    reader = opened(tmp_path, "x.csv", text)
    assert all_of(reader) == (["a", "b"], [], [], [])
    assert reader.filled(["a", "b"], []) == {"a": 0, "b": 0}


@pytest.mark.parametrize("order", ["height", "bad", "numbers", "filled"])
def test_the_order_of_questions_does_not_matter(tmp_path: Path, order: str) -> None:
    reader = opened(tmp_path, "x.csv", b'a,b\n1,2\n3\n4,"open\n5,6\n')
    ask = {
        "height": lambda: reader.height == 2,
        "bad": lambda: len(reader.bad_records) == 2,
        "numbers": lambda: reader.numbers().to_list() == [0, 3],
        "filled": lambda: reader.filled(["b"], ["6"]) == {"b": 1},
    }
    assert ask[order]()
    assert all(question() for question in ask.values())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no header"),
        (b"\n \r\n", "no header"),
        (b"a,b,a\n1,2,3\n", "more than one column is named a"),
        (b"PAR1\x15\x04\x15\x00PAR1", "by its content it is a Parquet file"),
        (b"PK\x03\x04....", "by its content it is a zip archive"),
        (b"a\x00\x01\n1\n", "it is no text"),
        (b'a,"b\n1,2\n3,4\n', "it has no header, or one with a quote"),
    ],
)
def test_what_has_no_header_to_go_by(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(IngestError, match=rf"^x\.csv: the file can't be read: .*{reason}"):
        opened(tmp_path, "x.csv", content).read(["a"])


def test_columns_without_names_are_kept_apart(tmp_path: Path) -> None:
    columns, rows, *_ = all_of(opened(tmp_path, "x.csv", b",a,,\n0,1,2,3\n"))
    assert columns == ["", "a", "column 3", "column 4"]
    assert rows == [("0", "1", "2", "3")]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_a_packed_file_is_unpacked_whatever_its_name(tmp_path: Path, name: str) -> None:
    assert opened(tmp_path, name, gzip.compress(b"a,b\n1,2\n")).height == 1


def broken_gzip() -> dict[str, bytes]:
    good = gzip.compress(b"a,b\n" + b"1,2\n" * 5000)
    return {
        "cut": good[:-9],
        "half": good[: len(good) // 2],
        "checksum": good[:-8] + b"\0\0\0\0" + good[-4:],
        "hole": good[:20] + bytes(4) + good[24:],
        "plain": b"a,b\n1,2\n",
        "other": zlib.compress(b"a,b\n1,2\n"),
        "empty": b"",
        "garbage behind": good + b"garbage",
    }


@pytest.mark.parametrize("kind", broken_gzip())
def test_a_broken_package_is_an_error(tmp_path: Path, kind: str) -> None:
    with pytest.raises(IngestError, match=r"^x\.csv\.gz: the file can't be read: \w"):
        opened(tmp_path, "x.csv.gz", broken_gzip()[kind])


def test_packages_one_after_another_are_one_file(tmp_path: Path) -> None:
    content = gzip.compress(b"a,b\n1,") + gzip.compress(b"2\n3,4\n")
    assert opened(tmp_path, "x.csv.gz", content).read(["b"])["b"].to_list() == ["2", "4"]


def test_other_encodings(tmp_path: Path) -> None:
    text = "naïve,b\ncafé,雪\nß\n"
    latin = opened(tmp_path, "l.csv", text.replace("雪", "x").encode("latin-1"))
    assert all_of(latin) == (["na\ufffdve", "b"], [("caf\ufffd", "x")], [0], [1])
    assert latin.filled(latin.columns, []) == {"na\ufffdve": 1, "b": 1}
    for encoding in ("utf-16", "utf-8-sig"):
        wide = opened(tmp_path, "w.csv", text.encode(encoding))
        assert all_of(wide) == (["naïve", "b"], [("café", "雪")], [0], [1])


def test_bytes_that_are_no_text_far_behind_the_header(tmp_path: Path) -> None:
    text = b"a,b\n" + b"1,2\n" * 100_000 + b"caf\xe9,\xff\n3\n"
    reader = opened(tmp_path, "x.csv", text)
    assert reader.filled(["b"], []) == {"b": 100_001}
    assert reader.read(["a", "b"]).rows()[-1] == ("caf\ufffd", "\ufffd")
    assert [bad.row for bad in reader.bad_records] == [100_001]


@pytest.mark.parametrize("tail", ["", "\n", "\n4,5\n6,7\n"])
@pytest.mark.parametrize("field", ["x", "x, y", 'x "" y', "雪"])
def test_a_quote_that_is_never_closed_costs_its_line_alone(
    tmp_path: Path, tail: str, field: str
) -> None:
    text = f'a,b\n0,"q"\n1\n2,"{field}{tail}'
    reader = opened(tmp_path, "x.csv", text.encode())
    _, rows, good, bad = all_of(reader)
    after = [tuple(line.split(",")) for line in tail.split("\n") if line]
    assert rows == [("0", "q"), *after]
    assert (good, bad) == ([0, *(3 + n for n in range(len(after)))], [1, 2])
    assert reader.bad_records[1].raw == f'2,"{field}'
    assert reader.bad_records[1].reason == "opens a quote that is never closed"
    assert reader.filled(["b"], []) == {"b": len(rows)}


def test_a_quote_that_is_never_closed_where_the_record_is_too_long_or_short(tmp_path) -> None:
    for broken in ('"x', '1,2,"x', '1,2,"x,"y'):
        text = f"a,b\n0,0\n{broken}\n" + "3,4\n" * 3
        _, rows, good, bad = all_of(opened(tmp_path, "x.csv", text.encode()))
        assert (rows[1:], good, bad) == ([("3", "4")] * 3, [0, 2, 3, 4], [1]), broken


def test_numbers_go_on_over_blocks(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(delimited, "_BLOCK", 64)
    monkeypatch.setattr(delimited, "_HEADER_BLOCK", 16)
    lines = [f"{n},{'x' * (n % 30)}" if n % 7 else str(n) for n in range(200)]
    lines[50] = '50,"' + "long\n" * 100 + '"'
    text = "number,a long name\n" + "\n".join(lines)
    columns, rows, good, bad = all_of(opened(tmp_path, "x.csv", text.encode()))
    assert columns == ["number", "a long name"]
    assert bad == list(range(0, 200, 7))
    assert [int(row[0] or "") for row in rows] == good


def test_a_header_and_a_record_longer_than_any_block(tmp_path: Path) -> None:
    name, value = "<html>\n" * 30_000, "v\n" * 3_000_000
    text = f'a,"{name}"\n1,"{value}"\n2\n'
    found = all_of(opened(tmp_path, "x.csv", text.encode()))
    assert found == (["a", name], [("1", value)], [0], [1])


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
CELL = st.one_of(
    TEXT, st.sampled_from(['"', "\n", "\r\n", ",", ';"', "1.0", " ", "\x1a", "\x1a\x1a,"])
)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_python_writes_is_read_alike(tmp_path_factory, data: st.DataObject, quoting) -> None:
    width = data.draw(st.integers(1, 4))
    names = data.draw(st.lists(CELL.filter(bool), min_size=width, max_size=width, unique=True))
    row = st.lists(CELL, min_size=1, max_size=width + 1)
    rows = [cells for cells in data.draw(st.lists(row, max_size=8)) if any(cells)]
    text = io.StringIO()
    # Python quotes the characters of its line end, and of no other.
    end = "\n" if quoting == csv.QUOTE_ALL else "\r\n"
    csv.writer(text, quoting=quoting, lineterminator=end, delimiter="\t").writerows([names, *rows])
    content = text.getvalue().encode()
    assume(content.strip())  # A file of blanks alone is refused.
    found = all_of(opened(tmp_path_factory.mktemp("x"), "x.tsv", content))
    good = [n for n, cells in enumerate(rows) if len(cells) == width]
    wanted = [tuple(cell or None for cell in rows[n]) for n in good]
    assert found == (names, wanted, good, [n for n in range(len(rows)) if n not in good])


SAMPLE = pl.DataFrame({"a": ["x", 'say "hi", ok', None, "雪\n山"] * 5, "b": range(20)})


@settings(deadline=None, max_examples=80)
@given(
    packed=st.booleans(),
    damage=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), min_size=1, max_size=4),
    cut=st.integers(0, 400),
)
def test_no_damage_raises_anything_else(tmp_path_factory, packed, damage, cut) -> None:
    content = SAMPLE.write_csv().encode()
    content = gzip.compress(content) if packed else content
    for place, other in damage:
        content = content[:place] + other + content[place + len(other) :]
    name = "x.csv.gz" if packed else "x.csv"
    survives(tmp_path_factory.mktemp("x"), name, content[: len(content) - cut % 40])
