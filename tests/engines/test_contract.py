"""The published suite over every registered engine, by what each can do, and over a hostile one."""

from collections.abc import Iterator

import pytest

from partitioner import choices, registry
from partitioner.engines.base import Engine
from partitioner.testing.engines import EngineContract, RealEngineContract
from partitioner.testing.flaky import FlakyEngine, Hostility
from tests.engines.many_drivers import EngineOfManyDrivers

NAMES = [name for name in registry.built_in("engines") if not name.startswith("spark")]  # they have files of their own
REAL = [name for name in NAMES if registry.load("engines", name).capabilities.real]


@pytest.fixture
def engine(registered: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    if registered == "dask":
        yield request.getfixturevalue("dask_engine")
        return
    made = choices.choose("engines", registered)
    yield made
    made.close()


@pytest.mark.parametrize("registered", REAL)
class TestEveryRealEngine(EngineOfManyDrivers):
    pass


@pytest.mark.parametrize("registered", [name for name in NAMES if name not in REAL])
class TestEveryEngineOnPaper(EngineContract):
    pass


class TestHostileEngine(RealEngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        # Losses stay below the limit of deaths per sub-task; the rest is as bad as it gets while an end comes once.
        return FlakyEngine(hostility=Hostility(drop_start=0.5, repeat=0.0, delay=0.5, losses=0), seed=11)
