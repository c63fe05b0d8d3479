"""What happened to every attempt, put together from the ledger and the commit records.

Commit records are the truth about what succeeded; the ledger tells the rest: what was asked of which worker, what failed
and why, and when the driver came and went. A driver that was killed leaves a ledger without an end, and that is fine.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from partitioner.model import CommitRecord
from partitioner.report import clocks

COMMITTED, FAILED, LOST, CANCELLED, UNFINISHED = "committed", "failed", "lost", "cancelled", "unfinished"
SAME_MOMENT = 1e-3  # seconds: a start reported together with its end was not seen when it happened


@dataclass(slots=True)
class Try:
    """One attempt. Times are Unix seconds, 0 where never seen; ``requested`` and ``worker`` are empty where unknown.

    ``outcome`` is one of the five above; ``unfinished`` attempts were live when the driver stopped or have not ended yet.
    """

    attempt_id: str
    task_key: str
    session: int
    requested: str = ""
    worker: str = ""
    submitted: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    outcome: str = UNFINISHED
    error: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time it held a slot; 0 where it never ran or its times are unknown."""
        return max(0.0, self.finished - self.started) if self.started else 0.0


@dataclass(slots=True)
class Session:
    """One driver: its Unix times, engine, workers, and how it ended.

    ``offset`` places it on the report's clock, where the idle time between two drivers does not count.
    """

    start: float
    finish: float
    engine: str = ""
    workers: tuple[str, ...] = ()
    ended: bool = False
    stopped: Mapping[str, Any] = field(default_factory=dict)
    offset: float = 0.0

    @property
    def seconds(self) -> float:
        """From the first step to the last sign of life."""
        return self.finish - self.start


@dataclass(frozen=True, slots=True)
class Rung:
    """A rung of the failure ladder that was taken at a Unix time, after what happened to a sub-task on a worker, and why."""

    time: float
    what: str
    task_key: str
    worker_id: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class History:
    """Sessions in order, attempts in order of submission and rungs in order of time; ``clocks`` that are wrong, see there.

    All times are of the driver's clock.
    """

    sessions: tuple[Session, ...]
    tries: tuple[Try, ...]
    rungs: tuple[Rung, ...] = ()
    clocks: Mapping[str, float] = field(default_factory=dict)

    @property
    def last(self) -> Session | None:
        """The last session in which anything was tried, else the last one: the one that the plan is of."""
        tried = max((t.session for t in self.tries), default=len(self.sessions) - 1)
        return self.sessions[tried] if self.sessions else None

    @property
    def seconds(self) -> float:
        """Time the drivers ran, pauses between them left out."""
        return sum(s.seconds for s in self.sessions)

    def at(self, unix: float) -> float:
        """Seconds on the report's clock: 0 is the start of the first session."""
        if not self.sessions:
            return 0.0
        k = max(0, bisect_right(self.sessions, unix, key=lambda s: s.start) - 1)
        session = self.sessions[k]
        return session.offset + min(max(0.0, unix - session.start), session.seconds)


def history(lines: Iterable[Mapping[str, Any]], commits: Mapping[str, CommitRecord]) -> History:
    """Read ledger ``lines`` in order and settle every attempt by the commit records."""
    book = _Book()
    for line in lines:
        book.take(line)
    seen = {t.attempt_id: (t.submitted, t.finished) for t in book.tries.values() if t.outcome == COMMITTED}
    wrong = clocks.ahead(commits.values(), seen)
    _settle(book, {key: clocks.on_the_drivers(record, wrong) for key, record in commits.items()} if wrong else commits)
    _place_in_time(book.sessions)
    return History(tuple(book.sessions), tuple(book.tries.values()), tuple(book.rungs), wrong)


