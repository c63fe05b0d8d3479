"""Of several things only the first, one of two counted, a count that begins anew: changes that survived once."""

from __future__ import annotations

C = "partitioner/coordinator"

CHOSEN: list[tuple[str, str, str, str]] = [
    # only the first
    (
        f"{C}/alike.py",
        "in state.workers.values():\n        for live",
        "in [*state.workers.values()][:1]:\n        for live",
        "every worker's attempts",
    ),
    (
        f"{C}/alike.py",
        "for live in holder.live.values():",
        "for live in [*holder.live.values()][:1]:",
        "every attempt of a worker",
    ),
    (f"{C}/alike.py", "for item in passed:", "for item in passed[:1]:", "who could not hold the one before"),
    (
        f"{C}/awaiting.py",
        "in sorted(state.awaited & state.workers.keys()):",
        "in sorted(state.awaited & state.workers.keys())[:1]:",
        "all that do not answer",
    ),
    (f"{C}/backups.py", "list(state.late.items())", "list(state.late.items())[:1]", "each that is late"),
    (
        f"{C}/blame.py",
        "for name in list(state.excluded):",
        "for name in list(state.excluded)[:1]:",
        "time passes for all that are left out",
    ),
    (
        f"{C}/capacity.py",
        "in attempt.resources.items():",
        "in [*attempt.resources.items()][:1]:",
        "every resource is held",
    ),
    (
        f"{C}/dispatch.py",
        "in state.readiness.free(state.second(now)):",
        "in [*state.readiness.free(state.second(now))][:1]:",
        "all that become free",
    ),
    (
        f"{C}/machine.py",
        "in [] if state.policy.rerouted else list(holder.live):",
        "in [] if state.policy.rerouted else list(holder.live)[:1]:",
        "all that ran on a lost worker",
    ),
    (
        f"{C}/machine.py",
        "    for attempt_id in state.copies.pop(task, ()):",
        "    for attempt_id in state.copies.pop(task, ())[:1]:",
        "the copy that lost",
    ),
    (
        f"{C}/machine.py",
        "in timers.due(state, actions):",
        "in [*timers.due(state, actions)][:1]:",
        "all that are given up",
    ),
    (
        f"{C}/splitting.py",
        "in list(search.next.items()):",
        "in list(search.next.items())[:1]:",
        "all halves that were cut",
    ),
    (
        f"{C}/splitting.py",
        "in enumerate(search.put_by):",
        "in enumerate(search.put_by[:1]):",
        "a neighbour among all that is put by",
    ),
    (
        f"{C}/state.py",
        "in self.by_class.values():",
        "in [*self.by_class.values()][:1]:",
        "a part takes its share in every class",
    ),
    # one of several is enough
    (f"{C}/bundling.py", "and all(live.attempt", "and any(live.attempt", "all that wait are small"),
    (f"{C}/capacity.py", "planned and all(", "planned and any(", "all planned devices"),
    # counted anew
    (f"{C}/blame.py", "health.successes += 1", "health.successes = 1", "successes add up"),
    (
        f"{C}/dispatch.py",
        "    there.ahead += live.seconds\n",
        "    there.ahead = live.seconds\n",
        "what was ahead there already",
    ),
    (f"{C}/machine.py", "state.actual_done += record", "state.actual_done = record", "what all took"),
    (f"{C}/splitting.py", "search.by_row |= ", "search.by_row = ", "a row is the cause from then on"),
    # the wrong one of two
    (f"{C}/bundling.py", "max(1.0, holder.worker.cpus)", "holder.worker.cpus", "less than a core"),
    (
        f"{C}/dispatch.py",
        "state.seconds_on(i, holder.worker) * holder.worker.speed",
        "state.seconds[i]",
        "short elsewhere",
    ),
    (
        f"{C}/machine.py",
        "else state.seconds_on(task, holder.worker)",
        "else state.seconds[task]",
        "predicted for that worker",
    ),
    (f"{C}/state.py", "float(columns.deadline[task]), ", "0.0, ", "the earlier deadline"),
    (
        f"{C}/timers.py",
        "_push(state, live.attempt.timeout_seconds, TIMEOUT",
        "_push(state, state.policy.timeout_seconds, TIMEOUT",
        "its own limit",
    ),
    (f"{C}/timers.py", "LATE * live.expected", "LATE * live.seconds", "late on that worker"),
    # left out
    (f"{C}/execute.py", 'many.total("quarantined") if many', "0 if many", "rows aside in columns count too"),
    (
        f"{C}/ladder.py",
        "stopped.raised, stopped.said = why.raised, why",
        "stopped.said = why",
        "what the program raised",
    ),
    (
        f"{C}/splitting.py",
        "*([search.next.pop(other)] if other in search.next else [])",
        "",
        "the other half of what was overtaken",
    ),
    (
        f"{C}/splitting.py",
        "    search.good = max(search.good, rows[1] - rows[0])\n    return",
        "    return",
        "rows that a late attempt bore",
    ),
    # the wrong order
    (
        f"{C}/machine.py",
        "            actions += dispatch.fill(state, now)\n            actions += backups.back_up(state, now)\n",
        "            actions += backups.back_up(state, now)\n            actions += dispatch.fill(state, now)\n",
        "a back-up in the step in which the last one goes",
    ),
]
