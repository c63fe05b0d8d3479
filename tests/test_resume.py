"""What a resume refuses, what it accepts, and what it needs: the run directory alone."""

import importlib
import json
import linecache
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner import config as configuration
from partitioner.coordinator import ledger
from partitioner.engines.dask import DaskEngine
from partitioner.errors import ConfigError, ResumeRefused, RunFailed
from partitioner.model import CommitRecord
from partitioner.running import run_config
from partitioner.runs.resume import from_directory
from partitioner.store.run_directory import RunDirectory

ROOT = Path(__file__).parents[1]
SOURCE = """
import pathlib
import pandas as pd

def limit():
    return 60

def program(batch):
    if (batch["x"] >= limit()).any() and not pathlib.Path({flag!r}).exists():
        raise ValueError("not yet")
    return pd.DataFrame({{"y": batch["x"] * 2}})
"""
EXPECTED = [2 * x for x in range(100)]


class Stopped:
    """A run that stopped half way because of its program; ``mend`` makes the program work without changing its code."""

    def __init__(self, home: Path, source: str = SOURCE, **options: Any) -> None:
        self.home = home
        pq.write_table(pa.table({"x": range(100)}), home / "input.parquet", row_group_size=10)
        self.write(source)
        self.options = {
            "dataset": str(home / "input.parquet"),
            "program": "stopped_program:program",
            "cost": "rows",
            "max_tasks": 10,
            "min_tasks_per_slot": 10,
            "engine": "serial",
            "checkpoint": str(home / "runs"),
            "output": str(home / "out"),
            "max_retries": 0,
            "progress": False,
            "report": False,
            **options,
        }
        with pytest.raises(RunFailed, match="not yet"):
            pt.run(**self.options)
        (directory,) = (home / "runs").iterdir()
        self.directory = directory
        self.done = len(list((directory / "commits").iterdir()))

    def write(self, source: str) -> None:
        (self.home / "stopped_program.py").write_text(source.format(flag=str(self.home / "flag")))
        sys.modules.pop("stopped_program", None)
        importlib.invalidate_caches()
        linecache.clearcache()

    def mend(self) -> None:
        (self.home / "flag").touch()

    def resume(self, **changes: Any) -> pt.Run:
        return pt.run(**{**self.options, **changes}, resume=self.directory.name)


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Stopped(tmp_path)
    sys.modules.pop("stopped_program", None)


def test_only_what_is_not_committed_runs(stopped: Stopped) -> None:
    stopped.mend()
    finished = stopped.resume()
    assert 0 < stopped.done < 10
    assert finished.attempted == 10 - stopped.done
    assert finished.result.to_pandas()["y"].tolist() == EXPECTED
    assert (stopped.home / "out" / "_SUCCESS").exists()


def test_another_engine_retries_and_error_policy_are_accepted(stopped: Stopped, dask_engine: DaskEngine) -> None:
    finished = stopped.resume(engine=dask_engine, on_error="quarantine", max_retries=3, placement="round_robin")
    assert finished.quarantined == 40
    assert finished.result.to_pandas()["y"].tolist() == EXPECTED[:60]


def test_changed_input_is_refused_with_the_file(stopped: Stopped) -> None:
    stopped.mend()
    pq.write_table(pa.table({"x": range(1, 101)}), stopped.home / "input.parquet", row_group_size=10)
    with pytest.raises(
        ResumeRefused, match=r"(?s)input .*input\.parquet: was .*, is .*Undo the change, or start a new run"
    ):
        stopped.resume()


def test_an_added_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    stopped = Stopped(tmp_path, dataset=str(tmp_path / "*.parquet"))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "more.parquet")
    with pytest.raises(ResumeRefused, match=r"input .*more\.parquet: was 'absent', is"):
        stopped.resume()


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"seed": 5}, "setting seed: was 0, is 5"),
        ({"max_tasks": 20}, "setting max_tasks: was 10, is 20"),
        ({"columns": ["x"]}, r"setting columns: was None, is \['x'\]"),
        ({"reducer": "count"}, "setting reducer: was 'concat', is 'count'"),
    ],
)
def test_a_changed_setting_that_shapes_the_result_is_refused(
    stopped: Stopped, changes: dict[str, Any], shown: str
) -> None:
    with pytest.raises(ResumeRefused, match=shown):
        stopped.resume(**changes)


