"""What the jobs share: exit codes for the scheduler above them, and the plan shown before it runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import Any

import partitioner as pt
from partitioner.errors import Interrupted


def job_main(main: Callable[[], int]) -> None:
    """Run a job's ``main`` and exit with the documented codes; errors of ours and signals become one message."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = main()
    except KeyboardInterrupt as error:
        print(f"Interrupted: {str(error) or 'stopped by Ctrl-C'}", file=sys.stderr)
        code = Interrupted.exit_code
    except pt.PartitionerError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = error.exit_code
    sys.exit(code)


def _terminated(number: int, frame: Any) -> None:
    signal.signal(number, signal.SIG_IGN)  # ``timeout`` tells it twice, and what is closed meanwhile is closed once
    raise KeyboardInterrupt("stopped by SIGTERM")


def job_parser(doc: str) -> argparse.ArgumentParser:
    """What every job takes: a configuration, and settings on top of it; ``doc`` is the job's own docstring."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("conf")
    parser.add_argument("--set", action="append", default=[], metavar="key=value")
    return parser


def print_plan(title: str) -> Callable[[pt.Plan, Any], None]:
    """A callback that prints a plan before anything runs."""

    def show(plan: pt.Plan, directory: Any) -> None:
        print(f"{title}: {plan.explain(limit=0)}\nrun {directory.run_id}\n", flush=True)

    return show
