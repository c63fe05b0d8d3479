"""Logistic regression in rounds on data that stays on the workers.

python -m jobs.train_logistic conf/train_logistic.yaml [--set arguments.C=0.1] [--resume RUN_ID]
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.session import job_main
from jobs.training import by_rounds
from partitioner.training import fit_logistic


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, keep the model with its card, print its loss and rounds."""
    return by_rounds(arguments, "Logistic regression in rounds.", fit_logistic, ["label"])


if __name__ == "__main__":
    job_main(main)
