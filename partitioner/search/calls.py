"""Independent calls as the sub-tasks of one run: what they share travels once, and each commits on its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from partitioner import config as configuration
from partitioner import registry
from partitioner.attempt.isolate import about_rows
from partitioner.attempt.job import load
from partitioner.attempt.surroundings import task_context
from partitioner.costs.base import CostModel
from partitioner.costs.declared import Declared
from partitioner.errors import CallFailed, ConfigError, RunFailed
from partitioner.graphs.results import Kept, Made, encoded, read_made
from partitioner.model import Costs, Dataset, Fragment, Fragments, Limits, Plan, SubTasks
from partitioner.model.data import Floats
from partitioner.model.source import Source
from partitioner.running import run_config
from partitioner.runs.run import Run
from partitioner.search.digest import Call, digested
from partitioner.splits.base import Splitter


@dataclass(frozen=True, slots=True, eq=False)
class CallsSource(Source):
    """One row for each call."""

    count: int

    name: ClassVar[str] = "calls"

    def describe(self) -> Dataset:
        """A fragment for each."""
        return Dataset(self, Fragments.of([Fragment(i, f"call-{i:06d}", -1, 0, 1, 1, 0) for i in range(self.count)]))

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its number."""
        yield pa.RecordBatch.from_pydict({"call": [fragment.index]})

    def fingerprints(self) -> dict[str, str]:
        """Nothing is read."""
        return {}


class OneEach(Splitter):
    """A sub-task for each fragment. ``alike``: calls of one number are expected to take as long; ``early`` ones go first.

    ``traits``: as in ``SubTasks``.
    """

    name = "one each"
    keeps_groups = True

    def __init__(
        self, alike: Sequence[int] | None = None, early: Sequence[bool] | None = None, traits: Floats | None = None
    ) -> None:
        self.alike, self.early, self.traits = alike, early, traits

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """As many sub-tasks as fragments."""
        n = len(dataset.fragments)
        return SubTasks.build(
            costs.seconds,
            [f"call-{i:06d}" for i in range(n)],
            memory_bytes=costs.memory_bytes + costs.fixed_memory_bytes,
            fragments=dataset.fragments,
            offsets=np.arange(n + 1, dtype=np.int64),
            fragment_index=np.arange(n, dtype=np.int64),
            alike=None if self.alike is None else np.array(self.alike, np.int64),
            traits=self.traits,
            **({} if self.early is None else {"priority": np.array(self.early, np.float64)}),
        )


class CallProgram:
    """Runs the call whose number it is given; ``at_once``: one that raises is not tried again."""

    def __init__(self, calls: Sequence[Call], serializer: str, at_once: bool = False) -> None:
        self.calls, self.serializer, self.at_once = calls, serializer, at_once

    def __call__(self, batch: pa.RecordBatch) -> Made:
        """What the call returned. Raises CallFailed for what it raised, unless memory ran out."""
        function, arguments, keywords = self.calls[batch["call"][0].as_py()]
        try:
            found = function(*arguments, **keywords)
        except Exception as error:
            if not about_rows(error):
                raise
            raise CallFailed(error, self.at_once) from error
        context = task_context()
        secret = load(context.run_url).run.key
        return encoded(context.task_key, found, self.serializer, secret)


def own_error(failed: RunFailed) -> Exception | None:
    """What the call raised that ended the run, made anew from its class and text.

    None where no call did, or where this process does not know the class, or cannot make one of a text alone.
    """
    module, _, name = failed.raised.partition(":")
    kind = vars(sys.modules.get(module, sys)).get(name)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        return kind(failed.said)
    except TypeError:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """What calls are expected to take before any ran: ``model`` gives the seconds of each, or a stand-in.

    ``alike``: numbers of kinds; the first of a kind that is done tells what the others take. ``early`` calls begin first.
    ``traits`` float64[n, k]: what kinds differ in, so that those that ran tell of those that did not.
    """

    model: CostModel
    alike: Sequence[int] | None = None
    early: Sequence[bool] | None = None
    traits: Floats | None = None


def declared(seconds: Sequence[float], unit: str = "seconds") -> CostModel:
    """So much for each call."""
    return Declared(seconds=[float(s) for s in seconds], memory_bytes=0.0, unit=unit)


def run_calls(
    calls: Sequence[Call],
    seconds: Sequence[float] | Guess,
    *,
    serializer: str = "safe",
    on_plan: Callable[[Plan], None] | None = None,
    resume: str | None = None,
    at_once: bool = False,
    **options: Any,
) -> tuple[list[Any], Run]:
    """What each call returned, in their order, and the run that it came from.

    ``seconds``: what each is expected to take; only their proportions shape the plan. Objects that several calls are given
    travel once. ``serializer``: ``"pickle"`` where results are no data. ``resume``: the id of a run of the same calls, of
    which only those that it lacks run. ``at_once``: a call that raises is not tried again. ``options``: settings of
    ``RunConfig`` such as engine and checkpoint. Raises ConfigError; ResumeRefused for a run of other calls; RunFailed
    where a call raises in every try.
    """
    if not calls:
        raise ConfigError("there are no calls; give at least one.")
    if not isinstance(seconds, Guess) and len(calls) != len(seconds):
        raise ConfigError(f"there are {len(calls)} calls and {len(seconds)} costs; give one for each.")
    guess = seconds if isinstance(seconds, Guess) else Guess(declared(seconds))
    values = {
        "dataset": CallsSource(len(calls)),
        "program": CallProgram,
        "arguments": {"calls": digested(calls), "serializer": serializer, "at_once": at_once},
        "batch_format": "arrow",
        "cost": guess.model,
        "split": OneEach(guess.alike, guess.early, guess.traits),
        "reducer": Kept(),
        **({} if guess.early is None else {"placement": "priority"}),
    }
    config = configuration.make({**values, **options})
    run = run_config(config, resume, None if on_plan is None else lambda planned, _: on_plan(planned))
    sink = registry.import_ours("connectors.parquet_sink").ParquetSink(f"{run.url}/partials", plain=True)
    return [read_made(sink, record.task_key).value(run.directory.key) for record in run.records], run
