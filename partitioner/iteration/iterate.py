"""``pt.iterate``: a state goes out, partial results come back and are merged, an update makes the next state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, SupportsFloat

import numpy as np

from partitioner import config as configuration
from partitioner.attempt.rounds import RoundProgram, state_name
from partitioner.errors import ConfigError, RunFailed, listed, nearest
from partitioner.iteration.page import write_report
from partitioner.iteration.progress import RoundLine
from partitioner.iteration.session import Round, Session, opened
from partitioner.model.given import check_number
from partitioner.reducers.partials import a_kind
from partitioner.reducers.trees import copied, largest_change
from partitioner.sizes import parse_bytes

NOT_OF_ROUNDS = ("output", "mode", "format", "partition_by", "rows_per_file", "incremental")
"""Settings about an output, which rounds have none of."""

DEFAULT_LOSS = "loss"
"""The key of the loss in the merged output, which need not be there."""

Update = Callable[[Any, Any], Any]
Until = Callable[[Any, Any, Any], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Iterated:
    """What ``pt.iterate`` returns: the last ``state``, the last round's ``merged`` output, and how it came about.

    ``converged`` is False where the rounds ran out first. ``rounds`` has one record per round, with its loss and seconds.
    """

    state: Any
    merged: Any
    rounds: tuple[Round, ...]
    converged: bool
    run_id: str
    url: str

    @property
    def losses(self) -> list[float | None]:
        """The loss of each round, where there is one."""
        return [r.loss for r in self.rounds]


def iterate(
    dataset: Any,
    program: Any,
    state: Any,
    *,
    update: Update | None = None,
    rounds: int = 100,
    tolerance: float | None = None,
    until: Until | None = None,
    loss: str | Callable[[Any], float] | None = DEFAULT_LOSS,
    reducer: Any = "tree_sum",
    cache: Any = None,
    resume: str | None = None,
    **options: Any,
) -> Iterated:
    """Rounds of ``program(data, state)`` over a dataset that stays on its workers.

    Each round gives every partition and the same state to the program, merges what it returns with ``reducer`` in a tree
    that the number of partitions fixes, and makes the next state with ``update(state, merged)``. Every round is a commit in
    the run directory: a resume goes on after the last one, on any engine, with the same bits.

    Parameters
    ----------
    program
        A function of (data, state); a class is built once per worker process. One that derives from
        ``partitioner.iteration.RoundProgram`` prepares its data once, and it is kept on the worker.
    state
        What the first round starts from: numbers, arrays, tables, or dicts, lists and dataclasses of them.
    update
        (state, merged) to the next state; by default the merged output is the next state.
    rounds, tolerance, until
        At most so many rounds. With ``tolerance``: until the loss changes by at most that share of it, or, without a loss,
        until no number of the state moves by more. ``until(old, new, merged)`` decides by itself.
    loss
        Where the loss of a round is in the merged output: the name of a key, or a function; None for none.
    reducer
        As for ``pt.run``; ``tree_sum`` adds numbers, arrays and trees of them.
    cache
        Bytes of prepared data that a worker process may keep (``"2GB"``); by default 0.4 of a slot's memory. What does not
        fit is read again in every round.
    resume
        Id of an iteration below ``checkpoint``.
    options
        Settings of ``RunConfig``: engine, columns, batch_format, arguments, split, checkpoint, seed, ...

    Raises an error of ``partitioner.errors``.
    """
    check_number("rounds", rounds, whole=True)
    for name in NOT_OF_ROUNDS:
        if name in options:
            raise ConfigError(
                f"pt.iterate has no setting {name!r}: the last state is what it returns, and each round lies in the run "
                "directory. Leave it out."
            )
    if rounds < 1:
        raise ConfigError(f"rounds is {rounds}; at least 1 is needed.")
    if tolerance is not None:
        check_number("tolerance", tolerance)
    if tolerance is not None and not tolerance >= 0:
        raise ConfigError(f"tolerance is {tolerance}; give a number of at least 0, or None to use every round.")
    config = configuration.make({"dataset": dataset, "program": program, "reducer": reducer, **options})
    _check(config)
    with opened(config, resume, None if cache is None else parse_bytes(cache)) as session:
        stop = until or _until(tolerance, loss, session)
        return _loop(session, state, update or (lambda old, merged: merged), rounds, stop, loss)


def _loop(session: Session, state: Any, update: Update, rounds: int, stop: Until, loss: Any) -> Iterated:
    converged, merged = False, None
    with RoundLine(session.config.progress, rounds) as line:
        for _ in range(rounds):
            merged = session(state)
            session.note_loss(_loss(merged, loss, session))
            line.show(session.rounds)
            new = update(copied(state), merged)  # one that works in place leaves the old one to compare with
            if new is None:
                raise ConfigError("update returned None; it returns the next state. Is a return statement missing?")
            converged, state = bool(stop(state, new, merged)), new
            if converged:
                break
    directory = session.directory
    if session.config.report:
        write_report(directory.files, directory.run_id, session.rounds, converged)
    return Iterated(state, merged, tuple(session.rounds), converged, directory.run_id, directory.url)


def _loss(merged: Any, loss: Any, session: Session) -> float | None:
    """Raises ConfigError for what is no number; RunFailed for NaN, which no later round makes a number again."""
    if callable(loss):
        found = loss(merged)
    elif loss is not None and isinstance(merged, Mapping) and loss in merged:
        found = merged[loss]
    elif loss in (None, DEFAULT_LOSS):
        return None
    else:
        known = list(map(str, merged)) if isinstance(merged, Mapping) else []
        raise ConfigError(
            f"loss is {loss!r}, and the merged output has no such key; it has {listed(known) or 'none'}."
            f"{nearest(str(loss), known)}"
        )
    if np.ndim(found) or not isinstance(found, SupportsFloat):
        raise ConfigError(f"loss {loss!r} gives {a_kind(found)} of shape {np.shape(found)}; a loss is one number.")
    if isnan(found):
        number = len(session.rounds) - 1
        raise RunFailed(
            f"the loss of round {number} is NaN, and no later round makes it a number again. The state that the round "
            f"started from is {session.directory.url}/{state_name(number)}. Take smaller steps, or look for 0 / 0."
        )
    return float(found)


def _check(config: configuration.RunConfig) -> None:
    """ConfigError for what a round would pass over in silence."""
    if config.on_error == "quarantine":
        raise ConfigError(
            "pt.iterate sets no row aside: each round is merged from all of them. Leave out on_error='quarantine', and pass "
            "over bad rows by filter, or in the program."
        )
    kind = config.program if isinstance(config.program, type) else type(config.program)
    if hasattr(kind, "prepare") and not issubclass(kind, RoundProgram):
        raise ConfigError(
            "the program has a method prepare, which is called of classes that derive from "
            "partitioner.iteration.RoundProgram alone; derive from it."
        )


def _until(tolerance: float | None, loss: Any, session: Session) -> Until:
    """Whether to stop after a round, by the loss where there is one, else by how far the state moved."""

    def stop(old: Any, new: Any, merged: Any) -> bool:
        if tolerance is None:
            return False
        now = session.rounds[-1].loss
        if now is None:
            return largest_change(old, new) <= tolerance
        before = session.rounds[-2].loss if len(session.rounds) > 1 else None
        if before is None or not (isfinite(before) and isfinite(now)):
            return False
        return abs(before - now) <= tolerance * max(1.0, abs(now))

    return stop
