"""The last stage by hand: output, result, manifest, ``_SUCCESS``; and the configuration that a run directory gives back."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner import config as configuration
from partitioner import program as programs
from partitioner.attempt import job as jobs
from partitioner.attempt.asynchronous import Concurrency
from partitioner.config import RunConfig
from partitioner.output.modes import Target
from partitioner.output.output import Output
from partitioner.runs import results
from partitioner.runs.results import of_version, reduce, reduce_version
from partitioner.runs.resume import from_directory
from tests.attempt.by_hand import ByHand, doubled

COUNTS = {"rows_in": 20, "rows_out": 20, "rows_written": 20, "quarantined": 0}


@pytest.fixture(autouse=True)
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_jobs", OrderedDict())


class Committed(ByHand):
    """A run of two sub-tasks whose records are there."""

    def __init__(self, home: Path, **options: Any) -> None:
        super().__init__(home, of=[[0, 1], [2, 3]], **options)
        self.home = home
        self.directory.write_tasks(self.tasks)
        self.records = [self.record(task=task) for task in (0, 1)]

    def config(self, **options: Any) -> RunConfig:
        places = {"dataset": "d", "checkpoint": str(self.home), "output": str(self.out)}
        return configuration.make({**places, **options})

    def reduced(self, merger: Any = None, **options: Any) -> Any:
        return reduce(self.config(**options), self.directory, self.job, self.records, COUNTS, merger)


def y_of(output: Any) -> list[int]:
    return list(output.to_table()["y"].to_pylist())


DOUBLED = [2 * x for x in range(20)]


def test_rows_stay_where_they_are_with_a_manifest(tmp_path: Path) -> None:
    made = Committed(tmp_path)
    output = made.reduced()
    assert isinstance(output, Output)
    assert (y_of(output), output.schema.names, output.preserve_order) == (DOUBLED, ["y"], True)
    assert output.paths == [f"{made.out}/part-t00000{i}.parquet" for i in (0, 1)]
    assert made.files == ["_SUCCESS", "_manifest.json", "part-t000000.parquet", "part-t000001.parquet"]
    manifest = json.loads((made.out / "_manifest.json").read_text())
    assert manifest["counts"] == COUNTS
    assert [f["rows"] for f in manifest["files"]] == [10, 10]
    assert not made.reduced(preserve_order=False).preserve_order
    assert made.directory.exported() == {}


@pytest.mark.parametrize("named", [True, False])
def test_rows_in_another_form_are_written_at_the_end(tmp_path: Path, named: bool) -> None:
    made = Committed(tmp_path)
    place = str(tmp_path / "csv") if named else None
    output = made.reduced(output=place, format="csv")
    home = place or f"{made.directory.url}/exported"
    assert (output.url, output.paths, y_of(output)) == (home, [f"{home}/part-00000.csv"], DOUBLED)
    assert Path(output.paths[0]).read_text().splitlines()[:3] == ['"y"', "0", "2"]
    assert made.directory.exported() == {}


def test_one_file_is_noted_as_this_run_s(tmp_path: Path) -> None:
    made = Committed(tmp_path)
    place = tmp_path / "rows.jsonl"
    output = made.reduced(output=str(place))
    assert output.paths == [str(place)]
    assert len(place.read_text().splitlines()) == 20
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    assert made.directory.exported() == {"output": str(place), "sha256": digest}


def test_a_table_gets_the_rows_in_its_own_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    def write(form: Any, config: Any, tables: Any, schema: Any, run_id: str) -> None:
        written.append((form.format, sum(t.num_rows for t in tables), schema.names, run_id))

    monkeypatch.setattr(results, "to_table", write)
    made = Committed(tmp_path)
    output = made.reduced(output=str(tmp_path / "table"), format="delta")
    assert written == [("delta", 20, ["y"], "run")]
    assert (output.url, output.paths) == (str(tmp_path / "table"), [str(tmp_path / "table")])


def test_what_was_filled_is_said(tmp_path: Path) -> None:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.column("x").to_pylist()
        return pa.RecordBatch.from_pydict({"y": rows} | ({"z": rows} if 0 in rows else {}))

    made = Committed(tmp_path, program=program)
    with pytest.warns(UserWarning, match="column 'z' is null in the rows of sub-task t000001"):
        assert made.reduced().to_table()["z"].null_count == 10


class Merger:
    """Answers with an accumulator; notes what it is asked to merge."""

    def __init__(self, made: Committed, value: float) -> None:
        reducer = made.job.reducer
        self.accumulator = reducer.add_input(reducer.create_accumulator(), [value])
        self.asked: list[list[Any]] = []

    def merged(self, job: Any, pieces: Any) -> Any:
        self.asked.append([(p.key, p.name, p.row, p.size) for p in pieces])
        return self.accumulator


def mean(home: Path) -> Committed:
    return Committed(home, program=lambda b: [float(b.num_rows)], reducer="mean")


def test_a_result_is_pickled_signed_and_marked(tmp_path: Path) -> None:
    made = mean(tmp_path)
    merger = Merger(made, 7.0)
    place = tmp_path / "result"
    assert made.reduced(merger, output=str(place)) == 7.0
    assert [(key, row) for key, _, row, _ in merger.asked[0]] == [("t000000", 0), ("t000001", 0)]
    assert sorted(p.name for p in place.iterdir()) == ["_SUCCESS", "result.pkl", "result.pkl.signature"]
    assert pt.load_result(str(place / "result.pkl")) == 7.0
    assert (made.out / "_SUCCESS").exists()


def test_a_result_without_a_place_is_only_returned(tmp_path: Path) -> None:
    made = mean(tmp_path)
    assert made.reduced(Merger(made, 7.0), output=None) == 7.0
    assert "result.pkl" not in made.files


FILES = [{"stored": "a", "rows": 2, "size": 10, "sha256": "d"}, {"stored": "b", "rows": 1, "size": 3, "sha256": "e"}]


class Finishing:
    """Stands for putting a version together: notes what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(results.finishing, "finish", self)
        self.given: tuple[Any, ...] = ()
        self.data = b""

    def __call__(self, *given: Any) -> dict[str, Any]:
        self.given = given
        if given[6] is not None:
            self.data = given[6](FILES)
        return {"files": FILES, "counts": {"rows_in": 3}, "shown": [{"path": "x.csv"}]}


