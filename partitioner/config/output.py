"""How partial results merge, and the form and place of what a run writes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from partitioner.config.section import Section, names, numbers, paths, shaping, sizes
from partitioner.sizes import parse_bytes
from partitioner.storage import absolute_url


class Output(Section):
    """How partial results merge, and the form and place of what a run writes."""

    reducer: Any = shaping(
        "concat", description="How partial results merge: a name or {reducer: mean, columns: [...]}."
    )
    merge_above: Any = Field(
        16 * 2**20,
        validate_default=True,
        description="Bytes of all partial results, as a number or '16MB', above which sub-tasks on the workers merge them.",
    )
    output: str | None = shaping(
        None,
        description="Directory of the output rows, one file (.csv, .jsonl, .arrow), or a table (iceberg://, postgresql://...#t).",
    )
    format: Literal["parquet", "csv", "jsonl", "arrow", "delta", "iceberg"] | None = shaping(
        None, description="Format of the output files; by default Parquet, or what the output's name ends in."
    )
    partition_by: list[str] = shaping([], description="Columns whose values name key=value folders of the output.")
    catalog: dict[str, Any] = Field(
        {}, description="Properties of the catalogue of an Iceberg output, or storage options of a Delta output."
    )
    rows_per_file: int | None = shaping(
        None, ge=1, description="Rows of an output file at most; small outputs are joined."
    )
    bytes_per_file: Any = shaping(
        None, description="Bytes of an output file, about, as a number or '128MB'; small outputs are joined."
    )
    checkpoint: str = Field("runs", description="Directory that holds the run directories; workers must see it.")
    preserve_order: bool = shaping(True, description="Rows are read in input order; else as they lie in the sub-tasks.")

    _output_paths = paths("output", "checkpoint")
    _output_numbers = numbers("merge_above", "rows_per_file", "bytes_per_file")
    _output_names = names("partition_by")
    _output_sizes = sizes("bytes_per_file")

    @field_validator("output", "checkpoint")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        """A resume may be started from another working directory."""
        if value is not None and not value.strip():
            raise ValueError("name a directory")
        if value is not None:
            _check_place(value)
        return None if value is None else absolute_url(value)

    @field_validator("merge_above")
    @classmethod
    def _merge_above(cls, value: Any) -> float:
        size = 0.0 if value in (0, "0") else parse_bytes(value)
        if not size >= 0:
            raise ValueError("write bytes of at least 0, such as '16MB'")
        return size


def _check_place(value: str) -> None:
    scheme, separator, rest = value.partition("://")
    if separator and not rest.strip("/") and scheme != "file":
        raise ValueError(f"name a place after {scheme}://")
    if scheme == "file" and separator and not rest.startswith("/"):
        raise ValueError(f"file:// is for this machine, and {rest.partition('/')[0]!r} is another; write file:///path")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("no path is kept that is not text in UTF-8")
