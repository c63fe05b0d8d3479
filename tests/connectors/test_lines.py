"""Byte ranges of lines and of CSV and JSON lines: exact for any cuts, line lengths and line ends."""

import itertools
import json
import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors import lines
from connectors.csv import CsvSource
from connectors.jsonl import JsonLinesSource
from connectors.systems import FileInfo
from partitioner.errors import DataError

LAW = settings(
    deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

content = st.lists(st.binary(max_size=12), max_size=8).flatmap(
    lambda parts: st.lists(
        st.sampled_from([b"\n", b"\r\n", b"\n\n"]), min_size=len(parts), max_size=len(parts)
    ).flatmap(
        lambda ends: st.booleans().map(
            lambda final: b"".join(p + e for p, e in zip(parts, ends, strict=True)) + (b"" if final else b"tail")
        )
    )
)
cuts = st.lists(st.integers(0, 200), max_size=6)


@pytest.fixture
def small_reads(monkeypatch):
    """Probes and blocks of a few bytes, so that short files cross them."""
    monkeypatch.setattr(lines, "BLOCK_BYTES", 7)
    monkeypatch.setattr(lines, "_PROBE_BYTES", 3)


def ranges(size, at):
    edges = sorted({0, size, *(c % (size + 1) for c in at)})
    return list(itertools.pairwise(edges))


@LAW
@given(content, cuts)
@example(b"\n", [1])
@example(b"one line without end", [1, 5])
def test_ranges_hold_every_line_once(small_reads, tmp_path, data, at):
    path = tmp_path / "x"
    path.write_bytes(data)
    info = FileInfo(str(path), len(data), "")
    for start, stop in ranges(len(data), at):
        block = b"".join(lines.range_lines(info, start, stop, {}))
        whole = data[: stop if data[stop - 1 : stop] == b"\n" else (data.find(b"\n", stop) + 1 or len(data))]
        begin = (
            0
            if start == 0
            else start
            if data[start - 1 : start] == b"\n"
            else (data.find(b"\n", start) + 1 or len(data))
        )
        assert block == (whole[begin:] if begin < stop else b"")


@LAW
@given(content, cuts)
def test_ranges_together_are_the_file(small_reads, tmp_path, data, at):
    path = tmp_path / "x"
    path.write_bytes(data)
    info = FileInfo(str(path), len(data), "")
    assert b"".join(b"".join(lines.range_lines(info, a, b, {})) for a, b in ranges(len(data), at)) == data


@LAW
@given(content)
def test_blocks_end_at_line_ends(small_reads, tmp_path, data):
    path = tmp_path / "x"
    path.write_bytes(data)
    blocks = list(lines.range_lines(FileInfo(str(path), len(data), ""), 0, len(data), {}))
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert all(blocks)


values = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9)
records = st.lists(st.tuples(values, st.one_of(st.none(), st.integers(-(10**9), 10**9))), min_size=1, max_size=12)
line_end = st.sampled_from(["\n", "\r\n"])


def read(dataset, pieces):
    finer, _ = dataset.fragments.cut(np.resize(np.array(pieces, np.int64), len(dataset.fragments)))
    return [row for i in range(len(finer)) for b in dataset.source.read(finer[i]) for row in b.to_pylist()]


pieces = st.lists(st.integers(1, 60), min_size=1, max_size=4)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


@LAW
@given(records, line_end, st.booleans(), st.booleans(), pieces)
def test_csv_gives_every_record_once(small_reads, tmp_path, rows, end, final, blanks, cut):
    body = [f"{quoted(text)},{'' if number is None else number}" for text, number in rows]
    text = "text,number" + end + (end * (1 + blanks)).join(body) + (end if final else "")
    (tmp_path / "x.csv").write_bytes(text.encode())
    dataset = CsvSource(tmp_path, types={"text": "string", "number": "int64"}).describe()
    assert read(dataset, cut) == [{"text": t, "number": n} for t, n in rows]


@LAW
@given(records, line_end, st.booleans(), st.booleans(), pieces)
def test_json_lines_give_every_record_once(small_reads, tmp_path, rows, end, final, blanks, cut):
    body = [json.dumps({"text": text, "number": number}, ensure_ascii=False) for text, number in rows]
    (tmp_path / "x.jsonl").write_bytes(((end * (1 + blanks)).join(body) + (end if final else "")).encode())
    dataset = JsonLinesSource(tmp_path, schema=pa.schema({"text": pa.string(), "number": pa.int64()})).describe()
    assert read(dataset, cut) == [{"text": t, "number": n} for t, n in rows]


@LAW
@given(st.lists(st.sampled_from(["a", "\n", "b\nc", '"', ",\n", "x\r\ny"]), min_size=1, max_size=6), pieces)
def test_csv_never_misreads_quoted_line_ends(small_reads, tmp_path, texts, cut):
    """They are refused wherever the cuts fall, or were not there."""
    rows = [{"text": text, "n": i} for i, text in enumerate(texts)]
    body = "".join(f"{quoted(row['text'])},{row['n']}\n" for row in rows)
    (tmp_path / "x.csv").write_bytes(f"text,n\n{body}".encode())
    dataset = CsvSource(tmp_path, schema=pa.schema({"text": pa.string(), "n": pa.int64()})).describe()
    if not any("\n" in text for text in texts):
        assert read(dataset, cut) == rows
        return
    with pytest.raises(DataError):
        read(dataset, cut)


@LAW
@given(st.lists(st.sampled_from(["a", "\n", "b\nc", '"', ",\n", "x\r\ny"]), min_size=1, max_size=6))
def test_csv_reads_quoted_line_ends_where_told(tmp_path, texts):
    body = "".join(f"{quoted(text)},{i}\n" for i, text in enumerate(texts))
    (tmp_path / "x.csv").write_bytes(f"text,n\n{body}".encode())
    dataset = CsvSource(
        tmp_path, newlines_in_values=True, schema=pa.schema({"text": pa.string(), "n": pa.int64()})
    ).describe()
    assert dataset.divisible_by is None
    assert read(dataset, [1]) == [{"text": text, "n": i} for i, text in enumerate(texts)]


def test_a_line_longer_than_a_block_is_read_whole(small_reads, tmp_path):
    long = "x" * 1000
    (tmp_path / "x.csv").write_text(f"t\nshort\n{long}\nend\n")
    dataset = CsvSource(tmp_path).describe()
    assert read(dataset, [40]) == [{"t": "short"}, {"t": long}, {"t": "end"}]


def test_range_reads_touch_only_their_part(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"123456789\n" * 100_000)
    info = FileInfo(str(path), os.path.getsize(path), "")
    asked = []
    real = lines.system(info.path).read
    monkeypatch.setattr(type(lines.system(info.path)), "read", lambda self, *a: asked.append(a) or real(*a))
    assert len(b"".join(lines.range_lines(info, 500_000, 600_000, {}))) == 100_000
    assert all(start >= 499_000 and stop <= 600_000 + (64 << 10) for _, start, stop in asked)
