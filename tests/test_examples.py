"""The notebooks in ``examples/`` run from beginning to end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def executed(name: str) -> str:
    """All text that the cells of a notebook show. Its libraries take seconds to load: only here, not before all tests."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(EXAMPLES.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(str(o.get("text", "")) + str(o.get("data", {}).get("text/plain", "")) for o in outputs)


def test_skewed_text_on_dask() -> None:
    shown = executed("skewed_text_on_dask.ipynb")
    assert "largest / mean sub-task, cut by cost: 1." in shown
    assert "400 rows in 8 sub-tasks" in shown


@pytest.mark.spark
def test_a_spark_frame_in_and_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # as in an environment that is active
    assert "1000 rows in 4 sub-tasks" in executed("spark_frame_in_and_out.ipynb")


def test_an_error_of_ours_is_the_cell_and_one_line() -> None:
    import nbformat
    from nbclient import NotebookClient

    source = "import partitioner as pt\n\npt.run([1, 2], len, engine='serail')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=250, allow_errors=True).execute()
    (shown,) = notebook.cells[0].outputs
    assert shown["ename"] == "UnknownName"
    *lines, said = shown["traceback"]
    assert "pt.run([1, 2], len, engine='serail')" in "".join(lines)
    assert "/partitioner/" not in "".join(lines)
    assert said.startswith("UnknownName: No engine named 'serail'; there are dask, serial")
