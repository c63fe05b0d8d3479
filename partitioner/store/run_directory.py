"""The run directory: the only state that outlives the driver.

<checkpoint>/<run id>/
  run.json                 what was asked: config, fingerprints of input, config and code, versions
  job.pkl                  program, source, sink and options, sealed (see ``sealing``), loaded once per worker process;
                           planned.pkl what the plan changed of them
  rows.parquet             key and watermark of every row, and which row of the version before is kept for it
  fragments.parquet        the fragments, and tasks.parquet + task_fragments.parquet the sub-tasks they form,
                           edges.parquet what they wait for
  input/                   in-memory input, written once so that only references travel
  lease/                   who drives the run now (see ``lease``)
  commits/<task>.json      one record per committed sub-task: the truth a resume starts from
  records/<time>.parquet   records of thousands of sub-tasks together, which then lie no more in commits/
  schema/<n>.json          the columns that all sub-tasks return, agreed and widened (attempt.agreement)
  trial.claim              created by the worker that tried the first rows before the run
  partials/                accumulators of reducers other than concat, one file per sub-task
  output/                  rows, where the user named no other place
  quarantine/              rows the program failed on, with the error: <attempt>-<digest>.parquet;
                           those files count that a commit record lists
  attempts/<attempt>.log   what each attempt printed
  seats/<token>/           letters to Spark tasks that stay for the rounds of an iteration, and their answers, sealed
  begun/<epoch>-<attempt>  the attempt called the program: where one that dies before that is to be told apart (Spark)
  requests/<attempt>       the attempt is asked to hand over the rows that it has not begun
  ledger/<n>.jsonl         every event and action, in batches
  finished.json            when the output was complete, and its counts
  exported.json            the digest of an output that is one file
  report.json, report.html
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from partitioner.errors import ConfigError, DamagedRun
from partitioner.frames import to_numpy
from partitioner.known_secrets import masked_bytes
from partitioner.model import CommitRecord, Edges, Fragments, SubTasks, TaskInputs
from partitioner.security.sealing import key_of_run, seal, unseal
from partitioner.storage import Directory, read_parquet, remove_if_empty
from partitioner.store.commit_log import SEGMENT, decoded, encoded
from partitioner.store.described import well_formed
from partitioner.store.sealed_names import parquet_bytes, readable, without_secrets

if TYPE_CHECKING:
    from partitioner.store.commits import Commits

READS_AT_ONCE = 16

MANY = 100_000
"""Records in segments from which on they stay columns: as objects they take about 1 kB and 50 microseconds each."""


def new_run_id(name: str | None = None) -> str:
    """Sortable by time and unique: ``20261120-101500-3f2a7c``, with the name of the schedule at its end.

    Behind the second stand its parts of 65,536, so that the later of two runs sorts last, and a random byte.
    """
    now = time.time()
    part = f"{int(now % 1 * 65536):04x}{secrets.token_hex(1)}"
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(now)) + part + (f"-{name}" if name else "")


_TEXT = (".json", ".jsonl", ".log", ".html", ".txt")
_DATA = ("output/", "partials/", "input/")


class _Masking(Directory):
    """Secrets that this process knows stay out of every text but the user's own data."""

    def put(self, name: str, data: bytes) -> None:
        super().put(name, self._masked(name, data))

    def put_new(self, name: str, data: bytes) -> bool:
        return super().put_new(name, self._masked(name, data))

    def _masked(self, name: str, data: bytes) -> bytes:
        return masked_bytes(data) if name.endswith(_TEXT) and not name.startswith(_DATA) else data


