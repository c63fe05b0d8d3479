"""Cost by the user's own function."""

from __future__ import annotations

import inspect
from collections.abc import Callable as Function
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.costs.base import CostModel, checked
from partitioner.costs.memory import MEMORY_PER_BYTE, from_bytes, positive
from partitioner.errors import ConfigError, CostError
from partitioner.model import Costs, Dataset, Fragment

_OF = ("fragment", "batch")


class CostFunction(CostModel):
    """``function`` of a Fragment, or of each of its record batches, to seconds or to (seconds, bytes).

    ``of`` is ``"fragment"`` or ``"batch"``; None takes ``"batch"`` where the first parameter is annotated RecordBatch or
    named ``batch``. Batches are read whole unless ``columns`` names those needed; their seconds and bytes are summed.
    Bytes that the function does not give are ``memory_per_byte`` times the bytes of the fragment.
    """

    name = "callable"

    def __init__(
        self,
        function: Function[..., Any],
        of: str | None = None,
        columns: list[str] | None = None,
        memory_per_byte: float = MEMORY_PER_BYTE,
    ) -> None:
        if not callable(function):
            raise ConfigError(f"cost 'callable' needs a function, got {function!r}.")
        if of not in (None, *_OF):
            raise ConfigError(f"cost 'callable': of = {of!r}; it is 'fragment' or 'batch'.")
        positive("memory_per_byte", memory_per_byte)
        self.function = function
        self.of = of or _kind(function)
        self.columns = columns
        self.memory_per_byte = memory_per_byte

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments; CostError names the fragment where the function fails or gives no valid cost."""
        fragments = dataset.fragments
        seconds = np.zeros(len(fragments))
        memory = from_bytes(fragments, self.memory_per_byte)
        declared = False
        for i in range(len(fragments)):
            seconds[i], given = self._one(dataset, fragments[i])
            declared = declared or given is not None
            memory[i] = memory[i] if given is None else given
        label = getattr(self.function, "__qualname__", type(self.function).__name__)
        details = {"model": "callable", "function": label, "of": self.of}
        costs = Costs(seconds, memory, source=self.name, details=details, memory_declared=declared)
        return checked(costs, dataset)

    def _one(self, dataset: Dataset, fragment: Fragment) -> tuple[float, float | None]:
        if self.of == "fragment":
            return self._call(fragment, fragment)
        seconds, memory = 0.0, None
        for batch in dataset.source.read(fragment, self.columns):
            more, given = self._call(batch, fragment)
            seconds += more
            memory = memory if given is None else (memory or 0.0) + given
        return seconds, memory

    def _call(self, argument: Fragment | pa.RecordBatch, fragment: Fragment) -> tuple[float, float | None]:
        where = (
            f"cost function {getattr(self.function, '__qualname__', self.function)!r} on fragment {fragment.index}, "
        )
        try:
            value = self.function(argument)
        except Exception as error:
            raise CostError(f"{where}{fragment.name}, raised {type(error).__name__}: {error}") from error
        pair = value if isinstance(value, tuple) else (value, None)
        try:
            if len(pair) != 2:
                raise TypeError
            seconds, memory = float(pair[0]), None if pair[1] is None else float(pair[1])
        except (TypeError, ValueError):
            raise CostError(f"{where}{fragment.name}, gave {value!r}; return seconds or (seconds, bytes).") from None
        for number in (seconds, memory):
            if number is not None and not (np.isfinite(number) and number >= 0):
                raise CostError(f"{where}{fragment.name}, gave {value!r}; a cost is a finite number of at least 0.")
        return seconds, memory


def _kind(function: Function[..., Any]) -> str:
    """``"batch"`` where the first parameter says so, else ``"fragment"``."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # a C function without a signature
        return "fragment"
    if first is None:
        return "fragment"
    annotation = getattr(first.annotation, "__name__", str(first.annotation))
    return "batch" if first.name == "batch" or annotation.rpartition(".")[2] == "RecordBatch" else "fragment"
