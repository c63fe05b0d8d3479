"""``max_batch_weight="auto"``: the largest batch whose memory is safe, and a run that outlives the search for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.attempt.probe import Asked, chosen_rows
from partitioner.errors import ConfigError
from partitioner.measure import resident_bytes
from partitioner.model import Fragments
from partitioner.stages.batch_weight import Found, Round, grown

MEGABYTE = 1 << 20
TABLE = pa.table({"x": range(400), "n": [1 + i % 4 for i in range(400)]})


def memory_of(share: Callable[[float], float], seen: list[float]) -> Callable[[float], Round]:
    """Batches that take ``share(weight)`` of what is safe, and run out of memory above twice of it."""

    def measure(weight: float) -> Round:
        seen.append(weight)
        if share(weight) > 2:
            return Round(weight, inf, 0.1, "MemoryError: no", memory=True)
        return Round(weight, share(weight), 0.1)

    return measure


def test_a_batch_grows_to_where_a_line_meets_the_limit() -> None:
    seen: list[float] = []
    found = grown(memory_of(lambda w: 0.1 + w / 1000, seen), 10)
    assert seen[:7] == [10, 20, 40, 80, 160, 320, 640]
    assert 1280 not in seen  # the line says beforehand what that would take
    assert found.weight == pytest.approx(900)
    assert "the largest of 8 sizes tried that is safe (peak 100%): a batch of 1280 would take 138%" in found.why


def test_memory_that_grows_faster_than_a_line_is_approached_from_below() -> None:
    seen: list[float] = []
    found = grown(memory_of(lambda w: (w / 100) ** 2, seen), 10)
    assert 60 < found.weight <= 100
    assert max(seen) < 200


def test_running_out_of_memory_at_a_step_is_halved_around() -> None:
    seen: list[float] = []
    found = grown(memory_of(lambda w: 0.1 if w <= 50 else 3.0, seen), 8)
    assert seen[:4] == [8, 16, 32, 64]
    assert 40 < found.weight <= 50
    assert "a batch of 64 ran out of memory (MemoryError: no)" in found.why


def test_where_the_least_batch_fails_the_bound_is_that() -> None:
    found = grown(lambda w: Round(w, inf, 0.1, "MemoryError: no", memory=True), 7)
    assert found == Found(7, "the least that makes sense, for a batch of 7 ran out of memory (MemoryError: no)")


def test_growth_ends_where_the_data_or_the_time_does() -> None:
    least = grown(lambda w: Round(w, 0.1, 0.1, largest=w >= 40), 10)
    assert (least.weight, "the data makes no larger batch" in least.why) == (40, True)
    slow = grown(lambda w: Round(w, 0.1, w), 10)
    assert (slow.weight, "a call takes 40 s already" in slow.why) == (40, True)


@pytest.mark.parametrize(
    ("padded", "heaviest", "weight", "rows"),
    [
        (True, True, 12.0, [0, 1]),  # 2 x 6
        (True, False, 12.0, [2, 3, 2, 3, 2, 3]),  # 6 x 2
        (False, True, 12.0, [0, 1, 2]),  # 6 + 4 + 2
        (False, True, 24.0, [0, 1, 2, 3, 0, 1]),  # 6 + 4 + 2 + 1, and again
        (True, True, 1.0, [0]),
    ],
)
def test_a_batch_is_made_of_the_sample_again_and_again(
    padded: bool, heaviest: bool, weight: float, rows: list[int]
) -> None:
    weights = np.array([6.0, 4.0, 2.0, 1.0])
    asked = Asked(Fragments.of([]), weight, padded, 100, heaviest)
    assert chosen_rows(weights, asked).tolist() == rows


def run(program: Any, checkpoint: str, **options: Any) -> pt.Run:
    given = {"weight": "n", "max_batch_weight": "auto", "cost": "rows", "engine": "serial", "max_tasks": 2}
    given |= {"min_tasks_per_slot": 2, "progress": False, "report": False, "checkpoint": checkpoint}
    return pt.run(TABLE, program, **{**given, **options})


def bound_of(finished: pt.Run) -> float:
    return float(finished.plan.about.notes["max_batch_weight"].partition(",")[0])


def takes_a_megabyte_each(batch: pd.DataFrame) -> pd.DataFrame:
    """A megabyte for every unit of weight."""
    held = np.ones(int(batch["n"].sum()) * MEGABYTE, np.uint8)
    return pd.DataFrame({"x": batch["x"], "weight": int(batch["n"].sum()), "held": len(held)})


def test_the_bound_is_what_the_memory_allows(checkpoint: str) -> None:
    allowed = resident_bytes() + 300 * MEGABYTE
    finished = run(takes_a_megabyte_each, checkpoint, allowed_mem=allowed)
    assert 60 < bound_of(finished) <= 300
    assert "of the memory that is safe" in finished.plan.about.notes["max_batch_weight"]
    rows = finished.result.to_pandas()
    assert rows["x"].tolist() == list(range(400))
    assert bound_of(finished) / 2 < rows["weight"].max() <= bound_of(finished)


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


def runs_out(batch: pd.DataFrame, error: str) -> pd.DataFrame:
    if batch["n"].sum() > 50:
        raise MemoryError("no room") if error == "memory" else OutOfMemoryError("CUDA out of memory. Tried to allocate")
    return batch[["x"]]


@pytest.mark.parametrize("error", ["memory", "gpu"])
def test_running_out_of_memory_in_the_probe_does_not_end_the_run(checkpoint: str, error: str) -> None:
    finished = run(runs_out, checkpoint, arguments={"error": error})
    assert 40 < bound_of(finished) <= 50
    assert "ran out of memory" in finished.plan.about.notes["max_batch_weight"]
    assert finished.result.to_table()["x"].to_pylist() == list(range(400))


def dies(batch: pd.DataFrame) -> pd.DataFrame:
    if batch["n"].sum() > 50 and pt.task_context().task_key == "probe":
        os.kill(os.getpid(), 9)
    return batch[["x"]]


def test_a_death_in_the_probe_does_not_end_the_run(checkpoint: str) -> None:
    finished = run(dies, checkpoint, engine={"engine": "dask", "workers": 1})
    assert 20 < bound_of(finished) <= 50
    assert finished.result.to_table()["x"].to_pylist() == list(range(400))


def weights_seen(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    if batch["n"].sum() > 50:
        raise MemoryError("no room")
    if 399 in set(batch["x"]) and pt.task_context().task_key.startswith("t0") and not Path(folder, "mended").exists():
        raise ValueError("not yet")
    return pd.DataFrame({"x": batch["x"], "weight": int(batch["n"].sum())})


def test_a_resumed_run_keeps_the_bound(checkpoint: str, tmp_path: Path) -> None:
    options = {"arguments": {"folder": str(tmp_path)}, "name": "again", "max_retries": 0}
    with pytest.raises(pt.PartitionerError, match="not yet"):
        run(weights_seen, checkpoint, **options)
    (tmp_path / "mended").touch()
    rows = run(weights_seen, checkpoint, resume="auto", **options).result.to_pandas()
    assert rows["x"].tolist() == list(range(400))
    assert rows["weight"][:190].max() == rows["weight"][210:].max()


def test_a_plan_says_when_it_will_be_found() -> None:
    planned = pt.plan(TABLE, takes_a_megabyte_each, cost="rows", workers=2, weight="n", max_batch_weight="auto")
    assert planned.about.notes["max_batch_weight"].startswith("auto: found on the workers when the run begins")


def test_it_needs_a_weight(checkpoint: str) -> None:
    with pytest.raises(ConfigError, match="max_batch_weight = auto needs a weight"):
        run(takes_a_megabyte_each, checkpoint, weight=None)
