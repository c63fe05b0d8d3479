"""Spark: sub-tasks run on the executors that the plan names, as tasks of Spark's own scheduler, many in one job."""

from __future__ import annotations

import contextlib
import pickle
import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from partitioner.engines.asked import Asked
from partitioner.engines.base import Capabilities, Engine
from partitioner.engines.spark_asked import SparkAsked
from partitioner.engines.spark_bundle import Bundle, Demand, Jobs, demand_of, ends_of_failed
from partitioner.engines.spark_executors import Executor, StatusStore, look_around, workers_of
from partitioner.engines.spark_failures import first_cause, message_of
from partitioner.engines.spark_imports import FAILURES, Accumulator, accumulators
from partitioner.engines.spark_letters import pause
from partitioner.engines.spark_seats import Seats
from partitioner.engines.spark_session import Session, wait_for_executors
from partitioner.engines.spark_task import (
    EventsParam,
    Question,
    Told,
    call_partition,
    call_slot,
    nothing,
    run_partition,
)
from partitioner.errors import ConfigError, EngineLost
from partitioner.model import Attempt, Event, EventKind, Failure, Workers

LOOK_SECONDS = 0.25  # between looks at which tasks run, and which jobs ended
EXECUTOR_SECONDS = 0.25  # between looks at which executors there are
LOOK_AROUND_SECONDS = 1.0  # to reach every executor; one that is busy is taken for as large as the smallest other
BUNDLE = 256
NO_REUSE = (
    "spark.python.worker.reuse is false: Python starts, and the program is built, anew for every sub-task. Set it to true "
    "before the session starts, unless the program leaks."
)