class RunDirectory:
    """Named access to the files of one run; see the module for the layout."""

    def __init__(self, url: str, key: bytes = b"") -> None:
        self.files: Directory = _Masking(url)
        self._key = key

    @property
    def key(self) -> bytes:
        """What the job is sealed with: given to workers with their attempts, else from this user's own key."""
        return self._key or key_of_run(self.run_id)

    def write_job(self, pickled: bytes) -> None:
        """Seal and write ``job.pkl``."""
        self.files.put("job.pkl", seal(pickled, self.key))

    def read_job(self) -> bytes:
        """The pickled job. Raises Tampered where it is not what this user, or this attempt's driver, sealed."""
        return unseal(self.files.get("job.pkl"), self.key, f"job.pkl in {self.url}")

    def read_job_plainly(self) -> bytes:
        """``read_job`` of a run on a disk, without the store, whose threads no fork keeps. Raises ConfigError elsewhere."""
        place = self.files.local_path
        if place is None:
            raise ConfigError(
                f"{self.url} is no directory of a disk; a program is loaded before a fork from a disk alone."
            )
        return unseal((place / "job.pkl").read_bytes(), self.key, f"job.pkl in {self.url}")

    def write_planned(self, pickled: bytes) -> None:
        """Seal and write ``planned.pkl``: the fields of the job that the plan changed after it was first loaded."""
        self.files.put("planned.pkl", seal(pickled, self.key))

    def read_planned(self) -> bytes | None:
        """These fields, pickled; None where they are those of the job."""
        try:
            sealed = self.files.get("planned.pkl")
        except FileNotFoundError:
            return None
        return unseal(sealed, self.key, f"planned.pkl in {self.url}")

    @property
    def url(self) -> str:
        """Where it is, absolute."""
        return self.files.url

    @property
    def run_id(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]

    def create(self, description: Mapping[str, Any]) -> bool:
        """Claim the directory by creating ``run.json``; False where another run has it."""
        return self.files.put_new("run.json", json.dumps(description, indent=2, default=str).encode())

    def mark_finished(self, counts: Mapping[str, int]) -> None:
        """Write down that the output is complete, with its rows."""
        self.files.put("finished.json", json.dumps({"time": time.time(), "counts": dict(counts)}).encode())

    def finished(self) -> dict[str, Any] | None:
        """When it finished (Unix time) and its counts; None while it has not."""
        try:
            return dict(json.loads(self.files.get("finished.json")))
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return None

    def mark_exported(self, output: str, data: Mapping[str, Any]) -> None:
        """Write down what the one file of an output is, so that a later run knows it for ours."""
        self.files.put("exported.json", json.dumps({"output": output, **data}).encode())

    def exported(self) -> dict[str, Any]:
        """What ``mark_exported`` wrote; empty where the output is no single file, or where it is torn."""
        return self._mapping("exported.json")

    @contextmanager
    def discarded_unless_claimed(self) -> Iterator[None]:
        """Make it, for its owner alone; remove what was written here where an error keeps the run from being created."""
        place = self.files.local_path
        first = place is not None and not place.parent.exists()
        self.files.make_private()
        try:
            yield
        except BaseException:  # also an interrupt while the run is made, which must leave nothing behind
            if not self.files.exists("run.json"):
                self.files.remove()
                if first and place is not None:
                    remove_if_empty(place.parent)
            raise

    def description(self) -> dict[str, Any]:
        """``run.json``. Raises ConfigError where this is no run directory, DamagedRun where it is torn."""
        if not self.files.exists("run.json"):
            raise ConfigError(f"{self.url} holds no run (there is no run.json); name an existing run.")
        values = self._mapping("run.json")
        if not values or not well_formed(values):
            raise self.damaged("run.json")
        return values

    def plan(self) -> dict[str, Any]:
        """``plan.json``, for people and reports; empty where there is none, or a torn one."""
        return self._mapping("plan.json")

    def _mapping(self, name: str) -> dict[str, Any]:
        """What a JSON file holds; nothing where it is missing, torn or something else."""
        try:
            values = json.loads(self.files.get(name))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return values if isinstance(values, dict) else {}

    def damaged(self, name: str) -> DamagedRun:
        """The error of a run without a file that it needs."""
        return DamagedRun(
            f"{name} in {self.url} is missing or torn, and without it the run cannot be read. Restore it, or start a "
            "new run; what the output holds stays readable."
        )

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write ``<name>.parquet``."""
        self.files.put(f"{name}.parquet", parquet_bytes(table))

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read ``<name>.parquet``, or some columns of it. Raises DamagedRun where it is missing or torn."""
        try:
            data = self.files.get(f"{name}.parquet")
            return read_parquet(readable(data, lambda: self.key, f"{name}.parquet in {self.url}"), columns)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise self.damaged(f"{name}.parquet") from error

    def write_phases(self, seconds: Mapping[str, float], total: float) -> None:
        """Into ``plan.json``: where the seconds between the call and the result went."""
        self.files.put(
            "plan.json", json.dumps({**self.plan(), "phases": dict(seconds), "total_seconds": total}).encode()
        )

    def write_tasks(self, tasks: SubTasks) -> None:
        """Persist the split, so that every later resume works on the same sub-tasks."""
        assert tasks.fragments is not None
        self.files.put("fragments.parquet", without_secrets(tasks.fragments.to_arrow(), lambda: self.key))
        self.write_table("tasks", _task_columns(tasks))
        self.write_table("task_fragments", pa.table({"fragment": tasks.fragment_index}))
        if len(tasks.edges):
            self.write_table("edges", _edge_columns(tasks.edges))

    def read_tasks(self) -> SubTasks:
        """The split as ``write_tasks`` left it."""
        table = self.read_table("tasks")
        named = {c: to_numpy(table[c]) for c in table.column_names if ":" not in c and c not in _TEXTS}
        by_name = {
            field: {c[len(prefix) :]: to_numpy(table[c]) for c in table.column_names if c.startswith(prefix)}
            for field, prefix in _PREFIXES.items()
        }
        ends = named.pop("offset_end").astype("int64")
        return SubTasks.build(
            named.pop("seconds"),
            table["task_id"].combine_chunks(),
            **named,
            **by_name,
            hot_groups=_texts(table, "hot_groups") or _texts(table, "group"),
            preferred_host=_texts(table, "preferred_host"),
            edges=self._read_edges(),
            fragments=Fragments.from_arrow(self.read_table("fragments")),
            offsets=_with_zero(ends),
            fragment_index=to_numpy(self.read_table("task_fragments")["fragment"]),
        )

    def read_inputs(self) -> TaskInputs:
        """What each sub-task reads: of a million of them a quarter of what ``read_tasks`` holds."""
        ends = to_numpy(self.read_table("tasks", ["offset_end"])["offset_end"]).astype("int64")
        index = to_numpy(self.read_table("task_fragments")["fragment"])
        return TaskInputs(Fragments.from_arrow(self.read_table("fragments")), _with_zero(ends), index)

    def _read_edges(self) -> Edges:
        if not self.files.exists("edges.parquet"):
            return Edges()
        table = self.read_table("edges")
        return Edges(**{c: to_numpy(table[c]) for c in ("source", "target", "delay", "bytes")})

    def commit(self, record: CommitRecord) -> None:
        """Lay the commit record beside the output; the first one stays, unless it is torn."""
        name, data = f"commits/{record.task_key}.json", json.dumps(record.to_json()).encode()
        if not self.files.put_new(name, data) and self.committed(record.task_key) is None:
            self.files.put(name, data)

    def recommit(self, record: CommitRecord) -> None:
        """Replace the record of a sub-task whose output was written again; it counts before one of a segment."""
        self.files.put(f"commits/{record.task_key}.json", json.dumps(record.to_json()).encode())

    def committed(self, task_key: str) -> CommitRecord | None:
        """The commit record of one sub-task, or None where there is none, or a torn one."""
        try:
            return _record(self.files.get(f"commits/{task_key}.json"))
        except FileNotFoundError:
            return None

    def commits(self) -> dict[str, CommitRecord]:
        """Task key to record, of every committed sub-task. Torn records are left out, see ``read_commits``."""
        return self.read_commits()[0]

    def read_commits(self) -> tuple[dict[str, CommitRecord], dict[str, str]]:
        """Records by task key, and what cannot be read: name of a record or segment to its task key, empty for a segment.

        A small file counts before a segment: it is the later one.
        """
        torn: dict[str, str] = {}
        records: dict[str, CommitRecord] = {}
        for name in self.files.names("records"):
            try:
                records |= {record.task_key: record for record in decoded(self.files.get(name))}
            except (pa.ArrowException, OSError, ValueError, KeyError):
                torn[name] = ""
        for key, record in self._small_commits():
            records.pop(key, None)
            if record is None:
                torn[f"commits/{key}.json"] = key
            else:
                records[record.task_key] = record
        return records, torn

    def many_commits(self) -> Commits | None:
        """The records as columns, where segments hold very many; None where ``read_commits`` is as good."""
        from partitioner.store.commits import Commits

        names = self.files.names("records")
        few = len(names) * SEGMENT < MANY
        return None if few else Commits(self.files, names, dict(self._small_commits()))

    def _small_commits(self) -> Iterator[tuple[str, CommitRecord | None]]:
        """Records that lie one by one, many read at a time: an object store takes milliseconds for each."""
        names = [n for n in self.files.names("commits") if n.endswith(".json")]
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            found = map(self._read, names) if self.files.local_path is not None else pool.map(self._read, names)
            for name, data in zip(names, found, strict=True):
                yield name.removeprefix("commits/").removesuffix(".json"), _record(data)

    def _read(self, name: str) -> bytes:
        root = self.files.local_path
        return self.files.get(name) if root is None else (root / name).read_bytes()

    def ask_for_rest(self, attempt_id: str) -> None:
        """Ask a running attempt to hand over the rows that it has not begun."""
        self.files.put(f"requests/{attempt_id}", b"")

    def rest_is_asked_for(self, attempt_id: str) -> bool:
        """Whether it was asked for; on a disk without the store, for attempts look often."""
        root, name = self.files.local_path, f"requests/{attempt_id}"
        return self.files.exists(name) if root is None else (root / name).exists()

    def gather(self, records: Sequence[CommitRecord]) -> None:
        """Put records into one segment, and remove the small files that it stands for."""
        self.files.put(f"records/{time.time_ns():020d}.parquet", encoded(records))
        self.files.delete_all([f"commits/{record.task_key}.json" for record in records])

    def quarantine_files(self, records: Iterable[CommitRecord]) -> list[str]:
        """Names of the files with the quarantined rows of committed sub-tasks, in their order; other files do not count."""
        return [r.quarantine or f"quarantine/{r.task_key}.parquet" for r in records if r.quarantined]

    def uncommit(self, task_key: str) -> None:
        """Forget the record of a sub-task whose output is gone, also where a segment holds it."""
        if self.files.names("records"):
            self.files.put(f"commits/{task_key}.json", b"{}")  # read as torn, and replaced by the next commit
        else:
            self.files.delete(f"commits/{task_key}.json")

    def with_quarantine(self, record: CommitRecord) -> CommitRecord:
        """The record with the file of the rows that its output's footer lists as quarantined, whichever attempt wrote it."""
        if not record.quarantine_digest or record.quarantine:
            return record
        ending = f"-{record.quarantine_digest[:16]}.parquet"
        names = (e.name for e in self.files.entries("quarantine"))
        found = sorted(n for n in names if n.startswith(f"quarantine/{record.task_key}-a") and n.endswith(ending))
        return replace(record, quarantine=found[0] if found else "")


