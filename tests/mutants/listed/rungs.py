"""Of the failure ladder: rungs, divided sub-tasks, time limits, back-ups, rests that are handed over."""

from __future__ import annotations

C = "partitioner/coordinator"

CHOSEN: list[tuple[str, str, str, str]] = [
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
    (f"{C}/deaths.py", "DEATHS_TOGETHER + (rows == 1)", "DEATHS_TOGETHER", "chance under one row"),
    (f"{C}/deaths.py", "if again or (len(trouble.died_on) < 2 and", "if again or (True and", "two workers are enough"),
    (f"{C}/handover.py", "if seconds <= SLOWER * min(times)]", "]", "the slow share no rest"),
    (f"{C}/splitting.py", "cuts = [at + (rows - at)", "cuts = [(rows - at)", "pieces begin at the cut"),
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
]
"""File, right text, wrong text, and the law that is broken."""
