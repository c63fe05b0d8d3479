"""The report of a run, from its run directory alone."""

from __future__ import annotations

from partitioner.run_directory import RunDirectory


class Report:
    """Predicted against actual."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run

    @classmethod
    def of(cls, run: RunDirectory) -> Report:
        """Read everything the report needs."""
        return cls(run)

    def write(self, html: bool = True) -> None:
        """``report.json`` and, if asked and plotly is there, ``report.html`` in the run directory."""

    def _repr_html_(self) -> str:
        return ""
