"""The trial before the run, asked of the engine: one worker puts the first rows through the program."""

from __future__ import annotations

from partitioner.attempt.trial import ROWS, trial
from partitioner.engines.base import Engine
from partitioner.errors import PreflightFailed
from partitioner.model import SubTasks
from partitioner.store.run_directory import RunDirectory


def try_out(engine: Engine, run: RunDirectory, tasks: SubTasks) -> None:
    """Raise PreflightFailed where no sub-task could succeed: a wrong argument, column, return type or number of rows.

    A worker that dies in the trial, or cannot be asked, says nothing: the run finds out and has its ways.
    """
    if not engine.capabilities.real or tasks.fragments is None or not len(tasks):
        return
    first = tasks.fragments.take(tasks.fragments_of(0)[:ROWS])
    answers = engine.call(trial, run.url, run.key, first, tasks.task_id[0].as_py())
    for worker, answer in sorted(answers.items()):
        if isinstance(answer, str) and answer:
            raise PreflightFailed(
                "the trial on the first rows, before the first sub-task, failed 1 time (no retry can mend it), on "
                f"{worker}: {answer}"
            )
