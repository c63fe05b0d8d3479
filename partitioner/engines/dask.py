"""Dask: attempts are futures pinned to workers by name; a cluster is started here, or an address or Client is given."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Security, get_worker
from distributed.deploy.cluster import Cluster

from partitioner.attempt import garbage
from partitioner.attempt.job import load
from partitioner.attempt.run import describe_error, run_attempt
from partitioner.engines import fork_server, preload
from partitioner.engines.asked import Answers, Asked
from partitioner.engines.base import Capabilities, Engine
from partitioner.engines.dask_asked import DaskAsked
from partitioner.engines.dask_deaths import NEIGHBOUR, RETIRED, UNREACHABLE, blamed, kill, known, starting
from partitioner.engines.dask_expected import LOOPBACK, expected, memory_of, whole, worker_count
from partitioner.engines.dask_start import client_of, connected, started
from partitioner.engines.main_guard import check_main_guard
from partitioner.model import Attempt, Event, EventKind, Failure, Worker, Workers

# A dead worker must be reported at once: the coordinator, not the scheduler, decides what is tried again.
_SETTINGS = {"distributed.scheduler.allowed-failures": 0, "distributed.admin.low-level-log-length": 0}
_BACK_LATE = {"distributed.deploy.lost-worker-timeout": "7 days"}
"""A nanny brings its worker back. By default the cluster ends one whose worker was gone for 15 s; on a busy machine it takes
longer to start, and nobody was left. It is read whenever a worker goes, so it is set while the cluster lives."""

LOOK_SECONDS = 1.0  # between looks at which workers there are
LIVENESS_SECONDS = 120.0
"""A worker that was not heard of for so long, while others were, is gone; by the scheduler's clock. Code that holds the
interpreter's lock keeps a worker silent too; what it does then runs twice, and is committed once."""


def _attempt(topic: str, attempt: Attempt) -> Event:
    """Tell of the start and of the end as they happen, which spares the driver a round trip to fetch each result.

    The start is told once the program is loaded, so that a new process has the whole ``timeout`` for the sub-task.
    """
    garbage.worker()
    worker, key = get_worker(), attempt.label
    with contextlib.suppress(Exception, SystemExit):  # the attempt says what is wrong with it
        load(attempt.run_url, attempt.key)
    worker.log_event(topic, [key, attempt.attempt_id, None])
    event = run_attempt(attempt)
    worker.log_event(topic, [key, attempt.attempt_id, pickle.dumps(event)])
    return event


