"""How good predictions are, with every metric that fits them, over all rows and by key, in one pass.

    python -m jobs.evaluate conf/evaluate.yaml [--set arguments.key=region] [--set output=out/evaluation]

``arguments`` of the configuration:

- ``label``: the column of the truth;
- ``model``: a file that a training job kept (``model.skops``), or a signed pickle (``result.pkl``);
- or ``train``: a reducer that fits one first, ``{reducer: naive_bayes}`` or ``{reducer: linear}``, on the rows that are not
  held back; one in ``one_in`` is, by a checksum of its features;
- with neither the dataset has the predictions: ``prediction`` and ``probability`` name their columns, and ``task`` is
  ``classification`` or ``regression``;
- ``features`` and ``width``: as in ``partitioner.training.Design``; ``weight``: a column of weights;
- ``positive``: that one of two classes, by default the second; ``classes``: all of them, by default the model's;
- ``worst``: how many of the rows with the largest loss are listed;
- ``key``: a column by which everything is told again; with ``bins``, ascending edges, a number by the range it lies in.

The figures go to ``metrics.json`` below ``output`` (by default in the run directory), beside a ``model_card.json``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import partitioner as pt
from jobs.scoring import Columns, GivenPredictions, Score, TrainingRows
from jobs.session import job_main
from jobs.training import Values, configured
from partitioner.errors import ConfigError, nearest
from partitioner.training import Design, keep_metrics, kept_model

TASKS = ("classification", "regression")
TRAINED = ("naive_bayes", "linear")
"""Reducers that a configuration may name as ``train``: it may come from a stranger."""
OPTIONS = (
    *("label", "model", "train", "one_in", "prediction", "probability", "task", "features", "width", "weight"),
    *("positive", "classes", "worst", "key", "bins"),
)
HEADLINES = {
    "classification": ("rows", "accuracy", "balanced_accuracy", "matthews", "log_loss"),
    "regression": ("rows", "mae", "rmse", "r2", "bias"),
    "auc": ("auc", "average_precision", "macro"),
    "calibration": ("brier", "ece"),
}
"""By reducer the figures that are printed and stand on the card."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train where asked, score, judge, and print the figures and where they are."""
    dataset, given, settings = configured(arguments, str(__doc__).splitlines()[0])
    check(given)
    place = settings.pop("output", None)
    columns = columns_of(given)
    model = model_of(given, dataset, columns, settings)
    task = task_of(given, model)
    classes = classes_of(given, model) if task == "classification" else None
    program, values = program_of(columns, model, task, classes)
    probable = values.get("classes")
    finished = pt.run(
        dataset,
        program,
        arguments=values,
        batch_format="arrow",
        reducer=judged(measures(task, columns, given, classes, probable), columns, given, model),
        **settings,
    )
    metrics = told(finished.result, task, classes)
    place = place or f"{finished.url}/evaluation"
    facts = {"dataset": dataset, "arguments": given, "run": finished.url, "sub-tasks": len(finished.records)}
    keep_metrics(metrics, place, {**facts, "metrics": headline(metrics["overall"])}, model)
    show(metrics, f"{place}/metrics.json")
    return finished.exit_code


def check(given: Values) -> None:
    """ConfigError for arguments that there are not, or that do not go together."""
    for name in given:
        if name not in OPTIONS:
            raise ConfigError(
                f"arguments have no {name!r}; they have {', '.join(OPTIONS)}.{nearest(name, list(OPTIONS))}"
            )
    if "label" not in given:
        raise ConfigError("arguments need 'label'; write it below 'arguments:'.")
    if "train" in given and "model" in given:
        raise ConfigError("arguments have a model and train one too; leave out 'train' or 'model'.")
    bins = given.get("bins")
    if bins is not None and (given.get("key") is None or list(bins) != sorted(bins) or not bins):
        raise ConfigError(f"bins are {bins!r}; give ascending edges, and the key whose numbers they cut.")
    if "train" in given and int(given.get("one_in", 4)) < 2:
        raise ConfigError(
            f"one_in is {given['one_in']}; hold back one row in 2 or more, to judge a model by rows it has not seen."
        )


def columns_of(given: Values) -> Columns:
    """Where everything is, as the configuration says."""
    bins = given.get("bins")
    return Columns(
        given["label"],
        Design.of(given.get("features"), given["label"], given.get("width")),
        given.get("prediction", "prediction"),
        given.get("probability"),
        given.get("weight"),
        given.get("key"),
        None if bins is None else tuple(map(float, bins)),
        int(given.get("one_in", 4 if "train" in given else 0)),
    )


def model_of(given: Values, dataset: Any, columns: Columns, settings: Values) -> Any:
    """The model that is judged; None where the dataset has its predictions."""
    if "train" in given:
        wanted = given["train"] if isinstance(given["train"], dict) else {"reducer": given["train"]}
        if wanted.get("reducer") not in TRAINED:
            raise ConfigError(f"train is {given['train']!r}; write {{reducer: ...}} with {' or '.join(TRAINED)}.")
        fresh = {name: value for name, value in settings.items() if name != "resume"}
        values = {"columns": replace(columns, held_back=False)}
        return pt.run(dataset, TrainingRows, arguments=values, reducer=wanted, batch_format="arrow", **fresh).result
    path = given.get("model")
    if path is None:
        return None
    path = path if "://" in path else os.path.abspath(path)  # workers have working directories of their own
    return kept_model(path) if path.endswith(".skops") else pt.load_result(path)


