"""Merging on workers by hand: when the driver merges alone, what is kept of an earlier session, who is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from partitioner import config as configuration
from partitioner.engines.base import Capabilities
from partitioner.model import Piece, Worker, Workers
from partitioner.reducers.fan_in import of_levels
from partitioner.runs import merging
from partitioner.runs.merge_tree import Tree
from partitioner.runs.merging import Merger, elsewhere
from partitioner.stages.resolved import USABLE_MEMORY

MEGABYTE = 10**6
REDUCER: Any = SimpleNamespace(gathers=False, rows=False, in_place=True)
LEAVES = [Piece(f"t{i}", "/p", f"part-t{i}.parquet", 0, MEGABYTE, f"d{i}") for i in range(6)]
TREE = Tree.over("/runs/r/merge", LEAVES)
ROOM = Workers.of([Worker(name, memory_bytes=2.5 * MEGABYTE / USABLE_MEMORY) for name in ("a", "b", "c")])
"""Memory for merges of two at a time: 3 + 2 + 1."""

EVERY = [f"merge-01-{i:06d}" for i in range(3)] + ["merge-02-000000", "merge-03-000000"]


class Sink:
    """Holds merges by key; every other one is of the tree over ``LEAVES``."""

    def __init__(self, *held: str) -> None:
        places = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0)]
        nodes = {key: TREE.node(*place).of for key, place in zip(EVERY, places, strict=True)}
        self.held = {key: nodes.get(key, "others") for key in held}
        self.discarded: list[str] = []

    def beside(self, url: str) -> Sink:
        assert url == "/runs/r/merge/partials"
        return self

    def committed(self, key: str) -> dict[str, Any] | None:
        return {"of": self.held[key]} if key in self.held else None

    def partials(self, name: str, rows: list[int]) -> None:
        assert name.removesuffix(".value") in self.held

    def keys(self) -> set[str]:
        return set(self.held)

    def discard(self, key: str) -> None:
        self.discarded.append(key)
        del self.held[key]


class Session:
    """A merger on three workers, with what it hands to ``execute_merges``, which makes all that is left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *held: str, early: Any = None, silent: Any = None) -> None:
        self.sink = Sink(*held)
        self.plans: list[Any] = []
        self.left: list[list[str]] = []
        self.here: list[list[str]] = []
        self.workers = ROOM
        engine: Any = SimpleNamespace(
            capabilities=Capabilities(),
            workers=lambda: self.workers,
            late=None if silent is None else SimpleNamespace(waiting=silent),
        )
        config = configuration.make({"dataset": "d", "checkpoint": "/runs", "merge_above": 0, "progress": False})
        run: Any = SimpleNamespace(url="/runs/r")
        self.config, self.run, self.engine, self.lease = config, run, engine, object()
        self.merger = Merger(config, engine, run, self.lease, ROOM, early)  # type: ignore[arg-type]
        monkeypatch.setattr(merging, "execute_merges", self._execute)
        monkeypatch.setattr(merging.partials, "merged", self._here)
        monkeypatch.setattr(
            merging.partials, "stored", lambda reducer, sink, piece, key: (reducer, piece.key, sink.keys())
        )

    def _here(self, reducer: Any, sink: Any, pieces: Any, key: bytes = b"") -> str:
        assert (reducer, sink) == (REDUCER, self.sink)
        self.here.append([p.key for p in pieces])
        return "by the driver"

    def _execute(
        self, config: Any, engine: Any, planned: Any, run: Any, home: Any, left: Any, lease: Any, watching: Any
    ) -> None:
        assert (config, engine, run, lease) == (self.config, self.engine, self.run, self.lease)
        assert home.url.endswith("/runs/r/merge")
        assert [type(w).__name__ for w in watching] == ["Progress"]
        self.plans.append(planned)
        self.left.append(list(left))
        self.sink.held |= {key: merge.of for key, merge in left.items()}

    def merged(self, leaves: Any = LEAVES) -> Any:
        job: Any = SimpleNamespace(reducer=REDUCER, sink=self.sink, partials_key=b"")
        return self.merger.merged(job, leaves)


def test_few_partial_results_are_merged_by_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch)
    assert session.merged(LEAVES[:2]) == "by the driver"
    assert (session.here, session.left) == ([["t0", "t1"]], [])


def test_all_merges_are_made_and_only_the_root_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch)
    reducer, key, there = session.merged()
    assert (reducer, key) == (REDUCER, "merge-03-000000")
    assert there == set(EVERY)  # it is read before the others go
    assert session.left == [EVERY]
    assert sorted(session.sink.discarded) == EVERY[:-1]
    assert session.here == []
    notes = session.plans[0].about.notes
    assert "kept" not in notes
    assert notes["merge"].endswith("sub-tasks of their own: 5, on workers: 3, up to 2 at a time, stages: 3")
    assert notes["merge"].startswith("6 partial results of up to 1 MB are merged by ")
    assert notes["fan-in"].startswith("fan-in 2: about ")
    assert "on 3 slots" in notes["fan-in"]
    assert notes["fan-in"].endswith("; 2 partial results held at once")


def test_merges_of_an_earlier_session_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch, "merge-01-000000", "merge-01-000002", "merge-02-000000")
    session.merged()
    assert session.left == [["merge-01-000001", "merge-03-000000"]]
    assert session.plans[0].tasks.task_id.to_pylist() == session.left[0]
    assert session.plans[0].about.notes["kept"] == "merges of an earlier session: 3"


