"""What the coordinator knows: tasks, workers, live attempts, and the policy it follows."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from partitioner.coordinator.demands import Demands, listed
from partitioner.coordinator.kinds import Kinds
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.pool import Pool, Rank
from partitioner.coordinator.readiness import Readiness
from partitioner.coordinator.transitions import BLOCKED, DONE, READY, Change, after
from partitioner.coordinator.troubles import Health, Part, Range, Search, Trouble
from partitioner.errors import PartitionerError
from partitioner.model import Attempt, Failure, Plan, SubTasks, Worker
from partitioner.model.data import Floats, Ints


@dataclass(frozen=True, slots=True)
class Submit:
    """Action: hand this attempt to the engine."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Cancel:
    """Action: stop this attempt where the engine can; ``kill``: also where that takes ending the process it runs in."""

    attempt_id: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Action: end the run with this error; what is committed stays."""

    error: PartitionerError


@dataclass(frozen=True, slots=True)
class Rung:
    """Action for the ledger alone: which rung of the failure ladder was taken, and why."""

    what: str
    task_key: str
    worker_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Action: ask this attempt to commit what it has done so far and to leave its other rows to others."""

    attempt_id: str


Action = Submit | Cancel | Stop | Rung | HandOver


@dataclass(slots=True)
class Live:
    """An attempt that was submitted and has not ended; ``started`` is None until the engine says so.

    ``seconds`` is the forecast at reference speed when it was submitted; the attempt itself carries the plan's prediction.
    """

    attempt: Attempt
    seconds: float
    load: float = 0.0  # seconds of the whole worker that it takes, at its declared speed
    expected: float = 0.0  # seconds that it takes there, at the declared speed
    started: float | None = None
    why: Failure | None = None  # it is being stopped for this reason
    unwanted: bool = False  # another attempt won, or the run no longer needs it
    asked: bool = False  # for its rest, see handover


