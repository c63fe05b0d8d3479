"""What an incremental run leaves to do of its input: by files and their sections, by keys and watermarks, or by watermark.

By keys: a row runs if its key is new or its watermark another than in the version that the output is; of all others the
results are kept, those of keys that are gone are dropped, and the output is in the order of the input. A reducer keeps a
partial result for each piece of the input, which runs again where a key or watermark in it is another.
By the watermark alone: rows above the highest one run, and what comes of them follows what is there.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.attempt.job import Job
from partitioner.config import RunConfig
from partitioner.errors import ConfigError, DataError, ResumeRefused
from partitioner.frames import UNFIT, to_numpy
from partitioner.model import Dataset
from partitioner.model.data import Ints
from partitioner.model.source import Source
from partitioner.output import versions
from partitioner.output.by_rows import HELD
from partitioner.output.exporting import home_of
from partitioner.output.modes import NO_VERSION, Target, base_of, job_of, narrowed, saves
from partitioner.output.tracking import MARK, Known, Matches, Tracking, known_rows, matches, tracking_of
from partitioner.program import unwrapped
from partitioner.stages.picked import PickedSource, PieceSource, Scanned
from partitioner.stages.resolved import Resolved
from partitioner.stages.scanning import Scan, in_pieces, in_small_pieces, scanned
from partitioner.stages.steps import Described, fingerprints
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory

NOTHING = np.zeros(0, np.int64)
EMPTY = "the output is empty"


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What is left to do: the dataset and its job, what is kept, the fingerprints of the input, and what there is to say.

    ``rows`` of the whole input as the run directory keeps them, where they are told one by one; ``aloud`` is told at once;
    ``seconds`` of sub-tasks that it takes, as measured of the rows that are kept (None: not known).
    """

    described: Described
    target: Target
    prints: Mapping[str, Any]
    notes: Mapping[str, Any]
    rows: pa.Table | None = None
    aloud: str = ""
    seconds: float | None = None


def check(parts: Resolved) -> None:
    """Raises ConfigError where what changed cannot be told, of this source or with the other settings."""
    config, tracking = parts.config, tracking_of(parts.config)
    if config.incremental is not None and config.mode not in {"incremental", "overwrite"}:
        raise ConfigError(
            f"incremental={config.incremental} says how mode='incremental' tells rows, and mode is {config.mode!r}; set "
            "mode='incremental', or mode='overwrite' for one night that makes everything anew."
        )
    if tracking is None:
        if config.mode == "incremental" and not parts.source.tells_changes():
            raise ConfigError(
                f"mode='incremental' goes by what is in each file, and connector {parts.source.name!r} does not tell "
                "whether a row was updated. Tell rows apart with incremental={'key': ..., 'watermark': ...}, or use "
                "mode='overwrite'."
            )
        return
    if parts.splitter.regroups:
        raise ConfigError(
            f"incremental={config.incremental} runs single rows again, and split {config.split!r} gives the program rows "
            "that belong together. Use split='ordered', 'packed' or 'by_weight', or mode='overwrite'."
        )
    if tracking.key and parts.reducer.rows:
        _check_row_by_row(parts)


def _check_row_by_row(parts: Resolved) -> None:
    config = parts.config
    if config.allow_row_change:
        raise ConfigError(
            "incremental.key replaces the one row that came of each key, and allow_row_change lets the program return fewer "
            "or more. Leave it out and use filter=, leave out incremental (files are then told apart), or mode='overwrite'."
        )
    if not config.preserve_order:
        raise ConfigError(
            "incremental.key finds the row that came of each key by its place; leave out preserve_order=False."
        )
    if parts.program is not None and not _row_wise(parts.program):
        raise ConfigError(
            "incremental.key runs single rows again, and the program declares row_wise = False: what it returns of a row "
            "depends on the others in its batch. Leave out incremental (files are then told apart), or use mode='overwrite'."
        )


def _row_wise(program: Any) -> bool:
    """What a program returns of a row depends on that row alone, unless it declares ``row_wise = False``."""
    found = unwrapped(program)
    return not (inspect.isclass(found) or inspect.isfunction(found)) or vars(found).get("row_wise") is not False


def only_changes(parts: Resolved, described: Described) -> Rest:
    """What an incremental run would do now, for ``plan``, and what it saves; nothing is claimed."""
    home = home_of(parts.config)
    if parts.config.mode != "incremental" or home is None or described.job is None:
        return Rest(described, NO_VERSION, {}, {})
    base = versions.committed(Directory(home))
    return rest_of(parts, described, Target(0, -1 if base is None else base.number))


