"""What ``partitioner.run`` returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from partitioner.model import CommitRecord, Plan
from partitioner.sizes import counted
from partitioner.store.run_directory import RunDirectory

if TYPE_CHECKING:
    from partitioner.report.report import Report


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished run.

    ``result`` is what the reducer extracted: for ``concat`` an ``Output`` (``to_table()``, ``to_pandas()``), otherwise the
    statistic, parameters or fitted ensemble. ``records`` has one commit record per sub-task, in sub-task order;
    ``attempted`` counts the attempts submitted in this session (a resumed run attempts only what was not committed).
    """

    directory: RunDirectory
    plan: Plan
    result: Any
    records: Sequence[CommitRecord]
    attempted: int
    counts: Mapping[str, int]

    def __repr__(self) -> str:
        shown = repr(self.result) if type(self.result).__name__ == "Output" else type(self.result).__name__
        aside = f", {counted(self.quarantined, 'row')} in quarantine" if self.quarantined else ""
        size = f"{counted(self.counts['rows_in'], 'row')} in {counted(len(self.records), 'sub-task')}"
        return f"<Run {self.run_id}: {size}{aside}; result {shown}>"

    @property
    def run_id(self) -> str:
        """The name of the run directory, which ``resume`` takes."""
        return self.directory.run_id

    @property
    def url(self) -> str:
        """The run directory."""
        return self.directory.url

    @property
    def quarantined(self) -> int:
        """Rows set aside, with their errors, in the run directory's ``quarantine``."""
        return self.counts["quarantined"]

    @property
    def exit_code(self) -> int:
        """0, or 5 where rows were quarantined."""
        return 5 if self.quarantined else 0

    @property
    def report(self) -> Report:
        """Predicted against actual: ``print(run.report)``, ``run.report.save("report.html")``."""
        from partitioner.report.report import Report

        return Report.of(self.directory)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()
