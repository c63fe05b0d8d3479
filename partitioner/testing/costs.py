"""The contract suite of cost models, and the small in-memory source it runs on.

Subclass ``CostModelContract`` and give ``model`` a value; every test then runs against it::

    class TestMine(CostModelContract):
        @pytest.fixture
        def model(self): return Mine()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from partitioner.costs.base import CostModel
from partitioner.costs.expression import evaluate
from partitioner.costs.formulas.formula import parse
from partitioner.costs.measuring.measurements import Timing
from partitioner.errors import DataError
from partitioner.model import Costs, Dataset, Fragment, Fragments
from partitioner.model.data import Floats, Ints
from partitioner.model.source import Source


class TableSource(Source):
    """A source over an Arrow table in memory: fragments are row ranges. It counts what is read, by column."""

    name = "table"

    def __init__(self, table: pa.Table, features: dict[str, list[float]] | None = None) -> None:
        self.table = table
        self.features = features or {}
        self.reads: list[tuple[int, int, tuple[str, ...] | None]] = []

    def dataset(self, lengths: Sequence[int], paths: Sequence[str] | None = None, known: bool = True) -> Dataset:
        """Fragments of ``lengths`` rows each; row counts are hidden (-1) unless ``known``."""
        stops = np.cumsum(lengths)
        fragments = [
            Fragment(
                i,
                paths[i] if paths else f"part-{i}",
                -1,
                int(stop - n),
                int(stop),
                int(n) if known else -1,
                int(self.table.slice(int(stop - n), int(n)).nbytes),
                {name: float(values[i]) for name, values in self.features.items()},
            )
            for i, (n, stop) in enumerate(zip(lengths, stops, strict=True))
        ]
        return Dataset(self, Fragments.of(fragments), self.table.schema, "rows")

    def describe(self) -> Dataset:
        """The whole table as one fragment."""
        return self.dataset([self.table.num_rows])

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one fragment; DataError for a column that is not there."""
        self.reads.append((fragment.start, fragment.stop, None if columns is None else tuple(columns)))
        missing = [c for c in columns or () if c not in self.table.column_names]
        if missing:
            raise DataError(f"no column {missing[0]!r}; there are {', '.join(self.table.column_names)}.")
        part = self.table.slice(fragment.start, fragment.stop - fragment.start)
        yield from (part if columns is None else part.select(list(columns))).to_batches()

    def fingerprint(self, fragment: Fragment) -> str:
        """As ``fingerprints``."""
        return self.fingerprints()["table"]

    def fingerprints(self) -> dict[str, str]:
        """Of the table's shape, which never changes."""
        return {"table": f"{self.table.num_rows}x{self.table.num_columns}"}


class FormulaRunner:
    """A runner whose seconds are a formula over data columns, with multiplicative noise: no clock is read.

    ``fixed`` seconds per piece; ``memory_per_byte`` of peak above 100 MB; ``cpu_share`` of the seconds, without noise, are
    CPU seconds. ``seconds`` adds up what was run.
    """

    def __init__(
        self,
        truth: str,
        fixed: float = 0.0,
        noise: float = 0.02,
        seed: int = 0,
        memory_per_byte: float = 0.0,
        cpu_share: float = 0.0,
    ) -> None:
        self.truth, self.fixed, self.noise = parse(truth), fixed, noise
        self.rng = np.random.default_rng(seed)
        self.memory_per_byte, self.cpu_share = memory_per_byte, cpu_share
        self.seconds = 0.0

    def __call__(
        self, dataset: Dataset, pieces: Fragments, seconds_limit: float, sizes: Ints | None = None
    ) -> list[Timing]:
        """Timings of the calls until ``seconds_limit``."""
        began = self.seconds
        timings: list[Timing] = []
        starts = np.arange(len(pieces)) if sizes is None else np.cumsum(sizes) - sizes
        alone = self.true(replace(dataset, fragments=pieces)) - self.fixed
        true = np.add.reduceat(alone, starts) + self.fixed
        for seconds, size in zip(true, np.add.reduceat(pieces.bytes, starts), strict=True):
            if timings and self.seconds - began > seconds_limit:
                break
            noisy = float(seconds * np.exp(self.noise * self.rng.standard_normal()))
            self.seconds += noisy
            peak = 1e8 + self.memory_per_byte * float(size)
            cpu = self.cpu_share * float(seconds)
            timings.append(Timing(noisy, cpu_seconds=cpu, peak_memory_bytes=peak, process="p"))
        return timings

    def true(self, dataset: Dataset) -> Floats:
        """float64[n]: the noiseless seconds of each fragment."""
        seconds: Floats = evaluate([self.truth], dataset)[0] + self.fixed
        return seconds


def text_dataset(fragments: int = 20, rows: int = 200, seed: int = 0) -> Dataset:
    """Fragments of ``rows`` texts whose lengths are log-normal, at most 5,000 characters."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(rng.lognormal(5.0, 1.0, fragments * rows).astype(np.int64) + 1, 5000)
    table = pa.table({"text": pa.array(["x" * n for n in lengths])})
    return TableSource(table).dataset([rows] * fragments)


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
