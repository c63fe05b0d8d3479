"""Small wrong changes, each of which a test must notice.

``python -m tests.mutants`` makes them one at a time in a copy of the sources and runs the tests of ``TESTS`` for that file.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """``right`` text of ``file`` becomes ``wrong``, which breaks ``law``; ``at``: at this character, else the first."""

    file: str
    right: str
    wrong: str
    law: str
    at: int = -1
    line: int = 0


LADDER = tuple(f"tests/coordinator/test_ladder_{part}.py" for part in ("errors", "deaths", "time", "ends"))
_MACHINE = (
    "tests/coordinator/test_rungs.py",
    "tests/coordinator/test_handover.py",
    *LADDER,
    "tests/coordinator/test_machine.py",
    "tests/coordinator/test_transitions.py",
    "tests/coordinator/test_constraints.py",
    "tests/coordinator/test_seeds.py",
    "tests/coordinator/test_laws.py",
)
_FIGURES = tuple(
    f"tests/coordinator/test_{part}.py"
    for part in (
        "reasons_of_ends",
        "sessions_in_full",
        "capacity",
        "readiness",
        "time_limits",
        "dividing",
        "retry_figures",
        "death_figures",
        "blame_figures",
        "attempt_orders",
        "sharing_rests",
        "start_and_end_events",
        "trouble_events",
        "worker_events",
        "single_steps",
        "plan_order",
        "waiting_ahead",
        "reservations",
        "submitting",
        "taking_over",
        "bundle_sizes",
        "forecast_figures",
        "moved_work",
        "driving",
        "ledger_lines",
        "starting_figures",
        "sessions",
        "eta_figures",
        "whole_stories",
        "upcoming",
        "awaiting",
        "alike",
    )
)
_FORECAST = tuple(
    f"tests/coordinator/test_{part}.py" for part in ("bundling", "stealing", "forecast", "eta", "keeps_plan")
)
_SLOW = "--deselect=tests/coordinator/test_eta.py::test_the_interval_holds_the_truth_about_nine_times_in_ten"
_ATTEMPT = (
    "tests/attempt",
    "tests/test_results.py",
    "--deselect=tests/attempt/test_guest.py",
)
_CHECKS = tuple(
    f"tests/runs/test_{part}.py" for part in ("checks", "damaged_files", "before_a_resume", "reduced_by_hand")
)
_RESUME = (
    "tests/test_resume.py",
    "--deselect=tests/test_resume.py::test_a_run_of_a_script_with_data_in_memory_resumes_from_its_directory_alone",
    "--deselect=tests/test_resume.py::test_a_resume_from_another_working_directory_writes_to_the_same_output",
)

_BY_KEY = (
    "tests/stages/test_changes_by_hand.py",
    "tests/stages/test_picked_by_hand.py",
    "tests/modes/test_keys.py",
    "tests/modes/test_sections.py",
    "tests/modes/test_starting_again.py",
)

TESTS: dict[str, tuple[str, ...]] = {
    "partitioner/coordinator": (*_FIGURES, *_MACHINE, *_FORECAST, _SLOW),
    "partitioner/attempt": _ATTEMPT,
    "partitioner/model": (
        "tests/attempt/test_calling.py",
        "tests/attempt/test_isolate_errors.py",
        *LADDER,
    ),
    "partitioner/runs/results.py": (
        *_CHECKS,
        "tests/runs/test_schemas_at_the_end.py",
        "tests/test_results.py",
        "tests/test_commit_log.py",
    ),
    "partitioner/runs/integrity.py": (*_CHECKS, "tests/test_integrity.py"),
    "partitioner/runs/resume.py": ("tests/runs/test_placed_again.py", *_CHECKS, *_RESUME),
    "partitioner/store/lease.py": ("tests/store/test_lease_facts.py", "tests/test_lease.py"),
    "partitioner/store": ("tests/store", "tests/test_commit_log.py", "tests/test_integrity.py", *_RESUME),
    "partitioner/runs/repair.py": ("tests/runs/test_repaired_output.py", "tests/test_repair.py"),
    "partitioner/runs/merg": (
        "tests/runs/test_merging_by_hand.py",
        "tests/runs/test_merger_by_hand.py",
        "tests/test_merging.py",
    ),
    "partitioner/runs": (*_CHECKS, "tests/test_repair.py", "tests/test_merging.py"),
    "partitioner/running.py": ("tests/runs/test_on_the_medium.py",),
    "partitioner/output/versions.py": ("tests/output/test_versions.py",),
    "partitioner/output/publishing.py": (
        "tests/output/test_exchanged_folders.py",
        "tests/output/test_shown_versions.py",
    ),
    "partitioner/output/modes.py": ("tests/output/test_modes_by_hand.py", "tests/output/test_incremental_by_hand.py"),
    "partitioner/output": ("tests/output", "tests/modes"),
    "partitioner/stages/narrowing.py": ("tests/test_narrowing.py",),
    "partitioner/stages/filters.py": ("tests/test_narrowing.py",),
    "partitioner/stages/batch_weight.py": (
        "tests/stages/test_batch_weight_by_hand.py",
        "tests/stages/test_probing_by_hand.py",
        "tests/test_batch_weight.py",
    ),
    "partitioner/stages/start.py": ("tests/stages", "tests/engines/test_late.py"),
    "partitioner/stages/changes.py": _BY_KEY,
    "partitioner/stages/picked.py": _BY_KEY,
    "partitioner/stages/scanning.py": _BY_KEY,
    "partitioner/stages": ("tests/stages",),
    "partitioner/security/sealing.py": ("tests/test_sealing.py",),
    "partitioner/storage.py": ("tests/runs/test_on_the_medium.py", "tests/test_storage.py"),
    "connectors/parquet_sink.py": ("tests/test_storage.py", "tests/test_integrity.py"),
}
"""Where a file is -> the tests that have to notice; together they take about two minutes."""

C, A = "partitioner/coordinator", "partitioner/attempt"

_CHOSEN: list[tuple[str, str, str, str]] = [
    # the machine
    (f"{C}/machine.py", "if live is None or live.started is not None:", "if live is None:", "a repeated start"),
    (
        f"{C}/machine.py",
        "    if state.status[task] != LIVE:\n        _overtaken",
        "    if False:\n        _overtaken",
        "a late end",
    ),
    (f"{C}/machine.py", "    _stop_copies(state, task, actions)\n", "", "the loser of a back-up is cancelled"),
    (f"{C}/machine.py", "state.wasted_seconds += max(0.0, now - live.started)", "pass", "waste is counted"),
    (f"{C}/machine.py", "    if not why.charged:\n", "    if False:\n", "retirement"),
    (
        f"{C}/machine.py",
        "    if live.started is None:\n",
        "    if False:\n",
        "only what ran is suspect",
    ),
    (f"{C}/machine.py", "death=not why.timeout", "death=False", "a death is no error"),
    (f"{C}/machine.py", "    _may_stop(state, actions, deaths.lost(state, live))\n", "", "losses are bounded"),
    (f"{C}/machine.py", "if state.quarantined <= state.policy.max_quarantined:", "if True:", "max_quarantined"),
    (f"{C}/machine.py", "    dispatch.orphan(state, holder)\n", "", "queues of lost workers"),
    (f"{C}/machine.py", "    state.remaining -= 1\n    _done", "    _done", "a run ends"),
    (f"{C}/machine.py", "        splitting.drop(state, part.whole)", "        pass", "a whole committed late"),
    (f"{C}/machine.py", "    state.pool.append(task)\n", "", "what failed waits again"),
    (
        f"{C}/machine.py",
        "actions += [Cancel(attempt_id) for attempt_id in state.attempts]",
        "pass",
        "a stop cancels the rest",
    ),
    (f"{C}/machine.py", "state.clock - state.stuck_since >= ", "0 >= ", "waiting for workers ends"),
    # dispatch and capacity
    (
        f"{C}/dispatch.py",
        "[*holder.queue, *([] if holder.reserved is None else [holder.reserved])]",
        "[*holder.queue]",
        "reserved",
    ),
    (f"{C}/dispatch.py", "    holder.exclusive = i in state.deaths\n", "", "a suspect runs alone"),
    (
        f"{C}/dispatch.py",
        "if holder.exclusive or name in state.excluded or name in state.awaited:",
        "if holder.exclusive or name in state.awaited:",
        "exclusion",
    ),
    (
        f"{C}/dispatch.py",
        "elif not holder.live if alone else fits(state, holder, task, now):",
        "elif fits(state, holder, task, now):",
        "alone",
    ),
    (f"{C}/capacity.py", "and (not kind.uses_gpu or devices_for(state, holder, i) is not None)", "", "GPUs"),
    (f"{C}/capacity.py", "share + kind.device_share <= 1 + EPSILON", "True", "shares of a GPU"),
    (
        f"{C}/capacity.py",
        "and holder.used_memory + state.demands.memory[i] <= worker.memory_bytes * (1 + EPSILON)",
        "",
        "memory",
    ),
    (f"{C}/capacity.py", "(ahead or kind.cpus <= worker.cpus - holder.used_cpus + EPSILON)", "True", "cores"),
    (f"{C}/capacity.py", "return able and blame.allows(state, holder, i)", "return able", "another worker first"),
    (
        f"{C}/state.py",
        "left = left[np.lexsort((left, plan.finish[left], plan.start[left]))]",
        "pass",
        "the plan's order",
    ),
    (f"{C}/readiness.py", "self.missing[child] -= 1", "self.missing[child] = 0", "all predecessors"),
    (f"{C}/readiness.py", "second + wait)", "0.0)", "delays"),
    # the ladder
    (f"{C}/ladder.py", "    blame.suspect(state, live)\n", "", "bad workers"),
    (f"{C}/ladder.py", "if trouble.rounds > state.policy.max_retries + 2:", "if False:", "rounds are bounded"),
    (
        f"{C}/ladder.py",
        "if why.fatal or state.failures[task] > allowed:",
        "if state.failures[task] > allowed:",
        "fatal",
    ),
    (f"{C}/ladder.py", "if why.fatal or state.failures[task] > allowed:", "if why.fatal:", "retries are bounded"),
    (f"{C}/ladder.py", "if why.memory or why.timeout:", "if why.timeout:", "missing memory is told"),
    (f"{C}/ladder.py", "trouble.smaller *= 2", "trouble.smaller *= 1", "smaller batches"),
    (f"{C}/deaths.py", "max(memory, why.peak_memory_bytes) * state", "memory * state", "measured memory"),
    (f"{C}/deaths.py", "if deaths < 2 or not isfinite(largest) else largest", "", "the largest worker"),
    (f"{C}/deaths.py", "again = state.deaths[task] < 2 and len(state.seen) > 1", "again = False", "two deaths"),
    (
        f"{C}/deaths.py",
        'if not state.policy.quarantine:\n        return RunFailed(\n            f"{name} ends',
        'if False:\n        return RunFailed(\n            f"{name} ends',
        "raise names the row",
    ),
    (f"{C}/deaths.py", "search.condemned + 1 >= _hopeless(search)", "False", "hopeless programs end"),
    (f"{C}/deaths.py", "if trouble.losses > state.policy.max_losses:", "if False:", "losses end"),
    (
        f"{C}/blame.py",
        "        if not quarantined:\n            accused",
        "        if True:\n            accused",
        "poison blames none",
    ),
    (f"{C}/blame.py", "if all(name in state.excluded for name in state.workers):", "if False:", "all excluded"),
    (f"{C}/blame.py", "state.excluded[name] -= seconds", "pass", "re-admission"),
    (
        f"{C}/ladder.py",
        "isolate = state.policy.quarantine and bool(trouble.failed_on)",
        "isolate = state.policy.quarantine",
        "retry first",
    ),
    (
        f"{C}/ladder.py",
        "for other, spans in trouble.suspects.items() if other != name for",
        "for other, spans in trouble.suspects.items() for",
        "two workers",
    ),
    (f"{C}/ladder.py", "suspects=None if trusted and not others else confirmed", "suspects=None", "two workers"),
    (
        f"{C}/ladder.py",
        "trusted = holder.health.successes > 0 or len(state.seen) < 2",
        "trusted = True",
        "the last worker",
    ),
    # splitting
    (f"{C}/splitting.py", "        _put_by(search, other)\n    _mark", "        pass\n    _mark", "the other half"),
    (f"{C}/splitting.py", "search.by_row |= part.rows <= search.good", "pass", "log n attempts"),
    (f"{C}/splitting.py", "search.good = max(search.good, part.rows)", "pass", "pieces that fit"),
    (f"{C}/splitting.py", "if start <= rows[0] and rows[1] <= stop)", ")", "parts name only what holds them"),
    (
        f"{C}/splitting.py",
        "        if at < start:\n            search.put_by.append((at, start))\n",
        "",
        "a resume tries the rest",
    ),
    # time
    (f"{C}/timers.py", "min(max(0.0, now - state.last_now), most)", "max(0.0, now - state.last_now)", "clock jumps"),
    (f"{C}/timers.py", "actions.append(Cancel(attempt_id, kill=True))", "pass", "timeouts kill"),
    (f"{C}/timers.py", "            yield live, live.why\n", "            pass\n", "what does not end is given up"),
    (f"{C}/timers.py", "max(by_prediction, policy.timeout_least)", "by_prediction", "a least timeout"),
    (
        f"{C}/backups.py",
        "if live is None or task in state.copies or state.status[task] != LIVE:",
        "if live is None:",
        "one back-up",
    ),
    (f"{C}/backups.py", "if name == live.attempt.worker_id or", "if", "elsewhere"),
    (f"{C}/timers.py", "elif what == BEHIND and state.as_planned:", "elif False:", "an exact plan is left when late"),
    (
        f"{C}/stealing.py",
        "            state.recalls.append(live.attempt.attempt_id)\n\n",
        "\n",
        "taken back from the late",
    ),
    # found by random mutants: each of these passed all tests once
    (f"{C}/dispatch.py", "holder.held = None  # from here on", "pass  # from here on", "a hopeless wait ends"),
    (f"{C}/deaths.py", "DEATHS_TOGETHER + (rows == 1)", "DEATHS_TOGETHER", "chance under one row"),
    (f"{C}/deaths.py", "if again or (len(trouble.died_on) < 2 and", "if again or (True and", "two workers are enough"),
    (f"{C}/handover.py", "if seconds <= SLOWER * min(times)]", "]", "the slow share no rest"),
    (
        f"{C}/capacity.py",
        "planned and all(_device_has_room(holder, d, kind) for d in planned)",
        "planned",
        "planned GPUs in use",
    ),
    (
        f"{C}/readiness.py",
        "self.earliest.get(child, 0.0), second + wait)",
        "0.0, second + wait)",
        "the latest delay counts",
    ),
    (f"{C}/splitting.py", "cuts = [at + (rows - at)", "cuts = [(rows - at)", "pieces begin at the cut"),
    (
        f"{C}/forecast.py",
        "if abs(seconds - predicted) > EXACT",
        "if seconds - predicted > EXACT",
        "too quick is not as planned",
    ),
    (f"{C}/machine.py", "    state.wake()\n\n\ndef _may_stop", "\n\ndef _may_stop", "all idle workers look"),
    (f"{C}/merges.py", "seconds_known=False,", "seconds_known=True,", "weights are no seconds"),
    (f"{C}/driver.py", "and not a.kill]", "]", "what is killed is not cancelled too"),
    (f"{C}/ledger.py", "int(number) + 1)", "int(number))", "numbers go on"),
    (f"{C}/execute.py", "    state.part_numbers |= {", "    _ = {", "parts are numbered on"),
    # attempts
    (f"{A}/calling.py", "if care.suspects is None or not rows:", "if True:", "suspects are confirmed"),
    (
        f"{A}/calling.py",
        "if tally.surroundings == tally.quarantined == tally.rows_in > 1:",
        "if False:",
        "surroundings",
    ),
    (f"{A}/calling.py", "    if tally.suspects:\n", "    if False:\n", "suspects are confirmed"),
    (
        f"{A}/calling.py",
        "places = None if places is None else np.delete(places, sorted(bad))",
        "pass",
        "places of poison rows",
    ),
    (f"{A}/calling.py", "else base + places", "else places", "positions"),
    (f"{A}/calling.py", "(1 if job.reducer.whole_task else care.smaller)", "care.smaller", "whole sub-tasks"),
    (
        f"{A}/calling.py",
        "        raise ProgramExited.by(error) from error\n    except BaseException as error:",
        "        raise ProgramExited.by(error) from error\n    except GeneratorExit as error:",
        "sys.exit",
    ),
    (f"{A}/isolate.py", "return not isinstance(error, MemoryError | TimedOut) and", "return", "memory blames no row"),
    (f"{A}/isolate.py", "isinstance(error, OSError))", "False)", "surroundings"),
    (
        f"{A}/work.py",
        "low, high = max(start - first, 0), min(stop - first, batch.num_rows)",
        "low, high = 0, batch.num_rows",
        "rows of a part",
    ),
    (f"{A}/work.py", "position += fragment.rows  # wholly", "pass  # wholly", "rows of a part"),
    (f"{A}/parts.py", "return None if known.split else known", "return None", "a whole committed late"),
    (f"{A}/run.py", "    for whole in attempt.care.split_from:\n", "    for whole in ():\n", "the whole is given up"),
    (
        f"{A}/run.py",
        "if facts is not None and (known := loaded.run.committed(key)) is not None:",
        "if False:",
        "committed work stays",
    ),
    # counts, commits
    (
        "partitioner/runs/results.py",
        "if (bad := _odd(records)) is not None:",
        "if (bad := _odd(())) is not None:",
        "rows add up",
    ),
    ("partitioner/runs/results.py", "& (expected != read)", "& (expected < 0)", "rows as described"),
    (
        "partitioner/runs/results.py",
        "[record.whole for record in records]",
        "[record.task_key for record in records]",
        "parts",
    ),
    (
        "partitioner/store/commits.py",
        "found & ~_among(task_ids, split)",
        "found",
        "a sub-task that was split is not done",
    ),
    ("partitioner/model/execution.py", "gpu or isinstance(error, MemoryError)", "gpu", "memory is told"),
    ("connectors/parquet_sink.py", 'if facts.get("key") != record.task_key:', "if False:", "another's output"),
    ("connectors/parquet_sink.py", 'if facts["digest"] != record.digest:', "if False:", "other rows"),
    (
        "partitioner/store/commits.py",
        "np.where(self._place < 0, kept.num_rows - 2 - self._place,",
        "np.where(self._place < 0, kept.num_rows,",
        "loose records",
    ),
    (
        "partitioner/store/commits.py",
        "(r.part, -2 - i) for",
        "((0, 0), -2 - i) for",
        "parts in the order of their rows",
    ),
    ("partitioner/store/commits.py", "last = {key: i for", "last = {key: -i for", "gathered twice: the later counts"),
    (
        "partitioner/store/run_directory.py",
        "        records.pop(key, None)\n",
        "",
        "a small record counts before a segment",
    ),
    (
        "partitioner/store/run_directory.py",
        "if not self.files.put_new(name, data) and self.committed(record.task_key) is None:",
        "if not self.files.put_new(name, data):",
        "the first record stays",
    ),
    ("partitioner/store/lease.py", "lease/{epoch + 1:06d}.json", "lease/{epoch:06d}.json", "the next epoch supersedes"),
    (
        "partitioner/store/lease.py",
        'taken = _read(self._run, name).get("token") == self._token',
        "pass",
        "an answer that was lost",
    ),
    (
        "partitioner/store/lease.py",
        "self._lost = self._lost or superseded(self._run, self.epoch)",
        "self._lost = superseded(self._run, self.epoch)",
        "lost once is lost",
    ),
    (
        f"{A}/run.py",
        "        check_epoch(loaded.run.files, attempt)\n        return sink.commit",
        "        return sink.commit",
        "the fence",
    ),
    (
        f"{A}/run.py",
        "    load_seconds, loaded.load_seconds = loaded.load_seconds, 0.0",
        "    load_seconds = loaded.load_seconds",
        "one load",
    ),
    (
        f"{A}/returned.py",
        "for row, value in zip(rows, values, strict=True)) and any",
        "for row, value in zip(values, rows, strict=True)) and any",
        "a number among dicts",
    ),
    (
        f"{A}/batching.py",
        "np.maximum(np.maximum.accumulate(weights), held.heaviest)",
        "np.maximum.accumulate(weights)",
        "padding by the heaviest so far",
    ),
    (f"{A}/trial.py", 'if not run.files.put_new(CLAIM, b""):', "if False:", "one worker tries"),
    (
        "partitioner/output/versions.py",
        'return plain if plain is not None and plain.manifest is not None and not plain.manifest.get("version") else None',
        "return plain if plain is not None and plain.manifest is not None else None",
        "what readers see of a later version is not version 0",
    ),
    (
        "partitioner/output/versions.py",
        "    if there.manifest is None:\n",
        "    if False:\n",
        "an abandoned version is never committed",
    ),
    (
        "partitioner/output/assembly.py",
        'whole = first == 0 and rows == known[name]["rows"]',
        "whole = first == 0",
        "whole files alone",
    ),
    ("partitioner/output/publishing.py", ' | set(manifest["before"])', "", "readers of the version before"),
    (
        "partitioner/runs/integrity.py",
        '    if facts is None or facts["key"] != key:\n',
        "    if facts is None:\n",
        "another's output",
    ),
    # the last steps of a run: what is on the medium, what is shown, what is merged
    ("partitioner/running.py", "Directory(job.sink.url).settle()  #", "pass  #", "on the medium before the manifest"),
    ("partitioner/running.py", 'if config.fsync != "never":', 'if config.fsync == "each":', "at the end at the latest"),
    ("partitioner/running.py", "            lease.check(now=True)\n", "", "a driver that was replaced ends"),
    ("partitioner/storage.py", "for part in (path, path.parent):", "for part in (path,):", "the entry of its folder"),
    (
        "partitioner/storage.py",
        "            obstore.put(_open(self.url), name, data)\n            self._to_medium(name)",
        "            obstore.put(_open(self.url), name, data)",
        "what is replaced is synced",
    ),
    (
        "partitioner/runs/results.py",
        "schemas.check_fits(directory.files, files, [(r.path, r.task_key) for r in records if r.rows_written])",
        "pass",
        "values fit the schema of later rows",
    ),
    (
        "partitioner/runs/resume.py",
        "if len(tasks.edges) or len(left) == len(tasks):",
        "if len(left) == len(tasks):",
        "delays count from what is committed",
    ),
    ("partitioner/runs/resume.py", "{int(left[i]): held", "{i: held", "devices of what is left"),
    ("partitioner/runs/repair.py", "    with Lease(directory.files):", "    if True:", "one driver merges"),
    (
        "partitioner/runs/repair.py",
        'if merged is None or merged["run_id"] != said["run_id"]:',
        "if merged is None:",
        "a version of another is no merge",
    ),
    ("partitioner/runs/repair.py", "if directory.finished() is None:", "if False:", "an unfinished run is resumed"),
    (
        "partitioner/runs/repair.py",
        '[f["stored"] for f in [*finishing.files_of(base), *old.get("shown", ())]]',
        "[]",
        "readers of the version before a merge",
    ),
    ("partitioner/runs/repair.py", ', config.fsync != "never")', ")", "repaired rows are on the medium"),
    ("partitioner/runs/merging.py", "if not _sound(sink, tree.root):", "if True:", "a merged root is read"),
    ("partitioner/runs/merging.py", " if key not in done}", "}", "merges of before are kept"),
    ("partitioner/runs/merging.py", 'if facts.get("of") == piece.of:', "if True:", "of these partial results"),
    (
        "partitioner/runs/merge_tree.py",
        "while level > 1 and len(below) <= 1 << (level - 1):",
        "while False:",
        "one node, one name",
    ),
    (
        "partitioner/store/lease.py",
        "            self._thread.join()\n",
        "            pass\n",
        "no heartbeat after the end",
    ),
    ("partitioner/output/versions.py", "    check_nobody_writes(output, last, run)\n", "", "who writes is asked"),
    (
        "partitioner/output/publishing.py",
        '(entry.name.endswith(".parquet") or "/shown/" in entry.name) and ',
        "",
        "claims and manifests stay",
    ),
    ("partitioner/output/publishing.py", "new.chmod(old.stat().st_mode & 0o7777)", "pass", "rights of a folder"),
    (
        "partitioner/output/modes.py",
        "if now.number > target.number and now.run != directory.url:",
        "if now.number > target.number:",
        "a run's own later version",
    ),
    (
        "partitioner/stages/batch_weight.py",
        "tried.free_bytes / slots)",
        "tried.free_bytes)",
        "slots share what a machine has free",
    ),
    ("partitioner/stages/batch_weight.py", "if lost or not tried:", "if not tried:", "a process that ended"),
    (
        "partitioner/stages/batch_weight.py",
        "engine.call_slots(end_of_probe, started.slots, directory.url)",
        "pass",
        "slots forget the rows of a probe",
    ),
    # what a session hands on
    (f"{C}/execute.py", "if many is None or many.apart():", "if many is None:", "parts in segments go on"),
    (f"{C}/execute.py", "            if record.cut:\n", "            if False:\n", "a cut stays where it was made"),
    (
        f"{C}/execute.py",
        "if record.task_key != record.whole and not record.split:",
        "if record.task_key != record.whole:",
        "a part that was divided again",
    ),
    (
        f"{C}/execute.py",
        "        awaited=() if engine.late is None else engine.late.waiting,\n",
        "",
        "who has not answered gets nothing",
    ),
    (f"{C}/execute.py", "Fence(lease), Requests(run)", "Fence(lease)", "requests reach attempts"),
    (
        f"{C}/execute.py",
        "max(NO_WORKER_SECONDS, AGAIN * start_seconds)",
        "NO_WORKER_SECONDS",
        "slow engines start slowly",
    ),
    (
        f"{C}/execute.py",
        "reducer.divisible or (reducer.rows and not",
        "reducer.divisible or (reducer.rows or not",
        "groups",
    ),
    (f"{C}/driver.py", "            events += _coming(engine, state)\n", "            pass\n", "who is being started"),
    (
        f"{C}/driver.py",
        "events += [] if engine.late is None else engine.late.events()",
        "pass",
        "who was late is heard of",
    ),
    # which of two reasons counts
    (f"{C}/machine.py", "live.why or event.error or UNKNOWN", "event.error or live.why or UNKNOWN", "the first reason"),
    (
        f"{C}/machine.py",
        "live.why or event.error or Failure()",
        "event.error or live.why or Failure()",
        "too slow is no death",
    ),
    (f"{C}/machine.py", "    state.handed_back = 0\n    task", "    task", "what finishes breaks a circle"),
    (
        f"{C}/machine.py",
        "        blame.handed_back(state, event.error)\n        _went",
        "        _went",
        "failures that are handed back count",
    ),
    # drawn by a stranger; most of these passed all tests once, the others are of lines that came with them
    (
        f"{C}/machine.py",
        'EngineLost(f"the engine went',
        'RunFailed(f"the engine went',
        "a lost engine says how to go on",
    ),
    (
        f"{C}/machine.py",
        "        dispatch.release(state, live)\n"
        "        if worker_id in state.workers and worker_id != live.attempt.worker_id:\n"
        "            state.as_planned = False\n"
        "            live.attempt = replace(live.attempt, worker_id=worker_id)\n",
        "        if worker_id in state.workers and worker_id != live.attempt.worker_id:\n"
        "            state.as_planned = False\n"
        "            live.attempt = replace(live.attempt, worker_id=worker_id)\n"
        "        dispatch.release(state, live)\n",
        "what ended elsewhere is given back",
    ),
    (
        f"{C}/machine.py",
        "    if event.worker_id in state.awaited and event.error is not None:",
        "    if event.error is not None:",
        "only who was awaited is left out",
    ),
    (
        f"{C}/machine.py",
        "state.coming = event.coming",
        "state.coming = max(state.coming, event.coming)",
        "who comes now",
    ),
    (
        f"{C}/dispatch.py",
        "*state.held_back.pop(task), second=state.second(now))",
        "*state.held_back.pop(task))",
        "delays behind parts of an earlier session",
    ),
    (
        f"{C}/dispatch.py",
        "    there.exclusive = there.exclusive or live.attempt.task in state.deaths\n",
        "",
        "a suspect is alone where it was brought to",
    ),
    (
        f"{C}/dispatch.py",
        "holder.exclusive and any(other.attempt.task in state.deaths for other in holder.live.values())",
        "False",
        "a neighbour's end lets nobody beside a suspect",
    ),
    (f"{C}/capacity.py", "holder.used_cpus = holder.used_memory = 0.0", "holder.used_cpus = 0.0", "rounding of memory"),
    (
        f"{C}/deaths.py",
        "h in state.workers.values() if kind.runs_on(h.worker)]",
        "h in state.workers.values()]",
        "the largest worker that can run it",
    ),
    (
        f"{C}/splitting.py",
        "        ranges = _far_away(search, ranges)\n",
        "        pass\n",
        "neighbours that kill are no program",
    ),
    (f"{C}/splitting.py", "row = stop - 1 if", "row = start if", "rows far away are asked"),
    (f"{C}/backups.py", "name in state.awaited or busy", "busy", "who has not answered gets no copy"),
    (
        f"{C}/readiness.py",
        "max(found.earliest.get(target, 0.0), wait)",
        "wait",
        "a release behind a delay",
    ),
    (
        f"{C}/driver.py",
        "            _raise_stop(actions)\n            if state.finished:\n                return state\n",
        "            if state.finished:\n                return state\n            _raise_stop(actions)\n",
        "the last sub-task may stop the run",
    ),
    (f"{C}/ledger.py", 'key in of or "." in key', "key in of", "parts are numbered on after a resume"),
    (
        f"{C}/ledger.py",
        "if isinstance(values, dict) and _well_formed(values) else",
        "if isinstance(values, dict) else",
        "lines of others",
    ),
    (f"{C}/execute.py", "        timeout_factor=factor,\n", "", "timeouts by prediction"),
    (
        f"{C}/execute.py",
        "        if (full := too_many(state)) is not None:",
        "        if (full := None) is not None:",
        "what was set aside before a resume counts",
    ),
    (f"{A}/agreement.py", "            _check_writable(wanted.schema)\n", "", "columns that no file holds"),
    (f"{A}/surroundings.py", "            over.set()\n", "            pass\n", "no alarm behind the end"),
    (f"{A}/job.py", "    masking.remember_environment(os.environ)\n", "", "secrets of a worker's own"),
    ("partitioner/stages/changes.py", "if rows >= 0 and rows !=", "if rows > 0 and rows !=", "rows that are all gone"),
]

MUTANTS = [Mutant(*chosen) for chosen in _CHOSEN]


def outdated(root: Path) -> list[str]:
    """A line for each mutant of the list whose text its file has no more, or that has no tests: it would break nothing."""
    texts = {m.file: (root / m.file).read_text() if (root / m.file).exists() else "" for m in MUTANTS}
    gone = [f"{m.file} has no {m.right!r} any more ({m.law})" for m in MUTANTS if m.right not in texts[m.file]]
    return gone + [f"{name} has no tests" for name in texts if not any(name.startswith(place) for place in TESTS)]
