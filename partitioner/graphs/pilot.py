"""Costs of steps that declare none: the whole graph in miniature, on two samples of the dataset, in the slots of the run."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.attempt.formats import FORMATS, table_to_batch
from partitioner.attempt.job import program_of
from partitioner.attempt.surroundings import guest
from partitioner.costs.measuring.in_slots import InSlots
from partitioner.costs.memory import WRITING_BYTES
from partitioner.errors import CostError, PartitionerError, clause
from partitioner.graphs.program import StepProgram, as_given, callable_of, made
from partitioner.graphs.results import Made, encoded
from partitioner.graphs.source import StepCosts, StepsSource
from partitioner.graphs.step import DATASET, Step
from partitioner.measure import measured
from partitioner.model import Attempt, Costs, Dataset
from partitioner.reducers import partials

MERGE_SECONDS = 0.01
"""Of a merge, at least: its sub-task reads and commits, whatever the models are."""

RESULTS_BYTES = 40e6
"""What a sub-task holds besides, and the pilot does not: results of other steps as they are read, and what a process that
has called several keeps. In ``conf/pipeline.yaml`` the largest process is 39 MB above the peak of its pilot."""

HERE = secrets.token_bytes(32)
"""The key of what the pilot keeps, which stays in this process."""

Seconds = dict[str, tuple[float, float]]
"""Step to the seconds of its call, and of its merge."""


class StepsMeasured(InSlots):
    """Costs of a graph: what steps declare, and for the others a pilot, in all slots of the run at once.

    Without slots the pilot runs in this process. ``parts`` of the dataset; the graph runs on ``rows`` and on twice as many.
    """

    name = "steps"

    def __init__(self, steps: Sequence[Step], parts: int, rows: int, seed: int) -> None:
        self.steps, self.parts, self.rows, self.seed = tuple(steps), parts, rows, seed
        self.measures = any(step.seconds is None for step in steps)

    def estimate(self, dataset: Dataset) -> Costs:
        """Seconds of every sub-task. CostError naming the step whose pilot fails."""
        source = dataset.source
        assert isinstance(source, StepsSource), "steps are planned"
        inner = None if source.inner is None else source.inner.describe()
        found: Mapping[str, tuple[float, float, float]] = {}
        rows, held = 0 if inner is None else inner.rows, 0.0
        if self.measures:
            if self.runner is None:
                told = [miniatures(self.steps, inner, self.rows, self.seed)]
            else:
                told = self.runner.ask(in_slot, self.rows, self.seed)
                held = max(t.peak_bytes for t in told) + WRITING_BYTES + RESULTS_BYTES
            rows = rows if inner is None or rows >= 0 else int(inner.fragments.bytes.sum() / told[0].row_bytes)
            found = drawn_out(told, rows)
        return costs_of(self.steps, found, rows, self.parts, self.rows, held).estimate(dataset)


def costs_of(
    steps: Sequence[Step],
    found: Mapping[str, tuple[float, float, float]],
    rows: int,
    parts: int,
    pilot_rows: int,
    held: float = 0.0,
) -> StepCosts:
    """Seconds of every step, declared or as found by a pilot, in whose process ``held`` bytes were resident at the peak."""
    calls, merges = {}, {}
    for step in steps:
        fixed, rest, merge = found.get(step.name, (0.0, 0.0, 0.0))
        calls[step.name] = _declared(step, max(rows, 0), parts) or (fixed, rest)
        merges[step.name] = max(MERGE_SECONDS, merge * parts)
    source = "declared" if not found else f"pilot on {pilot_rows} and {2 * pilot_rows} rows"
    return StepCosts(calls, merges, source, held)


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


@dataclass(frozen=True, slots=True)
class Told:
    """What one slot measured: seconds of every step on ``rows[0]`` and on ``rows[1]`` rows, of ``row_bytes`` each.

    ``peak_bytes`` resident in its process at most: with what the steps import when they are first called.
    """

    low: Seconds
    high: Seconds
    rows: tuple[int, int]
    row_bytes: float
    peak_bytes: float = 0.0


def in_slot(index: int, count: int, run_url: str, key: bytes, rows: int, seed: int) -> Told | CostError:
    """The graph of a run in miniature, in one of its slots; the error is returned, for not every engine carries it."""
    built, _ = program_of(run_url, key)
    source = built.job.source
    assert isinstance(source, StepsSource), "it is the job of a pipeline"
    assert isinstance(built.call, StepProgram), "and so is its program"
    try:
        inner = None if source.inner is None else source.inner.describe()
        with measured() as used:
            told = miniatures(tuple(built.call.steps.values()), inner, rows, seed)
        return replace(told, peak_bytes=float(used.peak_memory_bytes))
    except CostError as error:
        return error


def miniatures(steps: Sequence[Step], dataset: Dataset | None, pilot_rows: int, seed: int) -> Told:
    """The whole graph on ``pilot_rows`` and on twice as many; once before, so that imports are paid."""
    sample = None if dataset is None else sampled(dataset, 2 * pilot_rows)
    small = None if sample is None else sample.slice(0, max(1, sample.num_rows // 2))
    miniature(steps, small, seed)
    low, high = miniature(steps, small, seed), miniature(steps, sample, seed)
    if sample is None or small is None:
        return Told(low, high, (0, 0), 1.0)
    each = max(1.0, sample.nbytes / max(1, sample.num_rows))
    return Told(low, high, (small.num_rows, sample.num_rows), each)


def drawn_out(told: Sequence[Told], rows: int) -> dict[str, tuple[float, float, float]]:
    """Of each step the fixed seconds of a call, those of all rows, and those of a merged part: the median over the slots."""
    first, second = told[0].rows
    found = {}
    for name in told[0].high:
        low = median(t.low[name][0] for t in told)
        high = median(t.high[name][0] for t in told)
        per_row = max(0.0, (high - low) / (second - first)) if second > first else 0.0
        found[name] = (max(0.0, high - per_row * second), per_row * rows, median(t.high[name][1] for t in told))
    return found


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
        f"the pilot of step {step.name!r} on {count} rows failed: {type(error).__name__}: {clause(error)}. Mend it; or, "
        "where it needs more rows, raise pilot_rows; or declare 'seconds' of every step, and no pilot runs."
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
        found = made(step, key, call(*batch, **given), HERE)
        seconds = time.perf_counter() - began
    return _finished(step, found, seconds)


def _finished(step: Step, found: Made, seconds: float) -> tuple[Any, tuple[float, float]]:
    if step.reducer is None:
        return found.value(HERE), (seconds, 0.0)
    began = time.perf_counter()
    output = step.reducer.extract_output(partials.loads(step.reducer, found.data, found.key, HERE))
    value = encoded(found.key, output, step.serializer, HERE).value(HERE)
    return value, (seconds, time.perf_counter() - began)
