"""All settings of a run: the sections, as one frozen value that says in one error everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from partitioner.config.attempts import Attempts
from partitioner.config.calls import Calls
from partitioner.config.input import Input
from partitioner.config.output import Output
from partitioner.config.planning import Planning
from partitioner.config.repeating import Repeating
from partitioner.config.section import numbers, shaping
from partitioner.errors import MOST_SAID, ConfigError, nearest, shortened
from partitioner.security import masking


class RunConfig(Repeating, Attempts, Output, Planning, Calls, Input):  # the last comes first in the schema
    """Everything a run is asked to do. Names are those of ``partitioner.run``'s parameters."""

    seed: int = shaping(0, description="Seed of everything random, together with the sub-task's id.")
    report: bool = Field(True, description="Write report.html at the end.")
    progress: bool = Field(True, description="Show the live progress line.")

    _own_numbers = numbers("seed")


SHAPING = frozenset(
    name for name, about in RunConfig.model_fields.items() if about.json_schema_extra == {"shapes_result": True}
)
"""Settings that a resume must not change, as they declare it themselves."""


def make(values: Mapping[str, Any]) -> RunConfig:
    """A RunConfig; ConfigError names every wrong key or value, with the nearest valid key."""
    masking.remember_settings(_settings_only(values))
    masking.remember_environment(os.environ)
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(error.errors()))) from None


def _settings_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without data in memory, whose columns may be named as they like."""
    dataset = values.get("dataset")
    is_place = isinstance(dataset, str) or (isinstance(dataset, Mapping) and isinstance(dataset.get("path"), str))
    return {key: value for key, value in values.items() if key != "dataset" or is_place}


def _sentences(errors: Sequence[Any]) -> list[str]:
    """One for each value: where it may be one of several things, with what it would have to be for each."""
    told: dict[str, tuple[str, list[str]]] = {}
    for error in errors:
        # Behind the name stand places in a list, or which of several types was tried.
        key = ".".join(str(p) for i, p in enumerate(error["loc"]) if not i or isinstance(p, int))
        if error["type"] == "extra_forbidden":
            told[key] = (
                f"unknown setting {_short(key)}.{nearest(key, list(RunConfig.model_fields))}",
                [],
            )
            continue
        wanted = error["msg"].removeprefix("Value error, ").rstrip(".")
        told.setdefault(key, (f"setting {key!r} is {_short(error['input'])}: ", []))[1].append(
            wanted[0].lower() + wanted[1:]
        )
    return [f"{begin}{', or '.join(wanted)}{'.' if wanted else ''}" for begin, wanted in told.values()]


def schema() -> dict[str, Any]:
    """JSON Schema of the configuration, for editors."""
    return RunConfig.model_json_schema()


def _short(value: Any) -> str:
    return shortened(repr(value), MOST_SAID)
