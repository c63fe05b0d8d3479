"""One grammar for everything that can be chosen, and the same errors everywhere."""

from __future__ import annotations

import functools
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner import choices, registry
from partitioner.costs.resolve import resolve as resolve_cost
from partitioner.costs.rows import Rows
from partitioner.engines.dask import DaskEngine
from partitioner.engines.serial import SerialEngine
from partitioner.errors import ConfigError, UnknownName
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.reducers.base import Reducer
from partitioner.reducers.by_key import ByKey
from partitioner.reducers.variance import Variance
from partitioner.splits.grouped import Grouped

# Kind: a registered name, its class, an option with a value, the option misspelt.
KINDS = {
    "costs": ("rows", Rows, {"seconds_per_row": 0.5}, "second_per_row"),
    "splits": ("grouped", Grouped, {"key": "k"}, "kye"),
    "placements": ("lpt", Lpt, {}, "pirority"),
    "reducers": ("variance", Variance, {"ddof": 0}, "ddfo"),
    "engines": ("serial", SerialEngine, {}, "worker"),
}
CASES = pytest.mark.parametrize("kind", sorted(KINDS))
TABLE = pa.table({"x": range(60)})


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """What a test registers is gone after it."""
    yield
    registry._claimed_by_others.cache_clear()
    for table in registry._registered.values():
        table.clear()


def choose(kind: str, spec: Any) -> Any:
    return resolve_cost(spec) if kind == "costs" else choices.choose(kind, spec)


@CASES
def test_every_way_to_choose_means_the_same(kind: str) -> None:
    name, made_by, options, _ = KINDS[kind]
    key = registry.about(kind).keys[0]
    target = f"{made_by.__module__}:{made_by.__name__}"
    instance = made_by(**options)
    assert choose(kind, instance) is instance
    for spec in (name, made_by, target, {key: name}, {key: target}, {key: made_by}, {"name": name}):
        assert type(choose(kind, spec)) is made_by, spec
    for option, value in options.items():
        assert vars(choose(kind, {key: name, option: value}))[option] == value
        assert vars(choose(kind, {key: target, option: value}))[option] == value


@CASES
def test_a_wrong_name_lists_the_names_and_the_nearest(kind: str) -> None:
    name, _, _, _ = KINDS[kind]
    for spec in (name[:-1] + "z", {registry.about(kind).keys[0]: name[:-1] + "z"}):
        with pytest.raises(
            UnknownName, match=rf"No {registry.about(kind).word} named .*there are .*Did you mean '{name}'"
        ):
            choose(kind, spec)


@CASES
def test_a_wrong_option_is_named(kind: str) -> None:
    name, made_by, options, wrong = KINDS[kind]
    key = registry.about(kind).keys[0]
    nearest = f".*Did you mean '{next(iter(options))}'" if options else ".*it has no options"
    for chosen in (name, f"{made_by.__module__}:{made_by.__name__}"):
        with pytest.raises(
            ConfigError, match=rf"{registry.about(kind).word} '{chosen}' has no option '{wrong}'{nearest}"
        ):
            choose(kind, {key: chosen, wrong: 1})


@CASES
def test_a_mapping_without_a_name_says_which_key_is_missing(kind: str) -> None:
    key = registry.about(kind).keys[0]
    with pytest.raises(ConfigError, match=rf"lacks the key '{key}'"):
        choose(kind, {"workers": 4})


@CASES
def test_a_mapping_holds_a_name_and_no_instance(kind: str) -> None:
    about, made_by = registry.about(kind), KINDS[kind][1]
    with pytest.raises(ConfigError, match=f"{about.word} is .* in a mapping; it is a name, 'module:Class' or a class"):
        choose(kind, {about.keys[0]: made_by()})


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"costs"}))
def test_an_object_that_lacks_a_verb_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"object is no {registry.about(kind).word}: it lacks "):
        choose(kind, object())


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no such class.*Did you mean 'Variance'"):
        choices.choose("reducers", "partitioner.reducers.variance:Varianz")
    with pytest.raises(ConfigError, match=r"No module named 'no_such_package'"):
        choices.choose("reducers", "no_such_package.merging:Median")


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnknownName, match=r"No kind 'reducer'; the kinds are .*Did you mean 'reducers'"):
        pt.register("reducer", "mine", Variance)


