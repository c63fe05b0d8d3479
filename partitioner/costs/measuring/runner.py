"""Runs the program on pilot pieces in this process and times each."""

from __future__ import annotations

import os
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from partitioner.costs.measuring.measurements import Timing
from partitioner.errors import CostError, clause
from partitioner.measure import measured
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.data import Ints

KEPT_BYTES = 64 << 20
TRACED_SHARE = 0.15
CHEAP_TRACE = 0.1
"""Seconds of tracing that are always allowed: a pilot of milliseconds has few others."""

SLOWDOWN = 10.0
"""How many times as long a call takes while allocations are traced, until one has shown it: a loop over numbers, for one."""
Program = Callable[[pa.RecordBatch], Any]


class Runner(Protocol):
    """How the pilot gets its timings: in this process, or in the slots of an engine."""

    def __call__(
        self, dataset: Dataset, pieces: Fragments, seconds_limit: float, sizes: Ints | None = None
    ) -> Sequence[Timing | None]:
        """One timing per call, in order; fewer when ``seconds_limit`` is spent before the last.

        A call is of one piece, or of as many as ``sizes`` says, one after another, read together as a sub-task reads them.
        None for a call in which the program failed; CostError where it failed in all.
        """
        ...


def share_of_turns(rows: int, together: int) -> float:
    """What a call counts of the seconds it waits where ``together`` rows wait at once; 1 where they wait in turn.

    Few rows wait as long as a whole turn of them; of the many of a sub-task each costs its share of one.
    """
    return rows / together / max(ceil(rows / together), 1)


