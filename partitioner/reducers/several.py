"""``several``: more than one reducer over the same outputs, in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partitioner.choices import choose
from partitioner.errors import ConfigError
from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import Observations


class Several(Reducer):
    """``{"reducer": "several", "of": {"rows": "count", "spread": {"reducer": "variance", "ddof": 0}}}``.

    The result is a dict of theirs; within ``by_key`` their columns are named ``<name>_<column>``. It is commutative, exact
    and mergeable where all of them are.
    """

    name = "several"

    def __init__(self, of: Mapping[str, Any] | None = None) -> None:
        chosen = {"count": "count", "mean": "mean"} if of is None else of
        if not isinstance(chosen, Mapping) or not chosen:
            raise ConfigError(
                f"several needs a name for each of its reducers, at least one, and of is {chosen!r}: write {{'reducer': "
                "'several', 'of': {'rows': 'count'}}."
            )
        self.of: dict[str, Reducer] = {name: choose("reducers", spec) for name, spec in chosen.items()}
        every = list(self.of.values())
        self._check(every)
        self.takes = next((r.takes for r in every if r.takes), "")
        self.commutative = all(r.commutative for r in every)
        self.exact = all(r.exact for r in every)
        self.mergeable = all(r.mergeable for r in every)
        self.gathers = any(r.gathers for r in every)
        self.in_place = all(r.in_place for r in every)
        self.whole_task = any(r.whole_task for r in every)
        self.allows_nan = all(r.allows_nan for r in every)
        self.per_key = all(r.per_key for r in every)
        if any(r.serializer == "pickle" for r in every):
            self.serializer = "pickle"
        needed = [r.group_parts for r in every]
        self.looks_at = next((r.looks_at for r in every if r.group_parts), ())
        alike = len({r.looks_at for r in every if r.group_parts}) < 2  # else each looks at columns of its own
        if alike and all(parts is not None for parts in needed):
            self.group_parts = tuple(sorted({name for parts in needed for name in parts or ()}))

    @property
    def any_table(self) -> bool:
        """Where all of them take it."""
        return all(reducer.any_table for reducer in self.of.values())

    def _check(self, every: list[Reducer]) -> None:
        if any(r.rows for r in every):
            raise ConfigError("several cannot hold concat, whose result are the rows; give reducers that merge.")
        kinds = {r.takes: name for name, r in self.of.items() if r.takes}
        if len(kinds) > 1:
            data, models = (f"{kinds[kind]!r} ({self.of[kinds[kind]].name})" for kind in ("data", "models"))
            raise ConfigError(
                f"several holds {data}, which takes numbers, rows or tables, and {models}, which takes fitted models or "
                "parameters; no output of a program is both. Put those that take the same together, and run twice."
            )

    def create_accumulator(self) -> dict[str, Any]:
        """The empty accumulator of each."""
        return {name: reducer.create_accumulator() for name, reducer in self.of.items()}

    def add_input(self, accumulator: dict[str, Any], value: Any) -> dict[str, Any]:
        """With one output, for each."""
        return {name: reducer.add_input(accumulator[name], value) for name, reducer in self.of.items()}

    def merge_accumulators(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """One by one."""
        return {name: reducer.merge_accumulators(left[name], right[name]) for name, reducer in self.of.items()}

    def merge_into(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """One by one, each in its own way."""
        return {name: reducer.merge_into(left[name], right[name]) for name, reducer in self.of.items()}

    def extract_output(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """The result of each by name."""
        return {name: reducer.extract_output(accumulator[name]) for name, reducer in self.of.items()}

    def seen(self, value: Any) -> Observations:
        """As the first of them that looks at numbers sees it."""
        return next(r for r in self.of.values() if r.group_parts).seen(value)

    def extract_groups(self, rows: Any, names: tuple[str, ...], parts: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of each, with its name before."""
        found = {}
        for name, reducer in self.of.items():
            for column, values in reducer.extract_groups(rows, names, parts).items():
                found[name if column == reducer.name else f"{name}_{column}"] = values
        return found

    def columns_of(self, result: dict[str, Any]) -> dict[str, Any]:
        """The columns of each, with its name before."""
        return {
            name if column == (reducer.name or type(reducer).__name__) else f"{name}_{column}": value
            for name, reducer in self.of.items()
            for column, value in reducer.columns_of(result[name]).items()
        }

    def serialize(self, accumulator: dict[str, Any]) -> bytes:
        """Each by its own way."""
        return super().serialize({name: reducer.serialize(accumulator[name]) for name, reducer in self.of.items()})

    def deserialize(self, data: bytes) -> dict[str, Any]:
        """The accumulators again."""
        held = super().deserialize(data)
        return {name: reducer.deserialize(held[name]) for name, reducer in self.of.items()}