class Longest:
    """Written from the contract alone, without a base class."""

    name = "longest"
    commutative = exact = mergeable = True

    def __init__(self, least: int = 0) -> None:
        self.least = least

    def create_accumulator(self) -> int:
        return self.least

    def add_input(self, accumulator: int, value: Any) -> int:
        return max(accumulator, len(value))

    def merge_accumulators(self, left: int, right: int) -> int:
        return max(left, right)

    def extract_output(self, accumulator: int) -> int:
        return accumulator


def test_what_is_written_without_the_base_class_has_its_defaults() -> None:
    made = choices.choose("reducers", Longest(3))
    assert isinstance(made, Reducer)
    assert (made.mergeable, made.whole_task, made.rows, made.divisible) == (True, False, False, True)
    assert pickle.loads(pickle.dumps(made)).create_accumulator() == 3
    assert ByKey("k", Longest).inner.name == "longest"


class Unmerged(Longest):
    """Takes a verb back."""

    merge_accumulators = None  # type: ignore[assignment]


class UnmergedReducer(Reducer):
    """The same below the base class."""

    create_accumulator = add_input = extract_output = Longest.create_accumulator
    merge_accumulators = None


class OneArgument(Longest):
    """Forgets what it is given."""

    def add_input(self, value: Any) -> int:  # type: ignore[override]
        return len(value)


class Any_(Longest):
    """Takes whatever it is given."""

    def add_input(self, *given: Any, **named: Any) -> int:
        return super().add_input(*given, **named)


@pytest.mark.parametrize("made_by", [Unmerged, UnmergedReducer])
def test_a_verb_that_is_none_is_lacking(made_by: Any) -> None:
    with pytest.raises(ConfigError, match="is no reducer: it lacks merge_accumulators"):
        choose("reducers", made_by)


def test_a_verb_that_cannot_be_called_so_is_refused_with_both_signatures() -> None:
    message = r"OneArgument: add_input\(value\) is called with \(accumulator, value\): too many positional"
    with pytest.raises(ConfigError, match=message):
        choose("reducers", OneArgument)
    assert choose("reducers", Any_).add_input(0, [1, 2]) == 2


def run(engine: Any, checkpoint: str, **options: Any) -> Any:
    settings = {"cost": "rows", "max_tasks": 4, "min_tasks_per_slot": 4, "progress": False, "report": False, **options}
    return pt.run(TABLE, lambda batch: batch, batch_format="arrow", engine=engine, checkpoint=checkpoint, **settings)


@pytest.mark.parametrize("spec", [Longest, Longest(), {"reducer": Longest, "least": 2}, "tests.test_choices:Longest"])
def test_a_reducer_of_the_users_own(spec: Any, checkpoint: str) -> None:
    assert run("serial", checkpoint, reducer=spec).result == 15


OWN = """
import numpy as np
from partitioner.costs.bytes import Bytes
from partitioner.splits.ordered import Ordered

class Total:
    name = "total"
    commutative = exact = mergeable = True
    def create_accumulator(self): return 0
    def add_input(self, accumulator, value): return accumulator + helper(value)
    def merge_accumulators(self, left, right): return left + right
    def extract_output(self, accumulator): return accumulator

def helper(value): return sum(value["x"].to_pylist())

class Cut(Ordered):
    name = "cut"

class Sizes(Bytes):
    name = "sizes"
"""


