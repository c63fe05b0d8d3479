"""One batch of a given weight through the program on a worker, and the memory that it took: how the pilot finds a bound."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.attempt.formats import FORMATS
from partitioner.attempt.job import Job, program_of
from partitioner.attempt.surroundings import guest, kept_prints
from partitioner.costs.formulas.row_weight import RowWeight
from partitioner.measure import gpu_memory, measured, release_gpu_memory
from partitioner.model import Attempt, Failure, Fragments
from partitioner.model.data import Floats, Ints

SAMPLE_ROWS = 2_000
"""Rows that batches are made of, some of each fragment asked for."""

_samples: dict[tuple[str, int], tuple[pa.Table, Floats]] = {}
"""Per run and thread: the rounds of one probe make their batches of the same rows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One round: a batch of ``weight``, made of rows of ``fragments`` again and again; ``most_rows`` of them at most.

    ``padded`` as for batches. ``heaviest`` rows first, or else those of middling weight.
    """

    fragments: Fragments
    weight: float
    padded: bool
    most_rows: int
    heaviest: bool = True


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of it: ``weight`` and ``rows`` of the batch, whole; bytes resident before and at the peak; ``gpu_bytes``
    allocated at the peak and ``gpu_total_bytes`` of the device (0: none used); ``free_bytes`` of the machine before.

    ``failure`` where the program raised; memory that ran out is one.
    """

    weight: float
    rows: int
    seconds: float
    baseline_bytes: float
    peak_bytes: float
    gpu_bytes: float
    gpu_total_bytes: float
    free_bytes: float
    host: str
    failure: Failure | None = None


def probe(index: int, count: int, run_url: str, key: bytes, asked: Asked) -> Tried:
    """In a slot: call the program once. An error of the program, out of memory or not, is part of the answer."""
    import psutil

    built, _ = program_of(run_url, key)
    rows, weight = _batch(built.job, run_url, asked)
    free = float(psutil.virtual_memory().available)
    failure = None
    gc.collect()
    with measured() as m:
        try:
            with kept_prints(), guest(Attempt("probe", -1, 0, "driver", ""), built.job.seed):
                _called(built.call, FORMATS[built.job.batch_format](rows))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit, which would end the slot without a word
            failure = Failure.of(error)
    total = gpu_memory()
    if failure is not None and failure.gpu:
        release_gpu_memory()
    return Tried(
        weight=weight,
        rows=rows.num_rows,
        seconds=m.wall_seconds,
        baseline_bytes=float(m.baseline_memory_bytes),
        peak_bytes=float(m.peak_memory_bytes),
        gpu_bytes=float(m.gpu_memory_bytes),
        gpu_total_bytes=total,
        free_bytes=free,
        host=socket.gethostname(),
        failure=failure,
    )


def end_of_probe(index: int, count: int, run_url: str) -> None:
    """Drop the rows that the probe of a run holds in this process."""
    for at in [at for at in _samples if at[0] == run_url]:
        _samples.pop(at, None)


def _called(call: Any, batch: Any) -> None:
    """Call, and take what comes as a stream."""
    from partitioner.attempt.returned import is_stream

    value = call(batch)
    if is_stream(value):
        for _ in value:
            pass


def _batch(job: Job, run_url: str, asked: Asked) -> tuple[pa.RecordBatch, float]:
    """A batch of about the weight asked for, one row at least, and what it weighs."""
    at = (run_url, threading.get_ident())
    if at not in _samples:
        _samples[at] = _sample(job, asked.fragments)
    table, weights = _samples[at]
    chosen = chosen_rows(weights, asked)
    batch = table.take(pa.array(chosen)).combine_chunks().to_batches()
    taken = weights[chosen]
    weight = float(taken.max() * len(taken) if asked.padded else taken.sum())
    return batch[0] if batch else pa.RecordBatch.from_pylist([], table.schema), weight


def chosen_rows(weights: Floats, asked: Asked) -> Ints:
    """Which rows of the sample make a batch of the weight asked for, repeats allowed: at least one."""
    order = np.argsort(-weights, kind="stable")
    if not asked.heaviest:
        order = order[len(order) // 2 :]
    heavy = max(float(weights[order[0]]), 1e-12)
    if asked.padded:
        count = int(asked.weight / heavy * (1 + 1e-9))
    else:
        mean = max(float(weights[order].mean()), 1e-12)
        rounds = -(-min(asked.most_rows, int(asked.weight / mean) + len(order)) // len(order))
        count = int(
            np.searchsorted(np.cumsum(np.tile(weights[order], max(rounds, 1))), asked.weight * (1 + 1e-9), "right")
        )
    count = max(1, min(count, asked.most_rows))
    found: Ints = np.resize(order, count).astype(np.int64)
    return found


def _sample(job: Job, fragments: Fragments) -> tuple[pa.Table, Floats]:
    """Some rows of every fragment, and what each weighs."""
    settings: Mapping[str, Any] = job.batching
    weigh = RowWeight(settings["weight"])
    each = max(1, SAMPLE_ROWS // max(len(fragments), 1))
    kept: list[pa.RecordBatch] = []
    for i in range(len(fragments)):
        wanted = each
        for batch in job.source.read(fragments[i], job.columns):
            kept.append(batch.slice(0, wanted))
            wanted -= batch.num_rows
            if wanted <= 0:
                break
    held = [batch for batch in kept if batch.num_rows]
    if not held:
        return pa.table({}), np.empty(0)
    return pa.Table.from_batches(held), np.concatenate([weigh.of(batch) for batch in held])