def rest_of(parts: Resolved, described: Described, target: Target) -> Rest:
    """What the mode leaves to do of a dataset, for a run that starts from the version that ``target`` names."""
    job, config, tracking = described.job, parts.config, tracking_of(parts.config)
    assert job is not None, "a run has a program"
    if tracking is None:
        return _by_files(config, described, job, target)
    dataset = in_pieces(described.dataset)
    if not tracking.key:
        return _by_watermark(config, dataset, job, target, tracking)
    dataset = dataset if parts.reducer.rows else in_small_pieces(dataset)
    scan = scanned(dataset, tracking)
    seen = PieceSource.of(dataset, scan, tracking)
    job = replace(job, source=seen.source, by_section=job.by_file)
    if not parts.reducer.rows:
        return _by_files(config, Described(seen, job), job, target)
    return _by_keys(config, dataset, job, target, tracking, scan)


def _by_files(config: RunConfig, described: Described, job: Job, target: Target) -> Rest:
    prints = fingerprints(config, job)
    rest, target = narrowed(config, target, described.dataset, prints)
    notes = saves(described.dataset, rest, target) if config.mode == "incremental" else {}
    return Rest(Described(rest, job), target, prints, notes)


def _by_keys(config: RunConfig, dataset: Dataset, job: Job, target: Target, tracking: Tracking, scan: Scan) -> Rest:
    prints = fingerprints(config, job)
    known, why = _known(config, target, tracking, prints)
    found = why or matches(scan.table, known.table, tracking)
    if isinstance(found, str):
        why, known = found, Known.nothing()
        found = Matches(np.full(scan.table.num_rows, -1, np.int64))
    held = _still_there(config, target, known, found.held)
    rest = PickedSource.of(dataset, scan, tracking, np.flatnonzero(held < 0))
    told = Described(rest, replace(job, source=rest.source, by_section=False))
    target = replace(target, by="keys", base_known=not why)
    notes = {"incremental": _said(held, found, known, why)}
    aloud = _anew(notes["incremental"], why)
    seconds = known.seconds_per_row * int((held < 0).sum()) if known.seconds else None
    return Rest(told, target, prints, notes, scan.table.append_column(HELD, pa.array(held)), aloud, seconds)


def _anew(told: str, why: str) -> str:
    """Everything runs although there is an output."""
    return f"mode incremental {told}" if why and why != EMPTY else ""


def _known(config: RunConfig, target: Target, tracking: Tracking, prints: Mapping[str, Any]) -> tuple[Known, str]:
    """What the version before knows of its rows; else nothing, and why."""
    output = Directory(str(home_of(config)))
    base = base_of(output, target.base)
    if base is None or base.manifest is None:
        return Known.nothing(), EMPTY
    if "rows" in base.manifest and base.manifest.get("job") != job_of(prints):
        return Known.nothing(), "code or settings are others than those that made the output"
    known = known_rows(output, base.manifest, tracking)
    return (Known.nothing(), known) if isinstance(known, str) else (known, "")


def _still_there(config: RunConfig, target: Target, known: Known, held: Ints) -> Ints:
    """Without the rows of files that are gone or damaged: these run again."""
    if not (held >= 0).any():
        return held
    output = Directory(str(home_of(config)))
    base = base_of(output, target.base)
    assert base is not None, "it knows rows"
    assert base.manifest is not None, "it is committed"
    sizes = {entry.name: entry.size for entry in output.entries(versions.FOLDER)}
    sound = np.array([sizes.get(f["stored"]) == f["size"] for f in base.manifest["files"]] + [True], bool)
    there: Ints = np.where((held >= 0) & sound[known.column("file")[held]], held, -1)
    return there


def _said(held: Ints, found: Matches, known: Known, why: str) -> str:
    """What runs, what is kept, and what that saves."""
    n, run = len(held), int((held < 0).sum())
    if why:
        return f"runs all {n} rows: {why}"
    saved = known.seconds_per_row * (n - run)
    new = run - found.changed
    return (
        f"runs {run} of {n} rows ({run / max(n, 1):.1%}): {new} new, {found.changed} changed; keeps {n - run}, drops "
        f"{found.gone} that are gone; saves {saved:.3g} s of sub-tasks, as measured when the kept rows ran"
    )


