import pyarrow as pa
import pytest

from partitioner.attempt.isolate import call_isolating
from partitioner.errors import ProgramError
from partitioner.model import Failure


def test_an_error_of_the_program_found_while_bisecting_is_raised_and_blamed_on_no_row():
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        if 3 in batch["x"].to_pylist():
            raise ValueError("poison")
        raise ProgramError("the program got 2 rows and returned 1")

    with pytest.raises(ProgramError, match="returned 1"):
        call_isolating(program, pa.RecordBatch.from_pydict({"x": [1, 2, 3, 4]}))


@pytest.mark.parametrize(
    ("error", "memory", "gpu"),
    [
        (MemoryError("no more"), True, False),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True, True),
        (ValueError("memory"), False, False),
    ],
)
def test_memory_that_ran_out_is_told_apart(error: Exception, memory: bool, gpu: bool):
    failure = Failure.of(error)
    assert (failure.memory, failure.gpu, failure.fatal) == (memory, gpu, False)
