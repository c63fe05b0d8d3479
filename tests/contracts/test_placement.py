import pytest

from partitioner import registry
from partitioner.placement.base import Algorithm
from partitioner.testing.placement import PlacementContract


@pytest.mark.parametrize("registered", registry.built_in("placements"))
class TestEveryPlacement(PlacementContract):
    @pytest.fixture
    def algorithm(self, registered: str) -> Algorithm:
        made: Algorithm = registry.load("placements", registered)()
        return made
