"""Train one partial classifier per cost-sized sub-task, combine them by vote, and predict what was held back.

    python -m jobs.train_ensemble conf/ensemble.yaml [--set key=value]...

Two mapped passes: the first trains (``TrainPartial``, reduced to an ensemble), the second predicts with the ensemble
(``jobs.batch_inference.Predict``). The ensemble is kept below the run of the first as ``model/model.skops``, beside a
``model_card.json``. In a notebook: ``from jobs.train_ensemble import TrainPartial`` and ``pt.run``.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import partitioner as pt
from jobs.batch_inference import Predict, matrix
from jobs.session import job_main, job_parser, print_plan
from partitioner.training import keep


def held_back(pixels: np.ndarray, one_in: int) -> np.ndarray:
    """bool[n]: which rows are kept for testing, by a checksum of their content, so the same on every engine."""
    if one_in < 1:
        return np.zeros(len(pixels), bool)
    return np.array([zlib.crc32(row.tobytes()) % one_in == 0 for row in np.ascontiguousarray(pixels)])


LEARNERS = ("sklearn", "xgboost", "lightgbm")
"""Packages whose classes a configuration may name as ``model``: it may come from a stranger, and is imported."""


class TrainPartial:
    """Fits ``model`` (``"package.module:Class"``) to the rows of one sub-task, without those held back.

    ``features`` and ``label`` name the columns; ``one_in`` holds back one row in so many (0: none); the model's
    ``random_state`` comes from the sub-task's seed.
    """

    def __init__(
        self, features: str, label: str, model: str, options: dict[str, Any] | None = None, one_in: int = 0
    ) -> None:
        module, _, name = model.partition(":")
        if module.partition(".")[0] not in LEARNERS:
            raise pt.PartitionerError(
                f"model is {model!r}; a configuration names a model of {', '.join(LEARNERS)}. "
                "For another, subclass TrainPartial."
            )
        self.make = getattr(importlib.import_module(module), name)
        self.features, self.label, self.options, self.one_in = features, label, options or {}, one_in

    def __call__(self, batch: pa.RecordBatch) -> Any:
        """A fitted model."""
        x, y = matrix(batch, self.features), np.asarray(batch[self.label])
        keep = ~held_back(x, self.one_in)
        return self.fit(x[keep], y[keep], pt.task_context().seed)

    def fit(self, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
        """The model on n x f features and n labels."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), self.make(random_state=seed, **self.options)).fit(x, y)


def test_rows(config: pt.RunConfig, test: str | None) -> pa.Table:
    """The rows to predict: another dataset if one is named, else those held back of the training set."""
    table = pt.read_table(config.dataset if test is None else test, config.columns)
    if test is not None:
        return table
    x = np.concatenate([matrix(batch, config.arguments["features"]) for batch in table.to_batches()])
    return table.filter(pa.array(held_back(x, config.arguments["one_in"])))


def predict(config: pt.RunConfig, ensemble: Any, rows: pa.Table) -> pt.Run:
    """The second pass: every row through the whole ensemble, on the same engine."""
    arguments = {"model": ensemble, "features": config.arguments["features"], "keep": [config.arguments["label"]]}
    return pt.run(
        rows,
        Predict,
        arguments=arguments,
        batch_format="arrow",
        engine=config.engine,
        checkpoint=config.checkpoint,
        max_tasks=config.max_tasks,
        seed=config.seed,
        progress=config.progress,
    )


def accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Share of the n rows whose label is predicted."""
    return float(np.mean(np.asarray(model.predict(x)) == y))


def score(config: pt.RunConfig, ensemble: Any, rows: pa.Table, predicted: pd.DataFrame) -> pd.Series:
    """Accuracy on the test rows of each partial model, of the ensemble, and of one model trained on everything."""
    label, features = config.arguments["label"], config.arguments["features"]
    x = np.concatenate([matrix(b, features) for b in rows.to_batches()])
    scores = {f"partial model {i}": accuracy(m, x, rows[label].to_numpy()) for i, m in enumerate(ensemble.members)}
    scores["ensemble"] = float(np.mean(predicted["prediction"] == predicted[label]))
    everything = test_rows(config, str(config.dataset))
    x_all, y_all = np.concatenate([matrix(b, features) for b in everything.to_batches()]), everything[label].to_numpy()
    keep = ~held_back(x_all, config.arguments.get("one_in", 0))
    whole = TrainPartial(**config.arguments).fit(x_all[keep], y_all[keep], config.seed)
    scores["one model on everything"] = accuracy(whole, x, rows[label].to_numpy())
    return pd.Series(scores, name="accuracy")


def facts_of(trained: pt.Run, config: pt.RunConfig, rows: pa.Table, scores: pd.Series) -> dict[str, Any]:
    """What the card of the ensemble says of how it was made."""
    asked = {"dataset": config.dataset, "arguments": config.arguments, "reducer": config.reducer}
    made = {"run": trained.url, "rows": trained.counts["rows_in"], "sub-tasks": len(trained.records)}
    judged = {"rows judged": rows.num_rows, "metrics": {"accuracy": scores.to_dict()}}
    return {**asked, **made, "members": len(trained.result.members), **judged}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, predict, and print plan, accuracies and where everything is."""
    parser = job_parser(__doc__)
    parser.add_argument("--test", help="dataset to predict instead of held-back rows")
    given = parser.parse_args(arguments)
    config = pt.load_config(given.conf, given.set, allow_modules=["jobs"])
    trained = pt.run_config(config, on_plan=print_plan("training"))
    rows = test_rows(config, given.test)
    predicted = predict(config, trained.result, rows)
    print(trained.report)
    print(f"\naccuracy on {rows.num_rows} rows held back:")
    scores = score(config, trained.result, rows, predicted.result.to_pandas())
    for name, value in scores.items():
        print(f"  {name:26} {value:.4f}")
    name = keep(trained.result, f"{trained.url}/model", facts_of(trained, config, rows, scores))
    print(f"\nmodel        {trained.url}/model/{name}\npredictions  {predicted.result.url}")
    print(f"report       {trained.url}/report.html (training), {predicted.url}/report.html (prediction)")
    return max(trained.exit_code, predicted.exit_code)


if __name__ == "__main__":
    job_main(main)
