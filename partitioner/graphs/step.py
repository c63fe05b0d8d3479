"""A step of a pipeline, as a user writes it, and every check of it that needs no data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any

from partitioner import choices
from partitioner import program as programs
from partitioner.errors import ConfigError, ProgramError, nearest
from partitioner.reducers.base import Reducer
from partitioner.reducers.partials import SERIALIZERS

DATASET = "dataset"
"""What ``over`` says of the rows of the dataset itself; no step may have this name."""

MERGE = "merge"
"""The part of a step that merges the others."""

FORMATS = ("pandas", "numpy", "arrow", "polars", "rows", "torch")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step: a program over rows, over the results of other steps, or over both.

    ``program`` a function, a class, or ``module:name``. ``over``: whose rows it gets, ``"dataset"`` or a step whose result
    are rows; a step that names neither ``over`` nor ``using`` is over the dataset. It is called once for each partition of
    them, or once with all rows where ``whole``. ``using``: steps whose results it gets as keywords of their names.
    ``reducer`` merges what the calls return into one result; without it the rows returned are the result, or, of a step that
    is called once, whatever it returns. ``arguments``, ``batch_format``: as in ``pt.run``.
    ``seconds`` all its calls take together at reference speed, or a function of the number of rows of one call; None:
    measured on a sample. ``memory_bytes``, ``cpus`` and ``gpus`` of each call. ``serializer``: ``"pickle"`` for results that
    are no data, numbers, tables or estimators; they are sealed with the key of the run, and nothing else is unpickled.
    """

    name: str
    program: Any
    over: str | None = None
    using: tuple[str, ...] = ()
    whole: bool = False
    reducer: Reducer | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    batch_format: str = "pandas"
    seconds: float | Callable[[int], float] | None = None
    memory_bytes: float = 0.0
    cpus: float = 1.0
    gpus: float = 0.0
    serializer: str = "safe"

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name == DATASET:
            raise ConfigError(f"a step is called {self.name!r}; its name is an identifier other than {DATASET!r}.")
        using = (self.using,) if isinstance(self.using, str) else tuple(self.using)
        reducer = None if self.reducer is None else choices.choose("reducers", self.reducer)
        self._set(using=using, program=programs.resolve(self.program))
        self._set(reducer=None if reducer is None or reducer.rows else reducer)
        self._set(over=DATASET if self.over is None and not using else self.over)
        _check(self)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def sources(self) -> tuple[str, ...]:
        """The steps that it waits for."""
        rows = () if self.over in (None, DATASET) else (str(self.over),)
        return (*rows, *self.using)


def _check(step: Step) -> None:
    if step.batch_format not in FORMATS:
        close = nearest(str(step.batch_format), list(FORMATS))
        raise ConfigError(f"step {step.name!r}: batch_format is {step.batch_format!r}; it is one of {FORMATS}.{close}")
    if step.serializer not in SERIALIZERS:
        raise ConfigError(f"step {step.name!r}: serializer is {step.serializer!r}; it is one of {SERIALIZERS}.")
    if step.over is None and (step.whole or step.reducer is not None):
        raise ConfigError(f"step {step.name!r} is over no rows and is called once; leave out whole and reducer.")
    if isinstance(step.seconds, int | float) and not (isfinite(step.seconds) and step.seconds >= 0):
        raise ConfigError(
            f"step {step.name!r}: seconds is {step.seconds}; give a number of at least 0, or leave it out."
        )
    for name in ("memory_bytes", "cpus", "gpus"):
        value = getattr(step, name)
        if not (isinstance(value, int | float) and isfinite(value) and value >= 0):
            raise ConfigError(f"step {step.name!r}: {name} is {value!r}; give a number of at least 0.")
    _check_call(step)


def _check_call(step: Step) -> None:
    """ProgramError where the program cannot be built, or called with what the step gives it."""
    given = [] if step.over is None else [None]
    keywords = dict.fromkeys(step.using)
    made, target = step.program, step.program
    if inspect.isclass(made):
        _bind(step, made, [], step.arguments)
        target, given = made.__call__, [None, *given]
    else:
        keywords = {**keywords, **step.arguments}
    _bind(step, target, given, keywords)


def _bind(step: Step, target: Any, given: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    if (why := programs.refusal(target, given, keywords)) is not None:
        what = "one batch" if step.over is not None else "no batch"
        raise ProgramError(
            f"step {step.name!r} cannot call {programs.name_of(step.program)} with {what} and {sorted(keywords)}: {why}."
        )


def steps_from(given: Any) -> tuple[Step, ...]:
    """Steps in an order in which each comes after those it waits for, from a list of ``Step``, or a mapping by name.

    ConfigError for two of a name, for one that waits for a step that is not there, or, through others, for itself.
    """
    steps = [_step(name, value) for name, value in _named(given)]
    names = [step.name for step in steps]
    if not steps:
        raise ConfigError("steps is empty; give at least one.")
    for step in steps:
        if names.count(step.name) > 1:
            raise ConfigError(f"{names.count(step.name)} steps are called {step.name!r}; give each a name of its own.")
        for other in step.sources:
            if other not in names:
                raise ConfigError(
                    f"step {step.name!r} waits for {other!r}, which is no step; there are {', '.join(names)}."
                    f"{nearest(other, names)}"
                )
    return _sorted(steps)


def _named(given: Any) -> Iterable[tuple[str | None, Any]]:
    if isinstance(given, Mapping):
        return [(str(name), value) for name, value in given.items()]
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [(None, value) for value in given]
    raise ConfigError(
        f"steps is a {type(given).__name__}; give a list of Step, or a mapping of names to their settings."
    )


def _step(name: str | None, value: Any) -> Step:
    if isinstance(value, Step):
        return value
    settings = dict(value) if isinstance(value, Mapping) else {"program": value}
    settings = settings if name is None else {"name": name, **settings}
    known = [f.name for f in fields(Step)]
    for key in settings:
        if key not in known:
            raise ConfigError(f"step {settings.get('name')!r} has no setting {key!r}.{nearest(str(key), known)}")
    for key in ("name", "program"):
        if key not in settings:
            raise ConfigError(f"step {settings.get('name')!r} has no {key!r}; every step needs one.")
    return Step(**settings)


def _sorted(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Kahn's order, the first given first."""
    done: dict[str, Step] = {}
    while len(done) < len(steps):
        free = [s for s in steps if s.name not in done and all(other in done for other in s.sources)]
        if not free:
            round_about = ", ".join(s.name for s in steps if s.name not in done)
            raise ConfigError(
                f"the steps {round_about} wait for each other; no order satisfies them. Take out one 'over'."
            )
        done[free[0].name] = free[0]
    return tuple(done.values())