class DaskEngine(Engine):
    """Runs attempts on Dask workers.

    Parameters
    ----------
    workers
        Worker processes of the cluster to start; by default one per core, at least 2. Ignored with an address or client.
    threads_per_worker, memory_limit
        Of the cluster to start; ``memory_limit`` per worker, as Dask takes it (``"auto"``, ``"2GB"``, bytes).
    address
        Scheduler of a running cluster; EngineLost within ``timeout`` seconds where it cannot be reached.
    client
        A ``distributed.Client`` or cluster of the caller's, left open.
    speeds
        Worker name to relative speed, where declared.
    tls
        Whether the cluster to start speaks TLS, with a certificate made for it and kept in memory.
    """

    name = "dask"
    capabilities = Capabilities(placement="exact", cancel=True, memory_limit=True, one_process=True)

    def __init__(
        self,
        workers: int | None = None,
        threads_per_worker: int = 1,
        memory_limit: str | int = "auto",
        address: str | None = None,
        client: Client | Cluster | None = None,
        speeds: Mapping[str, float] | None = None,
        timeout: float = 20.0,
        tls: bool = False,
    ) -> None:
        garbage.driver()
        count, threads = worker_count(workers), whole("threads_per_worker", threads_per_worker)
        memory_of(memory_limit, threads)
        self._speeds = {str(k): float(v) for k, v in (speeds or {}).items()}
        self._events: queue.SimpleQueue[tuple[str, Event] | Future[Any]] = queue.SimpleQueue()  # with its task's key
        self._live: dict[str, Attempt] = {}
        self._asked: WeakValueDictionary[str, DaskAsked] = WeakValueDictionary()
        self._futures: dict[str, Future[Any]] = {}
        self._topic = f"partitioner-{secrets.token_hex(8)}"  # runs that share a scheduler must not hear each other
        self._cluster: LocalCluster | None = None
        self._held = contextlib.ExitStack()
        self._own_client = not isinstance(client, Client)
        if client is None and address is None:
            try:
                client = self._start(count, threads, memory_limit, tls)
            except BaseException:
                self._held.close()
                raise
        self._client = client_of(client) if client is not None else connected(str(address), timeout)
        self._looked = time.monotonic()
        self._told: Mapping[str, Mapping[str, Any]] = {}  # what the scheduler last said of its workers
        self._memory: dict[str, int] = {}  # most bytes that each worker's process was seen to hold
        self._killed: dict[str, set[str]] = {}  # worker -> attempts for which its process was ended
        self._known = {name: address for name, (address, _) in self._seen().items()}
        self._client.subscribe_topic(self._topic, self._on_told)

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers | None:
        """The workers of a cluster to start here, with the memory that Dask gives each; one that runs is asked."""
        return expected(options)

    @classmethod
    def assumed(cls, options: Mapping[str, Any]) -> str:
        """A local cluster, unless one that runs is named."""
        return "" if expected(options) is None else "a Dask cluster started on this machine, for none is named"

    def _start(self, workers: int, threads: int, memory_limit: str | int, tls: bool) -> Client:
        """A cluster that nobody outside this machine reaches; with ``tls`` only holders of its certificate, made now, do."""
        check_main_guard()
        security = {"security": Security.temporary(), "protocol": "tls://"} if tls else {}
        if os.environ.get(preload.VARIABLE):
            self._held.enter_context(fork_server.running())
        self._held.enter_context(dask.config.set(_BACK_LATE))
        with dask.config.set(_SETTINGS):
            self._cluster = started(
                n_workers=workers,
                threads_per_worker=threads,
                memory_limit=memory_limit,
                processes=True,
                host=LOOPBACK,
                dashboard_address=f"{LOOPBACK}:0",
                worker_dashboard_address=f"{LOOPBACK}:0",
                silence_logs=logging.CRITICAL,
                preload=["partitioner.engines.dask_worker"],
                **security,
            )
            return Client(self._cluster)

    def _on_told(self, told: tuple[float, Any]) -> None:
        """A worker said that an attempt started, or ended with a pickled event, or answered what it was asked.

        One of an earlier run is not heard.
        """
        key, attempt_id, event = told[1]
        if (asked := self._asked.get(key)) is not None:
            asked.told(attempt_id, event)
            return
        attempt = self._live.get(attempt_id)
        if attempt is None or attempt.label != key:
            return
        started = Event(EventKind.STARTED, attempt_id, attempt.worker_id, at=time.monotonic())
        self._events.put((key, started if event is None else pickle.loads(event)))

    def _seen(self) -> dict[str, tuple[str, Worker]]:
        """Name to address and worker, of those the scheduler knows now. A restarted worker has another address."""
        found = {}
        told = known(self._client)
        self._told = self._told if told is None else told
        heard = max((info["last_seen"] for info in self._told.values()), default=0.0)
        for address, info in self._told.items():
            if heard - info["last_seen"] > LIVENESS_SECONDS:
                continue  # stopped, hung or cut off: it counts as gone until it is heard of again
            name, resources = str(info["name"]), dict(info.get("resources") or {})
            self._memory[name] = max(self._memory.get(name, 0), int((info.get("metrics") or {}).get("memory", 0)))
            worker = Worker(
                worker_id=name,
                cpus=float(info["nthreads"]),
                memory_bytes=float(info["memory_limit"] or float("inf")),
                gpus=float(resources.pop("GPU", 0.0)),
                resources=resources,
                speed=self._speeds.get(name, 1.0),
                host=str(info["host"]),
            )
            found[name] = (str(address), worker)
        return found

    def workers(self) -> Workers:
        """The workers the scheduler knows now, by name."""
        seen = self._seen()
        self._known |= {name: address for name, (address, _) in seen.items() if name not in self._known}
        return Workers.of(seen[name][1] for name in sorted(seen, key=lambda name: (len(name), name)))

    def coming(self) -> int:
        """Processes that nannies start now, of a cluster that lives in this process; of another nobody here can tell."""
        return starting(self._client.cluster)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """One future per attempt, pinned to the address that its worker has now."""
        for attempt in attempts:
            self._live[attempt.attempt_id] = attempt
            address = self._known.get(attempt.worker_id)
            if address is None:  # it left since it was planned with, and who plans now may not have heard of it
                self._events.put((attempt.label, Event(EventKind.WORKER_LOST, worker_id=attempt.worker_id)))
                self._events.put((attempt.label, Event(EventKind.LOST, attempt.attempt_id, attempt.worker_id)))
                continue
            try:
                future = self._pinned(attempt, address)
            except UNREACHABLE:
                self._looked = 0.0  # the next poll looks and reports it
                return
            self._futures[attempt.attempt_id] = future
            future.add_done_callback(self._events.put)

    def _pinned(self, attempt: Attempt, address: str) -> Future[Any]:
        """On the worker those submitted first run first: what Dask is given within a tenth of a second it thinks equal."""
        return self._client.submit(
            _attempt,
            self._topic,
            attempt,
            key=attempt.label,
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
            fifo_timeout=0,
        )

    def poll(self, timeout: float) -> list[Event]:
        """Starts as workers report them, ends as futures finish, and workers that came or went."""
        told: list[tuple[str, Event]] = []
        done: list[Future[Any]] = []
        with contextlib.suppress(queue.Empty):
            item = self._events.get(timeout=timeout)
            while True:
                (done if isinstance(item, Future) else told).append(item)  # type: ignore[arg-type]
                item = self._events.get_nowait()
        events = [event for key, event in told if self._is_heard(key, event)]
        untold = self._untold(done)
        events += untold
        died = any(event.kind is EventKind.LOST for event in untold)
        if died or time.monotonic() - self._looked > LOOK_SECONDS:
            events += self._look()
        return events

    def _is_heard(self, key: str, event: Event) -> bool:
        """Whether an event is of an attempt that lives, and not of that name in another run; one that ends is forgotten."""
        if event.kind is EventKind.WORKER_LOST:
            return True
        attempt = self._live.get(event.attempt_id)
        if attempt is None or attempt.label != key:
            return False
        return event.kind is EventKind.STARTED or self._ended(event.attempt_id)

    def _ended(self, attempt_id: str) -> bool:
        """Forget an attempt and release its future; False where that was done before."""
        self._futures.pop(attempt_id, None)
        return self._live.pop(attempt_id, None) is not None

    def _untold(self, done: list[Future[Any]]) -> list[Event]:
        """Ends that no worker told of: deaths, cancellations, and what the engine itself got wrong."""
        if not done:
            return []
        by_key = {future.key: attempt_id for attempt_id, future in self._futures.items()}
        ours = [(by_key[f.key], f) for f in done if f.key in by_key]
        events = [self._result(f) if f.status == "finished" else self._bad_end(name, f) for name, f in ours]
        return [event for event in events if self._ended(event.attempt_id)]

    def _result(self, future: Future[Any]) -> Event:
        event: Event = self._client.gather(future)
        return event

    def _bad_end(self, attempt_id: str, future: Future[Any]) -> Event:
        worker_id = self._live[attempt_id].worker_id
        if future.status == "cancelled":
            return Event(EventKind.CANCELLED, attempt_id, worker_id)
        error = future.exception()
        if future.status == "lost" or isinstance(error, KilledWorker):
            return self._lost(attempt_id, worker_id)
        return Event(EventKind.FAILED, attempt_id, worker_id, error=describe_error(error))

    def _lost(self, attempt_id: str, worker_id: str, retired: bool = False) -> Event:
        """It died with its worker, unless that left in order, or was ended because of another attempt."""
        why = Failure("its process died", peak_memory_bytes=self._memory.get(worker_id, 0))
        if retired:
            why = Failure(RETIRED, charged=False)
        elif attempt_id not in self._killed.get(worker_id, {attempt_id}):
            why = Failure(NEIGHBOUR, charged=False)
        return Event(EventKind.LOST, attempt_id, worker_id, error=why)

    def _look(self) -> list[Event]:
        """Which workers came or went since the last look, and whether the scheduler still answers."""
        self._looked = time.monotonic()
        try:
            seen = self._seen()
        except UNREACHABLE as error:
            return [_engine_lost(error)]
        before, self._known = self._known, {name: address for name, (address, _) in seen.items()}
        events: list[Event] = []
        for name in [n for n, address in before.items() if self._known.get(n) != address]:
            keys = {a: attempt.label for a, attempt in self._live.items() if attempt.worker_id == name}
            died = blamed(self._client, list(keys.values())) if keys else set()
            self.cancel(list(keys))
            events += [self._lost(a, name, key not in died) for a, key in keys.items() if self._ended(a)]
            events.append(Event(EventKind.WORKER_LOST, worker_id=name))
            self._memory.pop(name, None)
        joined = [n for n, address in self._known.items() if before.get(n) != address]
        for name in joined:
            self._killed.pop(name, None)
        return events + [Event(EventKind.WORKER_JOINED, worker_id=n, worker=seen[n][1]) for n in joined]

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Cancel futures; one that is running goes on until its program returns, and its commit is refused or kept."""
        futures = [self._futures[a] for a in attempt_ids if a in self._futures]
        with contextlib.suppress(*UNREACHABLE):
            self._client.cancel(futures, force=True)

    def kill(self, attempt_ids: Sequence[str]) -> None:
        """End the processes they run in: a thread that hangs cannot be stopped otherwise."""
        where = {a: self._live[a].worker_id for a in attempt_ids if a in self._live}
        for attempt_id, name in where.items():
            self._killed.setdefault(name, set()).add(attempt_id)
        kill(self._client, sorted({self._known[name] for name in where.values() if name in self._known}))

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run on every worker at once."""
        names = {address: str(info["name"]) for address, info in (known(self._client) or {}).items()}
        results = self._client.run(function, *args, on_error="return")
        return {names[address]: result for address, result in results.items() if address in names}

    def call_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """One pinned task per slot, all at once; those of a worker that goes away answer with an error."""
        asked, answers = self.ask_slots(function, slots, *args), Answers()
        try:
            while asked.waiting:
                answers |= asked.collect(LOOK_SECONDS)
        finally:
            asked.close()
        return answers

    def ask_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> Asked:
        """The same, answers as they come; a worker whose event loop is blocked keeps nobody waiting."""
        asked = DaskAsked(slots, self._addresses(), self._addresses)
        self._asked[asked.name] = asked
        asked.ask(self._client, self._topic, function, args)
        return asked

    def _addresses(self) -> dict[str, str]:
        return {name: address for name, (address, _) in self._seen().items()}

    def close(self) -> None:
        """Close the client and the cluster that were started here."""
        with contextlib.suppress(ValueError, *UNREACHABLE):
            self._client.unsubscribe_topic(self._topic)
        try:
            if self._own_client:
                self._client.close()
            if self._cluster is not None:
                self._cluster.close()
        except TimeoutError:  # on a machine under heavy load; what the run has committed is none the worse
            print("the Dask cluster did not close in time; its processes end with this one", file=sys.stderr)
        finally:
            self._held.close()


def _engine_lost(error: Exception) -> Event:
    message = f"the Dask scheduler does not answer ({type(error).__name__}: {error})"
    return Event(EventKind.ENGINE_LOST, error=Failure(message))