@dataclass(slots=True)
class WorkerState:
    """A worker, what waits for it (task indices in plan order) and what it holds."""

    worker: Worker
    queue: deque[int] = field(default_factory=deque)
    backlog: float = 0.0  # predicted seconds until the queue is done, the worker used in full, at its declared speed
    live: dict[str, Live] = field(default_factory=dict)
    used_cpus: float = 0.0
    used_memory: float = 0.0
    used_devices: dict[int, tuple[float, float]] = field(default_factory=dict)  # GPU -> share and memory in use
    used: dict[str, float] = field(default_factory=dict)
    ahead: float = 0.0  # predicted reference seconds submitted and not started
    exclusive: bool = False  # a suspect runs here alone
    reserved: int | None = None  # this sub-task is next, as soon as it fits: nothing else is given meanwhile
    able: dict[int, bool] = field(default_factory=dict)  # kind of demand -> whether the worker, empty, could hold it
    share: dict[int, float] = field(default_factory=dict)  # kind of demand -> largest share of anything but memory
    weight: float = 0.0  # completions, older ones counting less
    log_ratios: float = 0.0  # sum over them of log(actual / predicted)
    factor: float = 1.0  # actual over predicted seconds to expect here
    held: int | None = None  # the head of the queue that is waited for although the worker has room
    soon: float = 0.0  # the alarm that is set to send a sub-task ahead
    health: Health = field(default_factory=Health)


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
    pool: Pool = field(init=False)  # waiting for no worker in particular
    by_class: dict[str, list[float]] = field(default_factory=dict)  # seconds on workers of a class, where they differ
    planned: list[float] = field(default_factory=list)  # start of every sub-task in the plan, seconds
    home: list[str] = field(default_factory=list)  # the worker in whose queue every sub-task is or was last
    devices: dict[int, tuple[int, ...]] = field(default_factory=dict)  # GPUs of a sub-task in the plan
    readiness: Readiness = field(default_factory=Readiness)
    began: float | None = None  # when the first step was, on the driver's clock
    recalls: list[str] = field(default_factory=list)  # attempts sent ahead that this fill asks back
    recalled: set[int] = field(default_factory=set)  # sub-tasks that were asked back: once is enough
    look_again: float = 0.0  # when idle workers look for work of others though nothing happened
    makespan: float = 0.0  # of the plan, seconds
    stretch: float | None = None  # how much longer the plan takes than its sub-tasks on free slots, once asked for
    as_planned: bool = True  # nothing has differed from the plan so far, so it is followed to the letter
    moved: dict[int, set[str]] = field(default_factory=dict)  # the workers that a sub-task was moved away from
    attempts: dict[str, Live] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)  # next attempt number
    part_numbers: dict[str, int] = field(
        default_factory=dict
    )  # next attempt number of parts of an earlier session, by name
    failures: dict[int, int] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    remaining: int = 0
    predicted_done: float = 0.0
    actual_done: float = 0.0
    scale_known: bool = True
    predicts: bool = True  # costs are seconds; else they are only shares, and completions alone show what they take
    doubt: float = 0.0  # of the predictions as a whole, in logs, beyond how single ones scatter
    completions: int = 0
    log_ratios: float = 0.0
    log_squares: float = 0.0
    squares: float = 0.0  # of the differences between log ratios and their forecasts
    next_forecast: int = 8  # completions at which the workers are compared next
    may_replace: bool = True  # waiting work may be placed again: the plan's objective is the makespan
    stuck_since: float | None = None
    coming: int = 0  # workers that are being started, last the engine said
    hungry: dict[str, None] = field(default_factory=dict)  # workers to look at in the next fill, in order
    idle: dict[str, None] = field(default_factory=dict)  # workers with room that found nothing
    richest: list[tuple[float, str]] = field(default_factory=list)  # lazy max-heap of backlogs
    alarms: list[tuple[float, str]] = field(default_factory=list)  # a heap of times to step at, and for which worker
    troubles: dict[int, Trouble] = field(default_factory=dict)
    parts: dict[int, Part] = field(default_factory=dict)
    searches: dict[int, Search] = field(default_factory=dict)  # of sub-tasks that were split
    excluded: dict[str, float] = field(default_factory=dict)  # worker -> seconds until it gets another chance
    awaited: set[str] = field(default_factory=set)  # workers of the plan that have not joined yet
    seen: set[str] = field(default_factory=set)  # every worker there ever was
    clock: float = 0.0  # seconds that passed, without jumps of the driver's clock
    last_now: float | None = None
    health: dict[str, Health] = field(default_factory=dict)  # of every worker there ever was
    late: dict[int, str] = field(default_factory=dict)  # sub-task -> its attempt that should have a back-up
    due: list[tuple[float, str, str]] = field(
        default_factory=list
    )  # heap of (clock, what, attempt): timeouts, back-ups
    held_back: dict[int, tuple[int, list[Range], list[str], list[int]]] = field(
        default_factory=dict
    )  # sub-tasks that an earlier session split, which wait for others: what to go on with
    look_at_rests: float = 0.0  # when idle workers look next at what others have left to do
    rests: set[int] = field(default_factory=set)  # parts that hold rows which an attempt handed over
    copies: dict[int, list[str]] = field(default_factory=dict)  # attempts of sub-tasks that have a back-up
    quarantined: int = 0
    handed_back: int = 0  # attempts in turn that workers which are to leave them alone handed back
    planned_workers: int = 0
    gone_in_turn: int = 0  # workers that went away since an attempt ended last
    ended_at: float = 0.0  # when that was, on the machine's clock
    gone_at: float = -1.0  # when a worker went away last, on the machine's clock; below 0: none did
    rungs: list[Rung] = field(default_factory=list)
    stopped: bool = False
    topping_up: bool = False  # this fill sends a bundle ahead
    key: bytes = b""  # opens the sealed job where attempts run
    epoch: int = 0  # of the driver's lease
    largest_memory: float = 0.0  # demand of a sub-task in the plan, bytes
    process_bytes: float = 0.0  # of every demand, what the process holds in any case
    kinds: Kinds | None = None  # which sub-tasks take alike, where they say so
    ahead_per_cpu: float = 0.0  # sub-tasks of the bundle that may wait for each core

    def __post_init__(self) -> None:
        self.pool = Pool(self._rank)

    def _rank(self, task: int) -> Rank:
        columns, part = self.tasks, self.parts.get(task)
        task = task if part is None else part.whole
        return -float(columns.priority[task]), float(columns.deadline[task]), self.planned[task], task

    def seconds_on(self, task: int, worker: Worker) -> float:
        """Predicted seconds of a sub-task on a worker, as the plan counts them."""
        column = self.by_class.get(worker.worker_class) if self.by_class else None
        return self.seconds[task] / worker.speed if column is None else column[task]

    def second(self, now: float) -> float:
        """Seconds since the first step."""
        return 0.0 if self.began is None else now - self.began

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

    def alarm(self, when: float, worker_id: str = "") -> None:
        """Ask the driver for a step at ``when``, seconds on its clock, though nothing may happen until then.

        ``worker_id``: the worker to look at then.
        """
        heapq.heappush(self.alarms, (when, worker_id))

    def hear_alarms(self, now: float) -> None:
        """Take off the alarms that are due, and look at their workers in the next fill."""
        while self.alarms and self.alarms[0][0] <= now:
            _, name = heapq.heappop(self.alarms)
            if name in self.workers:
                self.hungry[name] = None

    def quiet_seconds(self, now: float) -> float:
        """Seconds until the next alarm, infinite where none is set."""
        return max(0.0, self.alarms[0][0] - now) if self.alarms else float("inf")

    def key_of(self, task: int) -> str:
        """The name of a sub-task or of a part of one."""
        part = self.parts.get(task)
        return part.key if part is not None else str(self.tasks.task_id[task].as_py())

    def rows_of(self, task: int) -> int:
        """Rows of a sub-task or part: 0 where it has no input, -1 where only reading tells."""
        part = self.parts.get(task)
        if part is not None:
            return part.rows
        if self.tasks.fragments is None:
            return 0
        rows = self.tasks.fragments.rows[self.tasks.fragments_of(task)]
        return int(rows.sum()) if (rows >= 0).all() else -1

    def row_name(self, task: int) -> str:
        """The one row of a part (or of a sub-task), for people."""
        part = self.parts.get(task)
        whole, row = (task, 0) if part is None else (part.whole, part.start)
        return f"row {row} of sub-task {self.key_of(whole)}"

    def trouble(self, task: int) -> Trouble:
        """What happened to a sub-task so far, to be written on."""
        return self.troubles.setdefault(task, Trouble())

    def add_part(self, part: Part, share: float) -> int:
        """A new sub-task that holds a ``share`` of the rows of another; it runs alone. Its index."""
        whole, task = part.whole, len(self.status)
        self.status.append(READY)
        self.seconds.append(self.seconds[whole] * share)
        for column in self.by_class.values():
            column.append(column[whole] * share)
        self.planned.append(self.planned[whole])
        self.home.append("")
        self.demands.kind.append(self.demands.kind[whole])
        self.demands.memory.append(self.demands.memory[whole])
        self.parts[task] = part
        self.numbers[task] = self.part_numbers.get(part.key, 0)
        self.deaths[task] = 0
        if whole in self.troubles:
            self.trouble(task).smaller = self.troubles[whole].smaller
            self.trouble(task).slow_on = self.troubles[whole].slow_on
        self.remaining += 1
        self.pool.append(task)
        self.wake()
        return task

    def note(self, what: str, live: Live, reason: str) -> None:
        """Say in the ledger which rung of the ladder was taken after an attempt."""
        self.rungs.append(Rung(what, live.attempt.task_key, live.attempt.worker_id, reason))

    def note_worker(self, what: str, worker_id: str, reason: str) -> None:
        """The same of a worker."""
        self.rungs.append(Rung(what, "", worker_id, reason))

    def wake(self) -> None:
        """Let every worker with room look for work again."""
        self.hungry |= self.idle


