"""The program as a pilot runs it: on record batches, in the surroundings of an attempt, its prints dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from partitioner.attempt.formats import FORMATS
from partitioner.attempt.job import Job, build
from partitioner.attempt.surroundings import guest, kept_prints
from partitioner.model import Attempt


def pilot_program(job: Job) -> Callable[[], Callable[[pa.RecordBatch], Any]]:
    """A factory of the job's program, built when first called; reducers are not part of what is measured."""

    def make() -> Callable[[pa.RecordBatch], Any]:
        call, convert = build(job.program, job.arguments), FORMATS[job.batch_format]
        attempt = Attempt("pilot", -1, 0, "driver", "")

        def program(batch: pa.RecordBatch) -> Any:
            with kept_prints(), guest(attempt, job.seed):
                return call(convert(batch))

        return program

    return make
