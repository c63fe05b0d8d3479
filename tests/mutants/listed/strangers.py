"""Of the coordinator, as an examiner would try them who has not seen the others: counts, releases, waits, limits."""

from __future__ import annotations

C = "partitioner/coordinator"

CHOSEN: list[tuple[str, str, str, str]] = [
    # the machine and what it hands out
    (
        f"{C}/machine.py",
        "splitting.finished(state, task, bool(live.attempt.care.condemned)):",
        "(splitting.finished(state, task, bool(live.attempt.care.condemned)) or True):",
        "a whole is done with its last part",
    ),
    (
        f"{C}/machine.py",
        "if state.quarantined <= state",
        "if state.quarantined < state",
        "as many as may be are allowed",
    ),
    (f"{C}/machine.py", "state.workers.pop(event.worker_id)", "pass", "a lost worker gets nothing"),
    (
        f"{C}/machine.py",
        "for attempt_id in [] if state.policy.rerouted else list(holder.live):",
        "for attempt_id in []:",
        "what a lost worker ran",
    ),
    (
        f"{C}/machine.py",
        "[] if state.policy.rerouted else list(holder.live)",
        "list(holder.live)",
        "what Spark reroutes is not lost",
    ),
    (
        f"{C}/machine.py",
        "        dispatch.move(state, live, event.worker_id)\n",
        "        pass\n",
        "where it runs it is held",
    ),
    (
        f"{C}/machine.py",
        "    if not state.stopped:\n        state.stopped = True\n",
        "    if True:\n        state.stopped = True\n",
        "a run stops once",
    ),
    (
        f"{C}/machine.py",
        "    if live.why is not None:\n        _went_wrong(state, live, live.why, actions)\n    elif",
        "    if",
        "what was ended for its time is charged",
    ),
    (
        f"{C}/machine.py",
        "if state.attempts or state.readiness.due or any",
        "if state.attempts or any",
        "a delay is no reason to stop",
    ),
    (
        f"{C}/machine.py",
        "    state.copies.pop(task, None)\n    state.change(task, Change.RETURNED)",
        "    state.change(task, Change.RETURNED)",
        "copies of before",
    ),
    (
        f"{C}/machine.py",
        "if state.status[task] != LIVE or backups.copy_of(state, task) is not None:\n        return\n    if not why",
        "if state.status[task] != LIVE:\n        return\n    if not why",
        "the copy goes on",
    ),
    (
        f"{C}/dispatch.py",
        "state.numbers[i] = number + 1",
        "state.numbers[i] = number",
        "attempts have names of their own",
    ),
    (f"{C}/dispatch.py", "        epoch=state.epoch,\n", "", "attempts carry the epoch"),
    (
        f"{C}/dispatch.py",
        "            holder.reserved = task\n",
        "            passed.append(task)\n",
        "the large are not starved",
    ),
    (
        f"{C}/dispatch.py",
        "(holder.live if task in state.deaths else not fits(state, holder, task, now))",
        "(not fits(state, holder, task, now))",
        "a reserved suspect waits until it is alone",
    ),
    (
        f"{C}/dispatch.py",
        "    release(state, live)\n    state.as_planned = False\n",
        "    state.as_planned = False\n",
        "what was moved is given back",
    ),
    (f"{C}/dispatch.py", "        avoid=blame.avoided(state, holder, i),\n", "", "hints are avoided"),
    (f"{C}/dispatch.py", "    timers.submitted(state, live)\n", "", "silence is noticed"),
    (
        f"{C}/dispatch.py",
        "timers.limit_seconds(state, holder, i) if calls_program else timers.READING_SECONDS",
        "timers.limit_seconds(state, holder, i)",
        "reading alone has its time",
    ),
    (f"{C}/dispatch.py", "if status[queue[0]] == READY:\n", "if True:\n", "what waits for others is not begun"),
    (f"{C}/capacity.py", "    _count(holder, live, -1)\n", "", "what ended is given back"),
    (f"{C}/capacity.py", "attempt.gpus if attempt.gpus < 1 else 1.0", "attempt.gpus", "whole devices by one"),
    (
        f"{C}/capacity.py",
        "holder.able[kind] and state.demands.memory[i] <= holder.worker.memory_bytes * (1 + EPSILON)",
        "holder.able[kind]",
        "no worker holds more than it has",
    ),
    (f"{C}/capacity.py", "holder.used.get(k, 0.0) + v <=", "v <=", "custom resources in use"),
    # the ladder
    (f"{C}/ladder.py", "state.failures[task] > allowed", "state.failures[task] >= allowed", "as many tries as allowed"),
    (
        f"{C}/deaths.py",
        "if deaths > state.policy.max_deaths:",
        "if deaths >= state.policy.max_deaths:",
        "as many deaths as allowed",
    ),
    (f"{C}/blame.py", " * 2.0 ** (health.exclusions - 1)", "", "twice as long each time"),
    (
        f"{C}/blame.py",
        "            del state.excluded[name]\n",
        "            state.excluded[name] = 0.0\n",
        "excluded workers come back",
    ),
    (
        f"{C}/blame.py",
        "if len(health.blamed) < enough or",
        "if len(health.blamed) <= enough or",
        "blamed often enough",
    ),
    (
        f"{C}/blame.py",
        "state.handed_back = 0 if why.charged else state.handed_back + 1",
        "state.handed_back += 1",
        "a failure breaks a circle",
    ),
    (f"{C}/ladder.py", "    trouble.failed_on[worker] = trouble.failed_on.get(worker, 0) + 1\n", "", "where it failed"),
    (
        f"{C}/blame.py",
        "    if holder.worker.worker_id in state.excluded:\n        return False\n",
        "",
        "who is left out gets nothing",
    ),
    (
        f"{C}/blame.py",
        "        holder.health.failing.clear()\n        holder.health.successes += 1\n",
        "        holder.health.successes += 1\n",
        "in turn means in turn",
    ),
    (f"{C}/blame.py", "                state.workers[name].health.suspended = False\n", "", "another chance is one"),
    (
        f"{C}/deaths.py",
        "if trouble.condemned and deaths < DEATHS_TOGETHER:",
        "if trouble.condemned:",
        "a row that cannot be read ends the run",
    ),
    (
        f"{C}/blame.py",
        "return bool(state.coming) or 0.0 <= state.gone_at > state.clock - BACK_SECONDS",
        "return 0.0 <= state.gone_at > state.clock - BACK_SECONDS",
        "who is being started may confirm",
    ),
    (
        f"{C}/blame.py",
        "return bool(state.coming) or 0.0 <= state.gone_at > state.clock - BACK_SECONDS",
        "return bool(state.coming) or state.gone_at >= 0.0",
        "who does not come back is not waited for",
    ),
    (
        f"{C}/blame.py",
        "if trouble is not None and holder.worker.worker_id in trouble.failed_on and away(state):",
        "if trouble is not None and away(state):",
        "others may have it meanwhile",
    ),
    # divided sub-tasks
    (
        f"{C}/splitting.py",
        "search.by_row |= part.rows <= search.good",
        "search.by_row |= part.rows < search.good",
        "as large as one that went well",
    ),
    (
        f"{C}/splitting.py",
        "    state.change(task, Change.FINISHED)  # it counts no more: its parts stand for it\n    state.remaining -= 1\n",
        "    state.change(task, Change.FINISHED)\n",
        "divided parts count no more",
    ),
    (
        f"{C}/splitting.py",
        "    return not search.parts and _try_what_was_put_by(state, part.whole)\n\n\ndef overtaken",
        "    return _try_what_was_put_by(state, part.whole)\n\n\ndef overtaken",
        "a whole waits for its parts",
    ),
    (
        f"{C}/splitting.py",
        "        if other == task or not left:\n",
        "        if other == task:\n",
        "parts within what was committed",
    ),
    (
        f"{C}/splitting.py",
        "[*pairwise(cuts)] if committed else [(0, at), *pairwise(cuts)]",
        "[*pairwise(cuts)]",
        "rows before a cut",
    ),
    (f"{C}/splitting.py", "            del state.deaths[task]\n", "", "a rest is no suspect"),
    (f"{C}/splitting.py", "        search.condemned += 1\n", "        pass\n", "condemned rows are counted"),
    # time, back-ups, rests
    (
        f"{C}/timers.py",
        "            _push(state, state.policy.grace_seconds, GONE, live)\n",
        "",
        "what does not end is given up in the end",
    ),
    (
        f"{C}/timers.py",
        "elif what == SILENT and live.started is None:",
        "elif what == SILENT:",
        "what runs is not silent",
    ),
    (
        f"{C}/timers.py",
        "            if _worker_is_busy(state, live):\n",
        "            if False:\n",
        "who waits its turn is not silent",
    ),
    (
        f"{C}/timers.py",
        " * (state.policy.coming_factor if state.coming else 1.0)",
        "",
        "who is being started is waited for",
    ),
    (
        f"{C}/backups.py",
        "state.copies[task] = [attempt_id, action.attempt.attempt_id]",
        "state.copies[task] = [action.attempt.attempt_id]",
        "both are copies of each other",
    ),
    (
        f"{C}/backups.py",
        "            found, soonest = holder, seconds\n",
        "            found = holder\n",
        "the fastest idle worker",
    ),
    (
        f"{C}/handover.py",
        "task in state.copies or task in state.troubles or task in state.deaths",
        "task in state.troubles or task in state.deaths",
        "no rest beside a back-up",
    ),
    (f"{C}/handover.py", "if gain < policy.hand_over_seconds:", "if gain < 0:", "a rest that is worth it"),
    # a session
    (
        f"{C}/execute.py",
        "self.records.setdefault(event.record.task_key, event.record)",
        "self.records[event.record.task_key] = event.record",
        "the first record counts",
    ),
    (f"{C}/execute.py", "        epoch=lease.epoch,\n", "", "a session has its epoch"),
    (f"{C}/execute.py", "        first_numbers=_by_index(ids, numbers),\n", "", "attempts are numbered on"),
    (
        f"{C}/execute.py",
        "inf if tasks is None else most_quarantined(config, tasks)",
        "inf",
        "a limit reaches the machine",
    ),
    (
        f"{C}/execute.py",
        "            done.setdefault(record.whole, []).append(record.part)\n",
        "            pass\n",
        "parts that are committed",
    ),
    (
        f"{C}/execute.py",
        "key=lambda r: r.part or (0, 0)",
        "key=lambda r: r.task_key",
        "parts in the order of their rows",
    ),
    (f"{C}/execute.py", "most * float(rows.sum())", "most * len(rows)", "a share of the rows"),
]
"""File, right text, wrong text, and the law that is broken."""
