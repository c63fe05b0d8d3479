"""What exists, by kind and name: lazy, sorted, read-only. Adding one is a line here and a file of its own.

A target is ``module:attribute``; the module is imported when the name is first loaded, so a registered solver costs
nothing until used. Third parties register the same through entry points of the group ``partitioner.<kind>``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, NamedTuple

from partitioner.errors import ConfigError, MissingDependency, UnknownName, nearest

DISTRIBUTION = "batch-partitioner"


class Entry(NamedTuple):
    """Where a name is implemented, and the extra that brings what it imports."""

    target: str
    extra: str = ""


def _files(package: str, **classes: str) -> dict[str, Entry]:
    """One file per name: ``lpt="Lpt"`` is ``<package>.lpt:Lpt``; ``"Class@extra"`` names the extra it needs."""
    table = {}
    for name, spec in classes.items():
        attribute, _, extra = spec.partition("@")
        table[name] = Entry(f"{package}.{name}:{attribute}", extra)
    return table


_BUILT_IN: dict[str, dict[str, Entry]] = {
    "placements": _files(
        "partitioner.placement.algorithms",
        auto="Auto",
        cp_sat="CpSat@solver",
        cpop="Cpop",
        distributed="Distributed",
        dot_product="DotProduct",
        dp="Dp",
        duplex="Duplex",
        dynamic="Dynamic",
        edf="Edf",
        fcfs="Fcfs",
        fragmentation_aware="FragmentationAware",
        genetic="Genetic@ga",
        graph_search="GraphSearch",
        hbmct="Hbmct",
        heft="Heft",
        hybrid="Hybrid",
        karmarkar_karp="KarmarkarKarp",
        least_loaded="LeastLoaded",
        local_search="LocalSearch",
        locality="Locality",
        lp_rounding="LpRounding@solver",
        lpt="Lpt",
        max_min="MaxMin",
        min_min="MinMin",
        multifit="Multifit",
        peft="Peft",
        priority="Priority",
        proportional="Proportional",
        random="Random",
        round_robin="RoundRobin",
        sjf="Sjf",
        sufferage="Sufferage",
        time_indexed="TimeIndexed@solver",
        urgent="Urgent",
    ),
    "costs": _files(
        "partitioner.costs",
        rows="Rows",
        bytes="Bytes",
        declared="Declared",
        expression="Expression",
        callable="Callable",
        calibrated="Calibrated",
        learned="Learned",
    ),
    "splits": _files(
        "partitioner.splits",
        ordered="Ordered",
        packed="Packed",
        grouped="Grouped",
        stratified="Stratified",
    ),
    "engines": _files(
        "partitioner.engines",
        serial="SerialEngine",
        dask="DaskEngine@dask",
        simulated="SimulatedEngine",
        spark="SparkEngine@spark",
    ),
    "reducers": _files(
        "partitioner.reducers",
        concat="Concat",
        count="Count",
        mean="Mean",
        variance="Variance",
        soft_vote="SoftVote",
        hard_vote="HardVote",
        weighted_mean="WeightedMean",
        by_key="ByKey",
    ),
    "connectors": _files(
        "connectors",
        parquet="ParquetSource",
        csv="CsvSource",
        jsonl="JsonLinesSource",
        libsvm="LibsvmSource",
        files="FilesSource",
        memory="MemorySource",
        dask_frame="DaskFrameSource@dask",
        spark_frame="SparkFrameSource@spark",
    ),
}


def kinds() -> tuple[str, ...]:
    """The kinds of things that can be registered."""
    return tuple(_BUILT_IN)


def entries(kind: str) -> Mapping[str, Entry]:
    """Name to entry of one kind, sorted, built-in and third-party."""
    if kind not in _BUILT_IN:
        raise UnknownName(f"No kind {kind!r}; the kinds are {', '.join(_BUILT_IN)}.{nearest(kind, list(_BUILT_IN))}")
    table = dict(_BUILT_IN[kind])
    for point in entry_points(group=f"partitioner.{kind}"):
        table.setdefault(point.name, Entry(point.value))
    return MappingProxyType(dict(sorted(table.items())))


def names(kind: str) -> list[str]:
    """The registered names of one kind, sorted."""
    return list(entries(kind))


def load(kind: str, name: str) -> Any:
    """The class or function registered as ``name``.

    Raises UnknownName with the list of names, or MissingDependency with the command that installs what is missing.
    """
    table = entries(kind)
    if name not in table:
        known = list(table)
        raise UnknownName(f"No {kind.rstrip('s')} named {name!r}; there are {', '.join(known)}.{nearest(name, known)}")
    entry = table[name]
    module_name, _, attribute = entry.target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if module_name.startswith(str(error.name)):
            raise
        extra = f"[{entry.extra}]" if entry.extra else ""
        raise MissingDependency(
            f"{kind.rstrip('s')} {name!r} needs the package {error.name!r}, which is not installed: "
            f'pip install "{DISTRIBUTION}{extra}"'
        ) from error
    _check_ours(module)
    return getattr(module, attribute)


def build(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """An instance of what is registered as ``name``. ConfigError names an option it does not have, and the nearest."""
    factory = load(kind, name)
    known = list(inspect.signature(factory).parameters)
    for option in options:
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has no options"
            raise ConfigError(f"{kind.rstrip('s')} {name!r} has no option {option!r}; {has}.{nearest(option, known)}")
    return factory(**options)


def import_ours(module_name: str) -> Any:
    """A module of ``connectors``, checked to be ours: ``partitioner`` never imports that package directly."""
    module = importlib.import_module(module_name)
    _check_ours(module)
    return module


def _check_ours(module: Any) -> None:
    """``connectors`` is a common name: refuse another package of that name that shadows ours."""
    root = module.__name__.partition(".")[0]
    if root != "connectors":
        return
    package = importlib.import_module(root)
    if getattr(package, "DISTRIBUTION", None) != DISTRIBUTION:
        raise ConfigError(
            f"The package 'connectors' found at {package.__file__} is not the one of {DISTRIBUTION}; "
            "remove it from the Python path or put this installation before it."
        )
