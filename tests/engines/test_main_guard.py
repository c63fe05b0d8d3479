"""README's snippet as a script: without the guard one sentence, with it a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import pandas as pd
import partitioner as pt

def double(rows):
    return rows * 2

{guard}
{indent}options = dict(checkpoint={checkpoint!r}, progress=False, report=False, engine={{"engine": "dask", "workers": 1}})
{indent}run = pt.run(pd.DataFrame({{"x": range(4)}}), double, cost="rows", max_tasks=2, **options)
{indent}print(run)
{indent}print(run.result.to_pandas()["x"].tolist())
"""


def ended(folder: Path, guard: str) -> subprocess.CompletedProcess[str]:
    indent = "    " if guard else ""
    text = SCRIPT.format(guard=guard, indent=indent, checkpoint=str(folder / "runs"))
    (folder / "script.py").write_text(text)
    return subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_script_without_the_guard_is_one_sentence(tmp_path: Path) -> None:
    done = ended(tmp_path, "")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "script.py, line 10, starts worker processes at its top level" in last
    assert 'if __name__ == "__main__":' in last
    assert len(done.stderr.splitlines()) < 40


def test_with_the_guard_it_runs_and_the_run_is_one_line(tmp_path: Path) -> None:
    done = ended(tmp_path, 'if __name__ == "__main__":')
    assert done.returncode == 0, done.stderr
    shown, rows = done.stdout.strip().splitlines()
    assert rows == "[0, 2, 4, 6]"
    assert shown.startswith("<Run 2")
    assert "4 rows in 2 sub-tasks; result Output(4 rows in 2 files at" in shown
