"""All settings of a run: the sections, as one frozen value that says in one error everything that is wrong with it."""

from __future__ import annotations

import os
import re
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


ELSEWHERE = {
    **dict.fromkeys(
        ("workers", "n_workers", "num_workers", "cores", "cpus", "threads"),
        "How many workers is the engine's to say: engine={'engine': 'dask', 'workers': 4}.",
    ),
    **dict.fromkeys(
        ("partitions", "npartitions", "num_partitions", "repartition"),
        "The plan finds how many pieces; 'max_tasks' and 'min_tasks_per_slot' bound them.",
    ),
    **dict.fromkeys(("memory", "mem", "memory_limit", "max_memory"), "Did you mean 'allowed_mem'?"),
    **dict.fromkeys(("retries", "tries", "max_attempts"), "Did you mean 'max_retries'?"),
    **dict.fromkeys(("function", "func", "fn", "model"), "Did you mean 'program'?"),
    **dict.fromkeys(("input", "data", "path"), "Did you mean 'dataset'?"),
    **dict.fromkeys(("args", "kwargs", "params"), "Did you mean 'arguments'?"),
}
"""What people call settings that have another name here, or are said elsewhere."""

_NO_SUCH_TYPE = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "write a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "write a number"),
    **dict.fromkeys(("dict_type", "mapping_type"), "write a mapping"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "write true or false"),
    "string_type": "write a text",
    "list_type": "write a list",
    "string_pattern_mismatch": "begin with a letter or a digit; letters, digits, '.', '_' and '-' may follow",
}


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
            told[key] = (f"unknown setting {_short(key)}.{_nearest(key)}", [])
            continue
        wanted = _wanted(error)
        told.setdefault(key, (f"setting {key!r} is {_short(error['input'])}: ", []))[1].append(
            wanted[0].lower() + wanted[1:]
        )
    return [
        _ended(begin + ", or ".join(dict.fromkeys(wanted))) + _about(key, wanted)
        for key, (begin, wanted) in told.items()
    ]


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def _nearest(key: str) -> str:
    return f" {ELSEWHERE[key]}" if key in ELSEWHERE else nearest(key, list(RunConfig.model_fields))


def _wanted(error: Any) -> str:
    """What a value would have to be, with the nearest of a few words."""
    wanted = _NO_SUCH_TYPE.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        words = re.findall(r"'([\w-]+)'", error["ctx"]["expected"])
        wanted += nearest(error["input"], words).replace(" Did", "; did")
    return wanted


def _about(key: str, wanted: Sequence[str]) -> str:
    """What a setting is, where its value is of another type."""
    about = RunConfig.model_fields.get(key)
    of_type = about is not None and about.description and set(wanted) & set(_NO_SUCH_TYPE.values())
    return f" {key}: {about.description}" if about is not None and of_type else ""


def schema() -> dict[str, Any]:
    """JSON Schema of the configuration, for editors."""
    return RunConfig.model_json_schema()


def _short(value: Any) -> str:
    return shortened(repr(value), MOST_SAID)