class _Book:
    """The ledger while it is read."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.tries: dict[str, Try] = {}
        self.live: dict[str, Try] = {}
        self.last_end: dict[str, float] = {}
        self.rungs: list[Rung] = []

    def take(self, line: Mapping[str, Any]) -> None:
        """One line; kinds that say nothing about attempts only move the session's end."""
        what, at = line["what"], float(line["time"])
        if what == "session" or not self.sessions:
            self.live.clear()
            engine, workers = str(line.get("engine", "")), tuple(line.get("workers", ()))
            self.sessions.append(Session(at, at, engine, workers))
        session = self.sessions[-1]
        session.finish = max(session.finish, at)
        if what == "submitted":
            self._attempt(line, requested=str(line["worker"]), submitted=at)
        elif what == "started":
            self._attempt(line, worker=str(line["worker"]), started=at)
        elif what in _ENDS:
            self._end(self._attempt(line), _ENDS[what], at, line)
        elif what == "worker_lost":
            for attempt in [t for t in self.live.values() if (t.worker or t.requested) == line["worker"]]:
                self._end(attempt, LOST, at, line)
        elif what == "rung":
            said = (str(line.get(name, "")) for name in ("rung", "task", "worker", "reason"))
            self.rungs.append(Rung(at, *said))
        elif what == "stopped":
            session.stopped = dict(line.get("error", {}))
        elif what == "end":
            session.ended = True

    def _attempt(self, line: Mapping[str, Any], **seen: Any) -> Try:
        attempt_id = str(line["attempt"])
        found = self.tries.get(attempt_id)
        if found is None:
            found = Try(attempt_id, attempt_id.rpartition("-a")[0], len(self.sessions) - 1)
            self.tries[attempt_id] = self.live[attempt_id] = found
        for name, value in seen.items():
            if not getattr(found, name):
                setattr(found, name, value)
        return found

    def _end(self, attempt: Try, outcome: str, at: float, line: Mapping[str, Any]) -> None:
        if self.live.pop(attempt.attempt_id, None) is None:
            return
        attempt.outcome, attempt.finished, attempt.error = outcome, at, dict(line.get("error", {}))
        attempt.worker = attempt.worker or str(line.get("worker", ""))
        if attempt.started and at - attempt.started < SAME_MOMENT:
            attempt.started = min(attempt.started, max(attempt.submitted, self.last_end.get(attempt.worker, 0.0)))
        self.last_end[attempt.worker] = at


_ENDS = {"finished": COMMITTED, "failed": FAILED, "lost": LOST, "cancelled": CANCELLED}


def _settle(book: _Book, commits: Mapping[str, CommitRecord]) -> None:
    """The attempt of each commit record is the one that counts, with the worker's own times."""
    for attempt in book.tries.values():
        record = commits.get(attempt.task_key)
        if attempt.outcome == COMMITTED and (record is None or not _is_of(record, attempt)):
            attempt.outcome = CANCELLED  # it ended well, but another attempt had committed before
        if attempt.outcome == UNFINISHED and attempt.started:
            attempt.finished = max(attempt.started, book.sessions[attempt.session].finish)
    by_task: dict[str, list[Try]] = {}
    for attempt in book.tries.values():
        by_task.setdefault(attempt.task_key, []).append(attempt)
    for record in commits.values():
        _commit(book, record, by_task.get(record.task_key, []))


def _is_of(record: CommitRecord, attempt: Try) -> bool:
    return record.attempt_id == attempt.attempt_id or not record.started


def _commit(book: _Book, record: CommitRecord, tries: list[Try]) -> None:
    if not record.started:  # rebuilt from its output by a resume: who wrote it is known by elimination only
        if tries and not any(t.outcome == COMMITTED for t in tries):
            open_ones = [t for t in tries if t.outcome == UNFINISHED] or tries
            open_ones[-1].outcome = COMMITTED
        return
    found = book.tries.get(record.attempt_id)
    if found is None:
        session = max(0, bisect_right(book.sessions, record.finished, key=lambda s: s.start) - 1)
        found = book.tries[record.attempt_id] = Try(record.attempt_id, record.task_key, session)
    for other in tries:  # it was asked to end, and a run that is done does not wait for that
        if other is not found and other.outcome == UNFINISHED and other.session == found.session:
            other.outcome = CANCELLED
    found.outcome, found.worker = COMMITTED, record.worker_id
    found.started, found.finished = record.started, record.finished
    if book.sessions:
        k = max(0, bisect_right(book.sessions, record.finished, key=lambda s: s.start) - 1)
        book.sessions[k].finish = max(book.sessions[k].finish, record.finished)


def _place_in_time(sessions: list[Session]) -> None:
    clock = 0.0
    for k, session in enumerate(sessions):
        if k + 1 < len(sessions):
            session.finish = min(session.finish, sessions[k + 1].start)
        session.offset = clock
        clock += session.seconds
