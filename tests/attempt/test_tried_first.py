"""Before a run: the trial of the first rows, the share of a pilot, and one batch of a given weight."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt import job as jobs
from partitioner.attempt import pilot, probe
from partitioner.attempt import trial as trials
from partitioner.attempt.job import Built
from partitioner.attempt.surroundings import task_context
from partitioner.attempt.trial import CLAIM, trial, wait_for_trial
from partitioner.costs.measuring.measurements import Timing
from partitioner.errors import ConfigError, CostError
from partitioner.model import Fragments
from tests.attempt.by_hand import KEY, ByHand, doubled


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_jobs", OrderedDict())
    monkeypatch.setattr(jobs, "_programs", OrderedDict())
    monkeypatch.setattr(trials, "_running", [])
    monkeypatch.setattr(pilot, "_runners", {})
    monkeypatch.setattr(probe, "_samples", {})


def ready(home: Path, program: Any = doubled, **options: Any) -> ByHand:
    """A run whose program this process holds."""
    made = ByHand(home, program, **options)
    jobs._programs[made.directory.url] = Built(made.job, program, 1.5)
    return made


def tried(made: ByHand, rows: int = 7, wait: float = 60.0, alone: bool = False) -> str:
    fragments = made.tasks.fragments
    assert fragments is not None
    return trial(0, 1, made.directory.url, KEY, fragments, "t000000", rows, wait, alone)


SEEN: list[list[int]] = []


def noted(batch: pa.RecordBatch) -> pa.RecordBatch:
    SEEN.append(batch.column("x").to_pylist())
    return doubled(batch)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


@pytest.mark.parametrize(("rows", "seen"), [(7, 7), (5, 5), (1, 1), (99, 20)])
def test_the_first_rows_are_tried_and_settle_the_schema(tmp_path: Path, rows: int, seen: int) -> None:
    made = ready(tmp_path, noted)
    assert tried(made, rows) == ""
    assert [list(range(seen))] == SEEN
    assert made.directory.files.names("schema") == ["schema/000000.json"]
    assert made.directory.files.exists(CLAIM)


def test_one_of_several_that_are_asked_tries(tmp_path: Path) -> None:
    made = ready(tmp_path, noted)
    made.directory.files.put(CLAIM, b"")
    assert tried(made) == ""
    assert SEEN == []


def test_no_more_than_a_batch_of_the_run_is_tried(tmp_path: Path) -> None:
    tried(ready(tmp_path, noted, batching={"batch_size": 3}))
    assert SEEN == [[0, 1, 2]]
    SEEN.clear()
    (tmp_path / "auto").mkdir()
    tried(ready(tmp_path / "auto", noted, batching={"batch_size": "auto"}))
    assert [list(range(7))] == SEEN


def raising(error: BaseException) -> Any:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise error

    return program


def test_what_no_run_can_mend_is_said(tmp_path: Path) -> None:
    assert tried(ready(tmp_path, raising(ConfigError("wrong setting")))) == "ConfigError: wrong setting"


class Ends(BaseException):
    """Of no known kind."""


@pytest.mark.parametrize(
    "error", [ValueError("a row"), MemoryError("x"), OSError("x"), SystemExit(3), KeyboardInterrupt(), Ends()]
)
def test_what_the_run_has_its_own_answer_to_is_not(tmp_path: Path, error: BaseException) -> None:
    assert tried(ready(tmp_path, raising(error))) == ""


def test_an_end_that_is_not_the_programs_is_raised_in_the_thread_that_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioner.attempt.trial._first_rows", lambda *_: raising(Ends())(None))
    made = ready(tmp_path, noted)
    with pytest.raises(Ends):
        tried(made)


def test_poison_rows_are_set_aside_where_they_will_be(tmp_path: Path) -> None:
    def fails_on_one(batch: pa.RecordBatch) -> pa.RecordBatch:
        if 1 in batch.column("x").to_pylist():
            raise ValueError("one")
        return noted(batch)

    assert tried(ready(tmp_path, fails_on_one, on_error="quarantine")) == ""
    assert SEEN[-1] == [0, 2, 3, 4, 5, 6]
    SEEN.clear()
    (tmp_path / "raise").mkdir()
    assert tried(ready(tmp_path / "raise", fails_on_one)) == ""
    assert SEEN == []


def test_a_model_is_not_fitted_to_a_few_rows(tmp_path: Path) -> None:
    made = ready(tmp_path, noted)
    object.__setattr__(made.job, "reducer", type("Whole", (), {"whole_task": True, "rows": False})())
    assert (tried(made), SEEN) == ("", [])


def test_no_rows_are_no_trial(tmp_path: Path) -> None:
    made = ready(tmp_path, noted)
    empty = Fragments.of([])
    assert trial(0, 1, made.directory.url, KEY, empty, "t000000", 7, 60.0, False) == ""
    assert SEEN == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda b: [1.0, 2.0], ""),
        (lambda b: [float("nan")], "ProgramError: The program returned NaN"),
        (lambda b: ["text"], "ProgramError: "),
    ],
)
def test_what_a_reducer_takes_is_added(tmp_path: Path, value: Any, said: str) -> None:
    found = tried(ready(tmp_path, value, reducer="mean"))
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_safe_reducer_s_accumulator_is_written_once(tmp_path: Path) -> None:
    written: list[Any] = []
    made = ready(tmp_path, lambda b: [1.0], reducer="mean")
    reducer = made.job.reducer
    kind = type("Noting", (type(reducer),), {"serialize": lambda self, a: written.append(a) or b"", "__slots__": ()})
    for serializer, count in (("safe", 1), ("pickle", 1)):
        chosen = kind()
        object.__setattr__(chosen, "serializer", serializer)
        object.__setattr__(made.job, "reducer", chosen)
        made.directory.files.delete(CLAIM)
        assert tried(made) == ""
        assert len(written) == count


def test_a_slow_trial_is_left_behind_and_waited_for_where_it_is_alone(tmp_path: Path) -> None:
    gate = threading.Event()

    def slow(batch: pa.RecordBatch) -> pa.RecordBatch:
        gate.wait(60)
        return noted(batch)

    made = ready(tmp_path, slow)
    began = time.monotonic()
    assert tried(made, wait=0.01, alone=True) == ""
    assert time.monotonic() - began < 30
    assert len(trials._running) == 1
    gate.set()
    wait_for_trial()
    assert (len(SEEN), trials._running) == (1, [])
    wait_for_trial()


def test_a_trial_that_is_not_alone_is_not_waited_for(tmp_path: Path) -> None:
    tried(ready(tmp_path, noted), alone=False)
    assert trials._running == []


def test_the_trial_has_a_context_of_its_own(tmp_path: Path) -> None:
    found: list[tuple[str, int]] = []

    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        found.append((task_context().task_key, task_context().number))
        return doubled(batch)

    tried(ready(tmp_path, program))
    assert found == [("trial", 0)]


# the pilot


def test_a_slot_says_what_loading_took_the_first_time(tmp_path: Path) -> None:
    made = ready(tmp_path)
    found = pilot.loaded(0, 1, made.directory.url, KEY)
    assert (found.seconds, found.memory_bytes > 1e6) == (0.0, True)
    assert found.process.endswith(f":{os.getpid()}")


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
    pilot._runners[made.directory.url, threading.get_ident()] = runner  # type: ignore[assignment]
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
    pilot.end_of_pilot(made.directory.url)


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
    held = pilot._runners[made.directory.url, threading.get_ident()]
    pilot.run_share(0, 1, made.directory.url, KEY, asked, 60.0)
    assert pilot._runners[made.directory.url, threading.get_ident()] is held
    pilot._runners["another", 0] = held
    pilot.end_of_pilot(made.directory.url)
    assert list(pilot._runners) == [("another", 0)]


def test_the_program_of_a_pilot_is_built_where_none_is_given(tmp_path: Path) -> None:
    made = ByHand(tmp_path, noted)
    pilot.pilot_program(made.job)()(pa.record_batch({"x": [1]}))
    pilot.pilot_program(made.job, lambda b: SEEN.append([-1]))()(pa.record_batch({"x": [1]}))
    assert SEEN == [[1], [-1]]


# the probe


def asked(made: ByHand, weight: float, **options: Any) -> probe.Asked:
    fragments = made.tasks.fragments
    assert fragments is not None
    return probe.Asked(fragments, weight, **{"padded": False, "most_rows": 100, **options})


def probed(made: ByHand, weight: float, **options: Any) -> probe.Tried:
    return probe.probe(0, 1, made.directory.url, KEY, asked(made, weight, **options))


COLLECTED: list[int] = []


@pytest.fixture(autouse=True)
def nothing_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    COLLECTED.clear()
    monkeypatch.setattr(probe, "gc", SimpleNamespace(collect=lambda: COLLECTED.append(1)))  # slow after many tests


WEIGHED: dict[str, Any] = {"batching": {"weight": "1 + x"}, "columns": ("x",)}


@pytest.mark.parametrize(
    ("weight", "options", "rows", "weighs"),
    [
        (39.0, {}, [19, 18], 39.0),
        (60.0, {"padded": True}, [19, 18, 17], 60.0),
        (19.0, {"heaviest": False}, [9, 8], 19.0),
    ],
)
def test_a_batch_of_a_weight_is_put_through_the_program(
    tmp_path: Path, weight: float, options: Any, rows: list[int], weighs: float
) -> None:
    found = probed(ready(tmp_path, noted, **WEIGHED), weight, **options)
    assert [rows] == SEEN
    assert (found.rows, found.weight, found.failure) == (len(rows), weighs, None)
    assert (found.gpu_bytes, found.gpu_total_bytes) == (0, 0)
    assert found.peak_bytes >= found.baseline_bytes > 1e6
    assert found.free_bytes > 0
    assert found.seconds >= 0


def test_rows_of_a_sample_are_read_once_and_dropped_at_the_end(tmp_path: Path) -> None:
    made = ready(tmp_path, noted, **WEIGHED)
    probed(made, 20.0)
    held = next(iter(probe._samples.values()))
    probed(made, 20.0)
    assert next(iter(probe._samples.values())) is held
    probe._samples["another", 0] = held
    probe.end_of_probe(0, 1, made.directory.url)
    assert list(probe._samples) == [("another", 0)]


@pytest.mark.parametrize(("most", "each"), [(8, 2), (4, 1), (2, 1), (2000, 5)])
def test_some_rows_of_every_fragment_make_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, each: int
) -> None:
    monkeypatch.setattr(probe, "SAMPLE_ROWS", most)
    made = ByHand(tmp_path, **WEIGHED)
    table, weights = probe._sample(made.job, made.tasks.fragments)  # type: ignore[arg-type]
    assert table["x"].to_pylist() == [5 * g + i for g in range(4) for i in range(each)]
    assert weights.tolist() == [1 + x for x in table["x"].to_pylist()]


class Small:
    """Every fragment in batches of two rows; notes what is read."""

    def __init__(self, made: ByHand) -> None:
        self.source, self.read_rows = made.job.source, 0

    def read(self, fragment: Any, columns: Any) -> Any:
        for batch in self.source.read(fragment, columns):
            for start in range(0, batch.num_rows, 2):
                self.read_rows += len(batch.slice(start, 2))
                yield batch.slice(start, 2)


def small(made: ByHand) -> Small:
    source = Small(made)
    object.__setattr__(made.job, "source", source)
    return source


@pytest.mark.parametrize(("most", "each", "read"), [(12, 3, 16), (8, 2, 8), (4, 1, 8), (16, 4, 16)])
def test_no_more_batches_are_read_than_make_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, each: int, read: int
) -> None:
    monkeypatch.setattr(probe, "SAMPLE_ROWS", most)
    made = ByHand(tmp_path, **WEIGHED)
    source = small(made)
    table, _ = probe._sample(made.job, made.tasks.fragments)  # type: ignore[arg-type]
    assert table["x"].to_pylist() == [5 * g + i for g in range(4) for i in range(each)]
    assert source.read_rows == read


def test_of_one_fragment_all_rows_of_the_sample_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SAMPLE_ROWS", 8)
    made = ByHand(tmp_path, group=20, **WEIGHED)
    assert probe._sample(made.job, made.tasks.fragments)[0].num_rows == 8  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "read"), [(1, 2), (2, 2), (3, 4), (5, 5), (6, 7)])
def test_no_more_batches_are_read_than_are_tried(tmp_path: Path, rows: int, read: int) -> None:
    made = ready(tmp_path, noted)
    source = small(made)
    assert tried(made, rows) == ""
    assert (SEEN, source.read_rows) == ([list(range(rows))], read)


def test_a_probe_is_measured_without_garbage_and_has_a_context(tmp_path: Path) -> None:
    keys: list[str] = []

    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        keys.append(task_context().task_key)
        return batch

    probed(ready(tmp_path, program, **WEIGHED), 20.0)
    assert (keys, COLLECTED) == (["probe"], [1])


def test_no_rows_are_no_sample(tmp_path: Path) -> None:
    table, weights = probe._sample(ByHand(tmp_path, **WEIGHED).job, Fragments.of([]))
    assert (table.num_rows, len(weights)) == (0, 0)


def test_an_error_of_the_program_is_part_of_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    monkeypatch.setattr(probe, "release_gpu_memory", lambda: released.append(1))
    found = probed(ready(tmp_path, raising(MemoryError("no room")), **WEIGHED), 20.0)
    assert found.failure is not None
    assert (found.failure.type, found.failure.memory, released) == ("MemoryError", True, [])
    probe._samples.clear()
    (tmp_path / "gpu").mkdir()
    found = probed(ready(tmp_path / "gpu", raising(RuntimeError("CUDA out of memory")), **WEIGHED), 20.0)
    assert found.failure is not None
    assert (found.failure.gpu, released) == (True, [1])


def test_a_stream_is_taken_to_its_end(tmp_path: Path) -> None:
    def streaming(batch: pa.RecordBatch) -> Any:
        yield doubled(batch)
        SEEN.append([0])

    probed(ready(tmp_path, streaming, **WEIGHED), 20.0)
    assert SEEN == [[0]]


@pytest.mark.parametrize(
    ("weight", "options", "count"),
    [
        (21.0, {"padded": True, "heaviest": False}, 10),
        (1e9, {}, 7),
        (13.0, {}, 4),
        (26.0, {}, 8),
        (12.9, {}, 3),
        (0.0, {"padded": True}, 1),
    ],
)
def test_how_many_rows_make_a_weight(weight: float, options: Any, count: int) -> None:
    most = 7 if weight > 1e6 else 100
    told = probe.Asked(Fragments.of([]), weight, **{"padded": False, "most_rows": most, **options})
    assert len(probe.chosen_rows(np.array([6.0, 4.0, 2.0, 1.0]), told)) == count


def test_rows_without_weight_are_as_many_as_allowed() -> None:
    told = probe.Asked(Fragments.of([]), 5.0, False, 9)
    assert probe.chosen_rows(np.zeros(3), told).tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2]