def task_of(given: Values, model: Any) -> str:
    """What the predictions are. Raises ConfigError where neither the configuration nor the model says."""
    if "task" in given or model is None:
        if given.get("task") not in TASKS:
            raise ConfigError(f"task is {given.get('task')!r}; write {' or '.join(TASKS)} below 'arguments:'.")
        return str(given["task"])
    from sklearn.base import is_classifier, is_regressor

    if not (is_classifier(model) or is_regressor(model)):
        raise ConfigError(
            f"the model is a {type(model).__name__}, which tells neither classes nor numbers; give a classifier or a "
            "regressor, or say which its predictions are: task: classification or task: regression."
        )
    return "classification" if is_classifier(model) else "regression"


def classes_of(given: Values, model: Any) -> list[Any] | None:
    """All classes, in the order of their probabilities; None where only the data know."""
    if given.get("classes") is not None or model is None:
        return given.get("classes")
    return list(np.asarray(model.classes_).tolist())


def program_of(columns: Columns, model: Any, task: str, classes: list[Any] | None) -> tuple[Any, Values]:
    """What is run, with its arguments; ``classes`` among them are those whose probabilities the model tells."""
    if model is None:
        return GivenPredictions, {"columns": columns}
    probable = classes if hasattr(model, "predict_proba") else None
    return Score, {"columns": columns, "model": model, "task": task, "classes": probable}


def measures(task: str, columns: Columns, given: Values, classes: Any, probable: Any) -> Values:
    """The reducers that judge, by name."""
    weight = {"weight": "weight" if columns.weight else None}
    if task == "regression":
        return {"regression": {"reducer": "regression", **weight}}
    found: Values = {"classification": {"reducer": "classification", "classes": classes, **weight}}
    if probable is not None:
        found["classification"]["probabilities"] = "probabilities"
    two = classes is not None and len(classes) == 2
    positive = given.get("positive", classes[1] if two else 1)
    if probable is not None and not two:
        ranked = {str(c): {"positive": c, "score": f"probability_{i}"} for i, c in enumerate(probable)}
        of = {name: {"reducer": "auc", **options, **weight} for name, options in ranked.items()}
        return {**found, "auc": {"reducer": "several", "of": of}}
    if probable is None and columns.probability is None:
        return found
    chance = "probability" if probable is None else f"probability_{probable.index(positive)}"
    of_two = {"positive": positive, **weight}
    found["auc"] = {"reducer": "auc", "score": chance, **of_two}
    found["calibration"] = {"reducer": "calibration", "probability": chance, **of_two}
    return found


def judged(of: Values, columns: Columns, given: Values, model: Any) -> Values:
    """All of it as one reducer: over all rows, by key, and the rows with the largest loss."""
    found: Values = {"overall": {"reducer": "several", "of": of}}
    if columns.key is not None:
        found["by_key"] = {"reducer": "by_key", "key": "key", "inner": found["overall"]}
    if (worst := int(given.get("worst", 10))) > 0 and model is not None:
        seen = ["label", "prediction", *(["key"] if columns.key is not None else [])]
        found["worst"] = {"reducer": "top_k", "by": "loss", "k": worst, "columns": seen}
    return {"reducer": "several", "of": found}


def told(result: Values, task: str, classes: Sequence[Any] | None) -> Values:
    """The figures, with the mean of the areas of one class against the others where there are several."""
    areas = result["overall"].get("auc", {})
    if areas and "auc" not in areas:
        areas["macro"] = float(np.mean([one["auc"] for one in areas.values()]))
    return {"task": task, "classes": classes, **result}


def headline(overall: Values) -> Values:
    """The few figures that matter most."""
    found = {}
    for reducer, names in HEADLINES.items():
        held = overall.get(reducer, {})
        found |= {"auc" if name == "macro" else name: held[name] for name in names if name in held}
    return found


def show(metrics: Values, place: str) -> None:
    """Print the figures, a line for each, and a table of them by key."""
    figures = headline(metrics["overall"])
    for name, value in figures.items():
        print(f"{name:18} {value:.6g}")
    if "by_key" in metrics:
        columns = [
            c
            for r, names in HEADLINES.items()
            for n in names
            for c in (f"{r}_{n}", n)
            if c in metrics["by_key"].column_names
        ]
        titles = [
            c.removeprefix("classification_").removeprefix("regression_").removeprefix("calibration_") for c in columns
        ]
        print("  ".join(f"{title:>18}" for title in ["key", *titles]))
        for row in metrics["by_key"].to_pylist():
            print("  ".join([f"{row['key']!s:>18}", *(f"{row[c]:18.6g}" for c in columns)]))
    print(f"metrics            {place}")


if __name__ == "__main__":
    job_main(main)