def initial(
    plan: Plan,
    run_url: str,
    policy: Policy,
    committed: Iterable[int] | Ints = (),
    seconds_known: bool = True,
    first_numbers: dict[int, int] | None = None,
    key: bytes = b"",
    epoch: int = 0,
    awaited: Iterable[str] = (),
) -> State:
    """The state before the first step: every worker of the plan with its sub-tasks in plan order.

    ``committed`` are indices of sub-tasks that are done already. ``seconds_known`` is False where costs are weights
    (rows, bytes) and not seconds: then nothing is sent ahead until a completion has shown the scale. ``awaited`` workers
    get nothing until they join; what the plan gives them waits for them, though not for long.
    """
    n, tasks = len(plan), plan.tasks
    done = np.zeros(n, np.bool_)
    done[committed if isinstance(committed, np.ndarray) else np.fromiter(committed, np.int64)] = True
    state = State(
        tasks=tasks,
        run_url=run_url,
        policy=policy,
        status=bytearray(np.where(done, DONE, READY).astype(np.uint8).tobytes()),
        seconds=listed(_reference_seconds(tasks)),
        by_class={name: listed(column) for name, column in tasks.seconds_by_class.items()},
        demands=Demands.of(tasks),
        planned=listed(plan.start),
        makespan=plan.makespan,
        planned_workers=len(plan.workers),
        home=np.array([*plan.workers.worker_id, ""], object)[plan.worker].tolist(),
        devices=dict(plan.devices),
        readiness=Readiness.of(tasks, done.tobytes(), plan.bandwidth),
        scale_known=seconds_known,
        predicts=seconds_known,
        doubt=plan.doubt,
        may_replace=plan.objective == "makespan" and not len(tasks.edges),
        numbers=dict(first_numbers or {}),
        key=key,
        remaining=n - int(done.sum()),
        epoch=epoch,
        awaited=set(awaited),
        largest_memory=float(tasks.memory_bytes.max(initial=0.0)),
        process_bytes=plan.process_bytes,
    )
    state.kinds = Kinds.of(tasks, state.seconds)
    for i in state.readiness.blocked():
        state.status[i] = BLOCKED
    _fill_queues(state, plan)
    state.hungry = dict.fromkeys(state.workers)
    state.richest = sorted((-w.backlog, name) for name, w in state.workers.items())
    return state


