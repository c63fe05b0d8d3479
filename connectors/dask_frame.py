"""A Dask DataFrame as input: its own Parquet files where it only reads them, else written by Dask to the run directory."""

from __future__ import annotations

from typing import Any, ClassVar

from connectors.frames import FrameSource
from connectors.parquet import ParquetSource


class DaskFrameSource(FrameSource):
    """A Dask DataFrame.

    It counts as a scan where the optimized expression is ``read_parquet`` of whole files with at most a selection of
    columns; anything else is computed by Dask, with its current scheduler. A named index is a column like the others, an
    unnamed one is left out.
    """

    name: ClassVar[str] = "dask_frame"
    kind: ClassVar[str] = "Dask"

    def own_engine(self) -> Any:
        """The active Client, which would compute the frame; None where there is none."""
        from distributed import default_client

        try:
            return default_client()
        except ValueError:
            return None

    def _own_storage(self) -> ParquetSource | None:
        read = self.frame.optimize().expr
        if type(read).__name__ != "ReadParquetFSSpec" or read.operand("_series"):
            return None
        if any(read.operand(name) is not None for name in ("filters", "_partitions", "storage_options")):
            return None
        plan = read._dataset_info.get("plan", {})
        pieces = [part["piece"] for part in plan.get("parts", [])]
        if not pieces or any(groups for _, groups, _ in pieces) or read._dataset_info.get("partition_keys"):
            return None
        columns = [str(c) for c in self.frame.columns]
        if self.frame.index.name is not None:
            columns = [str(self.frame.index.name), *columns]
        scheme = _scheme(read.operand("path"))
        source = ParquetSource([f"{scheme}{path}" for path, _, _ in pieces], columns=tuple(columns))
        return source if _has_columns(source, columns) else None

    def _write(self, url: str) -> None:
        self.frame.to_parquet(
            url,
            write_index=self.frame.index.name is not None,
            name_function=lambda i: f"part-{i:06d}.parquet",
            overwrite=True,
        )


def _scheme(path: Any) -> str:
    """What fsspec leaves out of the paths it lists: ``s3://`` and the like, nothing for local files."""
    first = str(path if isinstance(path, str) else path[0])
    scheme, separator, _ = first.partition("://")
    return f"{scheme}://" if separator and scheme != "file" else ""


def _has_columns(source: ParquetSource, columns: list[str]) -> bool:
    from partitioner.errors import DataError

    try:
        schema = source.describe().schema
    except DataError:
        return False
    return schema is not None and list(schema.names) == columns
