"""Every statistic and one-pass model in parts: bytes of its state, its distance from scikit-learn or numpy on all rows, its
processor time beside theirs.

    python -m benchmarks.statistics_by_parts [--rows 100000] [--parts 16]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler, TargetEncoder

from partitioner.choices import choose
from partitioner.reducers import partials
from partitioner.reducers.tree import merge_tree

FEATURES = [f"x{i}" for i in range(10)]
Case = tuple[Any, Callable[[Any], Any], Callable[[], Any]]


def table_of(rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    score = rng.normal(size=rows)
    label = (score + rng.normal(size=rows) > 0).astype(int)
    columns = {f: rng.normal(size=rows) + i for i, f in enumerate(FEATURES)}
    said, chance = (score > 0).astype(int), 1 / (1 + np.exp(-score))
    category = rng.integers(0, 1000, rows)
    target = sum(columns.values()) + rng.normal(size=rows)
    more = {"score": score, "label": label, "prediction": said, "probability": chance, "target": target}
    return pa.table({**columns, **more, "category": category})


def arrays(t: pa.Table) -> tuple[dict[str, Any], Any]:
    """The columns, and the features as one matrix."""
    c = {name: t[name].to_numpy() for name in t.column_names}
    return c, np.column_stack([c[f] for f in FEATURES])


def statistics(t: pa.Table) -> list[Case]:
    c, x = arrays(t)
    y, target = c["label"], c["target"]
    return [
        ({"reducer": "variance", "columns": FEATURES}, lambda r: list(r.values()), lambda: x.var(axis=0, ddof=1)),
        (
            {"reducer": "covariance", "columns": FEATURES},
            lambda r: [list(row.values()) for row in r.values()],
            lambda: np.cov(x.T),
        ),
        (
            {"reducer": "covariance", "columns": FEATURES, "exact": False},
            lambda r: [list(row.values()) for row in r.values()],
            lambda: np.cov(x.T),
        ),
        (
            {"reducer": "regression", "label": "target", "prediction": "x9"},
            lambda r: [r["mae"], r["r2"]],
            lambda: [metrics.mean_absolute_error(target, c["x9"]), metrics.r2_score(target, c["x9"])],
        ),
        (
            "classification",
            lambda r: [r["accuracy"], r["macro"]["f1"]],
            lambda: [metrics.accuracy_score(y, c["prediction"]), metrics.f1_score(y, c["prediction"], average="macro")],
        ),
        ("auc", lambda r: [r["auc"]], lambda: [metrics.roc_auc_score(y, c["score"])]),
        ({"reducer": "auc", "max_scores": 1000}, lambda r: [r["auc"]], lambda: [metrics.roc_auc_score(y, c["score"])]),
        (
            "calibration",
            lambda r: [r["brier"], r["log_loss"]],
            lambda: [metrics.brier_score_loss(y, c["probability"]), metrics.log_loss(y, c["probability"])],
        ),
    ]


def models(t: pa.Table) -> list[Case]:
    c, x = arrays(t)
    y, target, queries, category = c["label"], c["target"], np.zeros((100, 10)), c["category"][:, None]
    design = {"features": FEATURES}
    return [
        ({"reducer": "scaler", **design}, lambda m: m.var_, lambda: StandardScaler().fit(x).var_),
        (
            {"reducer": "scaler", "kind": "robust", "features": ["score"]},
            lambda m: m.scale_,
            lambda: RobustScaler().fit(c["score"][:, None]).scale_,
        ),
        (
            {"reducer": "encoder", "features": ["category"]},
            lambda m: m.categories_[0],
            lambda: OneHotEncoder().fit(category).categories_[0],
        ),
        (
            {"reducer": "encoder", "kind": "target", "features": ["category"], "label": "target"},
            lambda m: m.encodings_[0],
            lambda: TargetEncoder().fit(category, target).encodings_[0],
        ),
        ({"reducer": "naive_bayes", **design}, lambda m: m.var_, lambda: GaussianNB().fit(x, y).var_),
        (
            {"reducer": "linear", "alpha": 1.0, "label": "target", **design},
            lambda m: m.coef_,
            lambda: Ridge(1.0).fit(x, target).coef_,
        ),
        (
            {"reducer": "pca", "components": 3, **design},
            lambda m: m.explained_variance_,
            lambda: PCA(3).fit(x).explained_variance_,
        ),
        (
            {"reducer": "neighbors", "queries": queries, **design},
            lambda r: r["distances"],
            lambda: NearestNeighbors(n_neighbors=5).fit(x).kneighbors(queries)[0],
        ),
    ]


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return function(), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=16)
    given = parser.parse_args()
    table = table_of(given.rows)
    parts = [table.slice(i * given.rows // given.parts, given.rows // given.parts) for i in range(given.parts)]
    table = pa.concat_tables(parts)
    print(f"{table.num_rows} rows in {given.parts} parts\n{'reducer':52} {'bytes':>9} {'distance':>9} {'time':>7}")
    for spec, figures, theirs in [*statistics(table), *models(table)]:
        reducer = choose("reducers", spec)

        def ours(reducer: Any = reducer) -> Any:
            return merge_tree(reducer, [reducer.add_input(reducer.create_accumulator(), part) for part in parts])

        merged, seconds = timed(ours)
        expected, beside = timed(theirs)
        found, expected = (np.asarray(v, float) for v in (figures(reducer.extract_output(merged)), expected))
        distance = np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1e-3))
        options = (
            {}
            if isinstance(spec, str)
            else {n: v for n, v in spec.items() if n not in ("reducer", "features", "queries")}
        )
        name = f"{reducer.name} {' '.join(f'{n}={v}' for n, v in options.items() if n != 'columns')}"
        size = len(partials.dumps(reducer, merged))
        print(f"{name:52} {size:9d} {distance:9.1e} {seconds / max(beside, 1e-9):6.1f}x")


if __name__ == "__main__":
    main()
