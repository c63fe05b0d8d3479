"""The published laws of engines, and one that engines of ours keep beyond them: an engine object may serve many drivers."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from partitioner.engines.base import Engine
from partitioner.model import Attempt
from partitioner.testing.engines import ENDS, RealEngineContract, run, until_ended


class EngineOfManyDrivers(RealEngineContract):
    def test_what_an_earlier_driver_left_is_not_taken_for_the_next_ones(self, engine: Engine, tmp_path: Path) -> None:
        """Sub-tasks of two runs have equal ids; what one left on the engine, ended or not, is told to nobody else."""
        earlier, later = (run(engine, tmp_path, function) for function in (_as_they_are, _one_more))
        workers = engine.workers().worker_id
        left, wanted = (
            [Attempt(r.task_key, i, 9, workers[i % len(workers)], done.url) for i, r in enumerate(done.records)]
            for done in (earlier, later)
        )
        engine.submit(left)
        engine.call(os.getpid)  # some or all of them have ended meanwhile; nobody polls
        engine.submit(wanted)
        ends = [e for e in until_ended(engine, wanted) if e.kind in ENDS]
        assert {e.record.task_key: e.record.digest for e in ends if e.record is not None} == {
            r.task_key: r.digest for r in later.records
        }
        assert len(ends) == len(wanted)


def _as_they_are(batch: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]]


def _one_more(batch: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]] + 1
