"""Tries after an error of the program or of a GPU's memory: how often, where, and what is said."""

from __future__ import annotations

import pytest

from partitioner.coordinator import ladder
from partitioner.coordinator.transitions import LIVE
from partitioner.model import Failure
from tests.coordinator.rungs_of import ERROR, on, told, trying


@pytest.mark.parametrize(("retries", "quarantine", "tries"), [(0, False, 1), (2, False, 3), (0, True, 2), (2, True, 4)])
def test_an_error_is_tried_again_as_often_as_allowed_and_once_more_to_isolate(
    retries: int, quarantine: bool, tries: int
) -> None:
    state = trying(max_retries=retries, quarantine=quarantine)
    stops = [ladder.failed(state, on(), ERROR) for _ in range(tries)]
    assert [stop is None for stop in stops] == [True] * (tries - 1) + [False]
    assert state.failures == {0: tries}


def test_the_reason_of_a_retry_says_where_to_and_is_short() -> None:
    state = trying()
    ladder.failed(state, on(), Failure("x" * 300, "ValueError"))
    assert told(state) == [("retried", f"ValueError: {'x' * 200}; again on another worker")]
    state = trying(workers=1)
    ladder.failed(state, on(), ERROR)
    assert told(state) == [("retried", "ValueError: no; again")]


def test_the_last_words_name_how_often_where_and_what_to_do() -> None:
    state = trying(max_retries=0)
    stop = ladder.failed(state, on("worker-1", number=7), Failure("no", "ValueError"))
    assert str(stop) == (
        "sub-task t000000 failed 1 time (tries allowed: 1), last on worker-1: ValueError: no. To set failing rows aside "
        "instead, use on_error='quarantine'. What is committed stays: mend the cause, then partitioner resume memory://run "
        "(with --force if that changed the program) goes on. Its prints and traceback are in memory://run/attempts/t000000-a7.log"
    )
    assert [getattr(stop, name) for name in ("raised", "said")] == ["", ""]
    own = ladder.failed(trying(max_retries=0), on(), Failure("no", "Own", raised="mine:Own"))
    assert [getattr(own, name) for name in ("raised", "said")] == ["mine:Own", "no"]
    state = trying(max_retries=5)
    stop = ladder.failed(state, on(), Failure("no", "DataError", fatal=True))
    assert str(stop).startswith(
        "sub-task t000000 failed 1 time (no retry can mend it), last on worker-0: DataError: no."
    )
    assert "on_error" not in str(stop)
    state = trying(max_retries=0, quarantine=True)
    ladder.failed(state, on(), ERROR)
    stop = ladder.failed(state, on(), ERROR)
    assert str(stop).startswith("sub-task t000000 failed 2 times (tries allowed: 2)")
    assert "on_error" not in str(stop)
    stop = ladder.failed(trying(max_retries=5), on(), Failure("no room. Free some.", "OSError", fatal=True))
    assert "last on worker-0: OSError: no room. Free some. What is committed stays" in str(stop)
    stop = ladder.failed(trying(max_retries=5), on(), Failure("no 'yy'. Did you mean 'y'?", "DataError", fatal=True))
    assert "Did you mean 'y'? What is committed stays" in str(stop)
    stop = ladder.failed(trying(max_retries=0, go_on="the same call with resume='r'"), on(), ERROR)
    assert "ValueError: no. What is committed stays: mend the cause, then the same call with resume='r' goes" in str(
        stop
    )


def test_rows_that_failed_alone_are_remembered_by_worker_and_count_as_no_try() -> None:
    state = trying(quarantine=True, max_retries=0)
    why = Failure("rows", "RowsFailed", suspects=((1, 2),))
    assert [ladder.failed(state, on(w), why) for w in ("worker-0", "worker-1")] == [None, None]
    trouble = state.trouble(0)
    assert (trouble.suspects, trouble.rounds, state.failures) == (
        {"worker-0": ((1, 2),), "worker-1": ((1, 2),)},
        2,
        {},
    )
    assert told(state) == [("isolated", "rows; another worker is to confirm it")] * 2
    stop = ladder.failed(state, on(), why)
    assert str(stop).startswith("sub-task t000000 failed 3 times")
    assert trouble.failed_on == {"worker-0": 2, "worker-1": 1}


GPU = Failure("CUDA", "OutOfMemoryError", memory=True, gpu=True)


def test_batches_are_halved_up_to_sixteen_pieces_and_nobody_is_charged() -> None:
    state = trying(divisible=True)
    assert [(ladder.failed(state, on(), GPU), state.trouble(0).smaller) for _ in range(4)] == [
        (None, n) for n in (2, 4, 8, 16)
    ]
    assert told(state)[0] == (
        "retried",
        "OutOfMemoryError; again, each batch in 2 pieces for the memory of the GPU",
    )
    assert (state.deaths, state.trouble(0).failed_on, state.status[0]) == ({}, {}, LIVE)
    assert ladder.failed(state, on(), GPU) is None
    assert told(state) == [("split", "OutOfMemoryError 3 times; its 8 rows are divided")]
    assert state.deaths[0] == 3


def test_deaths_before_a_gpu_ran_out_are_not_forgotten() -> None:
    state = trying(divisible=False, max_deaths=9)
    state.deaths[0] = 7
    ladder.failed(state, on(), GPU)
    assert (state.deaths[0], state.trouble(0).smaller) == (8, 1)
