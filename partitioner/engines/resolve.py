"""From what a user gives as ``engine`` to an engine: what it would start is known before it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from partitioner import choices
from partitioner.engines.base import Engine
from partitioner.errors import ConfigError
from partitioner.model import Workers

# Package of a live object (the innermost counts), or beginning of an address -> engine and the option that takes it.
_OBJECTS = {
    "distributed": ("dask", "client"),
    "pyspark": ("spark", "session"),
    "pyspark.sql.connect": ("spark_connect", "session"),
}
_ADDRESSES = {
    "tcp://": ("dask", "address"),
    "tls://": ("dask", "address"),
    "ucx://": ("dask", "address"),
    "spark://": ("spark", "master"),
    "local-cluster[": ("spark", "master"),
    "k8s://": ("spark", "master"),
    "yarn": ("spark", "master"),
    "local[": ("spark", "master"),
    "sc://": ("spark_connect", "remote"),
}


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine of a run before it is opened: ``wanted`` is what starts it, or ``live`` is the caller's and left open."""

    wanted: choices.Choice | None
    live: Engine | None

    @contextmanager
    def opened(self) -> Iterator[Engine]:
        """The engine, closed at the end if it was opened here. ConfigError for one that runs no program."""
        self.refuse_paper()
        if self.wanted is None:
            assert self.live is not None, "either is there"
            yield self.live
            return
        engine: Engine = self.wanted.build()
        try:
            yield engine
        finally:
            engine.close()

    def expected_workers(self) -> Workers:
        """The workers that a run would have: as the engine declares them, or else asked of it, opened for that."""
        if self.wanted is not None and (declared := self._declared(self.wanted)) is not None:
            return declared
        with self.opened() as engine:
            return engine.workers()

    def assumed(self) -> str:
        """Where the workers would be started, in words; empty where the engine is there, or starts none."""
        if self.wanted is None or not (
            isinstance(self.wanted.factory, type) and issubclass(self.wanted.factory, Engine)
        ):
            return ""
        return self.wanted.factory.assumed(self.wanted.options)

    def _declared(self, wanted: choices.Choice) -> Workers | None:
        made_by = wanted.factory
        if not (isinstance(made_by, type) and issubclass(made_by, Engine)):
            return None
        wanted.check()
        return made_by.expected_workers(wanted.options)

    def refuse_paper(self) -> None:
        """ConfigError for an engine on paper, whose run would end with an output that nobody wrote."""
        of: Any = self.live if self.wanted is None else self.wanted.factory
        ours = isinstance(of, Engine) or (isinstance(of, type) and issubclass(of, Engine))
        if ours and not of.capabilities.real:
            raise ConfigError(
                f"engine {of.name!r} runs no program, so nothing would be computed; "
                "to try a plan under a fake clock call partitioner.simulate(plan)."
            )


def resolve(spec: Any) -> EngineChoice:
    """The engine meant by ``spec``: what ``choices`` takes, an address, a Dask client or cluster, or a ``SparkSession``."""
    if isinstance(spec, str):
        for beginning, (name, option) in _ADDRESSES.items():
            if spec.startswith(beginning):
                return _chosen({"engine": name, option: spec})
    elif not isinstance(spec, type | Engine) and (package := _package(type(spec))) is not None:
        name, option = _OBJECTS[package]
        return _chosen({"engine": name, option: spec})
    return _chosen(spec)


def _package(of: type) -> str | None:
    """The innermost package whose objects mean an engine, of a class or the first of its bases (a cluster of any kind)."""
    names = (base.__module__.split(".") for base in of.__mro__)
    packages = (".".join(parts[:k]) for parts in names for k in range(len(parts), 0, -1))
    return next((p for p in packages if p in _OBJECTS), None)


def _chosen(spec: Any) -> EngineChoice:
    wanted = choices.choice("engines", spec)
    return EngineChoice(wanted, choices.adopted("engines", spec) if wanted is None else None)
