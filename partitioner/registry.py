"""What exists, by kind and name: lazy, sorted, read-only. Adding one is a line here and a file of its own.

A target is ``module:attribute``; the module is imported when the name is first loaded, so a registered solver costs
nothing until used. Third parties register the same through entry points of the group ``partitioner.<kind>``, a notebook
through ``register``. What users may write for a choice is ``choices``'s.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, NamedTuple

from partitioner.errors import ConfigError, MissingDependency, UnknownName, nearest

DISTRIBUTION = "batch-partitioner"


class Entry(NamedTuple):
    """Where a name is implemented, the extra that brings what it imports, and whether it is ours."""

    target: str
    extra: str = ""
    built_in: bool = False


class Kind(NamedTuple):
    """A kind of things that can be chosen.

    ``word`` is what messages call one of them, ``keys`` name it in a mapping (the first is the one to write), ``contract``
    is the ``module:attribute`` of its base class.
    """

    word: str
    keys: tuple[str, ...]
    contract: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "placements": Kind("placement", ("placement", "algorithm", "name"), "partitioner.placement.base:Algorithm"),
        "costs": Kind("cost model", ("model", "cost", "name"), "partitioner.costs.base:CostModel"),
        "splits": Kind("split", ("split", "name"), "partitioner.splits.base:Splitter"),
        "engines": Kind("engine", ("engine", "name"), "partitioner.engines.base:Engine"),
        "reducers": Kind("reducer", ("reducer", "name"), "partitioner.reducers.base:Reducer"),
        "connectors": Kind("connector", ("connector", "name"), "partitioner.model.source:Source"),
    }
)


def _files(package: str, **classes: str) -> dict[str, Entry]:
    """One file per name: ``lpt="Lpt"`` is ``<package>.lpt:Lpt``; ``"Class@extra"`` names the extra it needs."""
    table = {}
    for name, spec in classes.items():
        attribute, _, extra = spec.partition("@")
        table[name] = Entry(f"{package}.{name}:{attribute}", extra, True)
    return table


_BUILT_IN: dict[str, dict[str, Entry]] = {
    "placements": _files(
        "partitioner.placement.algorithms",
        auto="Auto",
        block_exchange="BlockExchange",
        cp_sat="CpSat@solver",
        cpop="Cpop",
        dimension_exchange="DimensionExchange",
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
        refined_lpt="RefinedLpt",
        round_robin="RoundRobin",
        sjf="Sjf",
        sufferage="Sufferage",
        time_indexed="TimeIndexed@solver",
        urgent="Urgent",
    ),
    "costs": _files(
        "partitioner.costs",
        auto="Auto",
        rows="Rows",
        bytes="Bytes",
        declared="Declared",
        expression="Expression",
        callable="CostFunction",
        calibrated="Calibrated",
        learned="Learned",
        history="History",
    ),
    "splits": _files(
        "partitioner.splits",
        ordered="Ordered",
        packed="Packed",
        grouped="Grouped",
        stratified="Stratified",
        by_weight="ByWeight",
    ),
    "engines": _files(
        "partitioner.engines",
        serial="SerialEngine",
        dask="DaskEngine@dask",
        simulated="SimulatedEngine",
        spark="SparkEngine@spark",
        spark_connect="SparkConnectEngine@connect",
    ),
    "reducers": _files(
        "partitioner.reducers.models",
        encoder="Encoder@ml",
        imputer="Imputer@ml",
        linear="Linear@ml",
        naive_bayes="NaiveBayes@ml",
        neighbors="Neighbors@ml",
        pca="Pca@ml",
        scaler="Scaler@ml",
    )
    | _files(
        "partitioner.reducers.statistics",
        auc="Auc",
        calibration="Calibration",
        correlation="Correlation",
        covariance="Covariance",
        frequent_items="FrequentItems@sketches",
        regression="Regression",
        top_k="TopK",
    )
    | _files(
        "partitioner.reducers",
        average="Average",
        classification="Classification",
        concat="Concat",
        distinct="Distinct@sketches",
        histogram="Histogram",
        quantiles="Quantiles@sketches",
        forest="Forest@ml",
        count="Count",
        mean="Mean",
        variance="Variance",
        soft_vote="SoftVote",
        hard_vote="HardVote",
        weighted_mean="WeightedMean",
        by_key="ByKey",
        tree_sum="TreeSum",
        several="Several",
        sum="Sum",
        min="Min",
        max="Max",
        median="Median",
        trimmed_mean="TrimmedMean",
        tsqr="Tsqr",
    ),
    "connectors": _files(
        "connectors",
        parquet="ParquetSource",
        csv="CsvSource",
        jsonl="JsonLinesSource",
        libsvm="LibsvmSource",
        files="FilesSource",
        memory="MemorySource",
        ipc="IpcSource",
        pyarrow_dataset="ArrowDatasetSource",
        delta="DeltaSource@delta",
        iceberg="IcebergSource@iceberg",
        images="ImagesSource@images",
        sql="SqlSource",
        text="TextSource",
        webdataset="WebDatasetSource@images",
        dask_frame="DaskFrameSource@dask",
        spark_frame="SparkFrameSource@spark",
    ),
}


ALIASES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "costs": {"calibrate": "calibrated"},
        "placements": {"distributed": "dimension_exchange", "hybrid": "block_exchange"},
    }
)
"""Other words for a registered name: the verb that a user asks for, or what it was called before."""

CLAIMED: Mapping[str, str] = MappingProxyType(
    {
        ".parquet": "parquet",
        ".parq": "parquet",
        ".pq": "parquet",
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".libsvm": "libsvm",
        ".svm": "libsvm",
        ".svmlight": "libsvm",
        ".arrow": "ipc",
        ".feather": "ipc",
        ".ipc": "ipc",
        ".txt": "text",
        ".text": "text",
        ".log": "text",
        ".tar": "webdataset",
        **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"), "images"),
    }
)
"""Ending of a file's name -> the built-in connector that claims it: their ``extensions``, known without importing them."""

