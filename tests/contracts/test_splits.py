import pytest

from partitioner import choices, registry
from partitioner.splits.base import Splitter
from partitioner.testing.splits import SplitterContract

# Options of the splitters that need a column.
OPTIONS = {"grouped": {"key": "key"}, "stratified": {"label": "label"}, "by_weight": {"weight": "1 + key"}}


@pytest.mark.parametrize("registered", registry.built_in("splits"))
class TestEverySplitter(SplitterContract):
    @pytest.fixture
    def splitter(self, registered: str) -> Splitter:
        return choices.choose("splits", {"split": registered, **OPTIONS.get(registered, {})})
