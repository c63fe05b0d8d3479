"""Of leases, attempts, files and last steps, as an examiner would try them who has not seen the others."""

from __future__ import annotations

A = "partitioner/attempt"
LEASE, RUN = "partitioner/store/lease.py", "partitioner/store/run_directory.py"
SINK, CHECKS = "connectors/parquet_sink.py", "partitioner/runs/integrity.py"
RUNNING, FINISHING = "partitioner/running.py", "partitioner/output/finishing.py"
RESULTS, SEALING = "partitioner/runs/results.py", "partitioner/security/sealing.py"

CHOSEN: list[tuple[str, str, str, str]] = [
    # leases
    (LEASE, "self.age > self.lease_seconds", "self.age >= self.lease_seconds", "a lease lasts its seconds"),
    (LEASE, "not (self._take_over and before.expired)", "not self._take_over", "no take-over before it has expired"),
    (LEASE, "(self.expired and self.alive is None)", "self.expired", "one that is seen is asked about"),
    (LEASE, "return epoch > 0 and run.exists", "return epoch > 1 and run.exists", "the first epoch is fenced too"),
    (LEASE, "        if not self._lost:\n", "        if True:\n", "what was lost is not given back"),
    (
        LEASE,
        '                self._run.put(f"lease/{self.epoch:06d}.beat", b"")\n',
        "                pass\n",
        "heartbeats",
    ),
    (LEASE, "boot != _machine()", "boot == _machine()", "a reboot"),
    (
        LEASE,
        "return bool(same and process.status() != psutil.STATUS_ZOMBIE)",
        "return bool(same)",
        "zombies drive nothing",
    ),
    # attempts
    (
        f"{A}/run.py",
        "    facts = sink.committed(key)\n    if facts is not None and",
        "    facts = None\n    if facts is not None and",
        "what is committed is not run again",
    ),
    (f"{A}/run.py", "    record = loaded.run.with_quarantine(record)\n", "", "a record knows its quarantine"),
    (f"{A}/run.py", "for whole in attempt.care.split_from:", "for whole in ():", "the whole is given up first"),
    (
        f"{A}/run.py",
        "        check_epoch(loaded.run.files, attempt)\n        known = handover",
        "        known = handover",
        "a zombie cuts nothing",
    ),
    (
        f"{A}/parts.py",
        "    return None if known.split else known\n",
        "    return None\n",
        "a whole that was committed before",
    ),
    (f"{A}/handover.py", "known.split and known.cut == cut", "known.split", "another cut"),
    (f"{A}/merging.py", '    if facts.get("of") != merge.of:\n', "    if False:\n", "a merge of others"),
    (f"{A}/merging.py", "            check_epoch(loaded.run.files, attempt)\n", "", "a zombie merges nothing"),
    (
        f"{A}/isolate.py",
        "_bisect(program, batch.slice(half), offset + half, found)",
        "_bisect(program, batch.slice(half), offset, found)",
        "which row it was",
    ),
    (
        f"{A}/isolate.py",
        'f"quarantine/{attempt_id}-{digest[:16]}.parquet"',
        'f"quarantine/{digest[:16]}.parquet"',
        "quarantine is named by its attempt",
    ),
    (
        f"{A}/calling.py",
        "    if not care.isolate or not tally.quarantined:\n",
        "    if True:\n",
        "the word of one worker",
    ),
    (f"{A}/agreement.py", "            raise Widened\n", "            pass\n", "one schema a file"),
    # records and files
    (RUN, " and self.committed(record.task_key) is None:", " and False:", "a torn record is replaced"),
    (RUN, 'n.startswith(f"quarantine/{record.task_key}-a") and ', "", "quarantine of the sub-task"),
    (RUN, "for r in records if r.quarantined]", "for r in records]", "files of those that have any"),
    (RUN, '        if self.files.names("records"):\n', "        if False:\n", "a record in a segment is forgotten"),
    (
        SINK,
        '        if facts["digest"] != record.digest:\n',
        "        if False:\n",
        "the digest of a file that was touched",
    ),
    (SINK, '        if facts.get("key") != record.task_key:\n', "        if False:\n", "the sub-task of a file"),
    (SINK, 'return self._damage(record.path) if full else ""', 'return ""', "every page is read"),
    (
        SINK,
        '        if digest.hexdigest() != facts.get("digest"):\n',
        "        if False:\n",
        "the digest of a partial result",
    ),
    (SINK, "if full or not _untouched(r, there.get(r.path))]", "if full]", "what was touched is looked at"),
    (CHECKS, "    damaged |= problems(directory, job, records.values(), full)\n", "", "a resume verifies"),
    (CHECKS, "        directory.uncommit(key)\n", "", "the record goes with its output"),
    (CHECKS, " or digest != (record.quarantine_digest or digest):", ":", "quarantined rows are those listed"),
    (
        CHECKS,
        "{r.task_key: r for r in records if r.task_key not in damaged}",
        "{r.task_key: r for r in records}",
        "what is damaged runs again",
    ),
    # the last steps
    (RESULTS, "(expected >= 0) & (expected != read)", "(expected >= 0) & (expected > read)", "rows too many"),
    (
        RESULTS,
        "for i in np.flatnonzero(held == 0)[:1]",
        "for i in np.flatnonzero(held < 0)[:1]",
        "every sub-task has a record",
    ),
    (
        RESULTS,
        '        Directory(config.output).put(f"result.pkl{SIGNATURE}", sign(pickled))\n',
        "",
        "results are signed",
    ),
    (RUNNING, 'config.verify == "full" or unsure)', 'config.verify == "full")', "after a reboot all is read"),
    (RUNNING, "        resuming.check_unchanged(config, directory, job, force)\n", "", "what changed is refused"),
    (
        RUNNING,
        "            stages.claim_output(Directory(folder), directory)\n",
        "            pass\n",
        "a resume claims its output",
    ),
    (RUNNING, 'full=config.verify == "full",', "full=False,", "full verification at the end"),
    (RUNNING, "    directory.mark_finished(counts)\n", "", "a finished run says so"),
    (
        RUNNING,
        "        stages.check_free(Directory(folder), directory)\n",
        "        pass\n",
        "an output that is taken is told first",
    ),
    (
        RUNNING,
        '            error.args = (f"{error} To go on: {resuming.resume_command(directory)}",)\n',
        "",
        "how to go on",
    ),
    (RUNNING, "            mended(config, directory, target, job)\n", "", "torn columns are made again"),
    (FINISHING, 'anew = config.mode == "overwrite" or', "anew =", "overwrite keeps nothing"),
    (FINISHING, "    return [*before, own]\n", "    return [own]\n", "append keeps what was there"),
    (
        FINISHING,
        "        output.put(f\"{manifest['result']}{SIGNATURE}\", sign(data))\n",
        "",
        "results of versions are signed",
    ),
    (FINISHING, "    show(config, output, committed)\n", "", "readers see what was committed"),
    (FINISHING, "    if path in target.kept:\n        return before[path]\n", "", "kept files keep their rows"),
    (
        FINISHING,
        'Directory(home, config.fsync != "never")',
        'Directory(home, config.fsync == "each")',
        "versions are on the medium",
    ),
    (
        FINISHING,
        '[f["stored"] for f in [*files_of(base), *old.get("shown", ())]]',
        "[]",
        "readers of the version before",
    ),
    (FINISHING, "sum(part.counts[name] for part in parts)", "parts[0].counts[name]", "counts of all parts"),
    (
        "partitioner/output/modes.py",
        'mode == "append" and found.finished() is not None',
        'mode == "append"',
        "an append that is unfinished gives way to none",
    ),
    # signatures
    (SEALING, "if not key or bytes(", "if bytes(", "an empty key signs nothing"),
    (SEALING, " or not hmac.compare_digest(told, _signature(data, key)):", ":", "signatures are compared"),
    (SEALING, "path.stat().st_mode & 0o077", "path.stat().st_mode & 0o007", "a key of the group's"),
    (
        SEALING,
        "    if not any(hmac.compare_digest(mine, line) for line in signature.split()):\n",
        "    if False:\n",
        "signatures of results",
    ),
]
"""File, right text, wrong text, and the law that is broken."""
