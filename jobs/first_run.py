"""The first run: a plan with its predicted time, the run, and the same work in equal partitions for comparison.

    python -m jobs.first_run conf/quickstart.yaml [--partitions 2 8]

Everything is public API. All runs start two workers of their own; what is compared is the time from the first sub-task
handed out to the last one committed.
"""

from __future__ import annotations

import argparse
import os
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

import partitioner as pt
from jobs.session import job_main


def settings_of(path: str) -> dict[str, Any]:
    """The settings of a configuration; ``${PYTHON_PACKAGES}`` is where the installed packages are."""
    os.environ.setdefault("PYTHON_PACKAGES", sysconfig.get_path("purelib"))
    return dict(yaml.safe_load(os.path.expandvars(Path(path).read_text())))


def equal_partitions(settings: dict[str, Any], count: int) -> dict[str, Any]:
    """The same work as it is cut without a plan: equal numbers of files, handed out first come, first served."""
    return {**settings, "cost": "rows", "max_tasks": count, "placement": "fcfs", "report": False}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("conf")
    parser.add_argument("--partitions", type=int, nargs="+", default=[2, 8], help="equal partitions to compare with")
    given = parser.parse_args(arguments)
    settings = settings_of(given.conf)

    planned = pt.run(**settings)
    print(planned.plan.explain(limit=0), planned.report, sep="\n\n")
    equal = [pt.run(**equal_partitions(settings, count)) for count in given.partitions]

    predicted, took = planned.plan.makespan, planned.report.summary.makespan
    beside = "; ".join(_beside(len(run.records), run.report.summary.makespan, took) for run in equal)
    print(
        f"\nPredicted {predicted:.1f} s, took {took:.1f} s ({took / predicted - 1:+.1%}).\n"
        f"The same in equal partitions, first come, first served: {beside}.\n"
        f"The report: {planned.url}/report.html"
    )
    return max(run.exit_code for run in (planned, *equal))


def _beside(count: int, seconds: float, took: float) -> str:
    return f"{count} took {seconds:.1f} s ({seconds / took:.2f} x as long)"


if __name__ == "__main__":
    job_main(main)
