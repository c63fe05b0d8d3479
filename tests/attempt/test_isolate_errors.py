import pyarrow as pa
import pytest

from partitioner.attempt.isolate import call_isolating
from partitioner.errors import ProgramError


def test_an_error_of_the_program_found_while_bisecting_is_raised_and_blamed_on_no_row():
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        if 3 in batch["x"].to_pylist():
            raise ValueError("poison")
        raise ProgramError("the program got 2 rows and returned 1")

    with pytest.raises(ProgramError, match="returned 1"):
        call_isolating(program, pa.RecordBatch.from_pydict({"x": [1, 2, 3, 4]}))
