"""Large partial results are merged where the workers are: the same bits, committed and resumed like sub-tasks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from connectors.value_sink import ValueSink
from partitioner.engines.serial import SerialEngine
from partitioner.errors import RunFailed
from partitioner.model import Event, EventKind, Merge, Piece, Workers
from partitioner.reducers import partials
from partitioner.reducers.fan_in import FanIn, fan_in
from partitioner.reducers.tree import merge_tree
from partitioner.reducers.tree_sum import TreeSum
from partitioner.runs.merge_tree import Tree
from partitioner.store.run_directory import RunDirectory
from tests import merge_programs as programs
from tests.chaos.scene import ROOT, SIGKILL

TASKS = 11
DATA = pa.table({"x": np.arange(TASKS)})
SETTINGS: dict[str, Any] = {
    "reducer": "tree_sum",
    "engine": "serial",
    "max_tasks": TASKS,
    "min_tasks_per_slot": TASKS,
    "cost": "rows",
    "merge_above": 0,
    "progress": False,
    "report": False,
}


def run(checkpoint: str, **options: Any) -> pt.Run:
    return pt.run(DATA, **{"program": programs.weights, "checkpoint": checkpoint, **SETTINGS, **options})


def expected() -> bytes:
    """The fixed tree, by the reducer alone."""
    parts = [programs.weights({"x": np.array([i])}) for i in range(TASKS)]
    return merge_tree(TreeSum(), parts)["w"].tobytes()


def merges_of(finished: pt.Run) -> dict[str, Any]:
    """Commit records of merges by key."""
    return dict(RunDirectory(f"{finished.url}/merge").commits())


def test_merges_on_workers_give_the_bits_of_the_fixed_tree(checkpoint: str) -> None:
    finished = run(checkpoint)
    assert finished.result["w"].tobytes() == expected()
    assert len(finished.records) == TASKS
    assert sorted(merges_of(finished)) == [
        *(f"merge-01-00000{i}" for i in range(5)),
        *("merge-02-000000", "merge-02-000001", "merge-02-000002", "merge-03-000000", "merge-04-000000"),
    ]


def test_small_partial_results_are_merged_by_the_driver_with_the_same_bits(checkpoint: str) -> None:
    finished = run(checkpoint, merge_above="16MB")
    assert finished.result["w"].tobytes() == expected()
    assert merges_of(finished) == {}


def test_what_merging_makes_no_smaller_is_left_to_the_driver(checkpoint: str) -> None:
    finished = run(checkpoint, program=lambda batch: (programs.weights(batch), 1.0), reducer="median")
    assert finished.result["w"].shape == (1000,)
    assert merges_of(finished) == {}


def test_merges_on_dask_give_the_same_bits(checkpoint: str, dask_engine: Any) -> None:
    finished = run(checkpoint, engine=dask_engine)
    assert finished.result["w"].tobytes() == expected()
    assert {r.worker_id for r in merges_of(finished).values()} <= set(finished.plan.workers.worker_id)


def test_merges_on_an_object_store_give_the_same_bits(s3: str) -> None:
    finished = run(f"{s3}/merging")
    assert finished.result["w"].tobytes() == expected()
    assert len(merges_of(finished)) == 10


class Restarting(SerialEngine):
    """Its worker is not seen any more once all sub-tasks have run."""

    ran = 0

    def workers(self) -> Workers:
        return super().workers() if self.ran < TASKS else Workers.of([])

    def poll(self, timeout: float) -> list[Event]:
        events = super().poll(timeout)
        self.ran += any(event.kind is EventKind.FINISHED for event in events)
        return events


def test_workers_that_are_away_when_merging_begins_are_planned_for(checkpoint: str) -> None:
    assert run(checkpoint, engine=Restarting()).result["w"].tobytes() == expected()


@pytest.mark.spark
def test_merges_on_spark_outlive_a_worker_that_dies_in_one(checkpoint: str, spark: Any, tmp_path: Path) -> None:
    finished = run(checkpoint, engine=spark, reducer=programs.DyingSum(str(tmp_path), 1))
    assert finished.result["w"].tobytes() == expected()
    assert (tmp_path / "death-0").exists()


def test_a_worker_that_dies_in_a_merge_changes_no_bit(checkpoint: str, tmp_path: Path) -> None:
    dask = {"engine": "dask", "workers": 2}
    finished = run(checkpoint, engine=dask, reducer=programs.DyingSum(str(tmp_path), 2))
    assert finished.result["w"].tobytes() == expected()
    assert (tmp_path / "death-1").exists()
    assert sorted(merges_of(finished)) == [*(f"merge-02-00000{i}" for i in range(3)), "merge-04-000000"]


@pytest.mark.parametrize(
    ("moment", "done", "engine"), [("before_commit:merge", 1, "serial"), ("after_commit:merge", 2, "dask")]
)
def test_a_driver_that_dies_among_merges_is_resumed_on_any_engine(
    tmp_path: Path, moment: str, done: int, engine: str, dask_engine: Any
) -> None:
    import pyarrow.parquet as pq

    pq.write_table(DATA, tmp_path / "in.parquet", row_group_size=1)
    settings = SETTINGS | {"dataset": str(tmp_path / "in.parquet"), "program": "tests.merge_programs:weights"}
    settings |= {"checkpoint": str(tmp_path / "runs")}
    driver = [sys.executable, "-m", "tests.chaos.dying_driver", json.dumps(settings), moment, "2"]
    assert subprocess.run(driver, cwd=ROOT, check=False, timeout=120).returncode == -SIGKILL
    (home,) = (tmp_path / "runs").iterdir()
    assert len(list((home / "merge" / "partials").iterdir())) == done
    given = {k: v for k, v in settings.items() if k not in ("dataset", "program")}
    given |= {"engine": dask_engine} if engine == "dask" else {}
    finished = pt.run(settings["dataset"], settings["program"], resume=home.name, **given)
    assert (finished.result["w"].tobytes(), finished.attempted) == (expected(), 0)
    reasons = json.loads((home / "merge" / "plan.json").read_text())["reasons"]
    assert reasons.get("kept") == ("merges of an earlier session: 1" if engine == "serial" else None)


def unfinished(checkpoint: str) -> pt.Run:
    """A run whose sub-tasks and merges are committed, and whose result was not taken yet."""
    finished = run(checkpoint)
    for name in ("_SUCCESS", "_manifest.json"):
        RunDirectory(f"{finished.url}/partials").files.delete(name)
    return finished


def test_a_resume_reads_the_merged_result_and_merges_nothing_again(checkpoint: str, capsys: Any) -> None:
    before = unfinished(checkpoint)
    records = merges_of(before)
    after = run(checkpoint, resume=before.run_id)
    assert after.result["w"].tobytes() == expected()
    assert merges_of(after) == records
    assert "nothing left to run" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["torn", "changed", "gone"])
def test_a_merge_that_is_damaged_is_named_and_merged_again(checkpoint: str, capsys: Any, damage: str) -> None:
    before = unfinished(checkpoint)
    (path,) = (Path(before.url) / "merge" / "partials").iterdir()
    whole = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(whole[:-2000] if damage == "torn" else whole[:5000] + b"\xff" + whole[5001:])
    assert run(checkpoint, resume=before.run_id).result["w"].tobytes() == expected()
    assert ("merge-04-000000" in capsys.readouterr().err) == (damage != "gone")


def test_a_merge_of_other_partial_results_is_not_kept(checkpoint: str, capsys: Any) -> None:
    before = unfinished(checkpoint)
    sink = ValueSink(f"{before.url}/merge/partials")
    sink.discard("merge-04-000000")
    rows = partials.as_rows([partials.dumps(TreeSum(), {"w": np.ones(1000)})])
    sink.commit(sink.write("merge-04-000000", iter([rows]), lambda: {"of": "others"}))
    assert run(checkpoint, resume=before.run_id).result["w"].tobytes() == expected()
    assert "merge-04-000000: made of other partial results" in capsys.readouterr().err


def test_the_report_says_how_partial_results_were_merged(checkpoint: str) -> None:
    text = str(run(checkpoint).report)
    assert "11 partial results of up to 0.00" in text
    assert "up to 2 at a time, stages: 4 (fan-in 2: about" in text
    assert "10 merges took" in text


def test_nights_of_large_partial_results_are_those_of_a_fresh_output(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "in").mkdir()
    settings = SETTINGS | {"mode": "incremental", "checkpoint": str(tmp_path / "runs"), "program": programs.weights}

    def night(output: str, *numbers: int) -> pt.Run:
        for number in numbers:
            pq.write_table(pa.table({"x": [number]}), tmp_path / "in" / f"{number % 10}.parquet")
        return pt.run(str(tmp_path / "in"), output=str(tmp_path / output), **settings)

    first = night("out", 0, 1, 2, 3, 4)
    second = night("out", 12, 5)  # the third file is another one, and there is a sixth
    fresh = night("fresh")
    assert [first.counts["rows_in"], second.counts["rows_in"], sum(r.rows_in for r in second.records)] == [5, 6, 2]
    assert second.result["w"].tobytes() == fresh.result["w"].tobytes()
    parts = [programs.weights({"x": np.array([i])}) for i in (0, 1, 12, 3, 4, 5)]
    assert fresh.result["w"].tobytes() == merge_tree(TreeSum(), parts)["w"].tobytes()
    assert "merge-03-000000" in merges_of(second)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_nan_that_merging_makes_stops_the_run_and_names_the_sub_tasks(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match=r"merging the partial results of sub-tasks t0+2 to t0+3: NaN"):
        run(checkpoint, program=programs.opposite_infinities)


def test_a_reducer_with_a_serialization_of_its_own_is_given_bytes(checkpoint: str) -> None:
    finished = run(checkpoint, program=programs.as_it_is, reducer=programs.Texts())
    assert finished.result == "((((0 1 )(2 3 ))((4 5 )(6 7 )))((8 9 )10 ))"


def committed(folder: Path, count: int = 3) -> tuple[ParquetSink, list[Piece]]:
    """Partial results of sub-tasks t0, t1, ... in files."""
    sink, pieces = ParquetSink(str(folder), plain=True), []
    for i in range(count):
        rows = partials.as_rows([partials.dumps(TreeSum(), np.full(500, float(i)))])
        facts = sink.commit(sink.write(f"t{i}", iter([rows]), dict))
        pieces.append(Piece(f"t{i}", sink.url, facts["path"], 0, facts["size"], facts["digest"]))
    return sink, pieces


def test_pieces_are_read_where_they_lie_and_merged(tmp_path: Path) -> None:
    sink, pieces = committed(tmp_path)
    assert partials.merged(TreeSum(), sink, pieces).tolist() == [3.0] * 500


def test_a_piece_that_is_gone_is_named_with_its_sub_task(tmp_path: Path) -> None:
    sink, pieces = committed(tmp_path)
    sink.discard("t1")
    with pytest.raises(RunFailed, match=r"sub-task t1 is gone.*part-t1.parquet"):
        partials.merged(TreeSum(), sink, pieces)


@pytest.mark.parametrize("keep", [100, 3000, 4500])
def test_a_piece_that_is_torn_is_named_with_its_sub_task(tmp_path: Path, keep: int) -> None:
    sink, pieces = committed(tmp_path)
    path = tmp_path / pieces[2].name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunFailed, match="sub-task t2 cannot be read"):
        partials.merged(TreeSum(), sink, pieces)


def test_a_piece_with_another_byte_is_named_with_its_sub_task(tmp_path: Path) -> None:
    sink, pieces = committed(tmp_path)
    path = tmp_path / pieces[0].name
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunFailed, match=r"sub-task t0 cannot be read.*digest is another"):
        partials.merged(TreeSum(), sink, pieces)


def test_a_piece_that_is_a_copy_of_another_is_named_with_its_sub_task(tmp_path: Path) -> None:
    sink, pieces = committed(tmp_path)
    (tmp_path / pieces[1].name).write_bytes((tmp_path / pieces[0].name).read_bytes())
    with pytest.raises(RunFailed, match="sub-task t1 is not the one that was committed"):
        partials.merged(TreeSum(), sink, pieces)


def test_a_piece_with_nan_is_named_with_its_sub_task(tmp_path: Path) -> None:
    sink, pieces = committed(tmp_path)
    rows = partials.as_rows([TreeSum().serialize(np.full(500, np.nan))])
    sink.discard("t1")
    facts = sink.commit(sink.write("t1", iter([rows]), dict))
    forged = [pieces[0], replace(pieces[1], digest=facts["digest"]), pieces[2]]
    with pytest.raises(RunFailed, match="sub-task t1 holds NaN"):
        partials.merged(TreeSum(), sink, forged)


def test_several_accumulators_of_one_file_are_pieces_by_row(tmp_path: Path) -> None:
    sink = ParquetSink(str(tmp_path))
    rows = partials.as_rows([partials.dumps(TreeSum(), float(i)) for i in range(4)])
    facts = sink.commit(sink.write("t0", iter([rows]), dict))
    pieces = [Piece("t0", sink.url, facts["path"], row, 0, facts["digest"]) for row in range(4)]
    assert partials.merged(TreeSum(), sink, pieces) == 6.0
    assert partials.merged(TreeSum(), sink, pieces[2:]) == 5.0


def tree(count: int) -> Tree:
    return Tree.over("/run/merge", [Piece(f"t{i}", "/run/partials", f"part-t{i}.parquet") for i in range(count)])


def shown(merges: dict[str, Merge]) -> dict[str, list[str]]:
    return {key: [piece.key for piece in merge.pieces] for key, merge in merges.items()}


def test_merges_are_nodes_of_the_fixed_tree_and_the_odd_one_moves_up() -> None:
    merges, _ = tree(6).merges((1, 3))
    assert shown(merges) == {
        "merge-01-000000": ["t0", "t1"],
        "merge-01-000001": ["t2", "t3"],
        "merge-01-000002": ["t4", "t5"],
        "merge-03-000000": ["merge-01-000000", "merge-01-000001", "merge-01-000002"],
    }


def test_a_node_with_one_child_is_that_child() -> None:
    merges, _ = tree(5).merges((1, 2, 3))
    assert shown(merges)["merge-03-000000"] == ["merge-02-000000", "t4"]


def test_fan_in_is_limited_by_memory() -> None:
    assert fan_in(1000, 1e7, 1, 3e7, in_place=True).inputs == 4
    assert fan_in(1000, 1e7, 1, 3e7, in_place=False).inputs == 2
    assert fan_in(1000, 1e7, 1, 2e7, in_place=True).inputs == 2
    assert fan_in(1000, 1e7, 1, 1e9, in_place=True).inputs == 64


def test_many_slots_ask_for_more_and_smaller_merges() -> None:
    assert fan_in(1000, 1e7, 100, 1e9, in_place=True) == FanIn(4, (4, 8, 10), 5, 68, pytest.approx(0.6993, abs=1e-4))


def test_what_fits_nowhere_is_merged_two_by_two() -> None:
    assert fan_in(8, 1e9, 4, 1e6, in_place=False).stages == (1, 2, 3)
