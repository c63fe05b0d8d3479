"""Durable profiles: what sub-tasks of a program took, run after run, in one SQLite file.

A profile is keyed by program, data shape and worker class. A path that is a URL is fetched through fsspec, changed and put
back whole; of two runs that end in the same moment there the later one wins. On a local path SQLite serialises them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from partitioner.costs.fitting.terms import Term
from partitioner.costs.measuring.drift import LEAST, DriftReport
from partitioner.costs.measuring.measurements import NUMBERS, Measurements
from partitioner.errors import DataError, MissingDependency, clause

VERSION = 1
KEPT = 2000
"""Measurements of runs kept per profile: the latest. Those of a pilot stay."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS profile (
    id INTEGER PRIMARY KEY, program TEXT NOT NULL, shape TEXT NOT NULL, worker_class TEXT NOT NULL, terms TEXT NOT NULL,
    created REAL NOT NULL, UNIQUE (program, shape, worker_class));
CREATE TABLE IF NOT EXISTS run (
    profile INTEGER NOT NULL REFERENCES profile ON DELETE CASCADE, run_id TEXT NOT NULL, at REAL NOT NULL,
    measurements INTEGER NOT NULL, drift TEXT, PRIMARY KEY (profile, run_id));
CREATE TABLE IF NOT EXISTS measurement (
    id INTEGER PRIMARY KEY, profile INTEGER NOT NULL REFERENCES profile ON DELETE CASCADE, run_id TEXT NOT NULL,
    pilot INTEGER NOT NULL, first INTEGER NOT NULL, numbers TEXT NOT NULL, columns TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS measurement_of ON measurement (profile, pilot, id);
"""


@dataclass(frozen=True, slots=True)
class ProfileKey:
    """Whose costs: ``program`` by name, so that changed code shows as drift; ``shape`` hash of the schema; worker class."""

    program: str
    shape: str
    worker_class: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What is known under a key: measurements, the first ``pilot`` of them a pilot's; their terms; runs; the last's time.

    ``ratios``: actual over predicted seconds of the runs that were long enough to tell, the oldest first.
    """

    measurements: Measurements
    pilot: int
    terms: tuple[Term, ...]
    runs: int
    updated: float
    ratios: tuple[float, ...] = ()


def default_location() -> str:
    """``PARTITIONER_PROFILES``, else a file below the user's data directory."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return os.environ.get("PARTITIONER_PROFILES") or str(Path(home) / "batch-partitioner" / "profiles.sqlite")


class ProfileStore:
    """The profiles at ``location``, a path or a URL that fsspec knows; created when first written."""

    def __init__(self, location: str | Path | None = None) -> None:
        self.location = str(location) if location is not None else default_location()

    def load(self, key: ProfileKey) -> Profile | None:
        """The profile of ``key``, or None."""
        with self._open(write=False) as db:
            row = _profile_row(db, key) if db is not None else None
            if db is None or row is None:
                return None
            found = db.execute(
                "SELECT first, numbers, columns, pilot FROM measurement WHERE profile = ? ORDER BY pilot DESC, id",
                (row[0],),
            ).fetchall()
            runs = db.execute("SELECT at, drift FROM run WHERE profile = ? ORDER BY at", (row[0],)).fetchall()
        terms = tuple(Term(**t) for t in json.loads(row[1]))
        pilot = sum(row[3] for row in found)
        drifts = [json.loads(drift) for _, drift in runs if drift]
        ratios = tuple(drift["ratio"] for drift in drifts if drift["measurements"] >= LEAST)
        updated = runs[-1][0] if runs else 0.0
        return Profile(_measurements(found, key.worker_class), pilot, terms, len(runs), updated, ratios)

    def classes(self, program: str, shape: str) -> list[str]:
        """Worker classes that have a profile of the program on data of this shape."""
        with self._open(write=False) as db:
            if not db:
                return []
            query = "SELECT worker_class FROM profile WHERE program = ? AND shape = ? ORDER BY worker_class"
            return [row[0] for row in db.execute(query, (program, shape))]

    def add(
        self,
        key: ProfileKey,
        measurements: Measurements,
        terms: Sequence[Term],
        run_id: str,
        drift: DriftReport | None = None,
        pilot: bool = False,
    ) -> None:
        """Append a run's, or a pilot's, measurements. The same run is added once only.

        Where it drifted, the seconds of the earlier ones are scaled by the ratio: sub-tasks of equal cost alone could not
        tell again what each term costs.
        """
        now = time.time()
        with self._open(write=True) as db:
            assert db is not None
            row = _profile_row(db, key)
            known = {t["feature"] + t["shape"]: t for t in json.loads(row[1])} if row else {}
            known |= {t.feature + t.shape: asdict(t) for t in terms if t.name in measurements.columns}
            db.execute(
                "INSERT INTO profile (program, shape, worker_class, terms, created) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET terms = excluded.terms",
                (key.program, key.shape, key.worker_class, json.dumps(list(known.values())), now),
            )
            profile = _profile_row(db, key)[0]
            if db.execute("SELECT 1 FROM run WHERE profile = ? AND run_id = ?", (profile, run_id)).fetchone():
                return
            if drift is not None and drift.drifted:
                _scale(db, profile, drift.ratio)
            if not pilot:
                said = json.dumps(drift.to_json()) if drift is not None else None
                db.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?)", (profile, run_id, now, len(measurements), said))
            db.executemany(
                "INSERT INTO measurement (profile, run_id, pilot, first, numbers, columns) VALUES (?, ?, ?, ?, ?, ?)",
                [(profile, run_id, int(pilot), *row) for row in _rows(measurements)],
            )
            db.execute(
                "DELETE FROM measurement WHERE profile = ? AND pilot = 0 AND id NOT IN "
                "(SELECT id FROM measurement WHERE profile = ? AND pilot = 0 ORDER BY id DESC LIMIT ?)",
                (profile, profile, KEPT),
            )

    def profiles(self) -> list[dict[str, Any]]:
        """One plain row per profile: key, runs, measurements, when last updated (Unix time)."""
        query = (
            "SELECT p.id, p.program, p.shape, p.worker_class, (SELECT count(*) FROM run r WHERE r.profile = p.id), "
            "(SELECT count(*) FROM measurement m WHERE m.profile = p.id), "
            "(SELECT max(at) FROM run r WHERE r.profile = p.id) FROM profile p ORDER BY p.program, p.shape, p.worker_class"
        )
        names = ("id", "program", "shape", "worker_class", "runs", "measurements", "updated")
        with self._open(write=False) as db:
            return [dict(zip(names, row, strict=True)) for row in db.execute(query)] if db else []

    def runs(self, profile: int) -> list[dict[str, Any]]:
        """One plain row per run of a profile, oldest first, with its drift report where there was one."""
        with self._open(write=False) as db:
            if not db:
                return []
            query = "SELECT run_id, at, measurements, drift FROM run WHERE profile = ? ORDER BY at"
            return [
                {"run_id": run, "at": at, "measurements": n, "drift": json.loads(drift) if drift else None}
                for run, at, n, drift in db.execute(query, (profile,))
            ]

    def forget(self, program: str) -> int:
        """Drop the profiles of a program; how many there were."""
        with self._open(write=True) as db:
            assert db is not None
            return db.execute("DELETE FROM profile WHERE program = ?", (program,)).rowcount

    @contextlib.contextmanager
    def _open(self, write: bool) -> Iterator[sqlite3.Connection | None]:
        """The database in a transaction; None when only reading and there is none."""
        with _local_copy(self.location, write) as path:
            if not write and not path.exists():
                yield None
                return
            if path.is_dir():
                raise DataError(
                    f"the profile store {self.location} is a directory; name a file, such as profiles.sqlite."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(path, timeout=30)
            try:
                _prepare(db, self.location)
                with db:
                    yield db
            except sqlite3.DatabaseError as error:
                raise DataError(
                    f"the profile store {self.location} cannot be used: {clause(error)}. Name another, or remove the file."
                ) from error
            finally:
                db.close()


@contextlib.contextmanager
def _local_copy(location: str, write: bool) -> Iterator[Path]:
    """The file itself, or for a URL a temporary copy that is put back after writing."""
    if "://" not in location:
        yield Path(location)
        return
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f'profiles at {location} need fsspec: pip install "batch-partitioner[fsspec]"'
        ) from error
    fs, path = fsspec.core.url_to_fs(location)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "profiles.sqlite"
        if fs.exists(path):
            fs.get_file(path, str(local))
        yield local
        if write:
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            fs.put_file(str(local), f"{path}.new")
            fs.mv(f"{path}.new", path)


def _prepare(db: sqlite3.Connection, location: str) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise DataError(
            f"the profile store {location} is of version {version}; this release knows versions up to {VERSION}. Upgrade, "
            "or name another store."
        )
    db.execute("PRAGMA foreign_keys = ON")
    if version == 0:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {VERSION}")


def _profile_row(db: sqlite3.Connection, key: ProfileKey) -> Any:
    query = "SELECT id, terms FROM profile WHERE program = ? AND shape = ? AND worker_class = ?"
    return db.execute(query, (key.program, key.shape, key.worker_class)).fetchone()


def _scale(db: sqlite3.Connection, profile: int, ratio: float) -> None:
    """Multiply the seconds of a profile's measurements."""
    for row, numbers in db.execute("SELECT id, numbers FROM measurement WHERE profile = ?", (profile,)).fetchall():
        scaled = {k: v * ratio if k in ("seconds", "cpu_seconds") else v for k, v in json.loads(numbers).items()}
        db.execute("UPDATE measurement SET numbers = ? WHERE id = ?", (json.dumps(scaled), row))


def _rows(m: Measurements) -> Iterator[tuple[int, str, str]]:
    for i in range(len(m)):
        numbers = {name: float(getattr(m, name)[i]) for name in NUMBERS}
        columns = {name: float(values[i]) for name, values in m.columns.items()}
        yield int(m.first[i]), json.dumps(numbers), json.dumps(columns)


def _measurements(rows: Sequence[tuple[int, str, str, int]], worker_class: str) -> Measurements:
    """The inverse of ``_rows``; columns that some measurements lack are left out."""
    numbers = [json.loads(row[1]) for row in rows]
    columns = [json.loads(row[2]) for row in rows]
    common = set.intersection(*(set(c) for c in columns)) if columns else set()
    return Measurements(
        {name: np.array([c[name] for c in columns]) for name in sorted(common)},
        worker_class=(worker_class,) * len(rows),
        first=np.array([bool(row[0]) for row in rows], np.bool_),
        **{name: np.array([n.get(name, 0.0) for n in numbers], np.float64) for name in NUMBERS},
    )
