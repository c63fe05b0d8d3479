"""After the plan: the job as it was planned, the trial on its first rows, and other costs where these turn out dear."""

from __future__ import annotations

from dataclasses import replace

from partitioner.attempt.job import Job
from partitioner.costs.base import checked
from partitioner.engines.base import Engine
from partitioner.engines.trial import try_out
from partitioner.model import Plan
from partitioner.stages.phases import Phases
from partitioner.stages.start import Start
from partitioner.stages.steps import Costed, Described, Split, write_job, write_planned
from partitioner.store.run_directory import RunDirectory


def tried(
    engine: Engine, directory: RunDirectory, planned: Plan, costed: Costed, started: Start, phases: Phases
) -> Costed | None:
    """Costs as known after the trial, which times its calls where nobody knew seconds; None where they are as before.

    Raises PreflightFailed where no sub-task could succeed.
    """
    shared, timed = started.slots_in_process > 1, costed.model.times_first_rows and planned.unit != "s"
    with phases("trial"):
        first = try_out(engine, directory, planned, shared, timed)
    model = costed.model.after_trial(costed.dataset, first) if first.begun else None
    if model is None:
        return None
    with phases("pilot"):
        costs = checked(model.estimate(costed.dataset), costed.dataset)
    return replace(costed, model=model, costs=started.with_process(costs))


def settled(directory: RunDirectory, described: Described, work: Split) -> Job:
    """What workers read now is what was planned."""
    job, before = work.job, described.job
    assert job is not None, "a run has a program"
    if before is not None and (job.source is not before.source or job.batching is not before.batching):
        write_planned(directory, job)
    write_job(directory, job)
    return job
