"""Before the plan: every slot proves itself, imports and builds the program, and says what that took and holds.

A process that has done so runs its first sub-task, or its first piece of a pilot, at once. What a slot cannot do is said
before anything is measured or planned.
"""

from __future__ import annotations

import inspect
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from partitioner import program as programs
from partitioner.attempt.job import Job
from partitioner.attempt.pilot import Loaded, loaded
from partitioner.config import RunConfig
from partitioner.coordinator.policy import NO_WORKER_SECONDS
from partitioner.costs.measuring.measurements import Timing
from partitioner.costs.memory import WRITING_BYTES
from partitioner.engines.base import Engine
from partitioner.engines.late import Late
from partitioner.engines.local import LocalProcesses
from partitioner.engines.pilot import OnSlots
from partitioner.engines.preflight import NOBODY, Check, Ready, facts, ready, refuse
from partitioner.errors import InfeasiblePlan, PreflightFailed
from partitioner.model import Costs, Dataset, Fragments, Plan, Workers
from partitioner.model.data import Ints
from partitioner.stages.resolved import Resolved
from partitioner.store.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Patience:
    """Workers may answer within ``seconds`` from the question on, and within ``share`` times what half of them took."""

    seconds: float
    share: float


PATIENCE = Patience(0.25, 1.25)
"""Later ones join the run when they answer, and find their work as it was planned."""

PATIENCE_WITH_PILOT = Patience(2.0, 2.0)
"""Where a pilot is to run, which should see all slots at once."""

COMPLETE = 10.0
"""The same where a worker fails, so that the error names all that do."""

LOOK_SECONDS = 1.0  # until half of the workers have answered
COMING_LOOK_SECONDS = 0.1  # between looks whether one that is being started is there


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The slots of a run, ready to work.

    ``load_seconds`` to import and build the program, the longest of all processes; ``memory_bytes`` resident in one
    process afterwards, the most of all (0: not known); ``slots_in_process`` slots that share a process; ``runner`` of a
    pilot on all slots; ``told`` what the plan says besides.
    """

    workers: Workers
    slots: Mapping[str, int] = field(default_factory=dict)
    load_seconds: float = 0.0
    memory_bytes: float = 0.0
    slots_in_process: int = 1
    runner: OnSlots | None = None
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Slots of all workers."""
        return sum(self.slots.values())

    def with_process(self, costs: Costs) -> Costs:
        """``costs`` with the memory that the process itself holds, shared by its slots, and what writing holds in each."""
        if not self.memory_bytes or costs.memory_declared:
            return costs
        share = self.memory_bytes / self.slots_in_process
        beside = -self.memory_bytes if costs.process_memory else WRITING_BYTES
        held = costs.fixed_memory_bytes + beside
        about = {"resident": self.memory_bytes, "slots": self.slots_in_process}
        return replace(
            costs,
            fixed_memory_bytes=max(held, 0.0) + share,
            process_memory=True,
            details={**costs.details, "process memory": about},
        )


