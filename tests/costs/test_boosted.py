import numpy as np
import pytest

from partitioner.costs.fitting.boosted import Boosted, boost, split_in_time
from partitioner.errors import CostError


def requests(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    steps, images = rng.integers(10, 51, n).astype(float), rng.integers(1, 5, n).astype(float)
    model = rng.choice(["small", "large"], n, p=[0.7, 0.3])
    seconds = 0.1 * steps * images * np.where(model == "large", 3.0, 1.0) * np.exp(0.05 * rng.standard_normal(n))
    return seconds, {"steps": steps, "images": images}, {"model": model.tolist()}


def fitted(**options) -> Boosted:
    seconds, numbers, categories = requests()
    return boost(seconds, numbers, categories, **options)


def test_what_multiplies_is_learned():
    model = fitted(products=[("steps", "images")])
    seconds, numbers, categories = requests(seed=1)
    assert np.median(np.abs(model.predict(numbers, categories) / seconds - 1)) < 0.06


def test_totals_are_not_biased_by_the_absolute_error():
    rng = np.random.default_rng(0)
    seconds = rng.lognormal(0.0, 1.0, 4000)
    model = boost(seconds, {"x": np.ones(4000)})
    assert model.predict({"x": np.ones(4000)}).sum() == pytest.approx(seconds.sum())


def test_a_category_that_was_never_seen_counts_as_a_rare_one():
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", *(f"rare-{i}" for i in range(50))], 2000, p=[0.45, 0.45, *([0.002] * 50)])
    seconds = np.where(kind == "a", 1.0, np.where(kind == "b", 10.0, 4.0))
    model = boost(seconds, {"x": np.ones(2000)}, {"kind": kind.tolist()})
    assert model.predict({"x": np.ones(2)}, {"kind": ["new", "b"]}) == pytest.approx([4.0, 10.0], rel=0.05)


def test_it_says_what_it_looks_at():
    said = fitted(products=[("steps", "images")]).words()
    assert said == "boosted trees over steps, images; steps x images; model (2 kinds)"


def test_few_measurements_are_refused():
    with pytest.raises(CostError, match="149 measurements are too few for boosted trees; they need 150"):
        boost(np.ones(149), {"x": np.ones(149)})


def test_a_missing_column_is_named():
    with pytest.raises(CostError, match=r"needs 'images'; there are steps, model\."):
        fitted().predict({"steps": np.ones(1)}, {"model": ["small"]})


def test_models_are_compared_on_what_came_later():
    assert split_in_time(10) == (slice(0, 8), slice(8, 10))
