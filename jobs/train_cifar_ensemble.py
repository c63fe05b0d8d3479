"""Small convolutional networks on splits of CIFAR-10, their predictions averaged, beside one network on everything.

    python -m jobs.train_cifar_ensemble conf/train_cifar_ensemble.yaml [--set max_tasks=6]

Needs torch (extra ``torch``). The dataset has ``features`` of 3,072 bytes (32 x 32 RGB, row by row) and a ``label`` of 0 to
9; ``generated`` makes images of that shape instead: a pattern for each class under noise. ``arguments``: ``test``, another
such dataset, ``epochs``, ``batch``, ``rate``, ``width`` (channels of the first layer).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

import partitioner as pt
from jobs.session import job_main
from jobs.training import configured, kept
from partitioner.errors import ConfigError, MissingDependency

GENERATED = "generated"
CLASSES, SIDE = 10, 32


def generated(rows: int, seed: int) -> pa.Table:
    """So many images: the pattern of a class, the same for every seed, under noise."""
    patterns = np.random.default_rng(0).integers(60, 196, (CLASSES, SIDE, SIDE, 3))
    random = np.random.default_rng(seed)
    label = np.arange(rows) % CLASSES
    noise = random.normal(0.0, 60.0, (rows, SIDE, SIDE, 3))
    pixels = np.clip(patterns[label] + noise, 0, 255).astype(np.uint8)
    return pa.table({"pixels": pa.array([p.tobytes() for p in pixels], pa.binary()), "label": label})


class States:
    """The networks of all splits, in their order: what each was trained to, and on how many rows."""

    name = "states"
    exact = True
    whole_task = True

    def create_accumulator(self) -> Any:
        """None yet."""
        return ()

    def add_input(self, accumulator: Any, value: Any) -> Any:
        """With one more."""
        return (*accumulator, value)

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Those of both."""
        return (*left, *right)

    def extract_output(self, accumulator: Any) -> Any:
        """A list of state dicts of arrays."""
        return list(accumulator)


def torch_here() -> Any:
    """torch. MissingDependency with the command that installs it."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingDependency('train_cifar_ensemble needs torch: pip install "batch-partitioner[torch]"') from error
    return torch


def network(width: int) -> Any:
    """Three convolutions with batch norm, and a linear layer: about 24,000 parameters at width 16."""
    nn = torch_here().nn

    def block(wide: int, out: int) -> list[Any]:
        return [nn.Conv2d(wide, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]

    layers = [*block(3, width), *block(width, 2 * width), *block(2 * width, 2 * width)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * (SIDE // 8) ** 2, CLASSES))


def images(batch: pa.RecordBatch, features: str) -> Any:
    """float32[n, 3, 32, 32] in [-1, 1]."""
    flat = np.frombuffer(b"".join(batch[features].to_pylist()), np.uint8).reshape(-1, SIDE, SIDE, 3)
    return torch_here().from_numpy(flat.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1.0)


class TrainNetwork:
    """One network on the rows of one split; its state as arrays, integer buffers as they are."""

    def __init__(self, features: str, label: str, epochs: int, batch: int, rate: float, width: int) -> None:
        self.features, self.label, self.epochs = features, label, epochs
        self.batch, self.rate, self.width = batch, rate, width

    def __call__(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """The trained state."""
        torch = torch_here()
        torch.manual_seed(pt.task_context().seed)
        x, y = images(batch, self.features), torch.from_numpy(np.asarray(batch[self.label]).astype(np.int64))
        model = network(self.width).train()
        steps = torch.optim.Adam(model.parameters(), lr=self.rate)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(self.batch):
                if len(rows) > 1:  # batch norm needs two
                    steps.zero_grad()
                    torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                    steps.step()
        return {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}


class PredictAverage:
    """The label, the prediction of every network, and that of their averaged probabilities."""

    def __init__(self, states: Sequence[dict[str, Any]], features: str, label: str, width: int) -> None:
        torch = torch_here()
        self.features, self.label, self.models = features, label, []
        for state in states:
            model = network(width)
            model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
            self.models.append(model.eval())

    def __call__(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """Columns of n values."""
        torch = torch_here()
        x = images(batch, self.features)
        with torch.no_grad():
            shares = [model(x).softmax(dim=1).numpy() for model in self.models]
        said = {f"member {i}": share.argmax(axis=1) for i, share in enumerate(shares)}
        return {"label": batch[self.label], **said, "averaged": np.mean(shares, axis=0).argmax(axis=1)}


DEFAULTS = {"features": "pixels", "label": "label", "epochs": 5, "batch": 64, "rate": 0.003, "width": 16}


def trained(
    dataset: Any, settings: dict[str, Any], model: dict[str, Any], parts: int
) -> tuple[list[Any], float, pt.Run]:
    """Networks on so many splits, with the seconds it took."""
    began = time.perf_counter()
    split = {"max_tasks": parts, "min_tasks_per_slot": None, "cost": "rows"}
    columns = [model["features"], model["label"]]
    found = pt.run(
        dataset,
        TrainNetwork,
        **{**settings, **split},
        arguments=model,
        columns=columns,
        batch_format="arrow",
        reducer=States(),
    )
    return found.result, time.perf_counter() - began, found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the members and one network on everything, compare them on the test images, keep the members with a card."""
    dataset, given, settings = configured(arguments, str(__doc__).splitlines()[0])
    torch_here()
    test, model = given.pop("test", None), {**DEFAULTS, **given}
    unknown = set(model) - set(DEFAULTS)
    if unknown:
        raise ConfigError(f"arguments have no {sorted(unknown)[0]!r}; they are test, {', '.join(DEFAULTS)}.")
    if dataset == GENERATED:
        dataset, test = generated(1200, 1), generated(400, 2)
    if test is None:
        raise ConfigError("arguments need 'test', the dataset of the test images; write it below 'arguments:'.")
    place, parts = settings.pop("output", None), settings.pop("max_tasks", 6)
    resume = {"resume": settings.pop("resume", None)}  # the members; the other runs are made again
    members, seconds, run = trained(dataset, {**settings, **resume}, model, parts)
    (whole,), whole_seconds, _ = trained(dataset, settings, model, 1)
    shown = {name: model[name] for name in ("features", "label", "width")}
    said = {
        name: pt.run(
            test, PredictAverage, **settings, arguments={**shown, "states": states}, batch_format="arrow", cost="rows"
        ).result.to_pandas()
        for name, states in (("ensemble", members), ("one", [whole]))
    }
    right = {
        name: float((said["ensemble"][name] == said["ensemble"]["label"]).mean())
        for name in said["ensemble"]
        if name != "label"
    }
    right["one model on everything"] = float((said["one"]["averaged"] == said["one"]["label"]).mean())
    for name, value in right.items():
        print(f"{name:24} {value:.4f}")
    facts = {"run": run.url, "seconds of members": round(seconds, 2), "seconds of one": round(whole_seconds, 2)}
    card = {"rows": run.counts["rows_in"], "accuracy": right, "splits": len(members)}
    about = "generated" if isinstance(dataset, pa.Table) else dataset
    kept({f"member{i}": m for i, m in enumerate(members)}, place or f"{run.url}/model", about, model, {**facts, **card})
    return run.exit_code


if __name__ == "__main__":
    job_main(main)
