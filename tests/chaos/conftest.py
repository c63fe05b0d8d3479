"""What the tests of deaths compare with."""

from __future__ import annotations

import pytest

import partitioner as pt
from tests.chaos.scene import TASKS, Scene


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The output of a run that nothing disturbs, by file."""
    scene = Scene(tmp_path_factory.mktemp("undisturbed") / "scene")
    pt.run(**scene.settings())
    output = scene.output()
    assert len(output) == TASKS + 2
    return output
