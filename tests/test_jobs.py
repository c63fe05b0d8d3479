"""Our own jobs stand where a user's stand: they use the public names and nothing from the inside.

Public are the names of ``partitioner`` and of ``partitioner.training``, and the errors that a user catches or raises.
"""

import ast
import signal
from pathlib import Path

import pyarrow as pa
import pytest

import partitioner as pt
from jobs.session import job_main
from partitioner import training
from partitioner.errors import DataError

JOBS = sorted((Path(__file__).parents[1] / "jobs").glob("*.py"))


PUBLIC = {"partitioner": set(pt.__all__), "partitioner.training": set(training.__all__), "partitioner.errors": None}


def inside(source: str) -> list[str]:
    """What a job takes from the packages besides their public names, as it writes it."""
    tree, found, known = ast.parse(source), list[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in (a for a in node.names if a.name.partition(".")[0] in ("partitioner", "connectors")):
                found += [] if name.name in PUBLIC and (name.asname or name.name == "partitioner") else [name.name]
                known |= {name.asname or name.name} if name.name == "partitioner" else set()
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in (
            "partitioner",
            "connectors",
        ):
            public = PUBLIC.get(str(node.module), set())
            found += [f"{node.module}.{a.name}" for a in node.names if public is not None and a.name not in public]
        elif isinstance(node, ast.Constant) and str(node.value).startswith(("partitioner.", "connectors.")):
            found += [node.value] if " " not in node.value else []
    held = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    return found + [f"{n.value.id}.{n.attr}" for n in held if n.value.id in known and n.attr not in pt.__all__]


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_job_uses_public_names_only(path: Path) -> None:
    assert inside(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("from partitioner import registry", ["partitioner.registry"]),
        ("from partitioner import *", ["partitioner.*"]),
        ("from partitioner.training import design", ["partitioner.training.design"]),
        ("from partitioner.reducers.base import Reducer", ["partitioner.reducers.base.Reducer"]),
        ("import partitioner.registry", ["partitioner.registry"]),
        ("import partitioner as p\np.registry.load", ["p.registry"]),
        ("import partitioner\npartitioner.registry", ["partitioner.registry"]),
        ("import connectors.resolve as c", ["connectors.resolve"]),
        ("importlib.import_module('connectors.resolve')", ["connectors.resolve"]),
        ("import partitioner as pt\nfrom partitioner.errors import nearest\nfrom partitioner import run\npt.run", []),
    ],
)
def test_no_way_to_the_inside_goes_unseen(source: str, taken: list[str]) -> None:
    assert inside(source) == taken


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
    with pytest.raises(
        FileNotFoundError, match=r"no model at out/none\.pkl \(seen from .*give the whole path\): train one"
    ):
        Predict("out/none.pkl", "features")


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGINT, "stopped by Ctrl-C"), (signal.SIGTERM, "stopped by SIGTERM")]
)
def test_a_job_that_is_ended_from_outside_says_so(
    number: signal.Signals, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            job_main(lambda: signal.raise_signal(number) or 0)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (ended.value.code, capsys.readouterr().err) == (130, f"Interrupted: {told}\n")