def _record(data: bytes) -> CommitRecord | None:
    try:
        return CommitRecord.from_json(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _task_columns(tasks: SubTasks) -> pa.Table:
    plain = ("seconds", "memory_bytes", "cpus", "gpus", "gpu_memory_bytes", "priority", "deadline", "release")
    columns: dict[str, Any] = {"task_id": tasks.task_id} | {c: getattr(tasks, c) for c in plain}
    for field, prefix in _PREFIXES.items():
        columns |= {f"{prefix}{name}": values for name, values in getattr(tasks, field).items()}
    columns |= {} if tasks.hard_deadline is None else {"hard_deadline": tasks.hard_deadline}
    columns |= {} if tasks.alike is None else {"alike": tasks.alike}
    columns |= {name: list(values) for name in _TEXTS[1:3] if (values := getattr(tasks, name))}
    return pa.table(columns | {"offset_end": tasks.offsets[1:]})


_PREFIXES = {"seconds_by_class": "seconds:", "resources": "resource:", "requires": "requires:"}
"""Columns of ``tasks.parquet`` that there are several of, one a name."""

_TEXTS = ("task_id", "hot_groups", "preferred_host", "group")
"""Columns of text; older runs hold ``hot_groups`` as ``group``."""


def _texts(table: pa.Table, name: str) -> tuple[str, ...]:
    return tuple(table[name].to_pylist()) if name in table.column_names else ()


def _edge_columns(edges: Edges) -> pa.Table:
    delay, sizes = (values if len(values) else [0.0] * len(edges) for values in (edges.delay, edges.bytes))
    return pa.table({"source": edges.source, "target": edges.target, "delay": delay, "bytes": sizes})


def _with_zero(ends: Any) -> Any:
    import numpy as np

    return np.concatenate([np.zeros(1, np.int64), ends])
