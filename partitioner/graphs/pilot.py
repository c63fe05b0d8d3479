"""Costs of steps that declare none: the whole graph in miniature, on two samples of the dataset, in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.attempt.formats import FORMATS, table_to_batch
from partitioner.attempt.surroundings import guest
from partitioner.errors import CostError, PartitionerError
from partitioner.graphs.program import as_given, callable_of, made
from partitioner.graphs.results import Made, encoded
from partitioner.graphs.source import StepCosts
from partitioner.graphs.step import DATASET, Step
from partitioner.model import Attempt, Dataset
from partitioner.reducers import partials

MERGE_SECONDS = 0.01
"""Of a merge, at least: its sub-task reads and commits, whatever the models are."""

Seconds = dict[str, tuple[float, float]]
"""Step to the seconds of its call, and of its merge."""


def costs_of(steps: Sequence[Step], dataset: Dataset | None, parts: int, pilot_rows: int, seed: int) -> StepCosts:
    """Seconds of every step, declared or measured on ``pilot_rows`` and twice as many rows; CostError where that fails."""
    rows = 0 if dataset is None else dataset.rows
    measured: Mapping[str, tuple[float, float, float]] = {}
    if any(step.seconds is None for step in steps):
        measured, rows = _measured(steps, dataset, pilot_rows, seed)
    calls, merges = {}, {}
    for step in steps:
        fixed, rest, merge = measured.get(step.name, (0.0, 0.0, 0.0))
        calls[step.name] = _declared(step, max(rows, 0), parts) or (fixed, rest)
        merges[step.name] = max(MERGE_SECONDS, merge * parts)
    source = "declared" if not measured else f"pilot on {pilot_rows} and {2 * pilot_rows} rows"
    return StepCosts(calls, merges, source)


def _declared(step: Step, rows: int, parts: int) -> tuple[float, float] | None:
    if step.seconds is None:
        return None
    if not callable(step.seconds):
        return 0.0, float(step.seconds)
    calls = 1 if step.whole or step.over is None else parts
    found = float(step.seconds(rows // calls))
    if not (np.isfinite(found) and found >= 0):
        raise CostError(f"step {step.name!r}: seconds({rows // calls}) gave {found}; give at least 0.")
    return 0.0, found * calls


def _measured(
    steps: Sequence[Step], dataset: Dataset | None, pilot_rows: int, seed: int
) -> tuple[dict[str, tuple[float, float, float]], int]:
    """Fixed seconds of a call, those of all rows, and those of a merged part; and how many rows there are."""
    sample = None if dataset is None else sampled(dataset, 2 * pilot_rows)
    small = None if sample is None else sample.slice(0, max(1, sample.num_rows // 2))
    miniature(steps, small, seed)  # imports are paid now
    low, high = miniature(steps, small, seed), miniature(steps, sample, seed)
    total, first, second = 0, 0, 0
    if sample is not None and small is not None and dataset is not None:
        first, second = small.num_rows, sample.num_rows
        total = dataset.rows if dataset.rows >= 0 else _rows_by_bytes(dataset, sample)
    found = {}
    for name, (seconds, merge) in high.items():
        per_row = max(0.0, (seconds - low[name][0]) / (second - first)) if second > first else 0.0
        found[name] = (max(0.0, seconds - per_row * second), per_row * total, merge)
    return found, total


def _rows_by_bytes(dataset: Dataset, sample: pa.Table) -> int:
    return int(dataset.fragments.bytes.sum() / max(1.0, sample.nbytes / max(1, sample.num_rows)))


def sampled(dataset: Dataset, rows: int) -> pa.Table:
    """About so many rows, from the beginnings of fragments all over the dataset."""
    places = np.unique(np.linspace(0, len(dataset.fragments) - 1, 8).astype(int)).tolist()
    each, held = -(-rows // len(places)), []
    for i in places:
        wanted = each
        for batch in dataset.source.read(dataset.fragments[i]):
            held.append(batch.slice(0, wanted))
            wanted -= held[-1].num_rows
            if wanted <= 0:
                break
    table = pa.Table.from_batches(held)
    order = np.random.default_rng(0).permutation(table.num_rows)  # the smaller half is of every place, too
    return table.take(pa.array(order))


def miniature(steps: Sequence[Step], rows: pa.Table | None, seed: int) -> Seconds:
    """Every step once, on these rows. CostError naming the step that fails on so few."""
    results: dict[str, Any] = {}
    found: Seconds = {}
    for step in steps:
        try:
            results[step.name], found[step.name] = _one(step, rows, results, seed)
        except PartitionerError as error:
            raise CostError(_remedy(step, rows, error)) from error
        except Exception as error:
            raise CostError(_remedy(step, rows, error)) from error
    return found


def _remedy(step: Step, rows: pa.Table | None, error: Exception) -> str:
    count = 0 if rows is None else rows.num_rows
    return (
        f"the pilot of step {step.name!r} on {count} rows failed: {type(error).__name__}: {error}. Mend it; or, where it "
        "needs more rows, raise pilot_rows; or declare 'seconds' of every step, and no pilot runs."
    )


def _one(step: Step, rows: pa.Table | None, results: Mapping[str, Any], seed: int) -> tuple[Any, tuple[float, float]]:
    call = callable_of(step)
    given = {name: as_given(results[name], step) for name in step.using}
    batch = []
    if step.over is not None:
        table = rows if step.over == DATASET else results[step.over]
        if not isinstance(table, pa.Table):
            raise CostError(f"it is over {step.over!r}, whose result is a {type(table).__name__} and no rows")
        batch = [FORMATS[step.batch_format](table_to_batch(table))]
    key = f"{step.name}-0000"
    with guest(Attempt(key, 0, 0, "pilot", "", cpus=step.cpus), seed):
        began = time.perf_counter()
        found = made(step, key, call(*batch, **given))
        seconds = time.perf_counter() - began
    return _finished(step, found, seconds)


def _finished(step: Step, found: Made, seconds: float) -> tuple[Any, tuple[float, float]]:
    if step.reducer is None:
        return found.value(), (seconds, 0.0)
    began = time.perf_counter()
    output = step.reducer.extract_output(partials.loads(step.reducer, found.data, found.key))
    value = encoded(found.key, output, step.serializer).value()
    return value, (seconds, time.perf_counter() - began)
