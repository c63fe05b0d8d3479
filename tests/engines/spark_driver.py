"""Run as a process of its own, to be killed: python -m tests.engines.spark_driver CHECKPOINT FOLDER"""

from __future__ import annotations

import sys

import partitioner as pt
from tests.engines import spark_programs as programs


def settings(checkpoint: str, folder: str) -> dict[str, object]:
    """The same for the run and for its resume."""
    return {
        "program": programs.slowly_marked,
        "arguments": {"folder": folder},
        "checkpoint": checkpoint,
        "max_tasks": 60,
        "min_tasks_per_slot": 20,
        "progress": False,
    }


if __name__ == "__main__":
    pt.run(programs.ROWS, engine="local-cluster[3,1,1024]", **settings(sys.argv[1], sys.argv[2]))
