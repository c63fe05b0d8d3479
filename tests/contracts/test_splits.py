import pytest

from partitioner import registry
from partitioner.splits.base import Splitter
from partitioner.testing.splits import SplitterContract


@pytest.mark.parametrize("registered", registry.names("splits"))
class TestEverySplitter(SplitterContract):
    @pytest.fixture
    def splitter(self, registered: str) -> Splitter:
        return registry.load("splits", registered)()
