"""What an attempt finds around it and leaves behind: devices, prints, time, seeds and threads."""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from math import inf
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from partitioner.attempt import surroundings
from partitioner.attempt.surroundings import (
    TimedOut,
    assigned_devices,
    guest,
    kept_prints,
    limited,
    task_context,
)
from partitioner.errors import ConfigError
from partitioner.model import Attempt

CUDA = "CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize("before", [None, "7"])
def test_cuda_sees_the_assigned_gpus_and_then_what_it_saw(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv(CUDA, raising=False)
    if before is not None:
        monkeypatch.setenv(CUDA, before)
    seen: list[str] = []

    def stopped() -> None:
        with assigned_devices({"gpu": ("0", "2")}):
            seen.append(os.environ[CUDA])
            raise ValueError("end")

    with pytest.raises(ValueError, match="end"):
        stopped()
    assert seen == ["0,2"]
    assert os.environ.get(CUDA) == before


@pytest.mark.parametrize("before", [None, "7"])
def test_other_devices_leave_cuda_alone(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv(CUDA, raising=False)
    if before is not None:
        monkeypatch.setenv(CUDA, before)
    with assigned_devices({"fpga": ("0",)}):
        assert os.environ.get(CUDA) == before
    assert os.environ.get(CUDA) == before


def test_the_context_holds_all_that_is_known() -> None:
    attempt = Attempt("t7", 7, 2, "w1", "memory://run", cpus=3.0)
    with assigned_devices({"gpu": ("1",)}), guest(attempt, 5):
        found = task_context()
    assert (found.task_key, found.number, found.worker_id, found.cpus) == ("t7", 2, "w1", 3.0)
    assert (dict(found.devices), found.run_url) == ({"gpu": ("1",)}, "memory://run")
    with guest(attempt, 5):
        assert dict(task_context().devices) == {}
    with pytest.raises(ConfigError):
        task_context()


def test_the_context_ends_with_an_error_too() -> None:
    with pytest.raises(ValueError, match="end"), guest(Attempt("t", 0, 0, "w", "u"), 0):
        raise ValueError("end")
    with pytest.raises(ConfigError):
        task_context()


def test_an_attempt_within_another_gives_the_context_back() -> None:
    with guest(Attempt("outer", 0, 0, "w", "u"), 0):
        with guest(Attempt("inner", 0, 0, "w", "u"), 0):
            assert task_context().task_key == "inner"
        assert task_context().task_key == "outer"


class Controller:
    """Notes what threads are limited to."""

    def __init__(self) -> None:
        self.limits: list[int] = []

    def limit(self, limits: int) -> Any:
        self.limits.append(limits)
        return contextlib.nullcontext()


@pytest.mark.parametrize(("cpus", "threads"), [(0.25, 1), (1.0, 1), (2.0, 2), (3.9, 3)])
def test_threads_are_those_of_the_cores_and_one_at_least(
    monkeypatch: pytest.MonkeyPatch, cpus: float, threads: int
) -> None:
    controller = Controller()
    monkeypatch.setattr(surroundings, "_controller", lambda: controller)
    with guest(Attempt("t", 0, 0, "w", "u", cpus=cpus), 0):
        assert controller.limits == [threads]


def test_torch_is_seeded_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(surroundings, "_controller", Controller)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(manual_seed=seeds.append))  # type: ignore[arg-type]
    with guest(Attempt("t000007", 0, 0, "w", "u"), 9):
        assert seeds == [1060098756]


def test_numeric_libraries_are_looked_up_again_only_after_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr("threadpoolctl.ThreadpoolController", lambda: made.append(1) or len(made))
    monkeypatch.setattr(surroundings, "_threads", {})
    assert [surroundings._controller(), surroundings._controller()] == [1, 1]
    monkeypatch.setitem(sys.modules, "a_module_of_this_test", sys)
    assert surroundings._controller() == 2
    assert len(surroundings._threads) == 1


def test_prints_of_this_thread_are_kept_and_those_of_others_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    with kept_prints() as kept:
        print("out")
        print("err", file=sys.stderr)
        other = threading.Thread(target=lambda: print("elsewhere"))
        other.start()
        other.join()
        sys.stdout.flush()
        assert not sys.stdout.isatty()
    assert kept.getvalue() == "out\nerr\n"
    assert capsys.readouterr().out == "elsewhere\n"


def test_prints_within_prints_go_to_the_inner_and_then_to_the_outer() -> None:
    with kept_prints() as outer:
        print("one")
        with kept_prints() as inner:
            print("two")
        print("three")
    assert (outer.getvalue(), inner.getvalue()) == ("one\nthree\n", "two\n")


def test_the_streams_are_put_back_by_the_last_to_leave() -> None:
    before = sys.stdout, sys.stderr
    first = kept_prints()
    first.__enter__()
    inside = sys.stdout
    assert inside is not before[0]
    with kept_prints():
        assert sys.stdout is inside
    assert sys.stdout is inside
    first.__exit__(None, None, None)
    assert (sys.stdout, sys.stderr) == before
    assert surroundings._guests == 0


def test_a_program_that_replaced_the_streams_keeps_them() -> None:
    mine = io.StringIO()
    before = sys.stdout
    with kept_prints():
        sys.stdout = mine
    assert sys.stdout is mine
    sys.stdout = before


def test_what_asks_a_stream_for_its_file_gets_the_process_s_own() -> None:
    with open(os.devnull, "w") as file:
        stream = surroundings._PerThread(file)
        assert stream.fileno() == file.fileno()
        assert stream.write("four") == 4


def test_a_flush_reaches_the_process_s_own_stream_only_outside() -> None:
    class Stream:
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

        def write(self, text: str) -> None: ...

    original = Stream()
    stream = surroundings._PerThread(original)
    stream.flush()
    assert original.flushed == 1
    stream.local.target = Stream()
    stream.flush()
    assert original.flushed == 1


@pytest.fixture
def alarm() -> Iterator[list[int]]:
    rung: list[int] = []
    timer = signal.setitimer(signal.ITIMER_REAL, 0)  # pytest has one of its own
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    yield rung
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, *timer)