def test_merges_made_while_sub_tasks_ran_are_kept_and_few_are_enough_then(monkeypatch: pytest.MonkeyPatch) -> None:
    early = of_levels(1, 2, MEGABYTE, 3, True)
    session = Session(monkeypatch, "merge-01-000000", early=early)
    session.merged()
    assert session.plans[0].about.notes["kept"] == "merges while sub-tasks still ran, or of an earlier session: 1"
    two = Session(monkeypatch, early=early)
    tree = Tree.over("/runs/r/merge", LEAVES[:2])
    two.sink.held[tree.root.key] = tree.root.of
    assert two.merged(LEAVES[:2])[1] == "merge-01-000000"
    assert (two.here, two.left) == ([], [])


def test_a_root_that_is_there_is_read_and_nothing_is_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch, "merge-03-000000", "merge-01-000001")
    assert session.merged()[1] == "merge-03-000000"
    assert (session.left, session.sink.discarded) == ([], ["merge-01-000001"])


def test_a_merge_of_other_partial_results_is_made_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(monkeypatch, *EVERY[:-1])
    session.sink.held["merge-01-000001"] = "others"
    session.merged()
    assert session.left == [["merge-01-000001", "merge-03-000000"]]
    assert capsys.readouterr().err == "merge-01-000001: made of other partial results; it is merged again\n"


def test_who_has_not_answered_all_the_while_is_given_no_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch, silent=frozenset({"b"}))
    session.merged()
    assert list(session.plans[0].workers.worker_id) == ["a", "c"]
    assert "on workers: 2" in session.plans[0].about.notes["merge"]


@pytest.mark.parametrize("silent", [None, frozenset({"a", "b", "c"})])
def test_where_all_workers_are_away_those_of_the_plan_are_planned_for(
    monkeypatch: pytest.MonkeyPatch, silent: Any
) -> None:
    session = Session(monkeypatch, silent=silent)
    session.workers = ROOM if silent else ROOM.take([])
    session.merged()
    assert list(session.plans[0].workers.worker_id) == ["a", "b", "c"]


def test_what_just_fits_beside_sub_tasks_is_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch)
    early = of_levels(2, 6, MEGABYTE, 3, True)
    room = Workers.of([Worker("a", memory_bytes=early.held * MEGABYTE / USABLE_MEMORY)])
    assert session.merger._room(room)[1] == early.held * MEGABYTE
    object.__setattr__(session.merger, "early", early)
    assert session.merger._fan_in(REDUCER, TREE, room)[0].levels == 2


@pytest.mark.parametrize(("count", "levels"), [(2, 1), (8, 1), (9, 2), (16, 2), (17, 2), (32, 2), (64, 3)])
def test_half_the_levels_at_most_are_merged_beside_sub_tasks(
    monkeypatch: pytest.MonkeyPatch, count: int, levels: int
) -> None:
    asked: list[int] = []

    def chosen(count: int, size: float, slots: int, memory: float, in_place: bool, deepest: int) -> Any:
        asked.append(deepest)
        return of_levels(1, count, size, slots, in_place)

    monkeypatch.setattr(merging, "fan_in", chosen)
    Session(monkeypatch).merger.meanwhile(REDUCER, count, 1.0, 0.0)
    assert asked == [levels]


@pytest.mark.parametrize(
    ("count", "level", "place", "key"),
    [
        (6, 3, 0, "merge-03-000000"),
        (6, 2, 0, "merge-02-000000"),
        (6, 2, 1, "merge-01-000002"),  # two leaves: the node of the level below, which is the same
        (5, 3, 0, "merge-03-000000"),
        (5, 2, 1, "t4"),
        (5, 1, 2, "t4"),
        (2, 1, 0, "merge-01-000000"),
        (3, 2, 0, "merge-02-000000"),
        (9, 3, 1, "t8"),
        (10, 3, 1, "merge-01-000004"),
        (11, 3, 1, "merge-02-000002"),
        (1, 0, 0, "t0"),
    ],
)
def test_a_node_is_that_of_the_lowest_level_with_the_same_leaves(count: int, level: int, place: int, key: str) -> None:
    leaves = [Piece(f"t{i}", "/p", "", 0, 1, f"d{i}") for i in range(count)]
    assert Tree.over("/m", leaves).node(level, place).key == key


def test_two_pieces_are_a_merge_and_one_is_none() -> None:
    found = TREE.merge(0, 1, 1)
    assert found is not None
    assert [piece.key for piece in found.pieces] == ["t2", "t3"]
    assert TREE.merge(2, 3, 0).pieces == (TREE.node(2, 0), TREE.node(1, 2))  # type: ignore[union-attr]
    assert Tree.over("/m", LEAVES[:5]).merge(0, 1, 2) is None
    assert Tree.over("/m", LEAVES[:5]).root == Tree.over("/m", LEAVES[:5]).node(3, 0)


@pytest.mark.parametrize("reducer", [{"rows": True}, {"gathers": True}])
def test_rows_and_what_only_gathers_is_never_merged_elsewhere(reducer: dict[str, bool]) -> None:
    config = configuration.make({"dataset": "d", "merge_above": 0})
    asked: Any = SimpleNamespace(**{**vars(REDUCER), **reducer})
    assert not elsewhere(config, asked, LEAVES)
    run: Any = SimpleNamespace(url="/runs/r")
    job: Any = SimpleNamespace(reducer=asked)  # it has no sink to look into
    assert not merging.waits(config, run, job, None, {}, 0)  # type: ignore[arg-type]
