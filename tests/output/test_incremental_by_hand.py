"""Which inputs run again by night and whose rows are kept, from literal manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partitioner import choices
from partitioner.errors import ConfigError
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.output import modes
from partitioner.output.assembly import COUNTS
from partitioner.output.modes import Target, job_of, narrowed, saves
from tests.output.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


PRINTS = {"code": "c", "modules": {}, "config": {"seed": 1, "limit": 3}, "input": {"a": "1", "b": "1", "c": "1"}}


class Sections:
    """Tells the content of a section: path and section number."""

    def section_content(self, fragment: Fragment) -> str:
        return f"{fragment.path}-{fragment.section}" if fragment.section >= 0 else ""


def dataset() -> Dataset:
    """Two sections of two fragments each, in files a, b and c."""
    made = [Fragment(0, path, s, 10 * i, 10 * i + 10, 10, 100) for path in "abc" for s in (0, 1) for i in (0, 1)]
    return Dataset(Sections(), Fragments.of(made), None, "rows")  # type: ignore[arg-type]


def incremental(home: Home, inputs: list[dict[str, Any]], files: list[str] | None = None, job: str = "") -> Any:
    names = sorted({piece for i in inputs for piece in i["pieces"]})
    stored = [f"_versions/000001/{n}.parquet" for n in names]
    for name in names if files is None else files:
        home.output.put(f"_versions/000001/{name}.parquet", b"12345")
    plain = {"content": "1", "quarantine": [], **dict.fromkeys(COUNTS, 1)}
    facts = [{**plain, **i, "pieces": [[names.index(p), 0, 1] for p in i["pieces"]]} for i in inputs]
    manifest = {
        "files": [{"path": s, "stored": s, "size": 5} for s in stored],
        "inputs": facts,
        "counts": {},
        "version": 1,
    }
    home.put("_versions/000001/claim.json", run_id="r1", run="u")
    home.put("_versions/000001/manifest.json", **manifest, job=job or job_of(PRINTS))
    rest, target = narrowed(home.config("incremental"), Target(2, 1), dataset(), PRINTS)
    places = [(f.path, f.section, f.start) for f in (rest.fragments[i] for i in range(len(rest.fragments)))]
    return places, target


ALL = [(path, s, 10 * i) for path in "abc" for s in (0, 1) for i in (0, 1)]


def of(*paths: str) -> list[tuple[str, int, int]]:
    return [place for place in ALL if place[0] in paths]


def test_files_that_the_output_holds_are_left_out(home: Home) -> None:
    places, target = incremental(home, [{"path": "a", "pieces": ["x"]}, {"path": "c", "pieces": ["x"]}])
    assert (places, target) == (of("b"), Target(2, 1, ("a", "c"), {}))


def test_a_file_of_another_content_runs_again(home: Home) -> None:
    places, target = incremental(home, [{"path": "a", "pieces": ["x"], "content": "0"}, {"path": "b", "pieces": ["x"]}])
    assert (places, target.kept) == (of("a", "c"), ("b",))


def test_a_file_that_is_no_input_any_more_is_not_kept(home: Home) -> None:
    assert incremental(home, [{"path": "z", "pieces": ["x"]}])[1].kept == ()


def test_another_job_keeps_nothing(home: Home) -> None:
    assert incremental(home, [{"path": "a", "pieces": ["x"]}], job="another") == (ALL, Target(2, 1))


@pytest.mark.parametrize("there", [[], ["y"]])
def test_a_file_whose_rows_are_gone_runs_again(home: Home, there: list[str]) -> None:
    places, target = incremental(home, [{"path": "a", "pieces": ["x", "y"]}, {"path": "b", "pieces": ["y"]}], there)
    assert target.kept == (("b",) if there else ())
    assert places == (of("a", "c") if there else ALL)


def test_a_file_of_another_size_is_not_sound(home: Home) -> None:
    home.output.put("_versions/000001/x.parquet", b"1234")
    assert incremental(home, [{"path": "a", "pieces": ["x"]}], [])[1].kept == ()


def section(path: str, number: int, piece: str = "x", **more: Any) -> dict[str, Any]:
    content = {"section": number, "section_content": f"{path}-{number}"}
    return {"path": path, "pieces": [piece], "content": "0", **content, **more}


def test_sections_that_did_not_change_are_kept(home: Home) -> None:
    moved = section("a", 5) | {"section_content": "a-1"}
    places, target = incremental(home, [moved, section("b", 0), section("b", 1), {"path": "c", "pieces": ["x"]}])
    assert places == [("a", 0, 0), ("a", 0, 10)]
    assert (target.kept, target.sections["a"]) == (("c",), [(1, 5)])
    assert target.sections["b"] == [(0, 0), (1, 1)]


def test_a_section_is_kept_as_often_as_the_output_holds_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sections, "section_content", lambda self, fragment: "same")
    twice = [section("a", n) | {"section_content": "same"} for n in (3, 4)]
    _, target = incremental(home, twice)
    assert target.sections == {"a": [(0, 3), (0, 4)]}


def test_a_section_of_unknown_content_runs_again(home: Home) -> None:
    places, target = incremental(home, [section("a", 0, section_content="")])
    assert (places, target.sections) == (ALL, {})


def test_of_a_file_that_lost_a_part_the_other_sections_are_kept(home: Home) -> None:
    lost = [section("a", 0, "gone", content="1"), section("a", 1, "y", content="1")]
    places, target = incremental(home, lost, ["y"])
    assert (places, target.kept) == ([("a", 0, 0), ("a", 0, 10), *of("b", "c")], ())
    assert target.sections == {"a": [(1, 1)]}


def test_other_modes_and_a_first_night_run_all(home: Home) -> None:
    given = dataset()
    assert narrowed(home.config("append"), Target(2, 1), given, PRINTS) == (given, Target(2, 1))
    rest, target = narrowed(home.config("incremental"), Target(1, -1), given, PRINTS)
    assert (len(rest.fragments), target) == (12, Target(1, -1))
    none = Dataset(given.source, Fragments.of([]), None, "rows")
    assert len(narrowed(home.config("incremental"), Target(1, -1), none, PRINTS)[0].fragments) == 0


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"code": "d"}, False),
        ({"modules": {"m": "1"}}, False),
        ({"config": {"seed": 2, "limit": 3}}, False),
        ({"config": {"seed": 1, "limit": 4}}, True),
        ({"input": {}}, True),
    ],
)
def test_a_job_is_code_modules_and_what_shapes_rows(changes: dict[str, Any], same: bool) -> None:
    assert (job_of({**PRINTS, **changes}) == job_of(PRINTS)) is same
    assert job_of({k: v for k, v in PRINTS.items() if k != "modules"}) == job_of(PRINTS)


def test_what_a_night_saves_is_told() -> None:
    whole = dataset()
    rest = Dataset(whole.source, whole.fragments.take(np.array([0, 1, 4])), None, "rows")
    told = saves(whole, rest, Target(2, 1, ("c",), {"a": [(1, 1)], "b": [(0, 0), (1, 1)]}))
    said = (
        "runs 2 of 3 files (25.0% of the bytes), keeps the rows of 1 and of 3 row groups of files that changed in part"
    )
    assert told == {"incremental": said}
    none = Dataset(whole.source, whole.fragments.take(np.array([], np.int64)), None, "rows")
    assert saves(none, none, Target(2, 1)) == {
        "incremental": "runs 0 of 3 files (0.0% of the bytes), keeps the rows of 0"
    }


def check(home: Home, reducer: Any = "concat", **options: Any) -> None:
    modes.check(home.config(**options), choices.choose("reducers", reducer))


@pytest.mark.parametrize("less", [{"limit": 3}, {"sample": 0.5}])
def test_incremental_holds_all_of_the_input(home: Home, less: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="holds all that the input has; leave out limit and sample"):
        check(home, mode="incremental", **less)
    check(home, mode="append", **less)


def test_a_splitter_that_moves_rows_between_files_is_refused_by_night(home: Home) -> None:
    given = dataset()
    modes.check_split(home.config("incremental"), given, given)
    modes.check_split(home.config("append"), given, dataset())
    with pytest.raises(ConfigError, match="replaces the rows of single files, and split 'ordered' puts rows of many"):
        modes.check_split(home.config("incremental"), given, dataset())


def test_a_splitter_that_puts_rows_of_files_together_is_refused_by_night(home: Home) -> None:
    with pytest.raises(ConfigError, match="keeps what came of single files, and split 'by_weight' mixes rows"):
        check(home, mode="incremental", split="by_weight")
    check(home, mode="append", split="by_weight")
    check(home, mode="incremental", split="by_weight", incremental={"key": "x", "watermark": "y"})
    with pytest.raises(ConfigError, match="Tell rows apart with incremental="):
        check(home, "mean", mode="incremental", split="by_weight", incremental={"key": "x", "watermark": "y"})