def _reference_seconds(tasks: SubTasks) -> Floats:
    """Seconds at reference speed; of a sub-task that has them by worker class only, the least of those."""
    if not np.isnan(tasks.seconds).any():
        return tasks.seconds
    return np.where(np.isnan(tasks.seconds), np.fmin.reduce(list(tasks.seconds_by_class.values())), tasks.seconds)


def _fill_queues(state: State, plan: Plan) -> None:
    """Every worker with its sub-tasks in the order in which the plan starts them; one that takes no time goes first."""
    for j in range(len(plan.workers)):
        worker = plan.workers[j]
        health = state.health.setdefault(worker.worker_id, Health())
        state.workers[worker.worker_id] = WorkerState(worker, health=health)
    state.seen = set(state.workers)
    holders = list(state.workers.values())
    left = np.flatnonzero(np.frombuffer(state.status, np.uint8) != DONE)
    left = left[np.lexsort((left, plan.finish[left], plan.start[left]))]
    loads = _loads(plan)[left].tolist()
    for i, j, load in zip(left.tolist(), plan.worker[left].tolist(), loads, strict=True):
        holders[j].queue.append(i)
        holders[j].backlog += load


def _loads(plan: Plan) -> Floats:
    """Seconds of its whole worker that each sub-task takes: its seconds times the largest share of any resource."""
    tasks, workers = plan.tasks, plan.workers
    share = np.zeros(len(plan))
    pairs = [(tasks.cpus, workers.cpus), (tasks.memory_bytes, workers.memory_bytes), (tasks.gpus, workers.gpus)]
    pairs += [
        (column, workers.resources[name]) for name, column in tasks.resources.items() if name in workers.resources
    ]
    for demand, capacity in pairs:
        share = np.maximum(share, np.divide(demand, capacity[plan.worker], out=np.zeros(len(plan)), where=demand > 0))
    loads: Floats = (plan.finish - plan.start) * np.minimum(share, 1.0)
    return loads
