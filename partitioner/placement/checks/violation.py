"""One thing that a plan breaks."""

from __future__ import annotations

from typing import NamedTuple

from partitioner.model import Plan

EXACT = 1e-9
"""Relative slack of times: starts are sums of up to a million durations, each rounded to 1e-16."""
ROOM = 1e-6
"""Relative slack of a capacity: demands are sums of fractions such as ten tenths of a core."""
MOST = 5
"""Violations told of one kind."""


class Violation(NamedTuple):
    """``sentence`` says what is broken; ``task`` is the index of the assignment that breaks it, -1 for none."""

    sentence: str
    task: int = -1

    def of(self, plan: Plan) -> str:
        """The sentence with the assignment: the task, its worker and when."""
        if self.task < 0:
            return self.sentence
        i = self.task
        worker = plan.workers.worker_id[plan.worker[i]]
        when = f"{plan.start[i]:g} s to {plan.finish[i]:g} s"
        return f"{self.sentence} (assignment: task {name_of(plan, i)!r} on worker {worker!r}, {when})"


def name_of(plan: Plan, i: int) -> str:
    """The id of task i."""
    return str(plan.tasks.task_id[int(i)].as_py())