def test_what_takes_too_long_is_ended_and_the_alarm_given_back(alarm: list[int]) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimedOut, match=r"it took longer than 0\.01 s"), limited(0.01):
        time.sleep(10)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is handler


def test_an_alarm_between_the_end_of_the_block_and_its_being_taken_back_ends_nothing(
    alarm: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    setitimer = signal.setitimer

    def rings_first(which: int, seconds: float, *again: float) -> None:
        if seconds == 0.0:
            signal.raise_signal(signal.SIGALRM)
        setitimer(which, seconds, *again)

    monkeypatch.setattr(signal, "setitimer", rings_first)
    with limited(1000.0):
        pass
    assert alarm == []


def test_what_ends_in_time_rings_no_alarm(alarm: list[int]) -> None:
    with limited(1000.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    signal.raise_signal(signal.SIGALRM)
    assert alarm == [1]


def test_without_a_limit_no_alarm_is_set(alarm: list[int]) -> None:
    with limited(inf):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        signal.raise_signal(signal.SIGALRM)
    assert alarm == [1]


def test_a_thread_of_its_own_sets_no_alarm(alarm: list[int]) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with limited(0.001):
                time.sleep(0.01)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (errors, alarm) == ([], [])


def test_random_numbers_are_those_of_run_and_sub_task() -> None:
    drawn = []
    for seed, key in ((1, "t0"), (1, "t0"), (1, "t1"), (2, "t0")):
        with guest(Attempt(key, 0, 0, "w", "u"), seed):
            drawn.append((random.random(), float(np.random.random())))
    assert drawn[0] == drawn[1]
    assert len({d[0] for d in drawn}) == len({d[1] for d in drawn}) == 3
