import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.listing import _glob_regex, as_paths, expand
from partitioner.errors import DataError


@pytest.fixture
def tree(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt", "_tmp.csv", ".x.csv", "d/e.csv", "d/f/g.csv", "_old/h.csv", "d/_i.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(tree, *patterns, extensions=(".csv",)):
    found = expand(as_paths([tree / p for p in patterns]), extensions)
    return [os.path.relpath(info.path, tree) for info in found]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([""], ["a.csv", "b.csv", "d/e.csv", "d/f/g.csv"]),
        (["*.csv"], ["a.csv", "b.csv"]),
        (["**/*.csv"], ["a.csv", "b.csv", "d/e.csv", "d/f/g.csv"]),
        (["d/**"], ["d/e.csv", "d/f/g.csv"]),
        (["*/e.csv"], ["d/e.csv"]),
        (["?.csv", "c.*"], ["a.csv", "b.csv", "c.txt"]),
        (["[!a].csv"], ["b.csv"]),
        (["[ab].[ct]*"], ["a.csv", "b.csv"]),
        (["_*.csv"], ["_tmp.csv"]),
        (["c.txt"], ["c.txt"]),
        (["b.csv", "*.csv"], ["b.csv", "a.csv"]),
        (["_old"], ["_old/h.csv"]),
    ],
)
def test_patterns(tree, patterns, expected):
    assert names(tree, *patterns) == expected


def test_a_name_with_glob_characters_that_exists_is_a_file(tmp_path):
    (tmp_path / "data[1].csv").write_text("x")
    assert names(tmp_path, "data[1].csv") == ["data[1].csv"]


def test_sizes_and_tags_come_with_the_listing(tree):
    (info,) = expand(as_paths(tree / "a.csv"), ())
    stat = os.stat(tree / "a.csv")
    assert (info.size, info.tag) == (5, f"5-{stat.st_mtime_ns}")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nothing/x.csv", r"Nothing at .*/nothing/x\.csv: no such file or directory\. .*working directory \("),
        ("nothing/*.csv", r"The glob .*/nothing/\*\.csv matches nothing: there is no directory .*/nothing"),
        ("*.parquet", r"The glob .*/\*\.parquet matches no file below"),
        ("d/f", r"No input at .*/d/f: .* no file ending in \.jsonl \(of 1 files"),
    ],
)
def test_what_is_not_there_is_named(tree, pattern, message):
    with pytest.raises(DataError, match=message):
        expand(as_paths(tree / pattern), (".jsonl",))


def test_links_are_followed_but_not_in_circles(tree):
    (tree / "elsewhere").mkdir()
    (tree / "elsewhere" / "z.csv").touch()
    (tree / "d" / "link").symlink_to(tree / "elsewhere")
    (tree / "d" / "loop").symlink_to(tree)
    assert names(tree, "d") == ["d/e.csv", "d/f/g.csv", "d/link/z.csv"]


def test_an_empty_list_is_refused():
    with pytest.raises(DataError, match="An empty list of input paths"):
        as_paths([])


def test_relative_paths_become_absolute(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert as_paths(["a.csv", "file:///x/y.csv", "s3://bucket/z", "~/q"]) == (
        str(tree / "a.csv"),
        "/x/y.csv",
        "s3://bucket/z",
        os.path.expanduser("~/q"),
    )


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.text("ab*?", min_size=1, max_size=6), st.text("ab", min_size=1, max_size=6))
def test_a_glob_part_matches_as_fnmatch_does(pattern, name):
    from fnmatch import fnmatchcase

    collapsed = pattern.replace("**", "*") if pattern != "**" else "*"
    assert bool(_glob_regex(pattern).fullmatch(name)) == fnmatchcase(name, collapsed)


@pytest.mark.parametrize("pattern", ["", "*.csv", "caf\udce9.csv"])
def test_a_name_that_is_not_utf_8_is_refused_with_the_remedy(tmp_path, pattern):
    for name in ("caf\udce9.csv", "café.csv"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"'.*/caf\\udce9\.csv' is not UTF-8.*; rename it\."):
        expand(as_paths(tmp_path / pattern), (".csv",))
    (tmp_path / "caf\udce9.csv").unlink()
    assert names(tmp_path, "*.csv") == ["café.csv"]
