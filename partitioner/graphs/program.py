"""What a worker does in a sub-task of a pipeline: read what it waits for, call the step's program, hand on the result."""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from partitioner.attempt.formats import FORMATS, table_to_batch
from partitioner.attempt.job import KEPT_JOBS, build, load
from partitioner.attempt.returned import is_stream, to_record_batch
from partitioner.attempt.surroundings import task_context
from partitioner.errors import ProgramError, RunFailed
from partitioner.graphs.graph import step_of
from partitioner.graphs.results import Made, encoded, read_made
from partitioner.graphs.step import DATASET, Step
from partitioner.model import SubTasks
from partitioner.reducers import partials

_FRAMES = {"pandas": ("DataFrame",), "polars": ("DataFrame",), "pyarrow": ("Table", "RecordBatch")}

KEPT_RESULTS = 8
"""Results of other steps that a process keeps: a model that many partitions use is read once."""


@lru_cache(maxsize=KEPT_JOBS)
def _tasks_of(run_url: str) -> SubTasks:
    """All sub-tasks of a pipeline with their dependencies, read once per process."""
    return load(run_url).run.read_tasks()


def _secret_of(run_url: str) -> bytes:
    return load(run_url).run.key


class StepProgram:
    """The program of every sub-task of a pipeline; which step it is, the name of the sub-task says.

    ``prints`` are the fingerprints of the steps' programs, so that a resume notices a change of any.
    """

    def __init__(self, steps: Sequence[Step], prints: Mapping[str, str]) -> None:
        self.steps = {step.name: step for step in steps}
        self._calls: dict[str, Callable[..., Any]] = {}
        self._kept: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, batch: pa.RecordBatch) -> Made:
        """The result of this sub-task."""
        context = task_context()
        name, merges = step_of(context.task_key)
        secret = _secret_of(context.run_url)
        step, waits = self.steps[name], self._waits(context.run_url, context.task_key)
        if merges:
            return self._merge(step, context.run_url, context.task_key, waits[name])
        given = {used: self._result(self.steps[used], context.run_url, waits[used]) for used in step.using}
        given = {used: as_given(value, step) for used, value in given.items()}
        if step.over is None:
            return made(step, context.task_key, self._call(step)(**given), secret)
        rows = batch if step.over == DATASET else self._rows(step, context.run_url, waits[str(step.over)])
        return made(step, context.task_key, self._call(step)(FORMATS[step.batch_format](rows), **given), secret)

    def _call(self, step: Step) -> Callable[..., Any]:
        """The step's program, a class built once per process."""
        with self._lock:
            if step.name not in self._calls:
                self._calls[step.name] = callable_of(step)
            return self._calls[step.name]

    def _waits(self, run_url: str, key: str) -> dict[str, list[str]]:
        """Step to the keys of its sub-tasks that this one reads."""
        tasks = _tasks_of(run_url)
        keys = tasks.task_id.to_pylist()
        found: dict[str, list[str]] = {}
        for source in tasks.edges.source[tasks.edges.target == keys.index(key)].tolist():
            found.setdefault(step_of(keys[source])[0], []).append(keys[source])
        return found

    def _read(self, run_url: str, key: str) -> Made:
        return read_made(load(run_url).job.sink, key)

    def _result(self, step: Step, run_url: str, keys: Sequence[str]) -> Any:
        place = (run_url, step.name)
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        value = together(step, [self._read(run_url, key) for key in keys], _secret_of(run_url))
        with self._lock:
            self._kept[place] = value
            while len(self._kept) > KEPT_RESULTS:
                self._kept.popitem(last=False)
        return value

    def _rows(self, step: Step, run_url: str, keys: Sequence[str]) -> pa.RecordBatch:
        """What a step over another gets. ProgramError where that one's result are no rows."""
        other = self.steps[str(step.over)]
        value = together(other, [self._read(run_url, key) for key in keys], _secret_of(run_url))
        if not isinstance(value, pa.Table):
            raise ProgramError(
                f"step {step.name!r} is over {other.name!r}, whose result is a {type(value).__name__} and no rows; name it "
                "in 'using', or return a table there."
            )
        return table_to_batch(value)

    def _merge(self, step: Step, run_url: str, key: str, keys: Sequence[str]) -> Made:
        """All partial results of a step as its result, in the order of the partitions."""
        assert step.reducer is not None, "a step that merges has a reducer"
        accumulator, secret = step.reducer.create_accumulator(), _secret_of(run_url)
        for part in keys:
            found = partials.loads(step.reducer, self._read(run_url, part).data, part, secret)
            accumulator = step.reducer.merge_accumulators(accumulator, found)
        return encoded(key, step.reducer.extract_output(accumulator), step.serializer, secret)


def callable_of(step: Step) -> Callable[..., Any]:
    """The step's program, called with its batch and results alone."""
    if inspect.isclass(step.program):
        return build(step.program, step.arguments)
    arguments = dict(step.arguments)
    return (lambda *given, **used: step.program(*given, **used, **arguments)) if arguments else step.program


def together(step: Step, found: Sequence[Made], secret: bytes) -> Any:
    """The result of a step from what its sub-tasks left: rows one after the other, or the one value."""
    values = [m.value(secret) for m in found]
    if len(values) == 1:
        return values[0]
    if not all(isinstance(value, pa.Table) for value in values):
        raise RunFailed(f"the results of step {step.name!r} are no rows; give it a reducer that merges them.")
    return pa.concat_tables([v for v in values if v.num_rows] or values[:1], promote_options="default")


def as_given(value: Any, step: Step) -> Any:
    """A result as the step that uses it gets it: rows in its ``batch_format``."""
    return FORMATS[step.batch_format](table_to_batch(value)) if isinstance(value, pa.Table) else value


def made(step: Step, key: str, value: Any, secret: bytes) -> Made:
    """What a call returned, as the sub-task's result; ``secret`` is the key of the run.

    ProgramError for None, and for what has no table form where rows are due.
    """
    if value is None:
        raise ProgramError(f"step {step.name!r} returned None; a return statement may be missing.")
    if step.reducer is not None:
        accumulator = step.reducer.create_accumulator()
        for item in value if is_stream(value) else (value,):
            accumulator = partials.add(step.reducer, accumulator, item)
        return Made(key, "partial", partials.dumps(step.reducer, accumulator, secret))
    once = step.over is None or step.whole
    kind = type(value)
    frame = kind.__name__ in _FRAMES.get(kind.__module__.partition(".")[0], ())
    if once and not frame:
        return encoded(key, value, step.serializer, secret)
    return encoded(key, pa.Table.from_batches([to_record_batch(value)]), "safe", secret)
