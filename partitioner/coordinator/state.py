"""What the coordinator knows: tasks, workers, live attempts, and the policy it follows."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from partitioner.coordinator.demands import Demands
from partitioner.coordinator.transitions import DONE, Change, after
from partitioner.errors import PartitionerError
from partitioner.model import Attempt, Plan, SubTasks, Worker


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of the failure ladder and of dispatch.

    ``max_retries`` further tries after the program raised; ``max_deaths`` attempts of one sub-task that may be running
    when a worker dies, before the sub-task is held to be the cause; ``memory_growth`` factor on its memory demand after
    each; ``ahead_seconds`` and ``ahead_tasks``: predicted work that may wait on a worker besides what runs there, so that
    short sub-tasks do not wait for the driver; a longer one, up to ``next_seconds``, may wait alone while more than
    ``keep_queued`` stay in the worker's queue; ``no_worker_seconds``: how long to wait for a worker that can hold the rest.
    ``bundle`` above 1: sub-tasks to hand over at once, see ``bundling``; ``rerouted``: the engine runs elsewhere what
    waits for a worker that went away, and reports each attempt that was running there as lost.
    """

    max_retries: int = 2
    max_deaths: int = 3
    memory_growth: float = 2.0
    ahead_seconds: float = 0.25
    ahead_tasks: int = 32
    next_seconds: float = 10.0
    keep_queued: int = 2
    no_worker_seconds: float = 60.0
    bundle: int = 1
    rerouted: bool = False


@dataclass(frozen=True, slots=True)
class Submit:
    """Action: hand this attempt to the engine."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Cancel:
    """Action: stop this attempt where the engine can."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Action: end the run with this error; what is committed stays."""

    error: PartitionerError


Action = Submit | Cancel | Stop


@dataclass(slots=True)
class Live:
    """An attempt that was submitted and has not ended; ``started`` is None until the engine says so.

    ``seconds`` is the forecast when it was submitted; the attempt itself carries the plan's prediction.
    """

    attempt: Attempt
    seconds: float
    started: float | None = None


@dataclass(slots=True)
class WorkerState:
    """A worker, what waits for it (task indices in plan order) and what it holds."""

    worker: Worker
    queue: deque[int] = field(default_factory=deque)
    backlog: float = 0.0  # predicted reference seconds in the queue
    live: dict[str, Live] = field(default_factory=dict)
    used_cpus: float = 0.0
    used_memory: float = 0.0
    used_gpus: float = 0.0
    used_gpu_memory: float = 0.0
    used: dict[str, float] = field(default_factory=dict)
    ahead: float = 0.0  # predicted reference seconds submitted and not started
    exclusive: bool = False  # a suspect runs here alone
    reserved: int | None = None  # this sub-task is next, as soon as it fits: nothing else is given meanwhile
    able: dict[int, bool] = field(default_factory=dict)  # kind of demand -> whether the worker, empty, could hold it
    completions: int = 0
    log_ratios: float = 0.0  # sum over completions of log(actual / predicted)
    pace: float = 1.0  # observed over declared speed, beside the other workers

    @property
    def rate(self) -> float:
        """Reference seconds of work done per second, all cores busy."""
        return self.worker.speed * self.pace * max(1.0, self.worker.cpus)


@dataclass(slots=True)
class State:
    """The whole state of one run. ``step`` is the only code that changes it."""

    tasks: SubTasks
    run_url: str
    policy: Policy
    status: bytearray
    seconds: list[float]
    demands: Demands
    workers: dict[str, WorkerState] = field(default_factory=dict)
    pool: deque[int] = field(default_factory=deque)  # waiting for no worker in particular: first come, first served
    attempts: dict[str, Live] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)  # next attempt number
    failures: dict[int, int] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    remaining: int = 0
    predicted_done: float = 0.0
    actual_done: float = 0.0
    scale_known: bool = True
    completions: int = 0
    log_ratios: float = 0.0
    squares: float = 0.0  # of the log ratios
    next_forecast: int = 8  # completions at which the workers are compared next
    may_replace: bool = True  # waiting work may be placed again: the plan's objective is the makespan
    stuck_since: float | None = None
    hungry: dict[str, None] = field(default_factory=dict)  # workers to look at in the next fill, in order
    idle: dict[str, None] = field(default_factory=dict)  # workers with room that found nothing
    richest: list[tuple[float, str]] = field(default_factory=list)  # lazy max-heap of backlogs
    alarms: list[float] = field(
        default_factory=list
    )  # a heap of times at which the driver steps though nothing happened
    stopped: bool = False
    topping_up: bool = False  # this fill sends a bundle ahead
    key: bytes = b""  # opens the sealed job where attempts run
    ahead_per_cpu: float = 0.0  # sub-tasks of the bundle that may wait for each core

    @property
    def scale(self) -> float:
        """Observed over predicted seconds so far; 1 before the first completion."""
        return self.actual_done / self.predicted_done if self.predicted_done > 0 and self.actual_done > 0 else 1.0

    @property
    def finished(self) -> bool:
        """Nothing is left to run."""
        return self.remaining == 0

    def change(self, task: int, change: Change) -> None:
        """Move a sub-task to the state after ``change``: the only way its state changes. Raises IllegalTransition."""
        self.status[task] = after(self.status[task], change)

    def alarm(self, when: float) -> None:
        """Ask the driver for a step at ``when``, seconds on its clock, though nothing may happen until then."""
        heapq.heappush(self.alarms, when)

    def quiet_seconds(self, now: float) -> float:
        """Seconds until the next alarm, infinite where none is set; alarms that are due are taken off."""
        while self.alarms and self.alarms[0] <= now:
            heapq.heappop(self.alarms)
        return self.alarms[0] - now if self.alarms else float("inf")

    def wake(self) -> None:
        """Let every worker with room look for work again."""
        self.hungry |= self.idle


def initial(
    plan: Plan,
    run_url: str,
    policy: Policy,
    committed: Iterable[int] = (),
    seconds_known: bool = True,
    first_numbers: dict[int, int] | None = None,
    key: bytes = b"",
) -> State:
    """The state before the first step: every worker of the plan with its sub-tasks in plan order.

    ``committed`` are indices of sub-tasks that are done already. ``seconds_known`` is False where costs are weights
    (rows, bytes) and not seconds: then nothing is sent ahead until a completion has shown the scale.
    """
    n = len(plan)
    state = State(
        tasks=plan.tasks,
        run_url=run_url,
        policy=policy,
        status=bytearray(n),
        seconds=plan.tasks.seconds.tolist(),
        demands=Demands.of(plan.tasks),
        scale_known=seconds_known,
        may_replace=plan.objective == "makespan" and not len(plan.tasks.edges),
        numbers=dict(first_numbers or {}),
        key=key,
    )
    for i in committed:
        state.status[i] = DONE
    for j in range(len(plan.workers)):
        worker = plan.workers[j]
        state.workers[worker.worker_id] = WorkerState(worker)
    ids = plan.workers.worker_id
    for i in np.lexsort((np.arange(n), plan.start)).tolist():
        if state.status[i] == DONE:
            continue
        holder = state.workers[ids[plan.worker[i]]]
        holder.queue.append(i)
        holder.backlog += state.seconds[i]
    state.remaining = n - sum(1 for s in state.status if s == DONE)
    state.hungry = dict.fromkeys(state.workers)
    state.richest = [(-w.backlog, name) for name, w in state.workers.items()]
    state.richest.sort()
    return state
