"""Where data comes from and goes to: ``Source`` describes and reads a ``Dataset``, ``Sink`` writes and commits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from partitioner.model.data import Ints
from partitioner.model.execution import CommitRecord
from partitioner.model.fragments import Fragment, Fragments


class Source(ABC):
    """Where a dataset comes from. Small and picklable: workers rebuild it and read by themselves.

    ``name`` is its registered name; ``extensions`` are the file names' endings that it claims, such as ``(".npz",)``.
    """

    __slots__ = ()

    name: ClassVar[str] = ""
    extensions: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def describe(self) -> Dataset:
        """The dataset as fragments, from metadata where the format has it.

        Raises DataError naming the path, and the remedy, where input is missing, corrupt or matches nothing.
        """

    @abstractmethod
    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one fragment, in input order, as record batches; ``columns`` None means all.

        Concatenating the reads of all fragments, in order, gives every row of the dataset exactly once, also after
        ``Fragments.cut``. Raises DataError for a column that is not there.
        """

    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """Path to fingerprint of every file, from one listing. It changes when the file does."""

    def fingerprint(self, fragment: Fragment) -> str:
        """That of the file behind the fragment (size and modification time, or ETag)."""
        return self.fingerprints()[fragment.path]

    def contents(self) -> dict[str, str]:
        """Path to what tells the content of every file apart: what a resume, or an incremental run, goes by.

        The default is ``fingerprints``; a source that reads of the content notices a rewrite with the same size and time.
        """
        return self.fingerprints()

    def tells_changes(self) -> bool:
        """Whether ``contents`` differ whenever a row does; the default is True. False where whoever holds the data has no
        such figure, as a database: an incremental run is then by key and watermark.
        """
        return True

    def tells_sections(self) -> bool:
        """Whether ``section_content`` tells the sections of a file (row groups) apart; the default is False."""
        return False

    def section_content(self, fragment: Fragment) -> str:
        """What tells the content of the fragment's section of its file apart, wherever in which version of the file it lies.

        The default, for formats whose files are known as a whole only, is empty.
        """
        return ""

    def matching(self, fragments: Fragments, condition: Any) -> Ints:
        """Indices of the fragments that may hold rows for which ``condition`` (an expression of pyarrow's) is true.

        The default is all; a format with statistics leaves out what they rule out.
        """
        return np.arange(len(fragments))

    def above(self, column: str, bound: Any) -> Source | None:
        """The source of the rows alone whose ``column`` is above ``bound``, or null, where whoever holds the data leaves
        out the others; ``bound`` is a Python value.

        None, the default: all are read.
        """
        return None

    def places(self, fragment: Fragment) -> Ints | None:
        """Where each row of a fragment stands in the input, in the order in which ``read`` gives them.

        None, the default: fragments in order are the input in order.
        """
        return None

    def without(self, place: str) -> Source | None:
        """The source without what lies at ``place`` or below it, where a run writes: the next one would take it for input.

        None where the place is the input itself; the default, of sources that are no files, is the source as it is.
        """
        return self

    def own_engine(self) -> Any:
        """The engine that the data lives on (a SparkSession, a Client), which a run follows unless it names one; or None."""
        return None

    def narrowed(self) -> bool:
        """Whether filter, sample and limit are applied in it already: so is the source that a run directory holds."""
        return False

    def materialise(self, directory: str) -> Source:
        """The source that workers read. One that workers cannot reach (data in memory) is written below ``directory``.

        Called once, before ``describe``; the default is the source itself.
        """
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """What a connector's ``describe()`` returns.

    ``divisible_by`` says in what the fragments' ranges are counted and can be cut: ``"rows"``, ``"bytes"`` (text cut at
    line ends: a line belongs to the range in which it starts) or ``None`` (whole fragments only).
    ``schema`` is None where only reading would tell.
    """

    source: Source
    fragments: Fragments
    schema: pa.Schema | None = None
    divisible_by: str | None = None

    @property
    def rows(self) -> int:
        """Total rows, -1 where unknown without reading."""
        rows = self.fragments.rows
        return int(rows.sum()) if (rows >= 0).all() else -1


class Sink(ABC):
    """Where output goes. An attempt stages, then one atomic create decides whose output counts.

    ``url`` is the directory of the committed files.
    ``write`` and ``commit`` run on workers, once per attempt; ``check``, ``discard`` and ``finish`` on the driver. The facts
    of an output are what ``facts()`` said of it, with ``key`` (its sub-task) and ``digest`` (sha256 of its rows) in its own
    metadata, so that they outlive every record; ``commit`` and ``committed`` add ``path`` (relative to ``url``), ``size``
    in bytes and the store's ``tag``.
    """

    name: str
    url: str

    @abstractmethod
    def write(self, key: str, batches: Iterator[pa.RecordBatch], facts: Callable[[], Mapping[str, Any]]) -> Any:
        """Stage the rows of one attempt at sub-task ``key``; invisible to readers until committed.

        ``facts`` is called once, after the last batch: what the file shall say of itself (rows in, segments), the same
        for every attempt at the same sub-task, so that equal runs give equal bytes. Where they hold a ``key``, that is what
        the output is of: the attempt handed its other rows over meanwhile.
        """

    @abstractmethod
    def commit(self, staged: Any) -> dict[str, Any]:
        """Make it appear, whole and once. Returns the facts of the output that counts: the winner's, if not ours."""

    @abstractmethod
    def abort(self, staged: Any) -> None:
        """Drop what was staged: the attempt failed after ``write``, or its driver was replaced by another."""

    @abstractmethod
    def committed(self, key: str) -> dict[str, Any] | None:
        """The facts of the committed output of ``key``, or None. Raises DamagedOutput where it cannot be read."""

    @abstractmethod
    def beside(self, url: str) -> Sink:
        """A sink for merged partial results, in another directory: they are kept apart from those of sub-tasks."""

    @abstractmethod
    def partials(self, name: str, rows: Sequence[int]) -> tuple[list[Any], Mapping[str, Any]]:
        """The bytes of partial results in a committed file, and the facts of the file; its digest is checked.

        Raises FileNotFoundError, and DamagedOutput where it is torn or not what was written.
        """

    @abstractmethod
    def keys(self) -> set[str]:
        """The sub-tasks whose output is committed."""

    @abstractmethod
    def check(self, records: Sequence[CommitRecord], full: bool = False) -> dict[str, str]:
        """Sub-task to what is wrong with its output: missing, torn, or another's. Reads whole files only where ``full``."""

    def recast(self, record: CommitRecord, fit: Callable[[pa.Table], pa.Table]) -> dict[str, Any]:
        """Replace the committed rows of a sub-task by what ``fit`` makes of them, the same values in wider types: the facts
        of the output then. On the driver, after the last commit.

        The default is for sinks that hold no columns.
        """
        return {"digest": record.digest, "size": record.size, "tag": record.tag}

    @abstractmethod
    def discard(self, key: str) -> None:
        """Remove the output of one sub-task, so that it can be committed again."""

    @abstractmethod
    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Publish, after the last commit and the last check: the manifest, then ``_SUCCESS``.

        A table commits its transaction here.
        ``manifest`` holds ``files`` in sub-task order (path, rows, sha256; to be iterated once), ``counts``, and ``run_id``:
        what makes the call repeatable, since a driver may die within it and a resume calls it again.
        """
