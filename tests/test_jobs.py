"""Our own jobs stand where a user's stand: they use the public names and nothing from the inside.

Public are the names of ``partitioner`` and of ``partitioner.training``, and the errors that a user catches or raises.
"""

import ast
from pathlib import Path

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner import training
from partitioner.errors import DataError

JOBS = sorted((Path(__file__).parents[1] / "jobs").glob("*.py"))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_job_uses_public_names_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    modules = [n.module or "" for n in imported]
    modules += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    public = ("partitioner.training", "partitioner.errors")
    assert [m for m in modules if m.startswith(("partitioner.", "connectors")) and m not in public] == []
    assert {a.name for n in imported if n.module == "partitioner.training" for a in n.names} <= set(training.__all__)
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "pt"}
    assert used <= set(pt.__all__)


def test_a_table_is_read_in_input_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,a\n2,b\n")
    (tmp_path / "b.csv").write_text("x,y\n3,c\n")
    assert pt.read_table(str(tmp_path / "*.csv"), ["x"]).to_pydict() == {"x": [1, 2, 3]}
    none = pa.table({"y": pa.array([], pa.string()), "z": pa.array([], pa.int64())})
    assert pt.read_table(none).num_rows == 0
    assert pt.read_table(none, ["z"]).schema.names == ["z"]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="'z'"):
        pt.read_table(pa.table({"x": [1]}), ["z"])


def test_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"\x00\x01")
    assert pt.read_bytes(str(tmp_path / "model.bin")) == b"\x00\x01"
    with pytest.raises(FileNotFoundError):
        pt.read_bytes(str(tmp_path / "none.bin"))


def test_a_configuration_is_loaded_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "c.yaml"
    conf.write_text("dataset: sklearn://iris\nprogram: own_program:same\nbatch_format: arrow\nengine: serial\n")
    (tmp_path / "own_program.py").write_text("def same(batch):\n    return batch\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = pt.load_config(conf, ["reducer=count", "progress=false", "report=false"])
    assert isinstance(config, pt.RunConfig)
    assert pt.run_config(config).result == 150
    assert len(pt.plan_config(config, workers=2)) >= 1


def test_a_job_may_run_its_own_program_from_a_configuration_anywhere(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    conf = tmp_path / "c.yaml"
    conf.write_text("program: jobs.batch_inference:Predict\n")
    assert pt.load_config(conf, allow_modules=["jobs"]).program == "jobs.batch_inference:Predict"
    for path in JOBS:
        for line in path.read_text().splitlines():
            assert "pt.load_" not in line or "given.conf" not in line or 'allow_modules=["jobs"]' in line


def test_a_model_that_is_not_there_is_told_with_what_makes_one(tmp_path):
    from jobs.batch_inference import Predict

    with pytest.raises(FileNotFoundError, match=r"no model at .*none\.pkl: train one first, .*conf/ensemble\.yaml"):
        Predict(str(tmp_path / "none.pkl"), "features")