class Here(OnSlots):
    """A pilot in processes of this machine, which start when the first piece is asked for."""

    def __init__(self, job: Job, count: int, held: ExitStack) -> None:
        self.load_seconds: float | None = None
        self._job, self._held = job, held
        self._processes = LocalProcesses(count)
        folder = held.enter_context(tempfile.TemporaryDirectory())
        super().__init__(self._processes, RunDirectory(f"{folder}/pilot"), self._processes.slots, traced=True)

    def __call__(
        self, dataset: Dataset, pieces: Fragments, seconds_limit: float, sizes: Ints | None = None
    ) -> list[Timing | None]:
        """As on an engine; the first call starts the processes and loads the program."""
        self._load()
        return super().__call__(dataset, pieces, seconds_limit, sizes)

    def ask(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """As on an engine; see ``__call__``."""
        self._load()
        return super().ask(function, *args)

    def _load(self) -> None:
        if self.load_seconds is None:
            began = time.monotonic()
            self._held.enter_context(self._processes)
            self._run.write_job(programs.dumps(self._job, self._job.program))
            self._where.call_slots(loaded, self.slots, self._run.url, self._run.key)
            self.load_seconds = time.monotonic() - began


@contextmanager
def tried_here(parts: Resolved, job: Job | None, workers: Workers) -> Iterator[Start | None]:
    """Slots for the pilot of a plan without a cluster: processes of this machine, as many as slots, up to its cores.

    None where nothing is measured, or where one slot or core makes this process as good.
    """
    slots = slots_of(workers, parts.config.task_cpus, parts.config.task_gpus)
    count = min(sum(slots.values()), os.cpu_count() or 1)
    if job is None or not parts.model.measures or count < 2:
        yield None
        return
    with ExitStack() as held:
        runner = Here(job, count, held)
        yield Start(workers, runner.slots, runner=runner)


def told_here(started: Start | None) -> tuple[float, dict[str, Any]]:
    """Seconds until the slots of a plan without a cluster hold the program, and what the plan says of its pilot."""
    runner = None if started is None else started.runner
    if started is None or not isinstance(runner, Here) or runner.load_seconds is None:
        return 0.0, {}
    told = f"measured in {started.count} processes of this machine at once"
    return runner.load_seconds, {"pilot ran": told, "start": {"program load": runner.load_seconds}}


def _forked(answers: Iterable[Any]) -> str:
    """What became of loading once per machine."""
    proven = [a for a in answers if isinstance(a, Ready) and a.loaded is not None]
    if unsound := sorted({a.unsound for a in proven if a.unsound}):
        return f"built in every process, for a fork is unsound: {unsound[0]}"
    built = any(a.loaded is not None and a.loaded.seconds for a in proven)
    return "forked with the program" if proven and not built else "built in every process"


def preloads(config: RunConfig, program: Callable[..., Any]) -> bool:
    """Whether the program is to be loaded once per machine: a class may declare ``preload = True`` or ``False``."""
    if not inspect.isclass(program):
        return False
    declared = inspect.getattr_static(program, "preload", None)
    return (config.preload is True and declared is not False) or (config.preload == "auto" and declared is True)


def slots_of(workers: Workers, cpus: float, gpus: float) -> dict[str, int]:
    """Worker id to sub-tasks of these demands that run there at once, 0 for workers that cannot hold one."""
    at_once = np.floor(workers.cpus / cpus + 1e-9)
    if gpus:
        at_once = np.minimum(at_once, np.floor(workers.gpus / gpus + 1e-9))
    return dict(zip(workers.worker_id, at_once.astype(int).tolist(), strict=True))


def start(config: RunConfig, engine: Engine, run: RunDirectory, measures: bool, forked: bool = False) -> Start:
    """One question to every slot at once; ``job.pkl`` must be in the run directory; ``forked`` workers hold the program.

    Workers that take much longer to answer than the others are not waited for: ``engine.late`` tells when they join.
    Raises PreflightFailed with one sentence per failure, and where a pilot is to run InfeasiblePlan if no worker can hold
    one piece.
    """
    workers = _there(engine)
    slots = {w: n for w, n in slots_of(workers, config.task_cpus, config.task_gpus).items() if n > 0}
    if len(workers) and not slots:
        if measures:
            raise InfeasiblePlan(_nobody(config, workers))
        slots = dict.fromkeys(workers.worker_id, 1)  # the plan says which sub-task fits nowhere
    answers = _proven(engine, run, workers, slots, PATIENCE_WITH_PILOT if measures else PATIENCE)
    by_worker = {w: _loaded(found) for w, found in answers.items()}
    there = [a for found in by_worker.values() for a in found]
    together = max((round(len(f) / len({a.process for a in f})) for f in by_worker.values() if f), default=1)
    slots = {w: n for w, n in slots.items() if engine.late is None or w not in engine.late.waiting}
    return Start(
        workers=workers,
        slots=slots,
        load_seconds=max((a.seconds for a in there), default=0.0),
        memory_bytes=max((a.memory_bytes for a in there), default=0.0),
        slots_in_process=together,
        runner=OnSlots(engine, run, slots, traced=together == 1),
        told={
            **({"preload": _forked(a for found in answers.values() for a in found)} if forked else {}),
            **_not_there(engine),
        },
    )


def _there(engine: Engine) -> Workers:
    """Its workers; where there is none, but some are being started (the run before ended their processes), the first."""
    workers, until = engine.workers(), time.monotonic() + NO_WORKER_SECONDS
    while not len(workers) and engine.coming() and time.monotonic() < until:
        time.sleep(COMING_LOOK_SECONDS)
        workers = engine.workers()
    return workers


def _not_there(engine: Engine) -> dict[str, str]:
    """What the plan says of workers that it counts on and that have not answered."""
    names = [] if engine.late is None else sorted(engine.late.waiting)
    return (
        {"workers not there yet": f"{len(names)} ({', '.join(names[:5])}); they join when they answer"} if names else {}
    )


def _loaded(answers: Sequence[Any]) -> list[Loaded]:
    return [a.loaded for a in answers if isinstance(a, Ready) and a.loaded is not None]


def _proven(
    engine: Engine, run: RunDirectory, workers: Workers, slots: Mapping[str, int], patience: Patience
) -> dict[str, list[Any]]:
    """What the slots answered of all workers that answered in time; the others are ``engine.late``.

    Where one fails all are waited for a while, so that the error names every worker that does.
    """
    check = Check.of(workers, run)
    engine.late = None
    asked = engine.ask_slots(ready, slots, run.url, run.key)
    answers, began, half, failed = dict[str, list[Any]](), time.monotonic(), 0.0, False
    while asked.waiting:
        seconds = time.monotonic() - began
        half = half or (seconds if 2 * len(answers) >= len(answers) + len(asked.waiting) else 0.0)
        due = max(patience.seconds, patience.share * half, COMPLETE if failed else 0.0)
        wait = due - seconds if half else LOOK_SECONDS
        if wait <= 0:
            break
        new = asked.collect(wait)
        failed = failed or any(check.of_slots(worker, found) for worker, found in new.items())
        answers |= new
    try:
        refuse(_failures(engine, run, check, slots, answers, asked.waiting))
    except PreflightFailed:
        asked.close()
        raise
    if asked.waiting:
        engine.late = Late(asked, {w: workers[j] for j, w in enumerate(workers.worker_id)}, check.of_slots)
    return answers


def _failures(
    engine: Engine,
    run: RunDirectory,
    check: Check,
    slots: Mapping[str, int],
    answers: Mapping[str, list[Any]],
    waiting: frozenset[str],
) -> list[str]:
    """What is wrong with the workers that answered. One whose slot died over the program, or was not reached, is asked
    for the facts alone: the run tells what the program does to it.
    """
    plain = {worker: found[0] for worker, found in answers.items() if isinstance(found[0], Ready)}
    rest = slots.keys() - plain.keys() - waiting
    again = engine.call(facts, run.url, run.key) if rest else {}
    told = {worker: answer.facts for worker, answer in plain.items()}
    told |= {worker: answer for worker, answer in again.items() if worker not in told and worker not in waiting}
    if engine.capabilities.real and not told:
        return [NOBODY]
    return [s for worker, answer in sorted(told.items()) for s in check.failures(worker, answer)]


def forget_late(engine: Engine) -> None:
    """The run is over: nobody waits for workers that have not answered."""
    if engine.late is not None:
        engine.late.close()
        engine.late = None


def _nobody(config: RunConfig, workers: Workers) -> str:
    """Which demand no worker meets, and what would help."""
    cpus, gpus = float(workers.cpus.max()), float(workers.gpus.max())
    short = f"cpus = {config.task_cpus:g}, the largest worker has {cpus:g}"
    remedy = "Lower task_cpus or start larger workers."
    if config.task_cpus <= cpus:
        short = f"gpus = {config.task_gpus:g}, the most that a worker has is {gpus:g}"
        remedy = "Lower task_gpus, or declare the GPUs of the workers (Dask: resources GPU=1)."
    return f"No worker can hold one piece of the pilot: it needs {short}. {remedy}"


def delayed(planned: Plan, seconds: float) -> Plan:
    """The plan where no slot is free before ``seconds``: starting processes and loading the program are part of it.

    Unchanged where costs are no seconds, which nothing can be added to.
    """
    if seconds <= 0 or not len(planned) or planned.unit != "s":
        return planned
    bound, makespan = planned.lower_bound + seconds, planned.makespan + seconds
    shifted: dict[str, Any] = {"value": planned.value + seconds} if planned.objective == "makespan" else {}
    return replace(
        planned,
        start=planned.start + seconds,
        finish=planned.finish + seconds,
        makespan=makespan,
        lower_bound=bound,
        gap=makespan / bound - 1,
        **shifted,
    )
