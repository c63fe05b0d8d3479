"""Of the machine, its driver and what it counts: steps, order, room, what a session hands on."""

from __future__ import annotations

C = "partitioner/coordinator"

CHOSEN: list[tuple[str, str, str, str]] = [
    (f"{C}/machine.py", "if live is None or live.started is not None:", "if live is None:", "a repeated start"),
    (
        f"{C}/machine.py",
        "    if state.status[task] != LIVE:\n        return\n    _stop",
        "    if False:\n        return\n    _stop",
        "a late end",
    ),
    (f"{C}/machine.py", "    _stop_copies(state, task, actions)\n", "", "the loser of a back-up is cancelled"),
    (f"{C}/machine.py", "    if not why.charged:\n", "    if False:\n", "retirement"),
    (
        f"{C}/machine.py",
        "    if live.started is None:\n",
        "    if False:\n",
        "only what ran is suspect",
    ),
    (f"{C}/machine.py", "death=True", "death=False", "a death is no error"),
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
    (
        f"{C}/stealing.py",
        "            state.recalls.append(live.attempt.attempt_id)\n\n",
        "\n",
        "taken back from the late",
    ),
    (f"{C}/dispatch.py", "holder.held = None  # from here on", "pass  # from here on", "a hopeless wait ends"),
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
    (f"{C}/execute.py", "    state.part_numbers = {", "    _ = {", "parts are numbered on"),
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
    (f"{C}/machine.py", "live.why or event.error or UNKNOWN", "event.error or live.why or UNKNOWN", "the first reason"),
    (
        f"{C}/machine.py",
        "live.why or event.error or Failure()",
        "event.error or live.why or Failure()",
        "too slow is no death",
    ),
    (f"{C}/machine.py", "    state.handed_back = 0\n    stability", "    stability", "what finishes breaks a circle"),
    (
        f"{C}/machine.py",
        "        blame.handed_back(state, event.error)\n        _went",
        "        _went",
        "failures that are handed back count",
    ),
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
]
"""File, right text, wrong text, and the law that is broken."""
