"""One grammar for everything that can be chosen: cost, split, placement, reducer, connector, engine.

A choice is a registered name, ``module:Class``, a mapping of a name and its options, a class, or an instance:

    reducer="mean"    reducer="my_package.merging:Median"    reducer={"reducer": "variance", "ddof": 0}    reducer=Median()

A class need not derive from the base class of its kind: what it does not declare it then has from there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from partitioner import registry
from partitioner.errors import ConfigError, nearest
from partitioner.importing import module_of

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_target(text: str) -> bool:
    """Whether a text is written as ``module:Class``."""
    return _TARGET.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Choice:
    """What makes the chosen thing; ``name`` is what messages call it, ``given`` a class, None for what is registered."""

    kind: str
    name: str
    given: Callable[..., Any] | None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def factory(self) -> Callable[..., Any]:
        """The class or function; one that is registered is imported now, which may take a second."""
        made_by: Callable[..., Any] = registry.load(self.kind, self.name) if self.given is None else self.given
        return made_by

    def build(self, *arguments: Any) -> Any:
        """An instance. ConfigError names an option it does not have, with the nearest, or one that it needs."""
        self.check(len(arguments))
        return adopted(self.kind, self.factory(*arguments, **self.options))

    def check(self, given: int = 0) -> None:
        """ConfigError for an option that does not exist, or is missing; ``given`` arguments come before them."""
        word, parameters = f"{registry.about(self.kind).word} {self.name!r}", _parameters(self.factory)[given:]
        known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        free = len(known) < len(parameters)
        for option in map(str, self.options):
            if option not in known and not free:
                has = f"its options are {', '.join(known)}" if known else "it has no options"
                raise ConfigError(f"{word} has no option {option!r}; {has}.{nearest(option, known)}")
        for p in parameters:
            if (
                p.default is p.empty
                and p.name not in self.options
                and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            ):
                key = registry.about(self.kind).keys[0]
                raise ConfigError(f"{word} needs {p.name!r}: write {{{key}: {self.name}, {p.name}: ...}}.")


def choice(kind: str, spec: Any) -> Choice | None:
    """What ``spec`` asks to be made; None where it is an instance already."""
    if isinstance(spec, str | Mapping):
        name, options = named(spec, kind)
        if isinstance(name, type):
            return Choice(kind, name.__name__, name, options)
        if is_target(name):
            return Choice(kind, name, imported(name, registry.about(kind).word), options)
        return Choice(kind, registry.known(kind, name), None, options)
    return Choice(kind, spec.__name__, spec) if isinstance(spec, type) else None


def choose(kind: str, spec: Any) -> Any:
    """The instance that ``spec`` means.

    Raises UnknownName for a name that is not registered, ConfigError for an option that does not exist or an object
    that lacks a verb of the kind's contract.
    """
    wanted = choice(kind, spec)
    return adopted(kind, spec) if wanted is None else wanted.build()


def named(spec: Any, kind: str) -> tuple[Any, dict[str, Any]]:
    """Name (or class) and options of ``"dask"``, or of ``{engine: dask, workers: 4}``."""
    if isinstance(spec, str):
        return spec.strip(), {}
    about = registry.about(kind)
    if isinstance(spec, Mapping):
        key = next((k for k in about.keys if k in spec), None)
        if key is not None and isinstance(spec[key], str | type):
            return spec[key], {str(k): v for k, v in spec.items() if k != key}
        if key is not None:
            raise ConfigError(
                f"{about.word} is {spec[key]!r} in a mapping; it is a name, 'module:Class' or a class there."
            )
    key = about.keys[0]
    meant = next((k for k in spec if nearest(str(k), [key])), None) if isinstance(spec, Mapping) else None
    close = "" if meant is None else f" Did you mean {key!r} where it says {meant!r}?"
    lacks = f" lacks the key {key!r}, which names the {about.word};" if isinstance(spec, Mapping) else ":"
    raise ConfigError(f"{about.word} is {spec!r},{lacks} write a name, or {{{key}: <name>, <option>: <value>}}.{close}")


def imported(target: str, word: str) -> Any:
    """The attribute that ``package.module:Name`` means; the working directory is searched too."""
    module_name, _, attribute = target.partition(":")
    try:
        module = module_of(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{word} {target!r}: {error}; install the package or run from its directory.") from error
    found = vars(module).get(attribute)
    if not callable(found):
        known = [n for n, v in vars(module).items() if isinstance(v, type)]
        raise ConfigError(f"{word} {target!r}: {module_name} has no such class.{nearest(attribute, known)}")
    return found


def contract(kind: str) -> type[Any]:
    """The base class of a kind."""
    module_name, _, attribute = registry.about(kind).contract.partition(":")
    base: type[Any] = vars(importlib.import_module(module_name))[attribute]
    return base


def resembles(kind: str, given: Any) -> bool:
    """Whether an instance has every verb of the kind's contract."""
    return not isinstance(given, type) and not _lacking(contract(kind), given)


def adopted(kind: str, given: Any) -> Any:
    """``given`` as the contract of its kind asks: itself, or a stand-in that has the hooks it does not declare.

    ConfigError names the verbs that it lacks.
    """
    base, word = contract(kind), registry.about(kind).word
    if lacking := _lacking(base, given):
        raise ConfigError(
            f"{type(given).__name__} is no {word}: it lacks {', '.join(lacking)}. "
            f"Subclass {base.__module__}.{base.__name__}, or give a name ({', '.join(registry.names(kind))})."
        )
    for verb in sorted(base.__abstractmethods__):
        _check_arguments(word, base, given, verb)
    return given if isinstance(given, base) else _again(base, given)


def _lacking(base: type[Any], given: Any) -> list[str]:
    return sorted(verb for verb in base.__abstractmethods__ if inspect.getattr_static(given, verb, None) is None)


def _check_arguments(word: str, base: type[Any], given: Any, verb: str) -> None:
    """ConfigError for a verb that cannot be called with what the contract's is called with."""
    if not inspect.isfunction(inspect.getattr_static(base, verb)):
        return
    wanted = [p.name for p in _parameters(vars(base)[verb])[1:] if p.default is p.empty]
    try:
        signature = inspect.signature(getattr(given, verb))
    except ValueError:  # written in C, it says nothing
        return
    try:
        signature.bind(*wanted)
    except TypeError as error:
        there = f"{word} {type(given).__name__}: {verb}({', '.join(signature.parameters)})"
        raise ConfigError(f"{there} is called with ({', '.join(wanted)}): {error}.") from error


def _parameters(factory: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(factory).parameters.values())


class _Adopted:
    """Holds the object of another class; pickles as that object."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self).__mro__[2], self.given)


def given(made: Any) -> Any:
    """The object as the user made it, where ``made`` may be a stand-in for it."""
    return made.given if isinstance(made, _Adopted) else made


def _again(base: Any, given: Any) -> Any:
    there = frozenset(name for name in dir(base) if not name.startswith("_")) & frozenset(dir(given))
    made: Any = _stand_in(base, type(given).__name__, there)
    return made(given)


@functools.cache
def _stand_in(base: Any, name: str, there: frozenset[str]) -> type[Any]:
    """A subclass of ``base`` whose instances take what is ``there`` from the object they hold, the rest from ``base``."""
    return type(name, (_Adopted, base), {n: property(attrgetter(f"given.{n}")) for n in there})
