"""Spark Connect: sub-tasks run on a cluster without a ``SparkContext``, longest first, wherever Spark has room."""

from __future__ import annotations

import contextlib
import heapq
import pickle
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from math import ceil
from typing import Any
from uuid import uuid4

from partitioner.engines.base import Capabilities, Engine
from partitioner.engines.spark_connect_session import ConnectSession, remote_of
from partitioner.engines.spark_connect_task import SCHEMA, Look, call_one, look, run_one, without_index
from partitioner.engines.spark_executors import Executor, workers_of
from partitioner.engines.spark_failures import first_cause, is_death, message_of
from partitioner.errors import ConfigError, EngineLost
from partitioner.model import Attempt, Event, EventKind, Failure, Workers

HOLDS = (0.2, 0.5, 1.5, 4.0)
"""Seconds that a look holds a slot, one round after the other, until every slot was seen: Python workers start slowly."""

BUNDLE = 256
KNOCK_SECONDS = 3.0
"""Without a word from the server while queries run, until its port is tried, and between two tries."""

REFUSALS = 2
"""Tries of the port, one after the other, that were refused: the server is gone, for its sessions went with it."""

INTERRUPT_SECONDS = 0.5  # between tries to interrupt a query, which may have been on its way to the server


class SparkConnectEngine(Engine):
    """Runs attempts as queries of one task each through ``mapInArrow``; as many at once as there are cores.

    What waits does so here, and whenever a core is free the longest goes out: Spark decides where, so that placement is
    ignored.

    Parameters
    ----------
    session
        A Spark Connect ``SparkSession`` of the caller's, left open; by default the active one.
    remote
        ``sc://host:port`` of a server, or ``local[2]`` to start one here; by default ``SPARK_REMOTE``, else ``local[*,4]``.
    conf
        Spark settings of the session to open.
    slots
        Cores to use at once; by default those of the executors seen when a run begins. Give it where executors come with
        the work (dynamic allocation, serverless).
    """

    name = "spark_connect"
    capabilities = Capabilities(placement="ignored", cancel=True, bundle=BUNDLE)

    def __init__(
        self,
        session: Any = None,
        remote: str | None = None,
        conf: Mapping[str, Any] | None = None,
        slots: int | None = None,
    ) -> None:
        if slots is not None and not (isinstance(slots, int) and slots >= 1):
            raise ConfigError(f"engine option slots is {slots!r}; write a whole number of cores of at least 1.")
        self._session = ConnectSession(session, remote, conf or {})
        self._spark = self._session.spark
        self._given_slots, self._workers = slots, None if slots is None else Workers.identical(1, cpus=float(slots))
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._driver: tuple[str, int] | None = None
        self._lock, self._order = threading.Lock(), count()
        self._waiting: list[tuple[float, int, Attempt]] = []
        self._running: dict[str, Attempt] = {}  # by label, as what was cancelled
        self._cancelled: set[str] = set()
        self._died = False
        self._tag, self._interrupted = f"partitioner-{uuid4().hex}", time.monotonic()
        self._heard, self._refusals, self._gone = time.monotonic(), 0, False

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers | None:
        """Those of a server to start on this machine; a server or session that is there is asked."""
        from partitioner.engines.spark_expected import on_this_machine

        if options.get("slots") is not None:
            return Workers.identical(1, cpus=float(options["slots"]))
        master = remote_of(options.get("session"), options.get("remote"))
        return None if master is None else on_this_machine(master, dict(options.get("conf") or {}))

    def workers(self) -> Workers:
        """The executors there are now, with the cores that answered at once; one worker of ``slots`` where given."""
        if self._workers is None or (self._died and not self._running):
            self._workers, self._died = self._look_around(), False
        return self._workers

    def _look_around(self) -> Workers:
        """Rounds of tasks, as many as the server takes for its cores, until as many ran at once."""
        cores: Counter[str] = Counter()
        seen: dict[str, Look] = {}
        for hold in HOLDS:
            looks = self._call(look, (), None, hold)
            for name, most in _at_once(looks).items():
                cores[name] = max(cores[name], most)
            seen |= {found.executor: found for found in looks}
            if cores.total() >= len(looks):
                break
        executors = {name: Executor(name, seen[name].host, n, {}) for name, n in cores.items()}
        told = {name: found.answer for name, found in seen.items()}
        return Workers.of(workers_of(executors, told, self._session.setting, {}))

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Put them among those that wait, the longest first; of another driver's before, nothing is told any more."""
        with self._lock:
            if attempts and attempts[0].driver != self._driver:
                self._driver = attempts[0].driver
                self._waiting.clear()
                self._events = queue.SimpleQueue()
                self._cancelled |= self._running.keys()
            for attempt in attempts:
                heapq.heappush(self._waiting, (-attempt.seconds, next(self._order), attempt))
        self._start_what_fits()

    def _start_what_fits(self) -> None:
        """Start the longest that waits while there are cores for it; one larger than the cluster runs alone."""
        slots = float((self._workers or self.workers()).cpus.sum())
        with self._lock:
            while self._waiting:
                used = sum(ceil(a.cpus - 1e-9) for a in self._running.values())
                attempt = self._waiting[0][2]
                if self._running and used + ceil(attempt.cpus - 1e-9) > slots:
                    return
                heapq.heappop(self._waiting)
                self._running[attempt.label] = attempt
                self._events.put(Event(EventKind.STARTED, attempt.attempt_id, attempt.worker_id, at=time.monotonic()))
                threading.Thread(target=self._run, args=(attempt,), name=attempt.attempt_id, daemon=True).start()

    def _run(self, attempt: Attempt) -> None:
        """In a thread: one query, until its row or its failure is there."""
        if attempt.label in self._cancelled:
            self._ended(attempt, Event(EventKind.CANCELLED, attempt.attempt_id, attempt.worker_id))
            return
        task = partial(run_one, pickle.dumps(attempt, protocol=5), self._known)
        try:
            event: Event = self._answers(task, 1, attempt.label)[0]
        except Exception as error:  # every failure of the query is that of the attempt
            event = self._failed(attempt, error)
        self._ended(attempt, event)

    def _ended(self, attempt: Attempt, event: Event) -> None:
        with self._lock:
            self._running.pop(attempt.label, None)
            unwanted = attempt.label in self._cancelled
            self._cancelled.discard(attempt.label)
            self._died |= event.kind is EventKind.LOST
            if unwanted and event.kind in (EventKind.LOST, EventKind.FAILED):
                event = Event(EventKind.CANCELLED, attempt.attempt_id, attempt.worker_id)
            if attempt.driver == self._driver:
                self._events.put(event)

    def _failed(self, attempt: Attempt, error: Exception) -> Event:
        text = message_of(error)
        if attempt.label not in self._cancelled and not self._session.alive:
            self._gone = True
            return Event(EventKind.ENGINE_LOST, error=Failure(f"Spark Connect no longer answers: {first_cause(text)}"))
        if is_death(text):
            return Event(EventKind.LOST, attempt.attempt_id, attempt.worker_id, error=Failure(text))
        why = Failure(first_cause(text), type(error).__name__, text)
        return Event(EventKind.FAILED, attempt.attempt_id, attempt.worker_id, error=why)

    def _answers(self, task: Callable[..., Any], tasks: int | None, tag: str) -> list[Any]:
        """What one query of ``tasks`` tasks says (None: as many as the server has cores), in the order of partitions."""
        ids = self._spark.range(1 << 20) if tasks is None else self._spark.range(0, tasks, 1, tasks)
        self._spark.addTag(f"{self._tag}-{tag}")  # of this thread
        try:
            rows = ids.mapInArrow(task, SCHEMA).toArrow()
        finally:
            self._spark.removeTag(f"{self._tag}-{tag}")
        return [pickle.loads(row.as_py()) for row in rows["answer"]]

    def poll(self, timeout: float) -> list[Event]:
        """Events as the queries end; what waits takes the cores that became free."""
        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._events.get(timeout=timeout) if timeout > 0 else self._events.get_nowait())
            while True:
                found.append(self._events.get_nowait())
        found += self._lost(bool(found))
        if self._gone:
            return found
        self._start_what_fits()
        if time.monotonic() - self._interrupted > INTERRUPT_SECONDS:
            with self._lock:
                unheard = self._cancelled & self._running.keys()
            self._interrupt(unheard)
        return found

    def _lost(self, heard: bool) -> list[Event]:
        """That the engine is lost, where nothing was heard for a while and nobody listens at the server's address."""
        now = time.monotonic()
        if heard or not self._running or now - self._heard < KNOCK_SECONDS:
            self._heard = now if heard else self._heard
            return []
        self._heard, self._refusals = now, self._refusals + 1 if self._session.refused else 0
        if self._refusals < REFUSALS:
            return []
        self._gone = True
        why = f"nobody listens at {self._session.endpoint}, where its server was"
        return [Event(EventKind.ENGINE_LOST, error=Failure(f"Spark Connect no longer answers: {why}"))]

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """What waits is dropped, what runs is interrupted."""
        wanted = set(attempt_ids)
        with self._lock:
            dropped = [entry for entry in self._waiting if entry[2].attempt_id in wanted]
            self._waiting = [entry for entry in self._waiting if entry[2].attempt_id not in wanted]
            heapq.heapify(self._waiting)
            running = {label for label, attempt in self._running.items() if attempt.attempt_id in wanted}
            self._cancelled |= running
        for _, _, attempt in dropped:
            self._events.put(Event(EventKind.CANCELLED, attempt.attempt_id, attempt.worker_id))
        self._interrupt(running)

    def _interrupt(self, labels: set[str]) -> None:
        """End their queries; one that the server does not know yet is interrupted again by a later poll."""
        self._interrupted = time.monotonic()
        for label in () if self._gone else sorted(labels):
            with contextlib.suppress(Exception):  # a server that is gone ends them all
                self._spark.interruptTag(f"{self._tag}-{label}")

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run on every executor, in rounds that hold their slots longer and longer.

        One that no round reaches is gone, or its cores are taken by others for good: it is no worker any more.
        """
        workers = self.workers()
        answers: dict[str, Any] = {}
        for hold in HOLDS:
            looks = self._call(partial(without_index, function), args, self._given_slots, hold)
            answers |= {self._worker_of(found): found.answer for found in looks}
            if set(workers.worker_id) <= answers.keys():
                break
        self._workers = workers.take([j for j, name in enumerate(workers.worker_id) if name in answers])
        return answers

    def call_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """One task per slot in one query; answers are under the executors that they reached."""
        answers: dict[str, list[Any]] = {}
        total = sum(slots.values())
        for found in self._call(function, args, total, 0.0) if total else []:
            answers.setdefault(self._worker_of(found), []).append(found.answer)
        return answers

    @property
    def _known(self) -> tuple[str, ...]:
        """The workers as they were last seen, whatever became of them since."""
        return tuple((self._workers or self.workers()).worker_id)

    def _worker_of(self, found: Look) -> str:
        """The worker that an executor counts as: itself, or where it is not one of those seen first, the first of them."""
        return found.executor if found.executor in self._known else self._known[0]

    def _call(self, function: Callable[..., Any], args: Sequence[Any], tasks: int | None, hold: float) -> list[Look]:
        import cloudpickle

        task = partial(call_one, cloudpickle.dumps((function, tuple(args))), tasks or 0, hold)
        try:
            return self._answers(task, tasks, "call")
        except Exception as error:
            cause = first_cause(message_of(error))
            if not self._session.alive:
                raise EngineLost(f"Spark Connect no longer answers: {cause}") from error
            raise EngineLost(
                f"the executors of {self._session.address} cannot run the check: {cause}. They need batch-partitioner in "
                "the driver's version, or spark.addArtifacts(zip, pyfile=True); see docs/spark.md."
            ) from error

    def close(self) -> None:
        """Interrupt what still runs, and end the session if it was opened here."""
        with self._lock:
            self._waiting.clear()
            running = set(self._running)
            self._cancelled |= running
        self._interrupt(running)
        self._session.close(self._gone)


def _at_once(looks: Sequence[Look]) -> dict[str, int]:
    """Executor to the most of its slots that were held at one moment, by the clock of its machine."""
    found: dict[str, int] = {}
    for one in looks:
        together = sum(o.executor == one.executor and o.began <= one.began < o.ended for o in looks)
        found[one.executor] = max(found.get(one.executor, 0), together)
    return found