def _by_watermark(config: RunConfig, dataset: Dataset, job: Job, target: Target, tracking: Tracking) -> Rest:
    known, why = _known(config, target, tracking, fingerprints(config, replace(job, source=_unread(dataset, tracking))))
    high = _highest(known)
    rest, top = _above(dataset, tracking, high)
    job = replace(job, source=rest.source, by_section=False)
    rows = pa.table({MARK: pa.array([] if top is None else [top.as_py()], None if top is None else top.type)})
    target = replace(target, by="watermark", base_known=not why)
    run = int(rest.fragments.rows.sum())
    notes = {"incremental": f"runs all {run} rows: {why}"}
    if not why:
        notes = _said_of_watermark(tracking, run, dataset.rows, known, high)
    aloud = "; ".join(filter(None, [_anew(notes["incremental"], why), notes.get("late or gone", "")]))
    seconds = known.seconds_per_row * run if known.seconds else None
    return Rest(Described(rest, job), target, fingerprints(config, job), notes, rows, aloud, seconds)


def _unread(dataset: Dataset, tracking: Tracking) -> Source:
    """Stands for what will be read, before it is known what that is."""
    return PickedSource.of(
        replace(dataset, fragments=dataset.fragments.take([])), Scan.empty(), tracking, NOTHING
    ).source


def _highest(known: Known) -> Any:
    return known.table[MARK][0] if known.rows and known.table.num_rows else None


def _above(dataset: Dataset, tracking: Tracking, high: Any) -> tuple[Dataset, Any]:
    """The rows above the highest watermark, of the fragments that may hold such, and the highest one then."""
    pushed = None if high is None else dataset.source.above(tracking.watermark, high.as_py())
    if pushed is not None:
        dataset = pushed.describe()
    elif high is not None:
        column = pc.field(tracking.watermark)
        wanted = dataset.source.matching(dataset.fragments, (column > high) | column.is_null())
        dataset = replace(dataset, fragments=dataset.fragments.take(wanted))
    scan = scanned(dataset, tracking)
    marks = scan.table[MARK]
    above = np.arange(len(marks))
    if high is not None and len(marks):
        above = np.flatnonzero(to_numpy(pc.greater(marks, _fitted(high, marks.type, tracking)).cast(pa.int8())))
    top = pc.max(marks) if len(above) else high
    return PickedSource.of(dataset, scan, tracking, above), top


def _fitted(high: Any, kind: pa.DataType, tracking: Tracking) -> Any:
    try:
        return high.cast(kind)
    except UNFIT:
        raise DataError(
            f"incremental.watermark {tracking.watermark!r} is of {kind}, and the highest one in the output, "
            f"{high.as_py()!r}, of {high.type}. Mend the input, or make the output anew with mode='overwrite'."
        ) from None


def _said_of_watermark(tracking: Tracking, run: int, rows: int, known: Known, high: Any) -> dict[str, Any]:
    name, kept = tracking.watermark, known.rows
    above = f" with {name} above {high.as_py()}" if high is not None else ""
    saved = f"saves {known.seconds:.3g} s of sub-tasks, as measured when the kept rows ran"
    notes = {"incremental": f"runs {run} rows{above}, keeps {kept}; {saved}"}
    if rows >= 0 and rows != run + kept:
        notes["late or gone"] = (
            f"the input has {rows} rows and the output will be of {run + kept}: rows came late, changed in place, or are "
            f"gone, which {name} alone does not tell; add incremental.key to replace and remove rows"
        )
    return notes


def resumed(parts: Resolved, directory: RunDirectory, dataset: Dataset, target: Target) -> Dataset:
    """The dataset of a run that goes on, as the run saw it; its contents are those of now, which must be those of then.

    Raises ResumeRefused where the input has other rows by now.
    """
    config, tracking, source = parts.config, tracking_of(parts.config), dataset.source
    if tracking is None:
        return dataset
    dataset = source.within() if isinstance(source, Scanned) else in_pieces(dataset)
    if target.by == "watermark":
        base = base_of(Directory(str(home_of(config))), target.base)
        known = Known.nothing()
        if target.base_known and base is not None and base.manifest is not None:
            found = known_rows(Directory(str(home_of(config))), base.manifest, tracking)
            known = Known.nothing() if isinstance(found, str) else found
        return _above(dataset, tracking, _highest(known))[0]
    if target.by != "keys":
        dataset = in_small_pieces(dataset)
        return PieceSource.of(dataset, scanned(dataset, tracking), tracking)
    scan = scanned(dataset, tracking)
    held = to_numpy(directory.read_table("rows")[HELD]).astype(np.int64)
    if len(held) != len(scan.table):
        raise ResumeRefused(
            f"run {directory.run_id} began with {len(held)} rows of input, and there are {len(scan.table)} now. Start a new "
            "run."
        )
    return PickedSource.of(dataset, scan, tracking, np.flatnonzero(held < 0))
