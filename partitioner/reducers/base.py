"""The contract of a reducer: a combiner with a declared algebra (Beam's CombineFn, Spark's Aggregator)."""

from __future__ import annotations

from typing import Any, Protocol


class Reducer(Protocol):
    """Partial results of sub-tasks into one result.

    ``commutative``: the order of merging does not matter; ``exact``: grouping does not change a single bit;
    ``mergeable``: accumulators of parts of one group can be merged, so a group may be split.
    ``whole_task``: the program is called once with all the rows of a sub-task (training), whatever the batch size.
    """

    name: str
    commutative: bool
    exact: bool
    mergeable: bool
    whole_task: bool

    def create_accumulator(self) -> Any:
        """The empty accumulator, the identity of ``merge_accumulators``."""
        ...

    def add_input(self, accumulator: Any, value: Any) -> Any:
        """The accumulator after one output of the program; runs on the worker."""
        ...

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Both as one; ``left`` holds what comes earlier in input order."""
        ...

    def extract_output(self, accumulator: Any) -> Any:
        """The result."""
        ...
