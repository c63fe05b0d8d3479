"""A folder of input files, the command of every night, and drivers that die."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from tests import programs


class Died(BaseException):
    """Stands for the end of the driver."""


def die(*_: object, **__: object) -> None:
    raise Died


class Schedule:
    """A folder of input files and the command that is started every night."""

    def __init__(self, home: Path, **options: Any) -> None:
        self.home, self.options = home, options
        (home / "in").mkdir(parents=True)

    def file(self, name: str, first: int, rows: int = 100) -> None:
        pq.write_table(pa.table({"x": range(first, first + rows)}), self.home / "in" / f"{name}.parquet")

    def start(self, mode: str, **options: Any) -> pt.Run:
        return pt.run(
            str(self.home / "in"),
            **{
                "program": programs.double,
                "mode": mode,
                "output": str(self.home / "out"),
                "checkpoint": str(self.home / "runs"),
                "cost": "rows",
                "engine": "serial",
                "max_tasks": 4,
                "min_tasks_per_slot": 4,
                "progress": False,
                "report": False,
                **self.options,
                **options,
            },
        )

    @property
    def shown(self) -> list[int]:
        """What a reader of the plain folder gets, in its order."""
        return list(pq.read_table(self.home / "out")["y"].to_pylist())

    @property
    def expected(self) -> list[int]:
        """What a fresh run over the input of now gives."""
        return [2 * x for x in pq.read_table(self.home / "in")["x"].to_pylist()]


class Dies:
    """Lets so many writes of this process pass, then none."""

    def __init__(self, writes: int) -> None:
        self.writes, self.died = writes, False

    def __enter__(self) -> "Dies":
        import obstore

        original, self.patch = obstore.put, pytest.MonkeyPatch()

        def put(*arguments: Any, **options: Any) -> Any:
            self.writes -= 1
            self.died = self.died or self.writes < 0
            if self.died:
                raise Died
            return original(*arguments, **options)

        self.patch.setattr(obstore, "put", put)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()
