"""Federated rounds: each client trains from the shared parameters, the server merges what they send.

FedAvg: McMahan et al. 2017. FedProx: Li et al. 2020; its proximal term belongs into the client's training.
FedAdam: Reddi et al. 2021, algorithm 2. Coordinate-wise median and trimmed mean: Yin et al. 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner import choices
from partitioner.attempt.formats import FORMATS
from partitioner.attempt.rounds import RoundProgram
from partitioner.errors import ConfigError, ProgramError, nearest
from partitioner.frames import to_numpy
from partitioner.iteration.iterate import Iterated, iterate
from partitioner.model.given import check_number
from partitioner.reading import read_table
from partitioner.reducers.parameters import (
    as_known,
    check_one_kind,
    is_estimator,
    is_real,
    rewrapped,
    to_float,
    typed,
    unwrapped,
)
from partitioner.reducers.trees import copied, largest_change, walk
from partitioner.reducers.weighted_mean import checked_pair
from partitioner.training.privacy import Privacy, clipped, epsilon_of, noised

SERVERS = ("average", "adam")


class Clients(RoundProgram):
    """Trains every client of a partition, one after the other; clients are whole."""

    def __init__(
        self, train: Callable[..., Any], client: str, batch_format: str, clip: float | None = None, like: Any = None
    ) -> None:
        self.train, self.client, self.format, self.clip, self.like = train, client, batch_format, clip, like

    def prepare(self, batch: Any) -> Any:
        """The rows of each client, in order of first appearance."""
        column = batch[self.client]
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        coded = pc.dictionary_encode(column, null_encoding="encode")  # null is a client, and so is NaN
        codes, rows = to_numpy(coded.indices), pa.Table.from_batches([batch])
        parts = (rows.filter(pa.array(codes == i)) for i in range(len(coded.dictionary)))
        return [FORMATS[self.format](part.combine_chunks().to_batches()[0]) for part in parts]

    def __call__(self, data: Any, state: Any) -> Iterator[Any]:
        """(parameters, rows) of each client; where updates are clipped all clients weigh the same.

        Raises ProgramError for parameters of another structure or shape than the shared ones.
        """
        shared = state["parameters"]
        for rows in data:
            given = copied(shared)  # many a training works in place
            given = given if self.like is None else rewrapped(given, self.like)
            found, weight = checked_pair(self.train(rows, given), "federate")
            if self.like is not None:
                check_one_kind(self.like, found)
                found = unwrapped(found)
            walk(_same_shape, shared, found)
            yield (found, weight) if self.clip is None else (clipped(found, shared, self.clip), 1.0)


def _same_shape(shared: Any, found: Any) -> None:
    if np.shape(shared) != np.shape(found):
        raise ProgramError(
            f"A client's parameters have the shape {np.shape(found)} where the shared ones have {np.shape(shared)}; return "
            "what train was given, trained."
        )


RULED = ("split", "reducer", "arguments", "update", "until", "loss")
"""Settings of ``pt.iterate`` that federated rounds rule themselves."""


def federate(
    dataset: Any,
    train: Callable[..., Any],
    parameters: Any,
    *,
    client: str,
    rounds: int = 10,
    server: str = "average",
    rate: float = 1.0,
    tolerance: float | None = None,
    merge: Any = "weighted_mean",
    privacy: Any = None,
    batch_format: str = "pandas",
    **options: Any,
) -> Iterated:
    """Rounds in which every client trains from the shared parameters; ``state["parameters"]`` of the result are the last.

    Parameters
    ----------
    parameters
        Numbers, arrays, tensors, trees of them, or a fitted estimator of scikit-learn, whose numbers are shared and merged.
    train
        (rows of one client, parameters) to (parameters, weight): a function that workers can unpickle. FedProx is a
        ``train`` whose loss has the term mu / 2 |w - parameters|^2.
    client
        The column that names the client of a row. A client is never cut.
    server
        ``"average"``: parameters move by ``rate`` times the way to the clients' mean. ``"adam"``: that way is the
        gradient of Adam with learning rate ``rate``.
    merge
        ``"weighted_mean"``, ``"median"``, ``{"reducer": "trimmed_mean", "share": 0.1}`` or another reducer of parameters.
    privacy
        ``{"clip": 1.0, "noise": 1.1, "delta": 1e-5}``: every client's update is clipped to that norm, all weigh the same,
        and noise of ``noise * clip`` over the number of clients goes onto their mean. ``state["epsilon"]`` of the result is
        what dp-accounting tells (extra ``privacy``). See ``training.privacy``.
    tolerance
        Stop where no parameter moves by more.
    options
        As for ``pt.iterate``.
    """
    _check(server, rate, tolerance, merge, options)
    private = None if privacy is None else Privacy.of(privacy)
    if private is not None and merge != "weighted_mean":
        raise ConfigError(f"privacy is that of a mean; merge is {merge!r}. Leave it out.")
    like = parameters if is_estimator(parameters) else None
    parameters = as_known(unwrapped(parameters))
    state: dict[str, Any] = {"parameters": parameters, "step": 0}
    if server == "adam":
        zeros = walk(lambda leaf: np.zeros(np.shape(to_float(leaf))), parameters)
        state |= {"first": zeros, "second": zeros}
    update = _averaged(rate) if server == "average" else _adam(rate)
    if private is not None:
        update = _with_noise(update, noised(private, _count(dataset, client)))

    def until(old: Any, new: Any, merged: Any) -> bool:
        return tolerance is not None and largest_change(old["parameters"], new["parameters"]) <= tolerance

    found = iterate(
        dataset,
        Clients,
        state,
        update=update,
        until=until,
        rounds=rounds,
        loss=None,
        reducer=merge,
        arguments={
            "train": train,
            "client": client,
            "batch_format": batch_format,
            "clip": None if private is None else private.clip,
            "like": like,
        },
        batch_format="arrow",
        split={"split": "grouped", "key": client},
        **options,
    )
    last = found.state if like is None else {**found.state, "parameters": rewrapped(found.state["parameters"], like)}
    if private is not None:
        last = {**last, "epsilon": epsilon_of(private, len(found.rounds))}
    return replace(found, state=last)


def _check(server: str, rate: float, tolerance: float | None, merge: Any, options: Collection[str]) -> None:
    """Raise ConfigError for a setting that federated rounds do not have or cannot use."""
    if server not in SERVERS:
        raise ConfigError(f"server is {server!r}; it is {' or '.join(SERVERS)}.{nearest(server, list(SERVERS))}")
    for name in RULED:
        if name in options:
            raise ConfigError(
                f"federate has no setting {name!r}: clients stay whole, and merge= says how they are merged."
            )
    if choices.choose("reducers", merge).takes == "data":
        raise ConfigError(
            f"merge is {merge!r}, which takes numbers, rows or tables; clients send (parameters, weight): give "
            "'weighted_mean', 'median' or 'trimmed_mean'."
        )
    check_number("rate", rate)
    if not rate > 0:
        raise ConfigError(f"rate is {rate}; give a number above 0.")
    if tolerance is not None:
        check_number("tolerance", tolerance)


def _count(dataset: Any, client: str) -> int:
    """How many clients there are."""
    return len(pc.unique(read_table(dataset, [client])[client]))


def _with_noise(update: Callable[[Any, Any], Any], noise: Callable[[Any, int], Any]) -> Callable[[Any, Any], Any]:
    return lambda state, merged: update(state, noise(merged, state["step"]))


def _averaged(rate: float) -> Callable[[Any, Any], Any]:
    def update(state: Any, merged: Any) -> Any:
        moved = merged if rate == 1.0 else _of_leaves(lambda old, new: old + rate * (new - old), state, merged)
        return {"parameters": moved, "step": state["step"] + 1}

    return update


def _adam(rate: float, first: float = 0.9, second: float = 0.99, floor: float = 1e-3) -> Callable[[Any, Any], Any]:
    """The constants are those of the paper's experiments. Integers (counters of batches) are those of the mean."""

    def update(state: Any, merged: Any) -> Any:
        change = walk(
            lambda new, old: to_float(new) - to_float(old) if is_real(old) else None, merged, state["parameters"]
        )
        m = walk(lambda held, d: held if d is None else first * held + (1 - first) * d, state["first"], change)
        v = walk(lambda held, d: held if d is None else second * held + (1 - second) * d * d, state["second"], change)
        moved = _of_leaves(lambda old, _, a, b: old + rate * a / (np.sqrt(b) + floor), state, merged, m, v)
        return {"parameters": moved, "step": state["step"] + 1, "first": m, "second": v}

    return update


def _of_leaves(move: Callable[..., Any], state: Any, merged: Any, *more: Any) -> Any:
    """The shared parameters moved, leaf by leaf as float64, in the types they had; what is no float is as merged."""

    def leaf(old: Any, new: Any, *rest: Any) -> Any:
        return typed(move(to_float(old), to_float(new), *rest), old if is_real(old) else new) if is_real(new) else new

    return walk(leaf, state["parameters"], merged, *more)