class InProcess:
    """``build`` makes the program, once; each piece is read and handed to it as one record batch.

    ``columns`` are those the program reads, None for all. Small and picklable where ``build`` is, so that it can also be
    sent to a worker. A row group from which several pieces come is decoded once. Some pieces run once more under
    tracemalloc, within a sixth of the time, since the resident size of a process hardly moves for small ones; none of a slow
    program, which may take ten times as long then; with ``traced`` False none do, for tracing slows every thread of the
    process. ``between`` is called after every piece. ``together``: rows that the program has under way at once; where
    these are several, what a call waits counts as ``share_of_turns`` says.
    """

    def __init__(
        self,
        build: Callable[[], Program],
        columns: list[str] | None = None,
        worker_class: str = "",
        traced: bool = True,
        between: Callable[[], None] | None = None,
        together: int = 1,
    ) -> None:
        self.build, self.columns, self.worker_class, self.traced = build, columns, worker_class, traced
        self._between, self._together = between, together
        self._program: Program | None = None
        self._groups: dict[tuple[str, int], pa.Table] = {}
        self._timed = self._traced = 0.0
        self._slowdown = SLOWDOWN

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_program": None, "_groups": {}}

    def __call__(
        self, dataset: Dataset, pieces: Fragments, seconds_limit: float, sizes: Ints | None = None
    ) -> list[Timing | None]:
        """Timings of the calls until ``seconds_limit``, None where the program fails: a poison row, or too few to train on.

        CostError naming the first piece where it fails in all.
        """
        began = time.perf_counter()
        timings: list[Timing | None] = []
        failure: CostError | None = None
        for call in calls_of(pieces, sizes):
            if timings and time.perf_counter() - began > seconds_limit:
                break
            try:
                timings.append(self._one(dataset, call))
            except CostError as error:
                failure = failure or error
                timings.append(None)
            if self._between is not None:
                self._between()
        if failure is not None and not any(timings):
            raise failure
        return timings

    def _one(self, dataset: Dataset, call: Fragments) -> Timing:
        load = 0.0
        if self._program is None:
            start = time.perf_counter()
            self._program = self.build()
            load = time.perf_counter() - start
        with measured() as m:
            start, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
            read = [self._read(dataset, call[i]) for i in range(len(call))]
            table, decoded = _joined([part for part, _ in read]), any(new for _, new in read)
            reading, cpu_reading = time.perf_counter() - start, time.process_time() - cpu
            own_reading = time.thread_time() - own
            self._call(table, call[0])
        cpu_seconds = (
            m.thread_cpu_seconds if m.shared else m.cpu_seconds
        )  # other slots of the process are not this piece
        cpu_reading = own_reading if m.shared else cpu_reading
        own_cpu = max(cpu_seconds - cpu_reading, 0.0)
        waited = max(m.wall_seconds - reading - own_cpu, 0.0)
        saved = waited * (1 - share_of_turns(table.num_rows, self._together))
        timing = Timing(
            seconds=(m.wall_seconds if decoded else m.wall_seconds - reading) - saved,
            cpu_seconds=max(cpu_seconds - (0.0 if decoded else cpu_reading), 0.0),
            read_seconds=reading if decoded else 0.0,
            read_cpu_seconds=cpu_reading if decoded else 0.0,
            load_seconds=load,
            baseline_memory_bytes=float(m.baseline_memory_bytes),
            peak_memory_bytes=float(m.peak_memory_bytes),
            worker_class=self.worker_class,
            process=f"{socket.gethostname()}:{os.getpid()}",
        )
        self._timed += timing.seconds
        traced = self._trace(table, call[0], timing.seconds) if len(call) == 1 else 0.0
        return replace(timing, traced_bytes=traced)

    def _read(self, dataset: Dataset, fragment: Fragment) -> tuple[pa.Table, bool]:
        """The rows of one piece, and whether they were truly read: row groups are decoded whole, and kept while small."""
        f = dataset.fragments
        whole = np.flatnonzero(
            (f.section == fragment.section) & (f.start <= fragment.start) & (f.stop >= fragment.stop)
        )
        parent = next((int(i) for i in whole if f.paths[f.path_index[i]] == fragment.path), None)
        if fragment.section < 0 or parent is None or f.bytes[parent] > KEPT_BYTES:
            return _table(dataset, fragment, self.columns), True
        key = (fragment.path, parent)
        decoded = key not in self._groups
        if decoded:
            if sum(t.nbytes for t in self._groups.values()) + f.bytes[parent] > KEPT_BYTES:
                self._groups.clear()
            self._groups[key] = _table(dataset, dataset.fragments[parent], self.columns)
        start = fragment.start - int(f.start[parent])
        return self._groups[key].slice(start, fragment.stop - fragment.start), decoded

    def _call(self, table: pa.Table, fragment: Fragment) -> None:
        assert self._program is not None
        try:
            for batch in table.combine_chunks().to_batches():
                self._program(batch)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit, which would end the slot without a word
            raise CostError(
                f"the pilot's program failed on {_rows_of(fragment)}: {type(error).__name__}: {clause(error)}. "
                "Mend it, or declare the cost instead of calibrating."
            ) from error

    def _trace(self, table: pa.Table, fragment: Fragment, seconds: float) -> float:
        """Bytes allocated at the peak of one more run, 0 where there is no time for it or someone traces already.

        ``seconds``: what the run took without.
        """
        after = self._traced + seconds * self._slowdown
        if not self.traced or after > max(TRACED_SHARE * self._timed, CHEAP_TRACE) or tracemalloc.is_tracing():
            return 0.0
        start = time.perf_counter()
        tracemalloc.start()
        try:
            self._call(table, fragment)
            peak = float(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        took = time.perf_counter() - start
        self._traced += took
        self._timed += took
        self._slowdown = max(took / max(seconds, 1e-6), 1.0)
        return peak


def calls_of(pieces: Fragments, sizes: Ints | None) -> Iterator[Fragments]:
    """The pieces of each call: one, or as many as ``sizes`` says."""
    stops = np.arange(1, len(pieces) + 1) if sizes is None else np.cumsum(sizes)
    start = 0
    for stop in stops.tolist():
        yield pieces.take(np.arange(start, stop))
        start = stop


def _joined(tables: list[pa.Table]) -> pa.Table:
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")


def _rows_of(fragment: Fragment) -> str:
    """What was read, the row by its number where it is one."""
    alone = fragment.rows == 1 and fragment.stop - fragment.start == 1
    return f"{fragment.name} (row {fragment.start})" if alone else fragment.name


def _table(dataset: Dataset, fragment: Fragment, columns: list[str] | None) -> pa.Table:
    batches = list(dataset.source.read(fragment, columns))
    return pa.Table.from_batches(batches) if batches else pa.table({})
