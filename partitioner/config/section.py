"""A section of the configuration; what its settings may declare of themselves, and the checks that several need."""

from __future__ import annotations

import os
from math import inf
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from partitioner.sizes import parse_bytes, parse_seconds


class Section(BaseModel):
    """Settings that belong together. ``RunConfig`` is all sections; a function asks for those it reads.

    ``RunConfig`` knows the checks of its sections by their names: of two of one name, one would be lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def shaping(default: Any, **about: Any) -> Any:
    """A setting that shapes the result: a resume with another value is refused. The others may differ."""
    return Field(default, json_schema_extra={"shapes_result": True}, **about)


def numbers(*settings: str) -> Any:
    """A check: ``limit: yes`` is no limit of 1."""
    return field_validator(*settings, mode="before")(_number)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("input should be a number")
    return value


def names(*settings: str) -> Any:
    """A conversion: one may be given by its name."""
    return field_validator(*settings, mode="before")(_several)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def paths(*settings: str) -> Any:
    """A conversion: a Path is as good as text, and can be written down; so is a list of them."""
    return field_validator(*settings, mode="before")(_path)


def _path(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(isinstance(v, os.PathLike) for v in value):
        return [os.fspath(v) for v in value]
    named = value.get("path") if isinstance(value, dict) else value
    if any(isinstance(v, str) and "\0" in v for v in (named if isinstance(named, list | tuple) else [named])):
        raise ValueError("no path holds a NUL character; leave it out")
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def durations(*settings: str) -> Any:
    """A conversion to seconds, of text with a unit."""
    return field_validator(*settings, mode="before")(_seconds)


def _seconds(value: Any) -> Any:
    return parse_seconds(value) if isinstance(value, str) else value


def sizes(*settings: str) -> Any:
    """A conversion to bytes, above 0 where they are given."""
    return field_validator(*settings)(_size)


def _size(value: Any) -> float | None:
    size = None if value is None else parse_bytes(value)
    if size is not None and not 0 < size < inf:
        raise ValueError("write bytes above 0, such as '4GB'")
    return size
