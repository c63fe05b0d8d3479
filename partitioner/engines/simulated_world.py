"""The world of a simulation: what the rows of sub-tasks do to the attempts at them, and what is committed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from partitioner.model import Attempt, CommitRecord, Failure, part_key, spans_of


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong in a simulation.

    ``noise``: standard deviation of the log of actual over predicted seconds; ``failure_rate``: share of attempts whose
    program raises; ``deaths``: (worker id, second) at which a worker dies; ``restart_seconds`` until it is back;
    ``slowdowns``: (worker id, second, factor): from then on everything there takes ``factor`` times as long.

    ``poison``, ``killers``, ``hangs``: (sub-task, row) that raises, ends the process, or never returns; ``too_many``:
    (sub-task, rows): more at once run out of memory; ``bad_workers`` (worker id, share): that share of attempts there fails
    with OSError; ``retired`` (worker id, second): it leaves in order; ``disk_errors``: the n-th commits that fail;
    ``misplaced``: share of attempts that the engine brings to another worker than was asked for;
    ``doubled``, ``late``, ``lost``: share of messages that come twice, up to 5 s later, or never (starts, and ends of
    attempts); ``jumps`` (second, seconds): the clock jumps by so much; ``wrong``: predictions are wrong by up to this
    factor; ``driver_deaths``: steps at which the driver dies and another takes over.
    """

    noise: float = 0.0
    failure_rate: float = 0.0
    deaths: tuple[tuple[str, float], ...] = ()
    restart_seconds: float = 5.0
    slowdowns: tuple[tuple[str, float, float], ...] = ()
    poison: tuple[tuple[str, int], ...] = ()
    killers: tuple[tuple[str, int], ...] = ()
    hangs: tuple[tuple[str, int], ...] = ()
    too_many: tuple[tuple[str, int], ...] = ()
    bad_workers: tuple[tuple[str, float], ...] = ()
    retired: tuple[tuple[str, float], ...] = ()
    disk_errors: tuple[int, ...] = ()
    doubled: float = 0.0
    late: float = 0.0
    lost: float = 0.0
    jumps: tuple[tuple[float, float], ...] = ()
    wrong: float = 1.0
    driver_deaths: tuple[int, ...] = ()
    misplaced: float = 0.0

    def noise_of(self, seed: int, task_key: str) -> float:
        """Actual over predicted seconds of a sub-task, on whichever worker and at whichever try."""
        draw = random.Random(f"{seed}/{task_key}")
        noise = draw.lognormvariate(0.0, self.noise) if self.noise else 1.0
        return noise * (self.wrong ** draw.uniform(-1.0, 1.0) if self.wrong > 1 else 1.0)

    def finish(self, worker_id: str, start: float, seconds: float) -> float:
        """When work of ``seconds`` ends that begins at ``start`` on a worker that may become slower meanwhile."""
        changes = sorted((at, factor) for name, at, factor in self.slowdowns if name == worker_id)
        at, factor = start, 1.0
        for change, slower in changes:
            if change > at:
                if at + seconds * factor <= change:
                    break
                seconds -= (change - at) / factor
                at = change
            factor = slower
        return at + seconds * factor


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt goes: ``finish``, ``fail``, ``crash`` or ``hang``, and after which share of its seconds."""

    what: str
    share: float = 1.0
    why: Failure | None = None
    quarantined: tuple[int, ...] = ()


@dataclass(slots=True)
class World:
    """``rows`` of each sub-task (1 where not given), and what is committed under which name by an atomic create.

    ``epoch``: of the driver that has the run; what an earlier one submitted is not committed any more.
    """

    faults: Faults
    seed: int
    rows: Mapping[str, int] = field(default_factory=dict)
    store: dict[str, CommitRecord] = field(default_factory=dict)
    set_aside: dict[str, tuple[int, ...]] = field(default_factory=dict)
    commits: int = 0
    epoch: int = 0

    def rows_of(self, attempt: Attempt) -> tuple[str, range]:
        """The planned sub-task of an attempt, and its rows that the attempt works on."""
        whole = attempt.task_key.partition(".")[0]
        start, stop = attempt.care.rows or (0, self.rows.get(whole, 1))
        return whole, range(start, stop)

    def outcome(self, attempt: Attempt) -> Outcome:
        """What happens to an attempt, by its worker and its rows."""
        whole, rows = self.rows_of(attempt)
        care, faults = attempt.care, self.faults
        draw = random.Random(f"{self.seed}/{attempt.attempt_id}/{attempt.worker_id}")
        if attempt.worker_id in attempt.avoid:
            return Outcome("fail", 0.1, Failure("not here", "Misplaced", charged=False))
        if care.condemned:
            return Outcome("finish", quarantined=tuple(rows))
        if care.count:
            return Outcome("finish")
        if draw.random() < dict(faults.bad_workers).get(attempt.worker_id, 0.0):
            first = attempt.worker_id == faults.bad_workers[0][0]  # two that agree on good rows could not be told apart
            every = ((0, len(rows)),) if care.isolate and first and draw.random() < 0.5 else ()
            return Outcome("fail", 0.1, Failure("disk full", "OSError", suspects=every))
        if draw.random() < faults.failure_rate:
            return Outcome("fail", draw.random(), Failure("by the simulation", "InjectedFault"))
        if any(key == whole and row in rows for key, row in faults.killers):
            return Outcome("crash", draw.random())
        if any(key == whole and row in rows for key, row in faults.hangs):
            return Outcome("hang")
        if len(rows) > dict(faults.too_many).get(whole, len(rows)):
            return Outcome("fail", draw.random(), Failure("too many rows", "MemoryError", memory=True))
        return self._poison(attempt, whole, rows)

    def _poison(self, attempt: Attempt, whole: str, rows: range) -> Outcome:
        bad = sorted(row - rows.start for key, row in self.faults.poison if key == whole and row in rows)
        care = attempt.care
        if not bad:
            return Outcome("finish")
        if not care.isolate:
            return Outcome("fail", 0.5, Failure("poison", "ValueError"))
        known = {p for start, stop in care.suspects or () for p in range(start, stop)}
        if care.suspects is not None and not known.issuperset(bad):
            return Outcome("fail", 1.0, Failure("rows fail alone", "RowsFailed", suspects=spans_of(bad)))
        return Outcome("finish", quarantined=tuple(rows.start + p for p in bad))

    def may_stop(self, attempt: Attempt, at: int) -> bool:
        """Whether the attempt has worked on its first ``at`` rows, nothing was wrong with these, and others are left."""
        whole, rows = self.rows_of(attempt)
        faults = self.faults
        bad = {row for key, row in (*faults.poison, *faults.killers, *faults.hangs) if key == whole}
        plain = attempt.care.rows is None and not (attempt.care.count or attempt.care.condemned)
        plain = plain and len(rows) <= dict(faults.too_many).get(whole, len(rows))
        plain = plain and dict(faults.bad_workers).get(attempt.worker_id, 0.0) == 0.0
        return plain and 0 < at < len(rows) and bad.isdisjoint(range(at)) and attempt.worker_id not in attempt.avoid

    def hand_over(self, attempt: Attempt, at: int, started: float, finished: float) -> CommitRecord | None:
        """Give the whole up at a row, and commit what lies before it; None where the disk refused either."""
        if attempt.epoch < self.epoch:
            return None
        whole, rows = self.rows_of(attempt)
        empty = record_of(attempt, started, finished)
        self.commits += 1
        if self.commits in self.faults.disk_errors:
            return None
        given_up = self.store.setdefault(whole, replace(empty, split=True, part=(at, len(rows))))
        if not given_up.split or given_up.cut != at:
            return given_up
        self.commits += 1
        if self.commits in self.faults.disk_errors:
            return None
        key = part_key(whole, 0, at, len(rows))
        done = record_of(attempt, started, finished, range(at))
        known = self.store.setdefault(key, replace(done, task_key=key, part=(0, at)))
        self.set_aside.setdefault(key, ())
        return known

    def commit(self, attempt: Attempt, outcome: Outcome, started: float, finished: float) -> CommitRecord | None:
        """What the attempt finds committed in the end, by itself or another; None where disk or lease refused it."""
        if attempt.epoch < self.epoch:
            return None
        self.commits += 1
        if self.commits in self.faults.disk_errors:
            return None
        whole, rows = self.rows_of(attempt)
        mine = record_of(attempt, started, finished, rows, len(outcome.quarantined))
        for key in attempt.care.split_from:
            nothing = replace(mine, task_key=key, split=True, part=None, rows_in=0, rows_out=0, quarantined=0)
            if not (known := self.store.setdefault(key, nothing)).split:
                return known
        if attempt.care.count:
            counted = (0, self.rows.get(whole, 1))
            mine = replace(mine, split=True, part=counted, rows_in=0, rows_out=0, quarantined=0)
        known = self.store.setdefault(attempt.task_key, mine)
        if known is mine:
            self.set_aside[attempt.task_key] = outcome.quarantined
        return known


def record_of(
    attempt: Attempt, started: float, finished: float, rows: range = range(0), quarantined: int = 0
) -> CommitRecord:
    """The commit record of an attempt that ran on paper."""
    return CommitRecord(
        task_key=attempt.task_key,
        attempt_id=attempt.attempt_id,
        worker_id=attempt.worker_id,
        path="",
        rows_in=len(rows),
        rows_out=len(rows) - quarantined,
        rows_written=len(rows) - quarantined,
        quarantined=quarantined,
        segments=(),
        bytes_read=0,
        seconds=finished - started,
        cpu_seconds=finished - started,
        load_seconds=0.0,
        read_seconds=0.0,
        peak_memory_bytes=int(attempt.memory_bytes),
        started=started,
        finished=finished,
        digest="",
        part=attempt.care.rows,
    )