def test_changed_code_is_refused(stopped: Stopped) -> None:
    stopped.write(SOURCE.replace("* 2", "* 3"))
    with pytest.raises(ResumeRefused, match=r"code of the program: was [0-9a-f]{12}, is [0-9a-f]{12}"):
        stopped.resume()


def test_a_changed_helper_of_the_program_is_refused(stopped: Stopped) -> None:
    stopped.write(SOURCE.replace("return 60", "return 70"))
    with pytest.raises(ResumeRefused, match="code of the program"):
        stopped.resume()


def test_a_comment_is_no_change(stopped: Stopped) -> None:
    stopped.write("# looked through and found good\n" + SOURCE)
    stopped.mend()
    assert stopped.resume().result.to_pandas()["y"].tolist() == EXPECTED


def rewritten_alike(path: Path, table: pa.Table) -> None:
    """Other rows under the same name, size and time."""
    before = path.stat()
    pq.write_table(table, path, row_group_size=10)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_input_rewritten_with_the_same_size_and_time_is_refused(stopped: Stopped) -> None:
    rewritten_alike(stopped.home / "input.parquet", pa.table({"x": [*range(98), 99, 98]}))
    with pytest.raises(ResumeRefused, match=r"input .*input\.parquet: was 'sha256:"):
        stopped.resume()


def test_input_that_was_only_touched_is_accepted(stopped: Stopped) -> None:
    os.utime(stopped.home / "input.parquet")
    stopped.mend()
    assert len(stopped.resume().result) == 100


def test_a_changed_module_that_the_program_imports_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "users_helper.py").write_text("FACTOR = 2\n")
    source = SOURCE.replace("* 2", "* users_helper.FACTOR").replace("import pathlib", "import pathlib, users_helper")
    stopped = Stopped(tmp_path, source=source)
    (tmp_path / "users_helper.py").write_text("FACTOR = 3\n")
    sys.modules.pop("users_helper")
    stopped.write(source)
    with pytest.raises(ResumeRefused, match=r"module users_helper: was '[0-9a-f]{64}', is"):
        stopped.resume()


def test_force_says_what_it_overrides_and_keeps_it(stopped: Stopped, capfd: pytest.CaptureFixture[str]) -> None:
    stopped.write(SOURCE.replace("* 2", "* 3"))
    stopped.mend()
    config = configuration.make({**stopped.options, "seed": 5})
    finished = run_config(config, str(stopped.directory), force=True)
    assert len(finished.result) == 100
    said = capfd.readouterr().err
    assert "is resumed by force, in spite of:\n- setting seed: was 0, is 5\n- code of the program: was " in said
    (line,) = [line for line in ledger.read(finished.directory) if line["what"] == "forced"]
    assert line["differences"][0] == "setting seed: was 0, is 5"


def test_other_versions_of_libraries_are_warned_about(stopped: Stopped) -> None:
    facts = json.loads((stopped.directory / "run.json").read_text())
    assert facts["fingerprints"]["libraries"] == {"pandas": pd.__version__}
    facts["fingerprints"]["libraries"] = {"pandas": "0.1"}
    (stopped.directory / "run.json").write_text(json.dumps(facts))
    stopped.mend()
    with pytest.warns(UserWarning, match=r"goes on with other libraries: version of pandas: was '0\.1', is"):
        stopped.resume()


def test_every_difference_is_shown_at_once(stopped: Stopped) -> None:
    stopped.write(SOURCE.replace("* 2", "* 3"))
    with pytest.raises(ResumeRefused) as caught:
        stopped.resume(seed=1, max_tasks=2)
    assert str(caught.value).count("\n- ") == 3


def test_a_refused_resume_changes_nothing(stopped: Stopped) -> None:
    def content() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in stopped.directory.rglob("*") if p.is_file()}

    before = content()
    with pytest.raises(ResumeRefused):
        stopped.resume(seed=5)
    assert content() == before


def test_an_unknown_run_is_refused_with_those_there_are(stopped: Stopped) -> None:
    with pytest.raises(ConfigError, match=f"no run 'yesterday' below .*; there are {stopped.directory.name}"):
        pt.run(**stopped.options, resume="yesterday")
    assert not (stopped.home / "runs" / "yesterday").exists()


