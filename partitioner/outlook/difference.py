"""Two runs beside each other: what was asked, what was read, which code ran, what was predicted and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from partitioner.model import Fragments, SubTasks
from partitioner.model.data import Floats, Ints
from partitioner.outlook.basis import measured_seconds
from partitioner.report.facts import Facts, read
from partitioner.report.summary import Summary, WorkerLoad, predictions, summarise
from partitioner.store.run_directory import RunDirectory

SLOWER = 1.2
"""Times as long from which a sub-task counts as slower (and its inverse as faster): less is the noise of a machine."""

NOTICEABLE = 0.005
"""Of the makespan: what changed by less seconds is neither."""

SHOWN = 10

FIGURES = (
    "status",
    "engine",
    "algorithm",
    "sub_tasks",
    "committed",
    "workers",
    "slots",
    "predicted_makespan",
    "makespan",
    "call_seconds",
    "lower_bound",
    "gap",
    "busy",
    "wasted",
    "error_median",
    "predicted_memory",
    "peak_memory",
    "attempts",
    "retries",
    "failed",
    "lost",
    "rows_in",
    "rows_out",
    "quarantined",
)
"""Fields of ``Summary`` that are compared."""


@dataclass(frozen=True, slots=True)
class Change:
    """One fact in both runs; None where a run does not have it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class InputChange:
    """Files of the input: how many are the same, and the paths that came, went, or have other content."""

    same: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slower:
    """A sub-task of the same rows that took longer the second time; seconds, predicted None without a prediction."""

    before_key: str
    after_key: str
    before_worker: str
    after_worker: str
    before: float
    after: float
    predicted: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """``before`` and ``after`` are run ids. Only what differs is in ``settings``, ``code`` and ``versions``.

    ``figures`` of both, seconds and bytes; ``matched`` sub-tasks hold the same rows in both and were measured in both, in
    ``seconds_before`` and ``seconds_after``; ``slower_count`` and ``faster_count`` of them by more than noise, the worst in
    ``slower``; ``workers``: what each did, by id, None in the run that did not have it.
    """

    before: str
    after: str
    settings: tuple[Change, ...]
    input: InputChange
    code: tuple[Change, ...]
    versions: tuple[Change, ...]
    figures: tuple[Change, ...]
    matched: int
    seconds_before: float
    seconds_after: float
    slower_count: int
    faster_count: int
    slower: tuple[Slower, ...]
    workers: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; changes as mappings by name of ``[before, after]``."""
        pairs = ("settings", "code", "versions", "figures", "workers")
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in pairs}
        plain["input"] = {f.name: _listed(getattr(self.input, f.name)) for f in fields(self.input)}
        plain["slower"] = [{f.name: getattr(s, f.name) for f in fields(s)} for s in self.slower]
        for name in pairs:
            plain[name] = {c.name: [_value(c.before), _value(c.after)] for c in getattr(self, name)}
        return plain


def difference(before: RunDirectory, after: RunDirectory) -> Difference:
    """Both runs from their directories. ConfigError where one of them holds no run."""
    first, second = read(before), read(after)
    one, two = summarise(first), summarise(second)
    pairs = matches(before.read_tasks(), after.read_tasks())
    seconds = measured_seconds(first)[pairs[:, 0]], measured_seconds(second)[pairs[:, 1]]
    both = np.isfinite(seconds[0]) & np.isfinite(seconds[1])
    pairs, was, now = pairs[both], seconds[0][both], seconds[1][both]
    noticed = np.abs(now - was) >= NOTICEABLE * max(one.makespan or 0.0, two.makespan or 0.0)
    slower, faster = noticed & (now > was * SLOWER), noticed & (now < was / SLOWER)
    return Difference(
        before=first.run_id,
        after=second.run_id,
        settings=tuple(_changes(dict(_flat(first.config)), dict(_flat(second.config)))),
        input=_input(first, second),
        code=tuple(_code(first, second)),
        versions=tuple(_versions(first, second)),
        figures=tuple(Change(name, getattr(one, name), getattr(two, name)) for name in FIGURES),
        matched=len(pairs),
        seconds_before=float(was.sum()),
        seconds_after=float(now.sum()),
        slower_count=int(slower.sum()),
        faster_count=int(faster.sum()),
        slower=tuple(_slower(first, second, pairs[slower], was[slower], now[slower])),
        workers=tuple(_workers(one, two)),
    )


def matches(before: SubTasks, after: SubTasks) -> Ints:
    """int64[k, 2]: indices of sub-tasks that read the same ranges of the same files, in order of the first."""
    if before.fragments is None or after.fragments is None:
        return np.empty((0, 2), np.int64)
    there = {what: i for i, what in enumerate(_read_by(after, after.fragments))}
    found = [(i, there[what]) for i, what in enumerate(_read_by(before, before.fragments)) if what in there]
    return np.array(found, np.int64).reshape(-1, 2)


def _read_by(tasks: SubTasks, fragments: Fragments) -> Iterator[tuple[Any, ...]]:
    """What every sub-task reads, as a value to compare."""
    f = fragments
    lines = list(zip(f.path_index.tolist(), f.section.tolist(), f.start.tolist(), f.stop.tolist(), strict=True))
    for i in range(len(tasks)):
        held = [lines[k] for k in tasks.fragments_of(i).tolist()]
        yield tuple((f.paths[path], *ranged) for path, *ranged in held)


def _slower(first: Facts, second: Facts, pairs: Ints, was: Floats, now: Floats) -> Iterator[Slower]:
    """The worst first."""
    predicted = predictions(second)
    for k in np.argsort(was - now, kind="stable")[:SHOWN].tolist():
        i, j = pairs[k].tolist()
        wanted = float(predicted[j]) if np.isfinite(predicted[j]) else None
        names = first.keys[i], second.keys[j], first.worker[i], second.worker[j]
        yield Slower(*names, float(was[k]), float(now[k]), wanted)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted name."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))


def _prints(facts: Facts, name: str) -> dict[str, Any]:
    return dict(facts.description.get("fingerprints", {}).get(name, {}))


def _input(first: Facts, second: Facts) -> InputChange:
    was, now = _prints(first, "input"), _prints(second, "input")
    both = sorted(was.keys() & now.keys())
    changed = tuple(path for path in both if was[path] != now[path])
    gone, come = tuple(sorted(was.keys() - now.keys())), tuple(sorted(now.keys() - was.keys()))
    return InputChange(len(both) - len(changed), come, gone, changed)


def _code(first: Facts, second: Facts) -> Iterator[Change]:
    """The program and the modules of the user's own that it imports, by the beginning of their digests."""
    codes = [str(f.description.get("fingerprints", {}).get("code", "")) for f in (first, second)]
    if codes[0] != codes[1]:
        yield Change("program", codes[0][:12], codes[1][:12])
    for change in _changes(_prints(first, "modules"), _prints(second, "modules")):
        short = [None if v is None else str(v)[:12] for v in (change.before, change.after)]
        yield Change(f"module {change.name}", *short)


def _versions(first: Facts, second: Facts) -> Iterator[Change]:
    was, now = ({**_prints(f, "libraries"), **dict(_flat(f.description.get("versions", {})))} for f in (first, second))
    yield from _changes(was, now)


def _workers(one: Summary, two: Summary) -> Iterator[Change]:
    was, now = ({w.worker_id: w for w in s.loads} for s in (one, two))
    for name in [*was, *(n for n in now if n not in was)]:
        yield Change(name, was.get(name), now.get(name))


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> Any:
    """A load of a worker as a mapping, anything else as it is."""
    return {f.name: getattr(value, f.name) for f in fields(value)} if isinstance(value, WorkerLoad) else value