_registered: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}


def kinds() -> tuple[str, ...]:
    """The kinds of things that can be registered."""
    return tuple(KINDS)


def about(kind: str) -> Kind:
    """What is known of a kind. UnknownName for one that does not exist."""
    if kind not in KINDS:
        raise UnknownName(f"No kind {kind!r}; the kinds are {', '.join(KINDS)}.{nearest(kind, list(KINDS))}")
    return KINDS[kind]


def register(kind: str, name: str, factory: Callable[..., Any]) -> None:
    """Make ``factory`` (a class, or a function that returns an instance) known as ``name`` in this process.

    ``kind`` is placements, costs, splits, engines, reducers or connectors. Workers need no registration: the instance
    travels with the job. Registering a name again replaces it. Raises UnknownName for another kind, ConfigError for a
    name that is built in or a factory that cannot be called.
    """
    word = about(kind).word
    if name in _BUILT_IN[kind] or name in ALIASES.get(kind, {}):
        raise ConfigError(f"{word} {name!r} is built in and cannot be replaced; register it under another name.")
    if not name.replace("-", "_").isidentifier():
        raise ConfigError(f"{word} name {name!r} is no identifier; write letters, digits and underscores.")
    if not callable(factory):
        raise ConfigError(f"{word} {name!r}: {factory!r} is no class or function that makes one.")
    _registered[kind][name] = factory
    _claimed_by_others.cache_clear()


@functools.lru_cache(maxsize=64)
def _installed(group: str, path: tuple[str, ...], read: Callable[..., Any]) -> tuple[tuple[str, str], ...]:
    """Name and target of the entry points on ``path``; reading the metadata of every package takes 20 ms or more."""
    return tuple((point.name, point.value) for point in read(group=group))


def entries(kind: str) -> Mapping[str, Entry]:
    """Name to entry of one kind, sorted: built in, registered in this process, and of installed packages."""
    about(kind)
    table = dict(_BUILT_IN[kind])
    for name, factory in _registered[kind].items():
        made_by = factory if inspect.isclass(factory) or inspect.isfunction(factory) else type(factory)
        table[name] = Entry(f"{made_by.__module__}:{made_by.__qualname__}")
    for name, target in _installed(f"partitioner.{kind}", tuple(sys.path), entry_points):
        table.setdefault(name, Entry(target))
    return MappingProxyType(dict(sorted(table.items())))


def names(kind: str) -> list[str]:
    """The registered names of one kind, sorted."""
    return list(entries(kind))


def built_in(kind: str) -> list[str]:
    """The names of one kind that this distribution brings, sorted."""
    return [name for name, entry in entries(kind).items() if entry.built_in]


def known(kind: str, name: str) -> str:
    """The registered name that ``name`` means. UnknownName lists those there are, and says which is nearest."""
    table, aliases = entries(kind), ALIASES.get(kind, {})
    if aliases.get(name, name) not in table:
        there = sorted({*table, *aliases})
        raise UnknownName(f"No {about(kind).word} named {name!r}; there are {', '.join(there)}.{nearest(name, there)}")
    return aliases.get(name, name)


def load(kind: str, name: str) -> Any:
    """The class or function registered as ``name``.

    Raises UnknownName with the list of names, or MissingDependency with the command that installs what is missing.
    """
    name = known(kind, name)
    table, word = entries(kind), about(kind).word
    if name in _registered[kind]:
        return _registered[kind][name]
    entry = table[name]
    module_name, _, attribute = entry.target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if module_name.startswith(str(error.name)):
            raise
        install = f"{DISTRIBUTION}[{entry.extra}]" if entry.extra else str(error.name)
        raise MissingDependency(
            f'{word} {name!r} needs the package {error.name!r}, which is not installed: pip install "{install}"'
        ) from error
    _check_ours(module)
    return getattr(module, attribute)


def connector_for(extension: str) -> str | None:
    """The connector that claims an ending such as ``".npz"``: a built-in one, else one registered, else of a package."""
    return CLAIMED.get(extension) or _claimed_by_others().get(extension)


@functools.lru_cache(maxsize=1)
def _claimed_by_others() -> Mapping[str, str]:
    """Ending to connector of what is not built in; their packages are imported, once, for an ending that ours leave."""
    others = [*_registered["connectors"], *(n for n, e in entries("connectors").items() if not e.built_in)]
    claims: dict[str, str] = {}
    for name in dict.fromkeys(others):
        for extension in claimed_by(load("connectors", name)):
            claims.setdefault(extension, name)
    return claims


def claimed_by(connector: Any) -> tuple[str, ...]:
    """The endings that a connector's class declares as ``extensions``; none where it declares none."""
    return tuple(getattr(connector, "extensions", ()))


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
