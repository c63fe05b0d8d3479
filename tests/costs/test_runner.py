import pickle
import time

import numpy as np
import pytest

from partitioner.costs.measuring.runner import InProcess, share_of_turns
from partitioner.errors import CostError
from partitioner.testing.costs import sample_dataset


def make_counting():
    return lambda batch: np.ones(batch.num_rows * 1_000_000, np.uint8).sum()


def test_one_timing_per_piece_and_loading_on_the_first_only():
    dataset = sample_dataset()
    timings = InProcess(make_counting)(dataset, dataset.fragments, 60.0)
    assert len(timings) == 4
    assert [t.load_seconds > 0 for t in timings] == [True, False, False, False]
    assert len({t.process for t in timings}) == 1


def test_some_pieces_are_traced_for_memory():
    dataset = sample_dataset()
    timings = InProcess(make_counting)(dataset, dataset.fragments, 60.0)
    assert timings[0].traced_bytes >= 1_000_000


def test_it_stops_when_the_seconds_are_spent():
    dataset = sample_dataset()
    assert len(InProcess(make_counting)(dataset, dataset.fragments, -1.0)) == 1


def make_picky():
    def program(batch):
        if batch.num_rows < 3:
            raise ValueError("too few rows to train on")

    return program


def test_pieces_on_which_the_program_fails_are_left_out():
    dataset = sample_dataset()
    timings = InProcess(make_picky)(dataset, dataset.fragments, 60.0)
    assert [t is None for t in timings] == [True, True, False, False]


def test_a_program_that_always_fails_names_the_first_piece():
    dataset = sample_dataset()
    with pytest.raises(CostError, match=r"failed on part-0 .*ZeroDivisionError"):
        InProcess(lambda: lambda batch: 1 / 0)(dataset, dataset.fragments, 60.0)


@pytest.mark.parametrize(
    ("rows", "together", "share"), [(5, 1, 1.0), (1, 16, 1 / 16), (16, 16, 1.0), (20, 16, 0.625), (64, 16, 1.0)]
)
def test_rows_that_wait_at_once_count_their_share_of_a_turn(rows, together, share):
    assert share_of_turns(rows, together) == share


def test_of_a_call_that_waits_the_waiting_alone_is_shared():
    dataset = sample_dataset()
    waits = InProcess(lambda: lambda batch: time.sleep(0.05), together=1000)(dataset, dataset.fragments, 60.0)
    works = InProcess(lambda: lambda batch: sum(range(200_000)), together=1000)(dataset, dataset.fragments, 60.0)
    assert all(t.seconds < 0.05 for t in waits)
    assert all(t.seconds >= 0.9 * t.cpu_seconds for t in works)


def test_it_travels_to_workers_without_the_program():
    dataset = sample_dataset()
    runner = InProcess(make_counting)
    runner(dataset, dataset.fragments, 60.0)
    assert pickle.loads(pickle.dumps(runner))._program is None
