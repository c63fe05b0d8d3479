"""The report of a run, from its run directory alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, MissingDependency, PartitionerError
from partitioner.report import facts as reading
from partitioner.report.facts import Facts
from partitioner.report.summary import Summary, predictions, summarise
from partitioner.report.text import notes, table
from partitioner.store.run_directory import RunDirectory

COLUMNS_UP_TO = 50_000  # sub-tasks that report.json lists one by one
NEEDS_PLOTLY = 'the page needs the package plotly, which is not installed: pip install "batch-partitioner[report]"'


def write_page(target: Path, html: str) -> Path:
    """Write a page, its folder made where it is not there; the path. ConfigError where that is not possible."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write the page {target}: {error.strerror}; name a file that can be written."
        ) from error
    return target


class Report:
    """Predicted against actual; ``print`` it, ``save`` it as a page, or take ``to_json()``.

    It shows the run as it was when read: of a run that goes on, read a new one.
    """

    def __init__(self, run: RunDirectory, facts: Facts) -> None:
        self.run = run
        self.facts = facts
        self.summary: Summary = summarise(facts)

    @classmethod
    def of(cls, run: RunDirectory) -> Report:
        """Read everything the report needs. Raises ConfigError where the directory holds no run."""
        return cls(run, reading.read(run))

    def __str__(self) -> str:
        return table(self.summary)

    def __repr__(self) -> str:
        return f"Report({self.run.url!r})"

    def to_html(self) -> str:
        """The page as one text that needs no network. Raises MissingDependency without plotly."""
        try:
            import plotly  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingDependency(NEEDS_PLOTLY) from error
        from partitioner.report.page import page

        return page(self.facts, self.summary)

    def save(self, path: str | Path) -> Path:
        """Write the page to ``path``; returns it. Raises MissingDependency without plotly."""
        return write_page(Path(path), self.to_html())

    def write(self, html: bool = True) -> None:
        """``report.json`` and, if asked and plotly is there, ``report.html`` in the run directory."""
        page, note = None, ""
        if html:
            try:
                page = self.to_html().encode()
            except MissingDependency as error:
                note = f"No report.html: {error}"
        facts = self.to_json() | ({"note": note} if note else {})
        self.run.files.put("report.json", json.dumps(facts, default=str, allow_nan=False).encode())
        if page is not None:
            self.run.files.put("report.html", page)

    def to_json(self) -> dict[str, Any]:
        """Figures, sessions, every attempt that did not commit, quarantine, and columns of sub-tasks where they are few."""
        told = self.facts.history
        facts: dict[str, Any] = {
            **self.summary.to_json(),
            "notes": notes(self.summary),
            "plan": {k: v for k, v in self.facts.plan.items() if k != "workers"},
            "session_list": [
                {
                    "start": s.start,
                    "seconds": s.seconds,
                    "engine": s.engine,
                    "workers": list(s.workers),
                    "ended": s.ended,
                }
                for s in told.sessions
            ],
            "unsuccessful": [
                {
                    "attempt_id": t.attempt_id,
                    "outcome": t.outcome,
                    "requested": t.requested,
                    "worker_id": t.worker,
                    "seconds": t.seconds,
                    "error": dict(t.error),
                }
                for t in told.tries
                if t.outcome != "committed"
            ],
            "quarantine": [{"error": error, "rows": rows} for error, rows in self.facts.errors],
        }
        if len(self.facts.keys) <= COLUMNS_UP_TO:
            facts["sub_task_columns"] = self._columns()
        plain: dict[str, Any] = _plain(facts)
        return plain

    def _columns(self) -> dict[str, Any]:
        f = self.facts
        return {
            "task_id": list(f.keys),
            "worker_planned": list(f.planned_worker),
            "worker": list(f.worker),
            "predicted_seconds": predictions(f),
            "seconds": f.seconds,
            "predicted_memory_bytes": f.predicted_memory,
            "peak_memory_bytes": f.peak_memory,
        }

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


@contextmanager
def reported_if_stopped(run: RunDirectory, html: bool) -> Iterator[None]:
    """Write the report of a run that stops with an error of ours, when it is needed most; the error goes on.

    Where the report cannot be written, the error says so in a note rather than being hidden by another.
    """
    try:
        yield
    except PartitionerError as error:
        try:
            Report.of(run).write(html)
        except Exception as broken:
            error.add_note(f"The report could not be written: {type(broken).__name__}: {broken}")
        raise


def _plain(value: Any) -> Any:
    """What JSON can hold: no NaN, no infinity, no numpy."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
