"""What Spark and Dask DataFrames have in common as input: their own files are read, or they are written out first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from connectors.location import say
from connectors.parquet import ParquetSource
from partitioner.errors import DataError
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.data import Ints
from partitioner.model.source import Source
from partitioner.storage import Directory


class FrameSource(Source):
    """A DataFrame of an engine; what workers read is always Parquet.

    ``scan`` is the frame's own storage where the frame is nothing but a scan of Parquet files, else None; then
    ``materialise`` lets the frame's engine write it. Pickles as the Parquet source that it stands for.
    """

    name: ClassVar[str] = ""
    kind: ClassVar[str] = ""

    def __init__(self, frame: Any, columns: Sequence[str] | None = None) -> None:
        self.frame = frame if columns is None else frame[list(columns)]
        self.scan = self._own_storage()

    @abstractmethod
    def _own_storage(self) -> ParquetSource | None:
        """The Parquet files that this frame scans, with the columns it keeps, or None."""

    @abstractmethod
    def _write(self, url: str) -> None:
        """Let the frame's engine write it as Parquet files whose sorted names are in row order."""

    def materialise(self, directory: str | Path) -> ParquetSource:
        """The Parquet source to read instead, said aloud; a frame that is no scan is written below ``directory`` once.

        A copy that was completed there before (the run is resumed) is read again and not rewritten.
        """
        if self.scan is not None:
            say(f"the {self.kind} DataFrame is a scan: its own files are read ({', '.join(self.scan.paths[:3])})")
            return self.scan
        home = Directory(f"{Directory(directory).url}/{self.name}")
        if home.exists("_SUCCESS"):
            say(f"the {self.kind} DataFrame was written to {home.url} before; that copy is read")
        else:
            say(f"the {self.kind} DataFrame is computed, not just read: it is written to {home.url} first")
            self._write(home.url)
            home.put("_SUCCESS", b"")
        return ParquetSource(home.url)

    def _source(self) -> ParquetSource:
        if self.scan is None:
            raise DataError(
                f"this {self.kind} DataFrame is computed, not just read from files, and is written to the run directory by "
                "partitioner.run first. To plan without running, write it as Parquet and give the path."
            )
        return self.scan

    def describe(self) -> Dataset:
        """The row groups of the files. DataError for a frame that would have to be computed first."""
        return self._source().describe()

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """As ``ParquetSource.read``."""
        return self._source().read(fragment, columns)

    def fingerprint(self, fragment: Fragment) -> str:
        """As ``ParquetSource.fingerprint``."""
        return self._source().fingerprint(fragment)

    def contents(self) -> dict[str, str]:
        """As ``ParquetSource.contents``."""
        return self._source().contents()

    def matching(self, fragments: Fragments, condition: Any) -> Ints:
        """As ``ParquetSource.matching``."""
        return self._source().matching(fragments, condition)

    def fingerprints(self) -> dict[str, str]:
        """As ``ParquetSource.fingerprints``."""
        return self._source().fingerprints()

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self._source(),)


def _same(source: ParquetSource) -> ParquetSource:
    return source
