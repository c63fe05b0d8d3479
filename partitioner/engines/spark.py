"""Spark: sub-tasks run on the executors that the plan names, as tasks of Spark's own scheduler, many in one job."""

from __future__ import annotations

import contextlib
import pickle
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from partitioner.engines.base import Capabilities, Engine
from partitioner.engines.spark_bundle import Bundle, Demand, Jobs, demand_of, ends_of_failed
from partitioner.engines.spark_executors import Executor, StatusStore, look_around, workers_of
from partitioner.engines.spark_failures import first_cause, message_of
from partitioner.engines.spark_imports import FAILURES, Accumulator, Py4JNetworkError, accumulators
from partitioner.engines.spark_letters import pause
from partitioner.engines.spark_seats import Seats
from partitioner.engines.spark_session import Session, wait_for_executors
from partitioner.engines.spark_task import EventsParam, call_partition, call_slot, run_partition
from partitioner.errors import ConfigError, EngineLost
from partitioner.model import Attempt, Event, EventKind, Failure, Workers

LOOK_SECONDS = 0.25  # between looks at which tasks run, and which jobs ended
EXECUTOR_SECONDS = 1.0  # between looks at which executors there are
CALL_ROUNDS = 5  # tries to reach every executor, for a preference is no promise
BUNDLE = 256


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
        Seconds to wait for the executors that were asked for; EngineLost where none comes.
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
        self._session = Session(session, master, conf or {}, locality_wait, app_name, timeout)
        self._context = self._session.context
        self._store, self._jobs = StatusStore(self._session), Jobs(self._session)
        wait_for_executors(self._session, lambda: len(self._store.executors()), timeout)
        self._executors = self._store.executors()
        self._looks: dict[str, Any] = {}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        param: Any = EventsParam(self._events.put)
        self._accumulator: Accumulator[list[Event]] = self._context.accumulator([], param)
        self._settings = self._context.getConf()
        self._speculation = self._setting("spark.speculation", "false") == "true"
        self._run = partial(run_partition, self._accumulator, self._speculation)
        self._bundles: list[Bundle] = []
        self._seats: Seats | None = None
        self._where: dict[str, tuple[Bundle, int]] = {}
        self._cancelled: set[str] = set()
        self._looked = self._looked_executors = time.monotonic()

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers | None:
        """The executors of a session to start on this machine; a cluster, or a session that is there, is asked."""
        from partitioner.engines.spark_expected import expected

        return expected(options)

    def _setting(self, name: str, default: str) -> str:
        return self._settings.get(name, default) or default

    def workers(self) -> Workers:
        """The executors there are now; the first call looks at the machine of each."""
        self._executors = self._store.executors()
        if any(name not in self._looks for name in self._executors):
            self._looks |= self.call(look_around, self._measure)
        return Workers.of(self._as_workers(self._executors))

    def _as_workers(self, executors: Mapping[str, Executor]) -> list[Any]:
        return workers_of(executors, self._looks, self._setting, self._speeds)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """One Spark job for all attempts of equal demand; those of rounds go to tasks that stay on their executors."""
        groups: dict[Demand, list[Attempt]] = {}
        rounds = [
            a for a in attempts if a.kind == "round" and not self._speculation
        ]  # a copy would take a seat's letters
        for attempt in attempts if not rounds else [a for a in attempts if a not in rounds]:
            groups.setdefault(demand_of(attempt), []).append(attempt)
        try:
            if rounds:
                self._seats_of(rounds[0]).post(rounds, self._executors)
            for demand, group in groups.items():
                bundle = self._jobs.start(group, self._executors, self._run, demand)
                self._bundles.append(bundle)
                self._where |= {a.attempt_id: (bundle, i) for i, a in enumerate(bundle.attempts)}
        except FAILURES:
            if self._session.alive:
                raise
            # else the next poll reports that the context was stopped, or the JVM is gone

    def _seats_of(self, attempt: Attempt) -> Seats:
        """Those of the iteration that the attempt is of; the seats of another are given up."""
        if self._seats is None or self._seats.run_url != attempt.run_url:
            if self._seats is not None:
                self._seats.close()
            self._seats = Seats(self._jobs, self._accumulator, attempt.run_url, attempt.key)
        return self._seats

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
        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._events.get(timeout=timeout) if timeout > 0 else self._events.get_nowait())
            while True:
                found.append(self._events.get_nowait())
        return [e for event in found for e in self._ended(event)]

    def _ended(self, event: Event) -> list[Event]:
        """The event for the coordinator; a task that was killed on its behalf was cancelled, not lost."""
        if self._seats is not None and (of_seat := self._seats.lost(event)) is not None:
            return of_seat
        bundle, i = self._where.pop(event.attempt_id, (None, 0))
        if bundle is None:
            return []
        bundle.open.discard(i)
        if event.kind is not EventKind.LOST:
            self._cancelled.discard(event.attempt_id)
            return [event]
        if event.attempt_id in self._cancelled:
            self._cancelled.discard(event.attempt_id)
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
            events += [e for end in ends_of_failed(bundle) for e in self._closed(end)] if bundle.open else []
        self._bundles = [b for b in self._bundles if b not in done]
        for bundle in self._bundles:
            events += self._starts(bundle)
        if self._seats is not None:
            events += [e for job in given_up for e in self._seats.ended(job)] + self._seats.started(self._store)
        if now - self._looked_executors > EXECUTOR_SECONDS:
            self._looked_executors = now
            events += self._look_at_executors()
        return events

    def _closed(self, event: Event) -> list[Event]:
        if event.kind is EventKind.STARTED:
            return [event]
        self._where.pop(event.attempt_id, None)
        if event.attempt_id in self._cancelled:
            self._cancelled.discard(event.attempt_id)
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
        joined = {name: e for name, e in seen.items() if name not in self._executors}
        gone = [name for name in self._executors if name not in seen]
        self._executors = seen
        workers = [w for w in self._as_workers(seen) if w.worker_id in joined] if joined else []
        events = [Event(EventKind.WORKER_JOINED, worker=w) for w in workers]
        events += [] if self._seats is None else self._seats.gone(gone)
        return events + [Event(EventKind.WORKER_LOST, worker_id=name) for name in gone]

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Kill running tasks; a job of which nothing is wanted any more ends as a whole."""
        with contextlib.suppress(Py4JNetworkError):
            if self._seats is not None:
                self._seats.cancel(set(attempt_ids), self._store)
            wanted = {a for a in attempt_ids if a in self._where}
            self._cancelled |= wanted
            for bundle in {id(b): b for b, _ in (self._where[a] for a in wanted)}.values():
                ids = {i: bundle.attempts[i].attempt_id for i in bundle.open}
                if all(attempt_id in self._cancelled for attempt_id in ids.values()):
                    bundle.future.cancel(True)
                elif (stage := self._jobs.stage_of(bundle)) is not None:
                    for i, task, _, _ in self._store.running(stage):
                        if ids.get(i) in wanted:
                            self._jobs.kill(task, f"{ids[i]} is not wanted any more")

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run on every executor; one that no round reaches answers with a TimeoutError."""
        answers: dict[str, Any] = {}
        for _ in range(CALL_ROUNDS):
            executors = self._store.executors()
            missing = [e for name, e in executors.items() if name not in answers]
            if not missing:
                return answers
            try:
                work = self._jobs.rdd([e.executor_id for e in missing], missing)
                answers |= map(pickle.loads, work.mapPartitions(partial(call_partition, function, args)).collect())
            except FAILURES as error:
                cause = first_cause(message_of(error))
                if not self._session.alive:
                    raise EngineLost(f"the Spark context was stopped: {cause}") from error
                failure = RuntimeError(cause)
                return {e.executor_id: failure for e in missing} | answers
        late = TimeoutError(f"not reached in {CALL_ROUNDS} rounds; its cores are taken by other work")
        return {name: late for name in executors if name not in answers} | answers

    def call_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """One task per slot in one job, preferring the executors asked for; answers are under those that they reached."""
        executors = self._store.executors()
        owners = [executors[worker] for worker, count in slots.items() if worker in executors for _ in range(count)]
        if not owners:
            return {}
        work = self._jobs.rdd([(i, e.executor_id) for i, e in enumerate(owners)], owners)
        try:
            told = work.mapPartitions(partial(call_slot, function, len(owners), args)).collect()
        except FAILURES as error:
            if not self._session.alive:
                raise EngineLost(f"the Spark context was stopped: {first_cause(message_of(error))}") from error
            return {e.executor_id: [RuntimeError(first_cause(message_of(error)))] for e in owners}
        answers: dict[str, list[Any]] = {}
        for executor, answer in map(pickle.loads, told):
            answers.setdefault(executor, []).append(answer)
        return answers

    def close(self) -> None:
        """Cancel what still runs, and stop the session if it was started here."""
        with contextlib.suppress(*FAILURES):
            if self._seats is not None:
                self._seats.close()
            for bundle in self._bundles:
                bundle.future.cancel(True)
        accumulators._accumulatorRegistry.pop(self._accumulator.aid, None)
        with contextlib.suppress(*FAILURES):
            self._session.close()
