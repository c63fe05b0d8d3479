"""Which rows a run reads, and the program that gets them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from partitioner.config.section import Section, names, numbers, paths, shaping


class Input(Section):
    """Which rows a run reads, and the program that gets them."""

    dataset: Any = shaping(
        None, description="Path, glob, URL, list of those, {connector: ..., path: ...}, or data in memory."
    )
    program: Any = Field(None, description="Function or class, or 'package.module:name'.")
    arguments: dict[str, Any] = Field({}, description="Arguments of the class's __init__ or of the function.")
    columns: list[str] | None = shaping(None, description="Columns to read; all by default.")
    filter: Any = shaping(
        None,
        description="Rows to keep: text such as x > 3 and c == 'a', (column, operator, value) triples, an expression.",
    )
    sample: float | None = shaping(None, gt=0, le=1, description="Share of the rows to take, by their places and seed.")
    limit: int | None = shaping(None, ge=1, description="Rows to take at most: the first, after filter and sample.")

    _input_paths = paths("dataset")
    _input_numbers = numbers("sample", "limit")
    _input_names = names("columns")

    @field_validator("columns")
    @classmethod
    def _some_columns(cls, value: list[str] | None) -> list[str] | None:
        if value == []:
            raise ValueError("name a column at least, or leave it out for all")
        return value
