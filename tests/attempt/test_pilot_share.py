"""A slot's share of a pilot: which pieces it runs, and what it times."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt import job as jobs
from partitioner.attempt import pilot
from partitioner.attempt.asynchronous import Concurrency
from partitioner.costs.measuring.measurements import Timing
from partitioner.errors import CostError
from partitioner.model import Fragments
from tests.attempt.by_hand import KEY, ByHand
from tests.attempt.held import SEEN, noted, ready

pytestmark = pytest.mark.usefixtures("nothing_held")


class Runner:
    """Times pieces without a call."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[list[int], float]] = []
        self.error = error

    def __call__(self, dataset: Any, pieces: Fragments, seconds: float, sizes: Any = None) -> list[Timing | None]:
        self.asked.append((pieces.section.tolist(), seconds))
        if self.error is not None:
            raise self.error
        return [None] * len(pieces)


def shared(made: ByHand, index: int, count: int, runner: Runner) -> pilot.Share:
    fragments = made.tasks.fragments
    assert fragments is not None
    jobs._programs[made.directory.url].pilot[threading.get_ident()] = runner
    asked = pilot.Asked(fragments, fragments, np.array([3, 1, 0, 2, 3]))
    return pilot.run_share(index, count, made.directory.url, KEY, asked, 2.5)


def test_a_slot_takes_every_so_many_th_piece(tmp_path: Path) -> None:
    made, runner = ready(tmp_path), Runner()
    share = shared(made, 1, 2, runner)
    assert runner.asked == [([1, 2], 2.5)]
    assert (share.index, share.count, share.timings, share.error) == (1, 2, (None, None), "")
    assert shared(made, 0, 2, runner).timings == (None,) * 3


def test_a_slot_takes_every_so_many_th_call_where_calls_are_of_several_pieces(tmp_path: Path) -> None:
    fragments = ready(tmp_path).tasks.fragments
    assert fragments is not None
    asked = pilot.Asked(fragments, fragments, np.array([3, 1, 0, 2, 3]), sizes=np.array([2, 1, 2]))
    shares = [asked.share(k, 2) for k in range(2)]
    assert [(pieces.section.tolist(), sizes.tolist()) for pieces, sizes in shares if sizes is not None] == [
        (fragments.section[[3, 1, 2, 3]].tolist(), [2, 2]),
        (fragments.section[[0]].tolist(), [1]),
    ]


def test_a_call_of_several_pieces_is_one_batch(tmp_path: Path) -> None:
    made = ready(tmp_path, noted, columns=("x",))
    fragments = made.tasks.fragments
    assert fragments is not None
    asked = pilot.Asked(fragments, fragments, np.array([2, 0]), sizes=np.array([2]))
    SEEN.clear()
    share = pilot.run_share(0, 1, made.directory.url, KEY, asked, 60.0)
    assert (len(share.timings), share.error) == (1, "")
    assert SEEN == [[10, 11, 12, 13, 14, 0, 1, 2, 3, 4]]


def test_a_slot_without_pieces_runs_nothing(tmp_path: Path) -> None:
    runner = Runner()
    assert shared(ready(tmp_path), 7, 9, runner).timings == ()
    assert runner.asked == []


def test_the_first_failure_of_a_pilot_is_told(tmp_path: Path) -> None:
    share = shared(ready(tmp_path), 0, 2, Runner(CostError("row 3 fails")))
    assert (share.timings, share.error) == ((None,) * 3, "row 3 fails")


def test_a_pilot_times_the_program_itself(tmp_path: Path) -> None:
    made = ready(tmp_path, noted, columns=("x",))
    fragments = made.tasks.fragments
    assert fragments is not None
    asked = pilot.Asked(fragments, fragments, np.array([2]))
    share = pilot.run_share(0, 1, made.directory.url, KEY, asked, 60.0)
    assert share.error == ""
    assert [t is not None for t in share.timings] == [True]
    assert [10, 11, 12, 13, 14] in SEEN
    of_threads = jobs._programs[made.directory.url].pilot
    (held,) = of_threads.items()
    assert held[0] == threading.get_ident()
    pilot.run_share(0, 1, made.directory.url, KEY, asked, 60.0)
    assert list(of_threads.items()) == [held]


def test_the_program_of_a_pilot_is_built_where_none_is_given(tmp_path: Path) -> None:
    made = ByHand(tmp_path, noted)
    pilot.pilot_program(made.job)()(pa.record_batch({"x": [1]}))
    pilot.pilot_program(made.job, lambda b: SEEN.append([-1]))()(pa.record_batch({"x": [1]}))
    assert SEEN == [[1], [-1]]


async def asked_for(row: dict[str, int]) -> dict[str, int]:
    SEEN.append([row["x"]])
    return row


def row_by_row(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for i in range(batch.num_rows):
        yield noted(batch.slice(i, 1))


@pytest.mark.parametrize(("program", "settings"), [(asked_for, {"concurrency": Concurrency()}), (row_by_row, {})])
def test_what_works_only_when_it_is_waited_for_or_read_does_so_in_a_pilot(
    tmp_path: Path, program: Any, settings: dict[str, Any]
) -> None:
    made = ready(tmp_path, program, **settings)
    pilot.pilot_program(made.job, program)()(pa.record_batch({"x": [1, 2, 3]}))
    assert sorted(SEEN) == [[1], [2], [3]]
