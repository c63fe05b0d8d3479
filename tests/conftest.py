"""What all tests share: one Dask cluster, real data where it is, and runs in a temporary directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from partitioner.engines.dask import DaskEngine


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of datasets that are no part of the project; a visible skip where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("PARTITIONER_SHARED_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no datasets at {path}; set PARTITIONER_SHARED_DATA")
    return path


@pytest.fixture(scope="session")
def dask_engine() -> Iterator[DaskEngine]:
    """Two worker processes of one thread, shared by every test that does not kill them."""
    engine = DaskEngine(workers=2)
    yield engine
    engine.close()


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """Where the runs of one test live."""
    return str(tmp_path / "runs")