def version(made: Committed, target: Target, merger: Any = None, **options: Any) -> Any:
    return reduce_version(
        made.config(mode="append", **options),
        made.directory,
        made.job,
        target,
        made.tasks,
        made.records,
        COUNTS,
        merger,
    )


def test_a_version_of_a_result_is_over_all_that_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, finishing = mean(tmp_path), Finishing(monkeypatch)
    merger = Merger(made, 7.0)
    assert version(made, Target(2, 1), merger) == (7.0, {"rows_in": 3})
    assert pickle.loads(finishing.data) == 7.0
    assert merger.asked == [[("a", "a", 0, 5), ("a", "a", 1, 5), ("b", "b", 0, 3)]]
    assert finishing.given[7] is None


def test_a_version_of_rows_is_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, finishing = Committed(tmp_path), Finishing(monkeypatch)
    output, counts = version(made, Target(2, 1))
    assert counts == {"rows_in": 3}
    assert (output.paths, output.rows, output.schema.names) == ([f"{made.out}/a", f"{made.out}/b"], 3, ["y"])
    assert finishing.given[6:8] == (None, None)
    assert finishing.given[2] == Target(2, 1)


@pytest.mark.parametrize(
    ("options", "url", "paths"),
    [
        ({"format": "csv"}, "out", ["out/x.csv"]),
        ({"output": "rows.csv"}, "rows.csv", ["x.csv"]),
        ({"format": "delta", "mode": "incremental"}, "out", ["out"]),
    ],
)
def test_a_version_in_another_form_is_what_readers_see(
    tmp_path: Path, options: dict[str, Any], url: str, paths: list[str]
) -> None:
    made = Committed(tmp_path)
    if "output" in options:
        options = {**options, "output": str(tmp_path / options["output"])}
    found = of_version(
        made.config(**{"mode": "append", **options}),
        made.directory,
        made.job,
        {"files": FILES, "shown": [{"path": "x.csv"}]},
    )
    assert found.url == str(tmp_path / url)
    assert found.paths == [str(tmp_path / path) for path in paths]


