"""Forms of returns and inputs through whole runs: rows, or the one-line error before the first sub-task."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.errors import PartitionerError
from tests.attempt.test_returned import FORMS, REFUSED
from tests.connectors.test_given import GIVEN

THROUGH_A_RUN = [
    "pandas text after concat",
    "pandas named index",
    "polars frame",
    "Arrow reader",
    "numpy, two",
    "numpy structured",
    "list of ragged dicts",
    "list of ragged lists",
    "tuple of columns",
    "dataclass of columns",
]
INTO_A_RUN = ["polars frame", "Hugging Face selection", "list of prompts", "list of ragged dicts", "numpy", "range"]


def returns(rows: list[Any], form: str) -> Any:
    from tests.attempt.test_returned import FORMS, REFUSED, TWO  # found here by name, not sent along

    forms: dict[str, tuple[Any, Any]] = {**FORMS, **REFUSED}
    if form == "Arrow reader":  # read once, and the trial reads it too
        table = pa.table(TWO)
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    return forms[form][0]


def run(data: Any, program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 1, "engine": "serial", "progress": False, "report": False, **options}
    return pt.run(data, program, batch_format="rows", fsync="never", checkpoint=checkpoint, **settings)


@pytest.mark.parametrize("form", THROUGH_A_RUN)
def test_what_is_returned_is_the_output(checkpoint: str, form: str) -> None:
    expected = FORMS[form][1]
    rows = len(next(iter(expected.values())))
    assert (
        run(list(range(rows)), returns, checkpoint, arguments={"form": form}).result.to_table().to_pydict() == expected
    )


@pytest.mark.parametrize("form", ["nothing", "mixed values", "complex numbers"])
def test_what_cannot_be_a_row_is_one_line_before_the_first_subtask(checkpoint: str, form: str) -> None:
    with pytest.raises(PartitionerError) as refused:
        run([1, 2], returns, checkpoint, arguments={"form": form})
    assert REFUSED[form][1] in str(refused.value)
    assert "the trial on the first rows" in str(refused.value)
    assert "\n" not in str(refused.value)


def same(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows


@pytest.mark.parametrize("form", INTO_A_RUN)
def test_what_is_given_is_the_input(checkpoint: str, form: str) -> None:
    data, expected = GIVEN[form]
    assert run(data, same, checkpoint).result.to_table().to_pydict() == expected
