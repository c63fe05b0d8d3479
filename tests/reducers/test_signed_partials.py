"""Pickled partial results carry a signature: what somebody else put in their place is never loaded."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from partitioner import choices
from partitioner.errors import Tampered
from partitioner.reducers import partials
from partitioner.reducers.base import Reducer
from partitioner.reducers.container import pack, unpack
from partitioner.security import sealing

KEY = bytes(range(32))


class Named(Reducer):
    """Keeps functions of the user's, which are no data."""

    serializer = "pickle"
    mergeable = True

    def create_accumulator(self) -> list[Callable[[], int]]:
        """None yet."""
        return []

    def add_input(self, accumulator: list[Callable[[], int]], value: Any) -> list[Callable[[], int]]:
        """One more."""
        total = int(value["x"].sum())
        return [*accumulator, lambda: total]

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Those of both."""
        return left + right

    def extract_output(self, accumulator: Any) -> list[int]:
        """What they return."""
        return sorted(f() for f in accumulator)


class Opens:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.path, "w")


def as_it_is(batch: Any) -> Any:
    return batch


def rounded(batch: Any, state: Any) -> Any:
    return batch


SETTINGS: dict[str, Any] = {"engine": "serial", "cost": "rows", "max_tasks": 3, "progress": False, "report": False}
ROWS = {"x": list(range(9))}


def replaced(run: pt.Run, data: bytes) -> None:
    """The first partial result is another one, whose file says that it is what was committed."""
    sink, record = ParquetSink(f"{run.url}/partials", plain=True), run.records[0]
    kept = sink.committed(record.task_key) or {}
    sink.discard(record.task_key)
    same = {k: v for k, v in kept.items() if k not in ("digest", "size", "path", "key", "tag")}
    sink.commit(sink.write(record.task_key, iter([partials.as_rows([data])]), lambda: same))
    (Path(run.url) / "commits" / f"{record.task_key}.json").unlink()  # a resume reads it off the file


def test_a_pickled_accumulator_comes_back_and_is_the_same_bytes_each_time() -> None:
    data = partials.dumps(Named(), [len, max], KEY)
    assert partials.loads(Named(), data, "t0", KEY) == [len, max]
    assert partials.dumps(Named(), [len, max], KEY) == data


@pytest.mark.parametrize("signed_with", [None, b"", bytes(32)], ids=["not at all", "no key", "another key"])
def test_a_pickle_without_the_signature_is_not_loaded(tmp_path: Path, signed_with: bytes | None) -> None:
    data = pickle.dumps(Opens(tmp_path / "opened"))
    data = data if signed_with is None else sealing.with_signature(data, signed_with)
    for key in (KEY, b""):
        with pytest.raises(Tampered, match=r"partial result of sub-task t7 does not carry .* signature.*Nothing of it"):
            partials.loads(Named(), data, "t7", key)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("at", [0, 25, 60, -1])
def test_one_changed_bit_is_noticed(at: int) -> None:
    data = bytearray(partials.dumps(Named(), [len], KEY))
    data[at] ^= 1
    with pytest.raises(Tampered):
        partials.loads(Named(), bytes(data), "t0", KEY)


@pytest.mark.parametrize("length", [0, 10, 30, 52])
def test_a_signature_that_is_cut_off_is_none(length: int) -> None:
    with pytest.raises(Tampered):
        partials.loads(Named(), partials.dumps(Named(), [], KEY)[:length], "t0", KEY)


def test_a_resume_merges_no_partial_result_by_a_hostile_hand(tmp_path: Path) -> None:
    settings = SETTINGS | {"checkpoint": str(tmp_path / "runs"), "reducer": Named()}
    finished = pt.run(ROWS, as_it_is, **settings)
    assert finished.result == [3, 12, 21]
    replaced(finished, pickle.dumps([Opens(tmp_path / "opened")]))
    with pytest.raises(Tampered, match="partial result of sub-task t000000 does not carry"):
        pt.run(ROWS, as_it_is, resume=finished.run_id, **settings)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("engine", ["serial", "dask"])
def test_a_merge_by_sub_tasks_loads_what_the_run_signed(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    on = engine if engine == "serial" else request.getfixturevalue("dask_engine")
    monkeypatch.setenv(sealing.KEY_VARIABLE, "a key that the workers, started before, do not have")
    settings = SETTINGS | {"checkpoint": str(tmp_path / "runs"), "reducer": Named(), "merge_above": 0, "engine": on}
    assert pt.run(ROWS, as_it_is, **settings).result == [3, 12, 21]


def test_a_later_night_merges_what_an_earlier_one_signed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    settings = SETTINGS | {"checkpoint": str(tmp_path / "runs"), "reducer": Named(), "cost": "bytes", "max_tasks": 1}
    settings |= {"mode": "incremental"}
    for night, wanted in ((0, [3]), (1, [3, 7])):
        (tmp_path / "in" / f"{night}.csv").write_text(f"x\n{1 + 2 * night}\n{2 + 2 * night}\n")
        found = pt.run(str(tmp_path / "in"), as_it_is, output=str(tmp_path / "out"), **settings)
        assert found.result == wanted
    assert [record.rows_in for record in found.records] == [2]


def test_a_round_by_a_hostile_hand_is_not_loaded(tmp_path: Path) -> None:
    settings = {"engine": "serial", "max_tasks": 3, "checkpoint": str(tmp_path / "runs"), "loss": None}

    def iterated(**more: Any) -> Any:
        return pt.iterate(ROWS, rounded, 0, update=lambda s, o: len(o), reducer=Named(), rounds=1, **settings, **more)

    done = iterated()
    file = next((tmp_path / "runs" / done.run_id / "rounds").glob("*.merged"))
    file.write_bytes(pack(unpack(file.read_bytes()) | {"accumulator": pickle.dumps(Opens(tmp_path / "opened"))}))
    with pytest.raises(Tampered, match="round 0"):
        iterated(resume=done.run_id)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("outer", ["several", "by_key"])
def test_reducers_of_reducers_pickle_where_the_inner_one_does(outer: str) -> None:
    inner = {"of": {"a": Named(), "b": "count"}} if outer == "several" else {"inner": Named()}
    assert choices.choose("reducers", {"reducer": outer, **inner}).serializer == "pickle"
    safe = {"of": {"b": "count"}} if outer == "several" else {"inner": "mean"}
    assert choices.choose("reducers", {"reducer": outer, **safe}).serializer == "safe"
