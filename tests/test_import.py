import json
import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import setuptools

import partitioner

ROOT = Path(__file__).parents[1]
HEAVY = ("pyspark", "distributed", "dask", "ortools", "scipy", "sklearn", "plotly", "deap", "networkx", "torch")


def modules_after(code: str) -> list[str]:
    """What is loaded in a fresh process after ``code``."""
    script = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def loaded_by(code: str) -> list[str]:
    """Top-level modules in a fresh process after ``code``."""
    return sorted({m.partition(".")[0] for m in modules_after(code)})


def test_importing_loads_no_engine_and_no_solver() -> None:
    assert [m for m in loaded_by("import partitioner") if m in HEAVY] == []


def test_the_command_line_loads_no_engine_and_no_solver() -> None:
    assert [m for m in loaded_by("import partitioner.cli") if m in HEAVY] == []


def test_planning_loads_no_engine() -> None:
    code = "import partitioner as pt, pyarrow as pa; pt.plan(pa.table({'x': range(9)}), cost='rows', workers=2)"
    assert [m for m in loaded_by(code) if m in ("pyspark", "distributed")] == []


PUBLIC = """
Output PartitionerError Plan Run RunConfig Step SubTasks TaskContext Worker Workers
cascade compare iterate load_config load_result load_settings pipeline place plan plan_config read_bytes read_table rebalance
register run run_config simulate task_context whatif
"""


def test_the_public_names_are_these() -> None:
    assert partitioner.__all__ == PUBLIC.split()
    assert all(hasattr(partitioner, name) for name in PUBLIC.split())


def test_the_package_travels_by_name() -> None:
    assert cloudpickle.loads(cloudpickle.dumps(partitioner)) is partitioner


def test_packages_that_are_installed_are_exactly_two() -> None:
    found = setuptools.find_packages(str(ROOT), include=["partitioner*", "connectors*"])
    assert {name.partition(".")[0] for name in found} == {"partitioner", "connectors"}


def test_the_package_is_pickled_by_name() -> None:
    import cloudpickle

    import partitioner

    assert pickle.loads(cloudpickle.dumps(partitioner)) is partitioner
