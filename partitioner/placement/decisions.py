"""Why each sub-task went where it did."""

from __future__ import annotations

from partitioner.model.plan import Plan


def decisions(plan: Plan, limit: int) -> list[str]:
    """One line per assignment for the first ``limit``: the worker, the runner-up, the binding constraint."""
    return []
