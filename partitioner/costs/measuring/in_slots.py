"""Cost models that ask the slots of the run themselves, for programs whose pieces are no rows of a file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

from partitioner.costs.base import CostModel


class InSlots(CostModel):
    """Its pilot runs in all slots of the run at once: ``runner.ask``; ``runner`` is None where there are none."""

    runner: Any = None

    def bind(
        self,
        build: Callable[[], Any] | None = None,
        runner: Any | None = None,
        columns: list[str] | None = None,
        program: str = "",
        slots: int = 1,
    ) -> Self:
        """A copy with the slots of the run."""
        bound = copy.copy(self)
        bound.runner = runner
        return bound