def test_a_committed_version_of_a_result_is_merged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = mean(tmp_path)
    merger = Merger(made, 7.0)
    monkeypatch.setattr(results.partials, "merged", lambda reducer, sink, pieces, key: merger.merged(None, pieces))
    assert of_version(made.config(mode="append"), made.directory, made.job, {"files": FILES}) == 7.0
    assert len(merger.asked[0]) == 3


class Splits:
    """Says of a splitter whether it reorders, and of rows where they stand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []
        monkeypatch.setattr(results, "restores_rows", lambda config: True)
        of = SimpleNamespace(of=lambda source, tasks, records: self.asked.append((source, len(tasks), len(records))))
        monkeypatch.setattr(results, "Arrangement", of)


def test_rows_that_were_put_together_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, splits = Committed(tmp_path), Splits(monkeypatch)
    assert y_of(made.reduced()) == DOUBLED
    assert splits.asked == [(made.job.source, 2, 2)]


@pytest.mark.parametrize(("by", "arranged"), [("", True), ("watermark", True), ("keys", False)])
def test_rows_of_a_version_are_put_back_unless_they_are_told_by_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, arranged: bool
) -> None:
    made, splits, finishing = Committed(tmp_path), Splits(monkeypatch), Finishing(monkeypatch)
    monkeypatch.setattr(results, "form_of", lambda config: None)
    version(made, Target(2, 1, by=by))
    assert bool(splits.asked) is arranged
    in_order = finishing.given[7]
    assert (None if in_order is None else [x for t in in_order for x in t["y"].to_pylist()]) == (
        DOUBLED if arranged else None
    )


def test_a_version_of_a_result_is_never_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, splits = mean(tmp_path), Splits(monkeypatch)
    Finishing(monkeypatch)
    version(made, Target(2, 1), Merger(made, 7.0))
    assert splits.asked == []


# the configuration of a resume


def described(home: Path, **config: Any) -> Any:
    """A run directory whose ``run.json`` says this, and what comes back."""
    made = ByHand(home, doubled, batching={"weight": "x", "max_batch_weight": 5.0})
    object.__setattr__(made.job, "arguments", {"by": 3})
    made.directory.create(
        {"config": {"dataset": "old", **config}, "fingerprints": {"input": {}, "config": {}, "code": "c"}}
    )
    made.directory.write_job(pickle.dumps(made.job))
    return made, lambda **changes: from_directory(made.directory, changes)


def test_plain_settings_come_back_with_the_source_and_the_arguments(tmp_path: Path) -> None:
    made, config = described(
        tmp_path, program="tests.programs:double", seed=5, weight="y", engine="serial", cost="rows"
    )
    found = config()
    assert (found.program, found.seed, found.weight) == ("tests.programs:double", 5, "y")
    assert (found.engine, found.cost, found.checkpoint) == ("serial", "rows", str(tmp_path))
    assert (type(found.dataset), dict(found.arguments)) == (type(made.job.source), {"by": 3})


def test_what_was_a_live_object_comes_from_the_job(tmp_path: Path) -> None:
    _, config = described(
        tmp_path, program="<m:f>", engine="<Client>", cost="<Mine>", weight="<m:w>", max_batch_weight=9.0
    )
    found = config()
    assert callable(found.program)
    assert (found.engine, found.cost, found.weight, found.max_batch_weight) == ("dask", "bytes", "x", 9.0)


def test_changes_count_last(tmp_path: Path) -> None:
    _, config = described(tmp_path, engine="<Client>", seed=1)
    found = config(engine="serial", seed=2, checkpoint="elsewhere")
    assert (found.engine, found.seed) == ("serial", 2)
    assert str(found.checkpoint).endswith("elsewhere")


def test_the_program_of_a_run_is_known_by_its_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_held", [])
    _, config = described(tmp_path, program="<m:f>")
    found = config()
    assert programs.fingerprint(found.program, {}) == "c"


@pytest.mark.parametrize(("rows", "kept"), [(0, False), (8, True)])
def test_a_program_of_single_rows_was_asked_for_no_batches(tmp_path: Path, rows: int, kept: bool) -> None:
    made, config = described(tmp_path, program="<m:f>", batch_format="numpy")
    object.__setattr__(made.job, "concurrency", Concurrency(rows=rows))
    made.directory.write_job(pickle.dumps(made.job))
    assert ("batch_format" in config().model_fields_set) is kept
