"""What went wrong in a run: by worker, kind and row, which rungs of the failure ladder were taken, and what that cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from partitioner.report.facts import Facts
from partitioner.report.history import CANCELLED, FAILED, LOST, Rung, Try

DIED = "its process died"
NEVER = "lost before it began"

SPECULATED = "backed up"
"""The rung that starts a second attempt beside one that runs."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Failures of a run.

    ``by_worker``: (worker, kind, how often), the most frequent first; ``by_kind``: (kind, how often); ``by_row``: (sub-task,
    rows set aside, why the first of them was, empty where only its file tells); ``rungs`` in order of time;
    ``speculation_seconds`` that attempts ran which another of the same sub-task overtook after a back-up.
    """

    by_worker: tuple[tuple[str, str, int], ...] = ()
    by_kind: tuple[tuple[str, int], ...] = ()
    by_row: tuple[tuple[str, int, str], ...] = ()
    rungs: tuple[Rung, ...] = ()
    speculation_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "by_worker": [{"worker": w, "kind": kind, "times": n} for w, kind, n in self.by_worker],
            "by_kind": dict(self.by_kind),
            "by_row": [{"sub_task": key, "rows": rows, "why": why} for key, rows, why in self.by_row],
            "rungs": [rung.to_json() for rung in self.rungs],
            "speculation_seconds": self.speculation_seconds,
        }


NONE = Faults()


def faults(facts: Facts) -> Faults:
    """From the history of a run and its commit records."""
    bad = [t for t in facts.history.tries if t.outcome in (FAILED, LOST)]
    told = Counter((t.worker or t.requested, kind_of(t)) for t in bad)
    return Faults(
        by_worker=tuple((worker, kind, n) for (worker, kind), n in told.most_common()),
        by_kind=tuple(Counter(kind_of(t) for t in bad).most_common()),
        by_row=_by_row(facts),
        rungs=facts.history.rungs,
        speculation_seconds=_speculation(facts),
    )


def kind_of(attempt: Try) -> str:
    """The class of the error, or how it was lost."""
    if attempt.error.get("type"):
        return str(attempt.error["type"])
    return DIED if attempt.started else NEVER


def _by_row(facts: Facts) -> tuple[tuple[str, int, str], ...]:
    why = {rung.task_key: rung.reason for rung in facts.history.rungs if rung.what == "condemned"}
    held = [r for r in facts.commits.values() if r.quarantined]
    return tuple((r.task_key, r.quarantined, why.get(r.task_key, "")) for r in sorted(held, key=lambda r: r.task_key))


def _speculation(facts: Facts) -> float:
    """Of two attempts at once, the time of the one that did not commit."""
    doubled = {rung.task_key for rung in facts.history.rungs if rung.what == SPECULATED}
    return sum(t.seconds for t in facts.history.tries if t.outcome == CANCELLED and t.task_key in doubled)
