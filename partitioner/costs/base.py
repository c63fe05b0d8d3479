"""The contract of a cost model, and the checks that every estimate passes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from partitioner.costs.measuring.first_rows import FirstRows
from partitioner.errors import CostError
from partitioner.model import Costs, Dataset


class CostModel(ABC):
    """Seconds and bytes from a described dataset. Pure: the same dataset gives the same costs.

    ``name`` is its registered name. Only ``estimate`` must be written; the rest are hooks of models that measure or learn.
    """

    name: str = ""
    measures: bool = False
    """It runs the program, or may: the engine is started before it is asked, and its slots are what it measures."""

    times_first_rows: bool = False
    """Where its costs are no seconds, the trial before the run times its calls, and the model is told: ``after_trial``."""

    @abstractmethod
    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of the n fragments of ``dataset``; may read a sample through ``dataset.source`` if the model says so."""

    def bind(
        self,
        build: Callable[[], Any] | None = None,
        runner: Any | None = None,
        columns: list[str] | None = None,
        program: str = "",
        slots: int = 1,
    ) -> CostModel:
        """The model for one program, a copy where it runs the program or keeps what it learns by program.

        ``build`` makes the program in this process, or ``runner`` runs pieces wherever it does; ``columns`` are those that
        are read, None for all; ``program`` is its stable name; ``slots`` pieces run at once.
        """
        return self

    def after_trial(self, dataset: Dataset, first: FirstRows) -> CostModel | None:
        """The model to ask again, now that the first rows were tried; None, the default, to stay with what this one said."""
        return None

    def learns(self, seconds: float) -> bool:
        """Whether ``observe`` is told of a run whose sub-tasks took ``seconds`` together."""
        return True

    def terms(self, dataset: Dataset) -> Sequence[Any]:
        """What ``observe`` wants to know of a sub-task beside its measurements: ``costs.fitting.terms.Term`` values."""
        return ()

    def observe(self, dataset: Dataset, measurements: Any, run_id: str = "") -> Sequence[Any]:
        """Learn from a run: ``measurements`` (``costs.measuring.measurements``) of its sub-tasks, with the ``terms``.

        What is returned (``DriftReport`` values) is kept with the run. The default learns nothing.
        """
        return ()


def checked(costs: Costs, dataset: Dataset) -> Costs:
    """``costs`` unchanged, or CostError naming the first fragment whose seconds or bytes are negative, NaN or infinite.

    Also for what is no ``Costs`` at all, or has another number of them than there are fragments.
    """
    if not isinstance(costs, Costs):
        raise CostError(
            f"a cost model estimated {type(costs).__name__}; estimate(dataset) returns partitioner.model.Costs, with one "
            "float64 of seconds and one of memory_bytes for each fragment."
        )
    for name, given in (("seconds", costs.seconds), ("memory_bytes", costs.memory_bytes)):
        count = np.shape(given)
        if count != (len(dataset.fragments),):
            raise CostError(
                f"cost {costs.source!r} gave {name} of shape {count} for {len(dataset.fragments)} fragments; give one each."
            )
    for name, values, unit in (("seconds", costs.seconds, "s"), ("memory_bytes", costs.memory_bytes, "bytes")):
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(bad):
            i = int(bad[0])
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise CostError(
                f"cost {costs.source!r} gave {name} = {values[i]} {unit} for fragment {i}, "
                f"{dataset.fragments[i].name}{more}; a cost is a finite number of at least 0. "
                "Mend the cost function or declare the cost of this fragment."
            )
    _check_rows(costs, dataset)
    return costs


ROUNDING = 1e-9
"""Of the largest row: what fitted terms leave below 0 where a row costs nothing is no one's error."""


def _check_rows(costs: Costs, dataset: Dataset) -> None:
    """Where every row has a cost of its own, one below 0 may hide in the sum of its fragment."""
    rows = costs.record_seconds
    if rows is None:
        return
    least = -ROUNDING * float(np.max(np.abs(rows), initial=0.0))
    bad = np.flatnonzero(~(np.isfinite(rows) & (rows >= least)))
    if not len(bad):
        return
    ends = np.cumsum(np.maximum(dataset.fragments.rows, 0))
    i = min(int(np.searchsorted(ends, bad[0], side="right")), len(ends) - 1)
    row = int(bad[0] - (ends[i - 1] if i else 0))
    more = f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else ""
    raise CostError(
        f"cost {costs.source!r} gave seconds = {rows[bad[0]]} s for row {row} of fragment {i}, {dataset.fragments[i].name}"
        f"{more}; a cost is a finite number of at least 0. Mend the cost function, or write such as max(0, x)."
    )
