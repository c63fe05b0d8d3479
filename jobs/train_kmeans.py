"""k-means in rounds on data that stays on the workers.

python -m jobs.train_kmeans conf/train_kmeans.yaml [--set arguments.clusters=5] [--resume RUN_ID]
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.session import job_main
from jobs.training import by_rounds
from partitioner.training import fit_kmeans


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, keep the model with its card, print its loss and rounds."""
    return by_rounds(arguments, "k-means in rounds.", fit_kmeans, ["clusters"])


if __name__ == "__main__":
    job_main(main)
