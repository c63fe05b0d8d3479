"""What the jobs share: exit codes for the scheduler above them, and the plan shown before it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import partitioner as pt


def job_main(main: Callable[[], int]) -> None:
    """Run a job's ``main`` and exit with the documented codes; errors of ours become one message."""
    try:
        code = main()
    except pt.PartitionerError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = error.exit_code
    sys.exit(code)


def print_plan(title: str) -> Callable[[pt.Plan, Any], None]:
    """A callback that prints a plan before anything runs."""

    def show(plan: pt.Plan, directory: Any) -> None:
        print(f"{title}: {plan.explain(limit=0)}\nrun {directory.run_id}\n", flush=True)

    return show
