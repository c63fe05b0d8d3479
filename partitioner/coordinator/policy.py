"""The limits that the machine keeps to."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

BACKUP_FACTOR = 1.0
"""Times the upper end of its prediction that an attempt may run before an idle worker starts another: one in forty gets
one for nothing, while nothing waits; where a worker becomes slow, every second of patience is one of the makespan."""

HAND_OVER_SECONDS = 5.0
"""What handing over the rest of a running sub-task has to save: some seconds go by until the attempt looks, commits, and
others have begun."""

NO_WORKER_SECONDS = 60.0
"""Without any worker that can hold what waits, until the run stops: a nanny starts a process again within seconds."""

COMING_FACTOR = 10.0
"""Times that long while workers are being started: on a machine under heavy load a process takes minutes to come up."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of the failure ladder and of dispatch.

    ``max_retries`` further tries after the program raised; ``max_deaths`` attempts of one sub-task that may be running
    when a worker dies, before the sub-task is held to be the cause; ``memory_growth`` factor on its memory demand after
    each; ``ahead_seconds`` and ``ahead_tasks``: predicted work that may wait on a worker besides what runs there, so
    that short sub-tasks do not wait for the driver; a longer one may wait alone where it is expected to start within
    ``next_seconds``, while more than ``keep_queued`` stay in the worker's queue; ``no_worker_seconds``: how long to wait
    for a worker that can hold the rest, ``coming_factor`` times that while one is being started. ``bundle`` above 1:
    sub-tasks to hand over at once, see ``bundling``;
    ``rerouted``: the engine runs elsewhere what waits for a worker that went away, and reports each attempt that was
    running there as lost. ``recall``: what waits on a worker can be asked back.

    ``quarantine``: rows that keep failing are set aside, ``max_quarantined`` of them at most; ``divisible``: a sub-task
    may be divided by rows; ``max_losses`` attempts of one sub-task that may be lost through nobody's fault;
    ``suspend_after`` sub-tasks that fail on a worker in turn, after which it gets no more until another has tried them;
    ``exclude_after`` of those that go well elsewhere, after which it is left out for ``exclude_seconds``, twice as long
    each time. ``timeout_seconds`` an attempt may take, and ``timeout_factor`` times the upper end of what is predicted
    for it (``timeout_least`` seconds in any case); ``backup_factor`` times that, one more attempt is started elsewhere
    where a worker is idle; ``backup_seconds`` at least; ``grace_seconds`` an engine has to end what was to be stopped;
    ``silent_seconds``: an attempt that has not begun after so long on a worker where nothing runs is lost.
    ``read_ahead``: attempts are told what their slot runs next, where slots are processes of their own, or
    ``one_process`` holds all of a worker's.
    ``hand_over_seconds``: where that much sooner would be done what an attempt has left to do if idle workers took it, it
    is asked to hand it over.
    ``trusted_seconds``: the clock is believed to move by so much at most between two steps, so that a jump ends no wait.
    ``go_on``: how who mended the cause of a failure goes on, where no command does it.
    """

    max_retries: int = 2
    max_deaths: int = 3
    memory_growth: float = 2.0
    ahead_seconds: float = 0.25
    ahead_tasks: int = 32
    next_seconds: float = 2.0
    keep_queued: int = 2
    no_worker_seconds: float = NO_WORKER_SECONDS
    coming_factor: float = COMING_FACTOR
    bundle: int = 1
    recall: bool = True
    rerouted: bool = False
    quarantine: bool = False
    max_quarantined: float = inf
    divisible: bool = False
    max_losses: int = 50
    suspend_after: int = 3
    exclude_after: int = 2
    exclude_seconds: float = 30.0
    timeout_seconds: float = inf
    timeout_factor: float = inf
    timeout_least: float = 10.0
    backup_factor: float = BACKUP_FACTOR
    backup_seconds: float = 5.0
    grace_seconds: float = 20.0
    silent_seconds: float = 120.0
    hand_over_seconds: float = inf
    read_ahead: bool = False
    one_process: bool = False
    trusted_seconds: float = 30.0
    go_on: str = ""
