"""The trial before the run, asked of the engine: one worker puts the first rows through the program."""

from __future__ import annotations

import sys

import pyarrow as pa

from partitioner.attempt.agreement import Agreement
from partitioner.attempt.trial import ROWS_TIMED, Tried, of_no_rows, trial
from partitioner.costs.measuring.first_rows import NOTHING, FirstRows
from partitioner.engines.base import Engine
from partitioner.errors import PreflightFailed, shortened
from partitioner.model import Plan
from partitioner.store.run_directory import RunDirectory

ROWS = 10
"""Rows of the trial: enough to tell one output row per input row from anything else, few enough for a slow model."""

FEWEST = 2
"""Rows that tell it at all. Where these take too long there is no trial: the first sub-task tells as soon."""

SECONDS = 5.0
"""The run waits so long for the trial: a slower program, or one that hangs, is left to the run, which can time it out."""

UNKNOWN = 2.0
"""The same where nobody knows how long a row takes: every other slot rests meanwhile."""

SHARE = 0.01
"""Of a predicted makespan: so long the run waits, and ``LEAST`` seconds."""

LEAST = 0.5

LOOK = 1000
"""Sub-tasks among which one is looked for whose worker has answered."""


def try_out(engine: Engine, run: RunDirectory, planned: Plan, shared: bool = False, timed: bool = False) -> FirstRows:
    """What the rows took, where calls are ``timed`` since nobody knows that yet.

    Raises PreflightFailed where no sub-task could succeed: a wrong argument, column, return type or number of rows.

    One worker is asked, that of the first sub-task whose worker is there. One that dies in the trial, or cannot be asked,
    says nothing: the run finds out and has its ways. ``shared``: slots share a process, so that a program is called by
    several threads anyway.
    """
    tasks = planned.tasks
    if not engine.capabilities.real or tasks.fragments is None or not len(tasks):
        return NOTHING
    rows, wait = extent(planned)
    if not rows:
        return NOTHING
    silent = frozenset() if engine.late is None else engine.late.waiting
    names = [planned.workers.worker_id[j] for j in planned.worker[:LOOK].tolist()]
    i = next((i for i, name in enumerate(names) if name not in silent), None)
    if i is None:
        return NOTHING
    rows = ROWS_TIMED if timed else rows
    first = tasks.fragments.take(tasks.fragments_of(i)[:rows])
    where = {names[i]: 1}
    asked = (run.url, run.key, first, tasks.task_id[i].as_py(), rows, wait, not shared, timed)
    told = NOTHING
    for worker, answers in sorted(engine.call_slots(trial, where, *asked).items()):
        for answer in [a for a in answers if isinstance(a, Tried)]:
            if answer.why:
                raise PreflightFailed(
                    "the trial on the first rows, before the first sub-task, failed 1 time (no retry can mend it), on "
                    f"{worker}: {answer.why}"
                )
            told = answer.first
    return told


def columns_of_no_rows(engine: Engine, run: RunDirectory, planned: Plan, schema: pa.Schema | None) -> None:
    """Where no sub-task had rows, one worker is asked for the columns that the program makes of an input without any.

    ``schema`` is the input's. A program that takes no such batch leaves the output without columns, and that is said.
    """
    silent = frozenset() if engine.late is None else engine.late.waiting
    names = [name for name in planned.workers.worker_id if name not in silent]
    if not schema or not names or not engine.capabilities.real or Agreement(run.files).newest() is not None:
        return
    for answers in engine.call_slots(of_no_rows, {names[0]: 1}, run.url, run.key, schema).values():
        for answer in answers:
            if answer:
                print(
                    f"the input has no rows, and the output no columns: asked what it makes of none, the program failed "
                    f"({shortened(str(answer), 200)})",
                    file=sys.stderr,
                )


def extent(planned: Plan) -> tuple[int, float]:
    """How many rows are tried, 0 for no trial, and how many seconds the run waits for them."""
    tasks, cost = planned.tasks, planned.about.cost
    known = int(tasks.fragments.rows.clip(min=0).sum()) if tasks.fragments is not None else 0
    if cost is None or cost.unit != "seconds" or not known:
        return ROWS, UNKNOWN
    wait = min(SECONDS, max(LEAST, SHARE * planned.makespan))
    each = float(tasks.seconds.sum()) / known
    fits = ROWS if each * ROWS <= wait else int(wait / each)
    return (fits if fits >= FEWEST else 0), wait
