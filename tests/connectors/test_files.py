import pytest

from connectors.files import FilesSource
from partitioner.errors import ConfigError, DataError
from tests.connectors.reading import rows


def test_a_file_is_a_fragment_of_one_row(tmp_path):
    (tmp_path / "b.txt").write_text("four")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.md").write_text("é")
    (tmp_path / "_ignored").write_text("x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x").write_text("x")
    dataset = FilesSource(tmp_path).describe()
    assert (dataset.rows, dataset.divisible_by, dataset.fragments.bytes.tolist()) == (2, None, [2, 4])
    assert rows(dataset, ["text", "size"]) == [{"text": "é", "size": 2}, {"text": "four", "size": 4}]


def test_content_as_bytes_or_not_at_all(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\xff\x00")
    path = str(tmp_path / "x.bin")
    assert rows(FilesSource(tmp_path, content="bytes").describe()) == [{"path": path, "bytes": b"\xff\x00", "size": 2}]
    assert rows(FilesSource(tmp_path, content="none").describe()) == [{"path": path, "size": 2}]


def test_text_that_does_not_decode_names_the_file(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"ok\xff")
    with pytest.raises(DataError, match=r"x\.txt is not utf-8 text: invalid start byte at byte 2"):
        rows(FilesSource(tmp_path).describe())
    assert rows(FilesSource(tmp_path, errors="replace").describe(), ["text"]) == [{"text": "ok�"}]


def test_content_is_not_read_where_it_is_not_wanted(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff")
    assert rows(FilesSource(tmp_path).describe(), ["size"]) == [{"size": 1}]


def test_an_unknown_content_is_refused():
    with pytest.raises(ConfigError, match=r"content 'txt' is none of text, bytes, none\. Did you mean 'text'\?"):
        FilesSource("x", content="txt")
