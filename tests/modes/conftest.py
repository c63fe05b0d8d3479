"""Three files and the command of every night."""

from pathlib import Path

import pytest

from tests.modes.schedule import Schedule


@pytest.fixture
def night(tmp_path: Path) -> Schedule:
    schedule = Schedule(tmp_path)
    for i, name in enumerate("abc"):
        schedule.file(name, 1000 * i)
    return schedule