def test_classes_of_a_module_that_workers_do_not_have(
    dask_engine: DaskEngine, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users_own_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        chosen = {"reducer": "users_own_parts:Total", "split": "users_own_parts:Cut", "cost": "users_own_parts:Sizes"}
        finished = run(dask_engine, checkpoint, **chosen)
    finally:
        sys.modules.pop("users_own_parts", None)
    assert finished.result == sum(range(60))
    assert finished.plan.reasons["cost source"] == "sizes"


def test_a_notebook_registers_what_it_defines(checkpoint: str) -> None:
    class Halves(Grouped):
        name = "halves"

    pt.register("reducers", "longest", Longest)
    pt.register("splits", "halves", Halves)
    pt.register("engines", "here", SerialEngine)
    pt.register("placements", "mine", Lpt)
    pt.register("costs", "each", Rows)
    finished = run("here", checkpoint, reducer={"reducer": "longest", "least": 99}, split="halves", placement="mine")
    assert finished.result == 99
    assert resolve_cost({"model": "each", "seconds_per_row": 2.0}).seconds_per_row == 2.0
    assert "longest" in registry.names("reducers")
    assert "longest" not in registry.built_in("reducers")


def test_a_connector_claims_its_extension(tmp_path: Path) -> None:
    from connectors.files import FilesSource
    from connectors.resolve import resolve

    class NotesSource(FilesSource):
        name = "notes"
        extensions = (".note",)

    (tmp_path / "a.note").write_text("hello")
    pt.register("connectors", "notes", NotesSource)
    assert type(resolve(str(tmp_path / "a.note"))) is NotesSource
    assert type(resolve(str(tmp_path))) is NotesSource
    assert pt.read_table(str(tmp_path))["text"].to_pylist() == ["hello"]


def test_an_ending_that_nobody_claims_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    entries = registry.entries
    monkeypatch.setattr(registry, "entries", lambda kind: looked.append(kind) or entries(kind))
    assert [registry.connector_for(f".{i % 3}") for i in range(1000)] == [None] * 1000
    assert looked == ["connectors"]


@pytest.mark.parametrize("connector", ["connectors.files:FilesSource", "files"])
def test_a_connector_is_chosen_as_everything_else(tmp_path: Path, connector: str) -> None:
    (tmp_path / "a.what").write_text("hello")
    spec = {"connector": connector, "path": str(tmp_path), "content": "bytes"}
    assert pt.read_table(spec)["bytes"].to_pylist() == [b"hello"]
    with pytest.raises(ConfigError, match=r"connector .* has no option 'contents'.*Did you mean 'content'"):
        pt.read_table({"connector": connector, "path": str(tmp_path), "contents": "bytes"})


def test_a_factory_may_be_a_partial() -> None:
    pt.register("reducers", "longest", functools.partial(Longest, least=7))
    assert choices.choose("reducers", "longest").create_accumulator() == 7
    assert registry.entries("reducers")["longest"].target == "functools:partial"


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_built_in_name_is_what_it_says(kind: str) -> None:
    for name in registry.built_in(kind):
        made_by = registry.load(kind, name)
        assert issubclass(made_by, choices.contract(kind))
        assert made_by.name == name


def test_a_built_in_name_is_not_replaced() -> None:
    for name in ("calibrate", "rows"):
        with pytest.raises(ConfigError, match=f"cost model '{name}' is built in"):
            pt.register("costs", name, Rows)
    with pytest.raises(ConfigError, match="is no class or function"):
        pt.register("costs", "mine", 3)  # type: ignore[arg-type]


def test_extensions_in_the_registry_are_those_that_the_connectors_declare() -> None:
    claimed = {(e, name) for e, name in registry.CLAIMED.items()}
    declared = {
        (e, name)
        for name in registry.built_in("connectors")
        for e in registry.claimed_by(registry.load("connectors", name))
        if e.count(".") == 1
    }
    shared = {(".t", "libsvm"), (".txt", "libsvm")}  # found in a directory of libsvm files, but many other files end so
    assert declared - claimed == shared
    assert claimed <= declared
