"""The contract suite of cost models.

Subclass ``CostModelContract`` and give ``model`` a value; every test then runs against it::

    class TestMine(CostModelContract):
        @pytest.fixture
        def model(self): return Mine()
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from partitioner.costs.base import CostModel
from partitioner.model import Costs, Dataset
from partitioner.testing.tables import TableSource


def sample_dataset() -> Dataset:
    """Four fragments of 1, 2, 3 and 4 rows with the columns ``text`` and ``n`` and the feature ``pixels``."""
    table = pa.table({"text": ["x" * (i + 1) for i in range(10)], "n": list(range(10))})
    return TableSource(table, {"pixels": [10.0, 20.0, 30.0, 40.0]}).dataset([1, 2, 3, 4])


class CostModelContract:
    """Laws that every cost model keeps."""

    def test_one_valid_cost_per_fragment(self, model: CostModel) -> None:
        """Seconds and bytes are finite, at least 0, one per fragment."""
        costs = model.estimate(sample_dataset())
        for values in (costs.seconds, costs.memory_bytes):
            assert values.shape == (4,)
            assert values.dtype == np.float64
            assert np.isfinite(values).all()
            assert (values >= 0).all()
        assert costs.source
        assert costs.unit

    def test_some_fragment_costs_something(self, model: CostModel) -> None:
        """A model that answers 0 for everything plans nothing."""
        costs = model.estimate(sample_dataset())
        assert costs.seconds.sum() + costs.fixed_seconds > 0

    def test_same_dataset_same_costs(self, model: CostModel) -> None:
        """Estimating is pure."""
        first, second = model.estimate(sample_dataset()), model.estimate(sample_dataset())
        np.testing.assert_array_equal(first.seconds, second.seconds)
        np.testing.assert_array_equal(first.memory_bytes, second.memory_bytes)

    def test_bounds_enclose_the_estimate(self, model: CostModel) -> None:
        """Where a model gives bounds, low <= seconds <= high."""
        costs = model.estimate(sample_dataset())
        low, high = costs.seconds_low, costs.seconds_high
        assert (low is None) == (high is None)
        if low is not None and high is not None:
            assert (low <= costs.seconds).all()
            assert (costs.seconds <= high).all()

    def test_combination_is_declared(self, model: CostModel) -> None:
        """How memory of fragments combines is one of the two known ways."""
        costs: Costs = model.estimate(sample_dataset())
        assert costs.memory_combines in {"sum", "max"}

    def test_details_are_plain_values(self, model: CostModel) -> None:
        """What ``plan.explain()`` shows can be written as JSON."""
        import json

        assert json.loads(json.dumps(dict(model.estimate(sample_dataset()).details)))
