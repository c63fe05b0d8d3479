"""The contract of a reducer: a combiner with a declared algebra (Beam's CombineFn, Spark's Aggregator)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from partitioner.reducers.container import pack, unpack
from partitioner.reducers.observations import Observations, observations


class Reducer(ABC):
    """Partial results of sub-tasks into one result; ``name`` is its registered name, the rest is its declared algebra.

    ``commutative``: the order of merging does not matter; ``exact``: grouping does not change a single bit;
    ``mergeable``: merged accumulators of two parts give what one accumulator of both gives.
    ``whole_task``: the program is called once with all the rows of a sub-task (training), whatever the batch size.
    ``rows``: the result is the program's rows; they go straight to the output and no accumulator is kept.
    ``allows_nan``: an accumulator may hold NaN; by default the sub-task whose accumulator does fails, and is named.
    ``gathers``: an accumulator keeps all that went in side by side (models, clients), so merging makes nothing smaller and
    is left to where the result is wanted. ``in_place``: ``merge_into`` changes its left side and takes no memory of its own.
    ``serializer``: ``"safe"`` writes accumulators as data, ``"pickle"`` pickles them, signed with the user's own key:
    another's are never loaded.
    ``per_key``: whether ``by_key`` can apply it to the rows of each key and put its results into a table.
    ``takes``: ``"data"`` (numbers, rows, tables) or ``"models"`` (fitted models or parameters), which no output is both of;
    empty where it does not say. ``looks_at``: which columns ``seen`` gives and how; reducers that look at the same share it.
    ``group_parts``: the columns of ``reducers.groups`` from which ``extract_groups`` reads the results of many keys at once;
    None where ``by_key`` has to keep an accumulator for each key.
    """

    name: str = ""
    commutative: bool = False
    exact: bool = False
    mergeable: bool = False
    whole_task: bool = False
    rows: bool = False
    gathers: bool = False
    in_place: bool = False
    allows_nan: bool = False
    serializer: str = "safe"
    per_key: bool = True
    takes: str = ""
    looks_at: tuple[Any, ...] = ()
    group_parts: tuple[str, ...] | None = None

    @property
    def divisible(self) -> bool:
        """Whether the rows of one group may go to several sub-tasks: never where a program trains on the whole group."""
        return self.mergeable and not self.whole_task

    @property
    def any_table(self) -> bool:
        """Whether rows may come as an Arrow table whatever the program returned; else ``by_key`` gives them in its kind."""
        return self.takes == "data"

    @abstractmethod
    def create_accumulator(self) -> Any:
        """The empty accumulator, the identity of ``merge_accumulators``."""

    @abstractmethod
    def add_input(self, accumulator: Any, value: Any) -> Any:
        """The accumulator after one output of the program; runs on the worker."""

    @abstractmethod
    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Both as one; ``left`` holds what comes earlier in input order. Neither is changed."""

    def merge_into(self, left: Any, right: Any) -> Any:
        """As ``merge_accumulators``, the same bits; nobody else holds ``left``, which may be changed and returned."""
        return self.merge_accumulators(left, right)

    @abstractmethod
    def extract_output(self, accumulator: Any) -> Any:
        """The result."""

    def seen(self, value: Any) -> Observations:
        """For ``by_key``: the numbers of one output. Raises ProgramError for what is no number."""
        return observations(value)

    def extract_groups(self, rows: Any, names: tuple[str, ...], parts: Mapping[str, Any]) -> dict[str, Any]:
        """For ``by_key``: columns of g results, from ``rows`` int64[g] and ``group_parts``, float64[g, columns] each.

        Only asked of a reducer that declares ``group_parts``.
        """
        raise NotImplementedError(f"reducer {self.name!r} declares group_parts, and extract_groups is not written")

    def columns_of(self, result: Any) -> dict[str, Any]:
        """For ``by_key``: a result as values by column; those of a dict by its keys, all else under the reducer's name.

        A reducer without a name is called by its class.
        """
        return result if isinstance(result, dict) else {self.name or type(self).__name__: result}

    def serialize(self, accumulator: Any) -> bytes:
        """An accumulator as bytes that hold data and no code. Raises ConfigError for what cannot be written so."""
        return pack(accumulator)

    def deserialize(self, data: bytes) -> Any:
        """The accumulator again. Raises DataError for bytes that are torn or foreign."""
        return unpack(data)