class SparkEngine(Engine):
    """Runs attempts as tasks on Spark executors.

    Parameters
    ----------
    session
        A ``SparkSession``, ``SparkContext`` (left open) or ``SparkConf`` of the caller's; one of Spark Connect goes to
        ``engine="spark_connect"``.
    master, conf
        Of the session to start where none is given or active: a master URL and Spark settings. Under ``spark-submit`` both
        come from there; without anything it is ``local[*]``.
    locality_wait
        Seconds a task may wait for its executor before any other takes it; None keeps the session's own. Short, so that a
        lost or slow executor never holds work.
    speeds
        Executor id or host to relative speed, ``"measure"`` to time a fixed piece of work on each, or None for equal.
    timeout
        Seconds to wait for the executors that were asked for; EngineLost where none comes. So long a question to every
        executor waits too for one whose cores are taken by other work.
    """

    name = "spark"
    capabilities = Capabilities(placement="hint", cancel=True, gpu=True, bundle=BUNDLE)

    def __init__(
        self,
        session: Any = None,
        master: str | None = None,
        conf: Mapping[str, Any] | None = None,
        locality_wait: float | None = 0.5,
        speeds: Mapping[str, float] | str | None = None,
        app_name: str = "partitioner",
        timeout: float = 60.0,
    ) -> None:
        if isinstance(speeds, str) and speeds != "measure":
            raise ConfigError(f"engine option speeds is {speeds!r}; write 'measure' or executor: speed pairs.")
        self._measure = speeds == "measure"
        self._speeds = dict(speeds) if isinstance(speeds, Mapping) else {}
        self._timeout = timeout
        self._session = Session(session, master, conf or {}, locality_wait, app_name, timeout)
        self._context = self._session.context
        self._store, self._jobs = StatusStore(self._session), Jobs(self._session)
        wait_for_executors(self._session, lambda: len(self._store.executors()), timeout)
        self._executors = self._store.executors()
        self._looks: dict[str, Any] = {}
        self._events: queue.SimpleQueue[Told] = queue.SimpleQueue()
        param: Any = EventsParam(self._events.put)
        self._accumulator: Accumulator[list[Told]] = self._context.accumulator([], param)
        self._settings = self._context.getConf()
        self._speculation = self._setting("spark.speculation", "false") == "true"
        self._dynamic = self._setting("spark.dynamicAllocation.enabled", "false") == "true"
        self._wake: Any = None
        if self._setting("spark.python.worker.reuse", "true") == "false":
            print(NO_REUSE, file=sys.stderr)
        self._run = partial(run_partition, self._accumulator, self._speculation)
        self._bundles: list[Bundle] = []
        self._seats: Seats | None = None
        self._where: dict[str, tuple[Bundle, int]] = {}  # by label, as what was cancelled
        self._cancelled: set[str] = set()
        self._driver: tuple[str, int] | None = None
        self._looked = self._looked_executors = time.monotonic()

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers | None:
        """The executors of a session to start on this machine; a cluster, or a session that is there, is asked."""
        from partitioner.engines.spark_expected import expected

        return expected(options)

    @classmethod
    def assumed(cls, options: Mapping[str, Any]) -> str:
        """A session of this machine, with the reason where no master is named."""
        from partitioner.engines.spark_expected import assumed

        return assumed(options)

    def _setting(self, name: str, default: str) -> str:
        return self._settings.get(name, default) or default

    def workers(self) -> Workers:
        """The executors there are now; the first call looks at the machine of each."""
        self._executors = self._store.executors()
        if any(name not in self._looks for name in self._executors):
            self._looks |= self._called(look_around, (self._measure,), LOOK_AROUND_SECONDS)
        return Workers.of(self._as_workers(self._executors))

    def _as_workers(self, executors: Mapping[str, Executor]) -> list[Any]:
        return workers_of(executors, self._looks, self._setting, self._speeds)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """One Spark job for all attempts of equal demand; those of rounds go to tasks that stay on their executors.

        All are of one driver; what another had submitted before is cancelled, and nothing of it is told any more.
        """
        if attempts and attempts[0].driver != self._driver:
            self._forget()
            self._driver = attempts[0].driver
        groups: dict[Demand, list[Attempt]] = {}
        rounds = [
            a for a in attempts if a.kind == "round" and not self._speculation
        ]  # a copy would take a seat's letters
        for attempt in attempts if not rounds else [a for a in attempts if a not in rounds]:
            groups.setdefault(demand_of(attempt), []).append(attempt)
        try:
            if rounds:
                self._seats = self._seats or Seats(self._jobs, self._accumulator, rounds[0].run_url, rounds[0].key)
                self._seats.post(rounds, self._executors)
            for demand, group in groups.items():
                bundle = self._jobs.start(group, self._executors, self._run, demand)
                self._bundles.append(bundle)
                self._where |= {a.label: (bundle, i) for i, a in enumerate(bundle.attempts)}
        except FAILURES:
            if self._session.alive:
                raise
            # else the next poll reports that the context was stopped, or the JVM is gone

    def _forget(self) -> None:
        """Cancel all that was submitted; what still comes of it finds no place."""
        with contextlib.suppress(*FAILURES):  # the next poll reports that Spark is gone
            self._cancel_all()
        self._bundles, self._seats = [], None
        self._where.clear()
        self._cancelled.clear()

    def poll(self, timeout: float) -> list[Event]:
        """Ends as Spark merges finished tasks, starts and executors that came or went from its status store."""
        wait = min(timeout, max(0.0, self._looked + LOOK_SECONDS - time.monotonic()))
        events = self._drain(wait) if self._seats is None or not self._seats.busy else self._answers(self._seats, wait)
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return events
        try:
            return events + self._look()
        except FAILURES as error:
            if self._session.alive:
                raise
            return [*events, Event(EventKind.ENGINE_LOST, error=Failure(f"Spark no longer answers: {error}"))]

    def _answers(self, seats: Seats, timeout: float) -> list[Event]:
        """The first answers of seats within ``timeout``, or what Spark says meanwhile."""
        began = time.monotonic()
        events = seats.answers()
        while not events and (waited := time.monotonic() - began) < timeout:
            events = self._drain(min(pause(waited), timeout - waited)) or seats.answers()
        return events

    def _drain(self, timeout: float) -> list[Event]:
        found: list[Told] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._events.get(timeout=timeout) if timeout > 0 else self._events.get_nowait())
            while True:
                found.append(self._events.get_nowait())
        return [e for label, event in found for e in self._ended(label, event)]

    def _ended(self, label: str, event: Event) -> list[Event]:
        """The event for the coordinator; a task that was killed on its behalf was cancelled, not lost."""
        if self._seats is not None and (of_seat := self._seats.lost(label)) is not None:
            return of_seat
        bundle, i = self._where.pop(label, (None, 0))
        if bundle is None:
            return []
        bundle.open.discard(i)
        unwanted = label in self._cancelled
        self._cancelled.discard(label)
        if event.kind is not EventKind.LOST:
            return [event]
        if unwanted:
            return [Event(EventKind.CANCELLED, event.attempt_id, event.worker_id)]
        return [*self._start_of(bundle, i, event.worker_id), event]

    def _start_of(self, bundle: Bundle, i: int, worker_id: str) -> list[Event]:
        if i in bundle.started:
            return []
        bundle.started.add(i)
        return [Event(EventKind.STARTED, bundle.attempts[i].attempt_id, worker_id, at=time.monotonic())]

    def _look(self) -> list[Event]:
        now = self._looked = time.monotonic()
        if not self._session.alive:
            return [Event(EventKind.ENGINE_LOST, error=Failure("the Spark context was stopped"))]
        done = [bundle for bundle in self._bundles if bundle.future.isDone()]
        given_up = [] if self._seats is None else self._seats.done()
        events = self._drain(0.0)
        for bundle in done:
            labels = {bundle.attempts[i].attempt_id: bundle.attempts[i].label for i in bundle.open}
            ends = ends_of_failed(bundle) if bundle.open else []
            events += [e for end in ends for e in self._closed(labels[end.attempt_id], end)]
        self._bundles = [b for b in self._bundles if b not in done]
        for bundle in self._bundles:
            events += self._starts(bundle)
        if self._seats is not None:
            events += [e for job in given_up for e in self._seats.ended(job)] + self._seats.started(self._store)
        if now - self._looked_executors > EXECUTOR_SECONDS:
            self._looked_executors = now
            events += self._look_at_executors()
        return events

    def _closed(self, label: str, event: Event) -> list[Event]:
        if event.kind is EventKind.STARTED:
            return [event]
        self._where.pop(label, None)
        if label in self._cancelled:
            self._cancelled.discard(label)
            return [Event(EventKind.CANCELLED, event.attempt_id, event.worker_id)]
        return [event]

    def _starts(self, bundle: Bundle) -> list[Event]:
        """Tasks that run and were not known to; Spark hands a job's tasks out one after the other."""
        stage = self._jobs.stage_of(bundle)
        if stage is None:
            return []
        running = [(i, e) for i, _, e, number in self._store.running(stage) if i in bundle.open and number == 0]
        return [event for i, executor in running for event in self._start_of(bundle, i, executor)]

    def _look_at_executors(self) -> list[Event]:
        seen = self._store.executors()
        if not seen and self._dynamic:
            self._ask_for_one()
        joined = {name: e for name, e in seen.items() if name not in self._executors}
        gone = [name for name in self._executors if name not in seen]
        self._executors = seen
        workers = [w for w in self._as_workers(seen) if w.worker_id in joined] if joined else []
        if joined:
            self._warm(joined)
        events = [Event(EventKind.WORKER_JOINED, worker=w) for w in workers]
        events += [] if self._seats is None else self._seats.gone(gone)
        return events + [Event(EventKind.WORKER_LOST, worker_id=name) for name in gone]

    def _warm(self, joined: Mapping[str, Executor]) -> None:
        """A task that does nothing on each executor that came: the first one there waits a second for code and Python."""
        plain = (int(self._setting("spark.task.cpus", "1")), 0.0, ())
        there = list(joined.values())
        self._jobs.begin([e.executor_id for e in there], there, nothing, plain, "executors that came get ready")

    def _ask_for_one(self) -> None:
        """Dynamic allocation took the last executor: without work in Spark none would ever come."""
        if self._wake is None or self._wake.isDone():
            self._wake = self._context.parallelize([0], 1)._jrdd.countAsync()

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Kill running tasks; a job of which nothing is wanted any more ends as a whole."""
        try:
            self._cancel(attempt_ids)
        except FAILURES:
            if self._session.alive:
                raise
            # else the next poll reports it, or the run has stopped for that

    def _cancel(self, attempt_ids: Sequence[str]) -> None:
        if self._seats is not None:
            self._seats.cancel(set(attempt_ids), self._store)
        ids = set(attempt_ids)
        wanted = {label for label, (b, i) in self._where.items() if b.attempts[i].attempt_id in ids}
        self._cancelled |= wanted
        for bundle in {id(b): b for b, _ in (self._where[label] for label in wanted)}.values():
            labels = {i: bundle.attempts[i].label for i in bundle.open}
            if self._cancelled.issuperset(labels.values()):
                bundle.future.cancel(True)
            elif (stage := self._jobs.stage_of(bundle)) is not None:
                for i, task, _, _ in self._store.running(stage):
                    if labels.get(i) in wanted:
                        self._jobs.kill(task, f"{labels[i]} is not wanted any more")

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run on every executor; one whose cores others take for all of ``timeout`` seconds answers with a TimeoutError."""
        return self._called(function, args, self._timeout)

    def _called(self, function: Callable[..., Any], args: Sequence[Any], seconds: float) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        until = time.monotonic() + seconds
        while missing := [e for name, e in self._store.executors().items() if name not in answers]:
            if answers and time.monotonic() > until:
                late = TimeoutError(f"not reached in {seconds:g} s; its cores are taken by other work")
                return answers | dict.fromkeys([e.executor_id for e in missing], late)
            try:
                work = self._jobs.rdd([e.executor_id for e in missing], missing)
                told = work.mapPartitions(partial(call_partition, function, args)).collect()
            except FAILURES as error:
                failure = RuntimeError(self._cause(error))
                return {e.executor_id: failure for e in missing} | answers
            answers |= {name: pickle.loads(answer) for name, answer in told}
        return answers

    def _cause(self, error: BaseException) -> str:
        """What a person needs of a failure of Spark. Raises EngineLost where Spark is gone."""
        cause = first_cause(message_of(error))
        if not self._session.alive:
            raise EngineLost(f"the Spark context was stopped: {cause}") from error
        return cause

    def call_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """One task per slot in one job, preferring the executors asked for; answers are under those that they reached."""
        owners, demand = self._owners(slots)
        question = Question(function, len(owners), args, self._speculation)
        work = partial(call_slot, question)
        try:
            told = self._jobs.collect([(i, e.executor_id) for i, e in enumerate(owners)], owners, work, demand)
        except FAILURES as error:
            failure = RuntimeError(self._cause(error))
            return {e.executor_id: [failure] for e in owners}
        answers: dict[str, list[Any]] = {}
        for executor, answer in told:
            answers.setdefault(executor, []).append(pickle.loads(answer))
        return answers

    def ask_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> Asked:
        """The same, and an executor whose cores are taken by other work is asked until it answers."""
        owners, demand = self._owners(slots)
        asked = SparkAsked(self._session, self._jobs, owners, demand, self._store.executors)
        try:
            asked.ask(function, args, self._speculation)
        except FAILURES as error:
            raise EngineLost(f"Spark takes no job: {self._cause(error)}") from error
        return asked

    def _owners(self, slots: Mapping[str, int]) -> tuple[list[Executor], Demand]:
        """The executor of every slot, and the cores of a task with which all slots of an executor run at once."""
        executors = self._store.executors()
        there = {name: count for name, count in slots.items() if name in executors and count}
        fits = [executors[name].cores // count for name, count in there.items()]
        cpus = max(1, min([int(self._setting("spark.task.cpus", "1")), *fits]))
        return [executors[name] for name, count in there.items() for _ in range(count)], (cpus, 0.0, ())

    def close(self) -> None:
        """Cancel what still runs, and stop the session if it was started here; a JVM that is gone is no error then."""
        accumulators._accumulatorRegistry.pop(self._accumulator.aid, None)
        self._session.close(self._cancel_all)

    def _cancel_all(self) -> None:
        if self._seats is not None:
            self._seats.close()
        for bundle in self._bundles:
            bundle.future.cancel(True)
