"""The difference of two runs as text for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from partitioner.outlook.difference import Change, Difference, InputChange
from partitioner.outlook.tables import aligned
from partitioner.report.words import NONE, change, count, seconds, share, size

PATHS = 5
WORKERS = 20

_WORDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "predicted_makespan": ("predicted makespan", seconds),
    "makespan": ("makespan", seconds),
    "call_seconds": ("from call to result", seconds),
    "lower_bound": ("lower bound", seconds),
    "gap": ("plan's gap", share),
    "busy": ("busy share of slots", share),
    "wasted": ("wasted share of slots", share),
    "error_median": ("median error per sub-task", share),
    "predicted_memory": ("predicted memory", size),
    "peak_memory": ("peak memory", size),
    **{
        name: (name.replace("_", " "), count)
        for name in (
            "attempts",
            "retries",
            "failed",
            "lost",
            "rows_in",
            "rows_out",
            "quarantined",
            "committed",
            "workers",
        )
    },
    "sub_tasks": ("sub-tasks", count),
}


def text(found: Difference) -> str:
    """Sections, each only as long as there is a difference to tell; figures always."""
    lines = [f"{found.before} beside {found.after}"]
    lines += _section("settings", found.settings, "the same")
    lines += ["input: " + _input(found.input), *_paths(found.input)]
    lines += _section("code", found.code, "the same")
    lines += _section("versions", found.versions, "the same")
    lines += ["figures:", *_indented(aligned([["", "before", "after", ""], *map(_figure, found.figures)]))]
    lines += _sub_tasks(found)
    return "\n".join([*lines, *_workers(found)])


def _section(name: str, changes: Sequence[Change], none: str) -> list[str]:
    if not changes:
        return [f"{name}: {none}"]
    return [f"{name}:", *(f"  {c.name}: {_shown(c.before)} -> {_shown(c.after)}" for c in changes)]


def _shown(value: Any) -> str:
    return NONE if value is None else str(value)


def _input(found: InputChange) -> str:
    told = [(len(found.added), "new"), (len(found.removed), "gone"), (len(found.changed), "changed")]
    other = ", ".join(f"{count(n)} {what}" for n, what in told if n)
    files = "file" if found.same == 1 else "files"
    return f"{count(found.same)} {files} the same" + (f", {other}" if other else "")


def _paths(found: InputChange) -> list[str]:
    lines = []
    for what, paths in (("new", found.added), ("gone", found.removed), ("changed", found.changed)):
        lines += [f"  {what}: {path}" for path in paths[:PATHS]]
        lines += [f"  {what}: and {count(len(paths) - PATHS)} more"] if len(paths) > PATHS else []
    return lines


def _figure(c: Change) -> list[str]:
    name, shown = _WORDS.get(c.name, (c.name, _shown))
    numbers = all(isinstance(v, int | float) for v in (c.before, c.after))
    how = change(c.after, c.before) if numbers and shown is not share else ""
    how = "" if how in ("+0.0 %", "-0.0 %", NONE) else how
    return [
        name,
        *(NONE if v is None else f"{v:g}" if c.name == "slots" else shown(v) for v in (c.before, c.after)),
        how,
    ]


def _sub_tasks(found: Difference) -> list[str]:
    if not found.matched:
        return ["sub-tasks: none reads the same rows in both runs, so none is compared"]
    moved = change(found.seconds_after, found.seconds_before)
    lines = [
        f"sub-tasks: {count(found.matched)} of the same rows in both; together {seconds(found.seconds_before)} and "
        f"{seconds(found.seconds_after)} ({moved}); {count(found.slower_count)} slower, {count(found.faster_count)} faster"
    ]
    rows = [["slower", "before", "after", "", "predicted", "on"]]
    for s in found.slower:
        key = s.after_key if s.before_key == s.after_key else f"{s.before_key} -> {s.after_key}"
        where = s.after_worker if s.before_worker == s.after_worker else f"{s.before_worker} -> {s.after_worker}"
        rows.append([key, seconds(s.before), seconds(s.after), change(s.after, s.before), seconds(s.predicted), where])
    return lines + (_indented(aligned(rows)) if found.slower else [])


def _workers(found: Difference) -> list[str]:
    """What each did; where the runs share no worker their names tell nothing."""
    if not any(c.before is not None and c.after is not None for c in found.workers):
        return ["workers: none took part in both runs"]
    rows = [["worker", "sub-tasks before", "after", "busy before", "after"]]
    for c in found.workers[:WORKERS]:
        loads = (c.before, c.after)
        rows.append(
            [
                c.name,
                *(NONE if w is None else count(w.sub_tasks) for w in loads),
                *(NONE if w is None else seconds(w.useful) for w in loads),
            ]
        )
    more = len(found.workers) - WORKERS
    return ["workers:", *_indented(aligned(rows)), *([f"  and {count(more)} more"] if more > 0 else [])]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
