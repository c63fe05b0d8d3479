"""The zip that ``spark-submit --py-files`` ships."""

from __future__ import annotations

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "build_pyfiles.py"


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("dist") / "files.zip"
    subprocess.run([sys.executable, str(SCRIPT), "--output", str(output)], check=True, capture_output=True)
    return output


def test_it_holds_packages_jobs_and_metadata(archive) -> None:
    names = zipfile.ZipFile(archive).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "batch_partitioner",
        "connectors",
        "jobs",
        "partitioner",
    }
    assert "partitioner/engines/spark_task.py" in names


def test_what_it_holds_is_imported_from_it_with_its_version(archive, tmp_path) -> None:
    code = (
        "import sys, importlib.metadata as m; sys.path.insert(0, sys.argv[1]); "
        "import partitioner, connectors, jobs.batch_inference; "
        "print(partitioner.__file__, connectors.__file__, m.version('batch-partitioner'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(archive)], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    package, connectors, version = done.stdout.split()
    assert package == f"{archive}/partitioner/__init__.py"
    assert connectors == f"{archive}/connectors/__init__.py"
    assert version == "0.1.0"


def test_equal_sources_give_equal_bytes(tmp_path) -> None:
    build = runpy.run_path(str(SCRIPT))["build"]
    for copy in ("one", "two"):
        for package in ("connectors", "jobs", "partitioner"):
            (tmp_path / copy / package).mkdir(parents=True)
            (tmp_path / copy / package / "__init__.py").write_text(f"NAME = {package!r}")
        (tmp_path / copy / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
        assert build(tmp_path / copy, tmp_path / f"{copy}.zip") == 4
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
