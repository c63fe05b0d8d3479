"""The seats of an iteration, seen from the driver: which there are, whose partitions they keep, and what they answered."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from partitioner.engines.spark_bundle import Bundle, Demand, Jobs, Running, demand_of, ends_of_failed
from partitioner.engines.spark_executors import Executor, StatusStore
from partitioner.engines.spark_imports import Accumulator
from partitioner.engines.spark_letters import Letters
from partitioner.engines.spark_seat import seat_id, sit
from partitioner.engines.spark_task import Told
from partitioner.errors import StorageFailed
from partitioner.model import Attempt, Event, EventKind, Failure

Place = tuple[str, Demand]
"""The worker that a seat was asked for, and what its task needs there."""

DIED = "the process that kept its seat died"


@dataclass(slots=True)
class Seat:
    """``waiting`` are (letter, place in it, attempt) without an answer, in the order in which they run.

    ``keeps`` partitions, by sub-task; ``started`` is the attempt last told to have started, ``executor`` where it was seen.
    """

    number: int
    place: Place
    letters: int = 0
    waiting: deque[tuple[int, int, Attempt]] = field(default_factory=deque)
    keeps: set[str] = field(default_factory=set)
    started: str = ""
    executor: str = ""

    @property
    def is_known(self) -> bool:
        """Whether it was told that the first of them runs."""
        return bool(self.waiting) and self.started == self.waiting[0][2].attempt_id


@dataclass(slots=True, eq=False)
class SeatJob(Running):
    """A Spark job whose partition i is ``seats[i]``."""

    seats: list[Seat] = field(default_factory=list)


class Seats:
    """Hands the attempts of rounds to tasks that stay on their executors, each partition always to the same one."""

    def __init__(self, jobs: Jobs, events: Accumulator[list[Told]], run_url: str, key: bytes) -> None:
        self._jobs, self._run_url = jobs, run_url
        self._token = secrets.token_hex(4)
        self._letters = Letters(run_url, key, self._token)
        self._sit = partial(sit, events, run_url, key, self._token)
        self._seats: dict[int, Seat] = {}
        self._running: list[SeatJob] = []
        self._homes: dict[str, Seat] = {}
        self._cancelled: set[str] = set()
        self._made = 0

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return any(seat.waiting for seat in self._seats.values())

    def post(self, attempts: Sequence[Attempt], executors: Mapping[str, Executor]) -> None:
        """Letters to the seats that keep the partitions; missing seats are asked of Spark, one job for each demand."""
        letters: dict[int, list[Attempt]] = {}
        for attempt in attempts:
            letters.setdefault(self._seat_of(attempt, executors).number, []).append(attempt)
        fresh: dict[Demand, list[Seat]] = {}
        for number, group in letters.items():
            seat = self._seats[number]
            if not self._hand(seat, group):
                seat = self._again(seat)
                self._hand(seat, group)
            if seat.letters == 1:
                fresh.setdefault(seat.place[1], []).append(seat)
        for demand, seats in fresh.items():
            self._start(demand, seats, executors)

    def _seat_of(self, attempt: Attempt, executors: Mapping[str, Executor]) -> Seat:
        """Where the partition is kept; else the seat of its worker that keeps the fewest, a new one while there is room."""
        place = (attempt.worker_id, demand_of(attempt))
        home = self._homes.get(attempt.task_key)
        if home is not None and home.number in self._seats and home.place == place:
            return home
        there = [seat for seat in self._seats.values() if seat.place == place]
        least = min(there, key=lambda seat: len(seat.keeps), default=None)
        if least is None or (least.keeps and len(there) < _room(executors.get(place[0]), place[1])):
            least = self._new(place)
        if home is not None:
            home.keeps.discard(attempt.task_key)
        least.keeps.add(attempt.task_key)
        self._homes[attempt.task_key] = least
        return least

    def _new(self, place: Place) -> Seat:
        seat = self._seats[self._made] = Seat(self._made, place)
        self._made += 1
        return seat

    def _again(self, left: Seat) -> Seat:
        """A seat in the place of one that had left."""
        del self._seats[left.number]
        self._letters.clear(left.number, left.letters)
        seat = self._new(left.place)
        seat.keeps = left.keeps
        self._homes |= dict.fromkeys(seat.keeps, seat)
        return seat

    def _hand(self, seat: Seat, attempts: Sequence[Attempt]) -> bool:
        if not self._letters.post(seat.number, seat.letters, attempts):
            return False
        seat.waiting.extend((seat.letters, i, attempt) for i, attempt in enumerate(attempts))
        seat.letters += 1
        return True

    def _start(self, demand: Demand, seats: list[Seat], executors: Mapping[str, Executor]) -> None:
        run = self._run_url.rstrip("/").rpartition("/")[2]
        where = [executors.get(seat.place[0]) for seat in seats]
        text = f"run {run}: {len(seats)} seats for its rounds"
        future = self._jobs.begin([seat.number for seat in seats], where, self._sit, demand, text)
        self._running.append(SeatJob(future, seats))

    def answers(self) -> list[Event]:
        """The events that have arrived since the last look."""
        waiting = [seat for seat in self._seats.values() if seat.waiting]
        if not waiting:
            return []
        arrived, events = self._letters.arrived(), list[Event]()
        for seat in waiting:
            while seat.waiting and arrived(seat.number, *seat.waiting[0][:2]):
                letter, i, attempt = seat.waiting.popleft()
                self._cancelled.discard(attempt.attempt_id)
                events.append(self._letters.take(seat.number, letter, i))
        return events

    def lost(self, label: str) -> list[Event] | None:
        """What the end of a seat means for its attempts; None for a label that names no seat."""
        if not label.startswith(seat_id(self._token, 0)[:-1]):
            return None
        seat = self._seats.get(int(label.rpartition("-")[2]))
        return [] if seat is None else self._gone(seat)

    def gone(self, executors: Iterable[str]) -> list[Event]:
        """Executors that went away took the seats with them that ran there."""
        ids = set(executors)
        return [e for seat in list(self._seats.values()) if seat.executor in ids for e in self._gone(seat)]

    def _gone(self, seat: Seat) -> list[Event]:
        """The attempt that ran there is lost; those that waited behind it, or in a letter not yet read, wait again."""
        events = self.answers()
        del self._seats[seat.number]
        for place, (letter, _, attempt) in enumerate(seat.waiting):
            begun = place == 0 and self._letters.taken(seat.number, letter)
            if begun and attempt.attempt_id not in self._cancelled:
                events += [*self._start_of(seat), _event(EventKind.LOST, attempt, Failure(DIED))]
            else:
                events.append(_event(EventKind.CANCELLED, attempt))
            self._cancelled.discard(attempt.attempt_id)
        for letter in {letter for letter, _, _ in seat.waiting}:
            self._letters.clear(seat.number, letter)
        seat.waiting.clear()
        return events

    def done(self) -> list[SeatJob]:
        """Jobs that Spark has ended; what their tasks said before is known by then."""
        done = [job for job in self._running if job.future.isDone()]
        self._running = [job for job in self._running if job not in done]
        return done

    def started(self, store: StatusStore) -> list[Event]:
        """Attempts that run and were not known to."""
        jobs = [job for job in self._running if any(s.waiting and not s.is_known for s in job.seats)]
        return [event for job in jobs for event in self._starts(job, store)]

    def _starts(self, job: SeatJob, store: StatusStore) -> list[Event]:
        stage = self._jobs.stage_of(job)
        found: list[Event] = []
        for i, _, executor, number in store.running(stage) if stage is not None else []:
            seat = job.seats[i]
            if number == 0 and seat.number in self._seats:
                seat.executor = executor
                if seat.waiting and self._letters.taken(seat.number, seat.waiting[0][0]):
                    found += self._start_of(seat)
        return found

    def _start_of(self, seat: Seat) -> list[Event]:
        if seat.is_known:
            return []
        seat.started = seat.waiting[0][2].attempt_id
        return [_event(EventKind.STARTED, seat.waiting[0][2], worker_id=seat.executor)]

    def ended(self, job: SeatJob) -> list[Event]:
        """A job ends well when its seats left, with nothing to do; what waits nevertheless was not theirs to end."""
        events = self.answers()
        open_ = {i for i, seat in enumerate(job.seats) if seat.waiting and seat.number in self._seats}
        heads = [seat.waiting[0][2] if i in open_ else NOBODY for i, seat in enumerate(job.seats)]
        events += ends_of_failed(Bundle(job.future, heads, open_)) if open_ else []
        for i in sorted(open_):
            seat = job.seats[i]
            events += [_event(EventKind.CANCELLED, attempt) for _, _, attempt in list(seat.waiting)[1:]]
            del self._seats[seat.number]
        return events

    def cancel(self, wanted: set[str], store: StatusStore) -> None:
        """End the tasks in which these attempts run; one that waits behind another is run nevertheless."""
        for job in self._running:
            heads = {i: seat.waiting[0][2].attempt_id for i, seat in enumerate(job.seats) if seat.waiting}
            hit = {i for i, attempt_id in heads.items() if attempt_id in wanted}
            stage = self._jobs.stage_of(job) if hit else None
            for i, task, _, _ in store.running(stage) if stage is not None else []:
                if i in hit:
                    self._cancelled.add(heads[i])
                    self._jobs.kill(task, f"{heads[i]} is not wanted any more")

    def close(self) -> None:
        """Seats that wait go; those that work are stopped. Without a letter they leave by themselves after a while."""
        for job in self._running:
            if any(seat.waiting for seat in job.seats):
                job.future.cancel(True)
        with suppress(StorageFailed):
            for seat in self._seats.values():
                self._letters.dismiss(seat.number, seat.letters)
        self._seats.clear()


NOBODY = Attempt("", -1, 0, "", "")
"""In the place of an attempt where a seat has none."""


def _event(kind: EventKind, attempt: Attempt, error: Failure | None = None, worker_id: str = "") -> Event:
    return Event(kind, attempt.attempt_id, worker_id or attempt.worker_id, error=error)


def _room(executor: Executor | None, demand: Demand) -> int:
    """Tasks of that demand that an executor runs at once, at least 1."""
    if executor is None:
        return 1
    cpus, gpus, others = demand
    fits = [executor.cores / cpus, *(executor.resources.get(name, 0) / amount for name, amount in others)]
    fits += [executor.resources.get("gpu", 0) / gpus] if gpus else []
    return max(1, int(min(fits) + 1e-9))
