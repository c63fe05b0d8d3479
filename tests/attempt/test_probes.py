"""One batch of a given weight, before a run: its rows, what it measures, and errors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt import probe
from partitioner.attempt.surroundings import task_context
from partitioner.model import Fragments
from tests.attempt.by_hand import KEY, ByHand, doubled
from tests.attempt.held import SEEN, noted, raising, ready, tried

pytestmark = pytest.mark.usefixtures("nothing_held")


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
