"""What is committed is what is there: files, records and quarantine agree, or the sub-task runs again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa

from partitioner.attempt.isolate import ERROR_COLUMN, rows_digest
from partitioner.attempt.job import Job
from partitioner.attempt.record import record_of
from partitioner.attempt.tally import Tally
from partitioner.coordinator.ledger import Ledger
from partitioner.errors import DamagedOutput, clause
from partitioner.measure import Measurement
from partitioner.model import Attempt, CommitRecord
from partitioner.storage import read_parquet
from partitioner.store.commits import Records
from partitioner.store.run_directory import RunDirectory

ROUNDS = 3
"""Times that damage found at the end is mended before the run stops: what comes back has a cause to look for."""

Execution = Callable[[Mapping[str, CommitRecord]], tuple[Sequence[CommitRecord], int]]


def reconcile(directory: RunDirectory, job: Job, full: bool = False) -> Mapping[str, CommitRecord]:
    """Records of all sub-tasks whose output is there and sound, for a resume.

    A torn record is dropped and rebuilt from the footer of its output, as is one that was never written; output that is
    missing, torn or another's is discarded, with its record, and what was discarded is said. Of very many records all this
    happens at the end (``verified``), or where a sub-task without a record runs and finds its output.
    """
    if not full and (many := directory.many_commits()) is not None:
        return many  # they are checked at the end, before the manifest: what is left need not wait for that
    records, torn = directory.read_commits()
    said = {key or name: f"{name} is torn" for name, key in torn.items()}
    for name in torn:
        directory.files.delete(name)
    damaged: dict[str, str] = {}
    ours = set(directory.read_table("tasks")["task_id"].to_pylist())
    for key in sorted(job.sink.keys() - records.keys()):
        if key.partition(".")[0] not in ours:
            continue
        try:
            rebuilt = _rebuilt(directory, job, key)
        except DamagedOutput as error:
            damaged[key] = str(error)
        else:
            records[key] = rebuilt
            directory.commit(rebuilt)
    damaged |= problems(directory, job, records.values(), full)
    discard(directory, job, damaged)
    _say(directory, {key: f"{problem}; rebuilt from its output" for key, problem in said.items() if key not in damaged})
    return {key: record for key, record in records.items() if key not in damaged}


def _rebuilt(directory: RunDirectory, job: Job, key: str) -> CommitRecord:
    """The record that the footer of an output tells. Raises DamagedOutput where it is not that of ``key``."""
    facts = job.sink.committed(key)
    if facts is None or facts["key"] != key:
        other = "what this library did not write" if facts is None else facts["key"]
        raise DamagedOutput(f"its output holds {other}")
    attempt = Attempt(key, -1, 0, "unknown", directory.url)
    tally = Tally(quarantine_digest=facts["quarantine_digest"])
    return directory.with_quarantine(record_of(attempt, facts, tally, Measurement(), 0.0, 0.0))


def problems(directory: RunDirectory, job: Job, records: Iterable[CommitRecord], full: bool = False) -> dict[str, str]:
    """Sub-task to what is wrong with its output or its quarantined rows."""
    held = records if isinstance(records, Records) else list(records)
    aside = held
    if isinstance(held, Records):
        digests = held.columns(["quarantine_digest"])["quarantine_digest"].to_pylist()
        aside = [held[i] for i, digest in enumerate(digests) if digest]
    found = {r.task_key: problem for r in aside if (problem := _lost_rows(directory, r))}
    return found | job.sink.check(held, full)


def _lost_rows(directory: RunDirectory, record: CommitRecord) -> str:
    """What is wrong with the quarantined rows that a record lists, or nothing."""
    if not record.quarantine_digest:
        return ""
    try:
        rows_aside(directory, record)
    except DamagedOutput as error:
        return str(error)
    return ""


def rows_aside(directory: RunDirectory, record: CommitRecord) -> pa.Table:
    """The quarantined rows that a record lists, with their errors. Raises DamagedOutput where they are gone or others."""
    (name,) = directory.quarantine_files([record])
    try:
        rows = read_parquet(directory.files.get(name))
    except (pa.ArrowException, OSError) as error:
        raise DamagedOutput(f"{name} is missing or torn ({clause(error)})") from error
    digest = rows_digest(rows) if ERROR_COLUMN in rows.column_names else "none"
    if rows.num_rows != record.quarantined or digest != (record.quarantine_digest or digest):
        raise DamagedOutput(
            f"the {record.quarantined} quarantined rows of {record.task_key} are not those that its output lists"
        )
    return rows


def discard(directory: RunDirectory, job: Job, damaged: Mapping[str, str]) -> None:
    """Remove damaged outputs with their records, so that their sub-tasks run again, and say so."""
    for key in damaged:
        job.sink.discard(key)
        directory.uncommit(key)
    _say(directory, {key: f"{problem}; discarded, it runs again" for key, problem in damaged.items()})


def _say(directory: RunDirectory, facts: Mapping[str, str]) -> None:
    ledger = Ledger(directory)
    for key, text in facts.items():
        ledger.note("discarded" if text.endswith("again") else "rebuilt", sub_task=key, reason=text)
        print(f"sub-task {key}: {text}", file=sys.stderr)
    ledger.flush()


def verified(
    directory: RunDirectory, job: Job, committed: Mapping[str, CommitRecord], execution: Execution, full: bool
) -> tuple[Sequence[CommitRecord], int]:
    """Run what is not committed, check all that is, and run again what is damaged, until everything is sound.

    Returns the records in sub-task order and the number of attempts. Raises DamagedOutput where damage comes back each time.
    """
    known, attempts = committed, 0
    for _ in range(ROUNDS):
        records, more = execution(known)
        attempts += more
        damaged = problems(directory, job, records, full)
        if not damaged:
            return records, attempts
        discard(directory, job, damaged)
        known = directory.many_commits() or {r.task_key: r for r in records if r.task_key not in damaged}
    key, problem = next(iter(damaged.items()))
    raise DamagedOutput(
        f"output of {len(damaged)} sub-tasks was damaged {ROUNDS} times after it was committed, such as {key}: {problem}. "
        f"See what else writes to {job.sink.url}, then resume the run."
    )