def test_a_lost_record_is_rebuilt_from_the_file(stopped: Stopped) -> None:
    first = RunDirectory(str(stopped.directory)).commits()["t000000"]
    (stopped.directory / "commits" / "t000000.json").unlink()
    stopped.mend()
    finished = stopped.resume()
    rebuilt: CommitRecord = finished.records[0]
    assert finished.attempted == 10 - stopped.done
    for name in ("rows_in", "rows_out", "rows_written", "quarantined", "segments", "digest", "path"):
        assert getattr(rebuilt, name) == getattr(first, name)


def test_a_finished_run_resumes_to_the_same_result_without_an_attempt(stopped: Stopped) -> None:
    stopped.mend()
    stopped.resume()
    again = stopped.resume()
    assert again.attempted == 0
    assert again.result.to_pandas()["y"].tolist() == EXPECTED


def cli_resume(directory: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "partitioner.cli", "resume", str(directory), "--engine", "serial"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


SCRIPT = """
import pathlib
import pandas as pd
import pyarrow as pa
import partitioner as pt
from partitioner import config as configuration
from partitioner.coordinator import ledger

def limit():
    return 60

class Program:
    def __call__(self, batch):
        if (batch["x"] >= limit()).any() and not pathlib.Path("flag").absolute().exists():
            raise ValueError("not yet")
        return pd.DataFrame({"y": batch["x"] * 2})

def program(batch):
    return Program()(batch)

settings = dict(cost="rows", max_tasks=10, min_tasks_per_slot=10, engine="serial", max_retries=0, checkpoint="runs")
pt.run(pa.table({"x": range(100)}), PROGRAM, output="out", progress=False, report=False, **settings)
"""


@pytest.mark.parametrize("program", ["program", "Program"])
def test_a_run_of_a_script_with_data_in_memory_resumes_from_its_directory_alone(tmp_path: Path, program: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.replace("PROGRAM", program))
    failed = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert "not yet" in failed.stderr
    (directory,) = (tmp_path / "runs").iterdir()
    (tmp_path / "flag").touch()
    done = cli_resume(directory, tmp_path)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "out" / "part-t000009.parquet")["y"].to_pylist() == EXPECTED[90:]


def test_a_resume_from_another_working_directory_writes_to_the_same_output(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        SCRIPT.replace("PROGRAM", "program").replace('Path("flag").absolute()', "Path(FLAG)")
    )
    text = (tmp_path / "script.py").read_text().replace("def limit", f"FLAG = {str(tmp_path / 'flag')!r}\ndef limit")
    (tmp_path / "script.py").write_text(text)
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, timeout=120, check=False)
    (directory,) = (tmp_path / "runs").iterdir()
    (tmp_path / "flag").touch()
    (tmp_path / "elsewhere").mkdir()
    done = cli_resume(directory, tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 10


REDUCER = """
class Last:
    mergeable = True

    def __init__(self, count):
        self.count = count

    def create_accumulator(self):
        return []

    def add_input(self, accumulator, value):
        return [*accumulator, *value["y"].tolist()][-self.count :]

    def merge_accumulators(self, left, right):
        return [*left, *right][-self.count :]

    def extract_output(self, accumulator):
        return accumulator
"""


def write_reducer(home: Path, source: str = REDUCER) -> Callable[[int], Any]:
    (home / "stopped_reducer.py").write_text(source)
    sys.modules.pop("stopped_reducer", None)
    importlib.invalidate_caches()
    linecache.clearcache()
    made = importlib.import_module("stopped_reducer").Last
    return lambda count: {"reducer": "several", "of": {"last": made(count), "rows": "count"}}


def test_a_reducer_of_ones_own_is_compared_by_a_resume_and_found_in_the_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    last = write_reducer(tmp_path)
    stopped = Stopped(tmp_path, reducer=last(2))
    for reducer in (last(3), "count"):
        with pytest.raises(ResumeRefused, match=r"code or options of the reducer: was [0-9a-f]{12}, is "):
            stopped.resume(reducer=reducer)
    changed = write_reducer(tmp_path, REDUCER.replace("return accumulator\n", "return accumulator[0]\n"))
    with pytest.raises(ResumeRefused, match=r"code or options of the reducer"):
        stopped.resume(reducer=changed(2))
    stopped.mend()
    config = from_directory(RunDirectory(str(stopped.directory)), {"progress": False})
    assert run_config(config, stopped.directory.name).result == {"last": [196, 198], "rows": 100}
    for name in ("stopped_program", "stopped_reducer"):
        sys.modules.pop(name, None)
