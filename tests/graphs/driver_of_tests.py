"""A driver in a process of its own, for tests to kill: ``python -m tests.graphs.driver_of_tests FOLDER ENGINE``."""

from __future__ import annotations

import json
import sys

import partitioner as pt
from tests.graphs.steps_of_tests import Waits, replaced

if __name__ == "__main__":
    folder, engine = sys.argv[1], json.loads(sys.argv[2])
    pt.pipeline(
        replaced(Waits, folder),
        f"{folder}/input.parquet",
        engine=engine,
        parts=4,
        checkpoint=f"{folder}/runs",
        progress=False,
        report=False,
    )
