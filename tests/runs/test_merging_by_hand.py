"""Which partial results are merged where, how many at a time, in which order, and what of an earlier session is kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from partitioner import config as configuration
from partitioner.engines.base import Capabilities
from partitioner.errors import DamagedOutput
from partitioner.model import Fragment, Fragments, Piece, SubTasks, Worker, Workers
from partitioner.reducers.fan_in import LINK, MERGING, of_levels
from partitioner.runs import merging
from partitioner.runs.merge_tree import Tree
from partitioner.runs.merging import Merger, elsewhere, pieces_of, waits
from partitioner.stages.resolved import USABLE_MEMORY
from tests.store.records import record

PLAIN: Any = SimpleNamespace(gathers=False, rows=False, in_place=True)
MEGABYTE = 10**6


def pieces(count: int, size: int = MEGABYTE) -> list[Piece]:
    return [Piece(f"t{i}", "/p", f"part-t{i}.parquet", 0, size, f"d{i}") for i in range(count)]


def merger(workers: Workers, early: Any = None, in_driver: bool = False, **options: Any) -> Merger:
    engine: Any = SimpleNamespace(capabilities=Capabilities(in_driver=in_driver), late=None)
    config = configuration.make({"dataset": "d", "checkpoint": "/runs", **options})
    return Merger(config, engine, None, None, workers, early)  # type: ignore[arg-type]


def test_partial_results_are_those_of_sub_tasks_that_were_not_split() -> None:
    sink: Any = SimpleNamespace(url="/p")
    records = [record("t0", size=7), record("t1", split=True), record("t1.0-4", digest="d")]
    assert pieces_of(sink, records) == [
        Piece("t0", "/p", "part-t0.parquet", 0, 7, "d-t0"),
        Piece("t1.0-4", "/p", "part-t1.0-4.parquet", 0, 5, "d"),
    ]


@pytest.mark.parametrize(
    ("count", "size", "reducer", "away"),
    [
        (3, 100, {}, True),
        (3, 99, {}, False),  # as large as merge_above is not above it
        (2, 1000, {}, False),
        (9, 1000, {"gathers": True}, False),
        (9, 1000, {"rows": True}, False),
    ],
)
def test_many_large_partial_results_that_merging_makes_smaller_are_merged_elsewhere(
    count: int, size: int, reducer: dict[str, bool], away: bool
) -> None:
    config = configuration.make({"dataset": "d", "merge_above": 297})
    asked = SimpleNamespace(**{**vars(PLAIN), **reducer})
    assert elsewhere(config, asked, pieces(count, size)) is away  # type: ignore[arg-type]


TWO = Workers.of([Worker("a", cpus=4, memory_bytes=40 * MEGABYTE), Worker("b", cpus=1, memory_bytes=20 * MEGABYTE)])


def test_room_is_that_of_the_slot_with_least_memory() -> None:
    assert merger(TWO)._room(TWO) == (5, 10 * MEGABYTE * USABLE_MEMORY)
    assert merger(TWO, task_cpus=2)._room(TWO) == (3, 20 * MEGABYTE * USABLE_MEMORY)
    assert merger(TWO, task_cpus=0.5)._room(TWO) == (10, 5 * MEGABYTE * USABLE_MEMORY)


def test_merges_begin_beside_sub_tasks_where_there_is_room_for_both() -> None:
    room = 10 * MEGABYTE * USABLE_MEMORY
    found = merger(TWO).meanwhile(PLAIN, 1000, MEGABYTE, 0.0)
    assert found is not None
    assert found.levels <= 5  # half of ten
    assert found.held * MEGABYTE <= room
    least = merging.held_by(1, True) * MEGABYTE
    assert merger(TWO).meanwhile(PLAIN, 1000, MEGABYTE, room - least + 1) is None
    tight = merger(TWO).meanwhile(PLAIN, 1000, MEGABYTE, room - least)
    assert tight is not None
    assert tight.levels == 1


def test_what_was_chosen_while_sub_tasks_ran_stays_where_it_fits() -> None:
    tree = Tree.over("/m", pieces(64))
    early = of_levels(3, 64, MEGABYTE, 5, True)
    chosen, slots = merger(TWO, early)._fan_in(PLAIN, tree, TWO)
    assert (chosen.levels, chosen.stages, slots) == (3, (3, 6), 5)
    small = Workers.of([Worker("s", memory_bytes=(early.held - 0.5) * MEGABYTE / USABLE_MEMORY)])
    other, slots = merger(small, early)._fan_in(PLAIN, tree, small)
    assert (other.levels < 3, slots) == (True, 1)


def test_in_the_process_of_the_driver_two_are_held_at_once() -> None:
    tree = Tree.over("/m", pieces(64))
    large = Workers.of([Worker("s", memory_bytes=1e12)])
    assert merger(large, in_driver=True)._fan_in(PLAIN, tree, large)[0].held == 2
    assert merger(large)._fan_in(PLAIN, tree, large)[0].held > 2


def test_a_merge_is_placed_behind_those_whose_results_it_takes() -> None:
    tree = Tree.over("/m", pieces(6))
    made, below = tree.merges((1, 3))
    asked = merger(TWO)
    chosen = of_levels(1, 6, MEGABYTE, 5, True)
    plan = asked._placed(made, below, chosen, tree, TWO)
    tasks = plan.tasks
    assert tasks.task_id.to_pylist() == ["merge-01-000000", "merge-01-000001", "merge-01-000002", "merge-03-000000"]
    assert tasks.seconds.tolist() == pytest.approx(
        [3 * MEGABYTE / LINK + MEGABYTE / MERGING] * 3 + [4 * MEGABYTE / LINK + 2 * MEGABYTE / MERGING]
    )
    assert list(zip(tasks.edges.source.tolist(), tasks.edges.target.tolist(), strict=True)) == [(0, 3), (1, 3), (2, 3)]
    assert (tasks.edges.bytes.tolist(), tasks.edges.delay.tolist()) == ([float(MEGABYTE)] * 3, [0.0] * 3)
    assert tasks.memory_bytes.tolist() == [chosen.held * MEGABYTE] * 4
    assert plan.start[3] >= plan.finish[:3].max()
    tiny = Workers.of([Worker("s", memory_bytes=MEGABYTE)])
    assert asked._placed(made, below, chosen, tree, tiny).tasks.memory_bytes.tolist() == [MEGABYTE * USABLE_MEMORY] * 4
    left = {key: merge for key, merge in made.items() if key.startswith("merge-03")}
    assert len(asked._placed(left, below, chosen, tree, TWO).tasks.edges) == 0


class Merged:
    """A sink that holds merges: what their facts say, and whether they can be read."""

    def __init__(self, of: str | None, torn: bool = False) -> None:
        self.of, self.torn, self.discarded, self.read = of, torn, list[str](), list[str]()
        self.url = "/p"

    def committed(self, key: str) -> dict[str, Any] | None:
        return None if self.of is None else {"of": self.of}

    def partials(self, name: str, rows: list[int]) -> None:
        self.read.append(name)
        if self.torn:
            raise DamagedOutput("it is torn")

    def discard(self, key: str) -> None:
        self.discarded.append(key)

    def beside(self, url: str) -> Merged:
        assert url == "/runs/r/merge/partials"
        return self


@pytest.mark.parametrize(
    ("sink", "sound", "said"),
    [
        (Merged("these"), True, ""),
        (Merged(None), False, ""),
        (Merged("others"), False, "m: made of other partial results; it is merged again\n"),
        (Merged("these", torn=True), False, "m: it is torn; it is merged again\n"),
    ],
)
def test_a_merge_counts_if_it_is_whole_and_of_these_partial_results(
    sink: Any, sound: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert merging._sound(sink, Piece("m", "/m/partials", "m.value", of="these")) is sound
    assert capsys.readouterr().err == said
    assert sink.discarded == (["m"] if said else [])
    assert sink.read == (["m.value"] if sink.of == "these" else [])


@pytest.mark.parametrize(
    ("reducer", "above", "version", "merged", "waiting"),
    [
        ({}, 0, 0, False, True),
        ({}, 0, 0, True, False),
        ({}, 0, 2, True, True),
        ({}, 10**9, 0, False, False),
        ({}, 10**9, 2, False, False),
        ({"rows": True}, 0, 0, False, False),
        ({"gathers": True}, 0, 0, False, False),
    ],
)
def test_merges_wait_where_all_is_committed_and_the_root_is_not(
    reducer: dict[str, bool], above: int, version: int, merged: bool, waiting: bool
) -> None:
    committed = {f"t{i}": record(f"t{i}", size=MEGABYTE) for i in range(3)}
    fragments = Fragments.of([Fragment(i, "f", 0, 0, 1, 1, 1) for i in range(3)])
    tasks = SubTasks.build([1.0] * 3, list(committed), fragments=fragments)
    root = Tree.over("/runs/r/merge", pieces_of(SimpleNamespace(url="/p"), list(committed.values()))).root  # type: ignore[arg-type]
    job: Any = SimpleNamespace(
        reducer=SimpleNamespace(**{**vars(PLAIN), **reducer}), sink=Merged(root.of if merged else None)
    )
    config, run = configuration.make({"dataset": "d", "merge_above": above}), SimpleNamespace(url="/runs/r")
    assert waits(config, run, job, tasks, committed, version) is waiting  # type: ignore[arg-type]


def test_a_node_is_told_by_all_leaves_below_it_in_order() -> None:
    tree = Tree.over("/m", pieces(4))
    other = Tree.over("/m", [*pieces(3), Piece("t3", "/p", "part-t3.parquet", 1, MEGABYTE, "d3")])
    assert tree.node(1, 0).of == other.node(1, 0).of
    assert tree.node(1, 1).of != other.node(1, 1).of
    assert tree.root.of != other.root.of
    assert tree.node(1, 0).of != Tree.over("/m", pieces(4)[::-1]).node(1, 1).of
    assert (tree.root.key, tree.node(0, 2), tree.size) == ("merge-02-000000", pieces(4)[2], float(MEGABYTE))
    assert tree.merge(1, 2, 0).span == "sub-tasks t0 to t3"  # type: ignore[union-attr]
    assert tree.merge(0, 1, 1).span == "sub-tasks t2 to t3"  # type: ignore[union-attr]
