"""A graph of steps: planned as one, run by the coordinator, resumed from what is committed."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.errors import ConfigError, CostError, ProgramError, RunFailed, Tampered
from partitioner.graphs.pipeline import _sink_of, configured
from partitioner.graphs.results import Kept, Made, read_made
from partitioner.reducers import partials
from partitioner.reducers.container import unpack
from partitioner.running import plan_config
from partitioner.security.sealing import is_sealed
from tests.graphs.steps_of_tests import GRAPH, FailsOnce, doubled, first, heavy, largest, shares, spread, total

FRAME = pd.DataFrame({"x": np.arange(1.0, 101.0)})
QUIET = {"progress": False, "report": False}
KEY = b"k" * 32


def plan_of(steps, workers, parts):
    config, _ = configured(steps, FRAME, parts, 200, {})
    return plan_config(config, workers)


def run(tmp_path, steps=GRAPH, dataset=FRAME, engine="serial", parts=4, **options):
    return pt.pipeline(
        steps, dataset, engine=engine, parts=parts, checkpoint=str(tmp_path / "runs"), **QUIET, **options
    )


def check(found):
    assert found["all_of_it"] == 10100.0
    assert found["top"] == 200.0
    assert found["spread"] == {"sum": 10100.0, "max": 200.0}
    np.testing.assert_allclose(found["shares"]["x"].to_numpy(), FRAME["x"] / 5050, rtol=1e-15)


def test_every_step_has_its_result_on_the_serial_engine(tmp_path):
    check(run(tmp_path))


def test_every_step_has_its_result_on_dask(tmp_path, dask_engine):
    check(run(tmp_path, engine=dask_engine))


def test_every_step_has_its_result_on_spark(tmp_path, spark):
    check(run(tmp_path, engine=spark))


def test_a_step_is_a_sub_task_for_each_partition_and_waits_for_its_own_alone(tmp_path):
    plan = run(tmp_path).plan
    keys = plan.tasks.task_id.to_pylist()
    edges = [(keys[s], keys[t]) for s, t in zip(plan.tasks.edges.source, plan.tasks.edges.target, strict=True)]
    assert [e for e in edges if e[1] == "shares-0002"] == [
        ("double-0002", "shares-0002"),
        ("all_of_it-merge", "shares-0002"),
    ]
    assert sum(target == "top-0000" for _, target in edges) == 4
    assert len(keys) == 4 + 4 + 1 + 1 + 1 + 4


def test_the_plan_is_shown_before_anything_runs_with_its_bound(tmp_path):
    seen = []
    found = run(
        tmp_path, on_plan=lambda plan: seen.append((plan.makespan, plan.lower_bound, (tmp_path / "m").exists()))
    )
    assert seen == [(found.plan.makespan, found.plan.lower_bound, False)]
    assert found.plan.makespan == pytest.approx(0.81 + 0.01)  # all seconds, and a merge, on one worker
    assert found.plan.gap == pytest.approx(0.0)


def test_a_plan_alone_places_dependencies_on_the_workers_asked_for(tmp_path):
    plan = plan_of(GRAPH, workers=4, parts=4)
    starts = dict(zip(plan.tasks.task_id.to_pylist(), plan.start, strict=True))
    assert starts["double-0000"] == 0.0
    assert starts["all_of_it-0000"] >= 0.1
    assert plan.makespan < 0.5


def test_independent_steps_run_side_by_side(tmp_path, dask_engine):
    there, here = str(tmp_path / "a"), str(tmp_path / "b")
    steps = [
        pt.Step("a", first, whole=True, arguments={"here": here, "there": there}, seconds=1.0),
        pt.Step("b", first, whole=True, arguments={"here": there, "there": here}, seconds=1.0),
    ]
    found = run(tmp_path, steps, engine=dask_engine)
    assert (found["a"], found["b"]) == (1.0, 1.0)


def test_a_resume_runs_only_what_is_missing(tmp_path, dask_engine):
    marker = tmp_path / "marker"
    steps = [*GRAPH, pt.Step("late", FailsOnce, using="all_of_it", arguments={"marker": str(marker)}, seconds=0.1)]
    with pytest.raises(RunFailed, match="the marker is not there"):
        run(tmp_path, steps, max_retries=0)
    (made,) = (tmp_path / "runs").iterdir()
    before = {p.name for p in (made / "partials").iterdir()}
    assert "part-all_of_it-merge.parquet" in before
    marker.touch()
    found = run(tmp_path, steps, engine=dask_engine, resume=made.name)
    check(found)
    assert found["late"] == 10100.0
    assert found.run.attempted == 16 - len({n for n in before if n.startswith("part-")})


def test_a_resume_with_another_program_is_refused(tmp_path):
    found = run(tmp_path, [pt.Step("a", doubled, seconds=1)])
    with pytest.raises(pt.PartitionerError, match="code of the program"):
        run(tmp_path, [pt.Step("a", largest, seconds=1)], resume=found.run_id)


def test_steps_without_seconds_are_measured_on_a_sample(tmp_path):
    seen = []
    steps = [pt.Step("double", doubled), pt.Step("all_of_it", total, over="double", reducer="sum")]
    found = run(tmp_path, steps, on_plan=seen.append, pilot_rows=20)
    assert found["all_of_it"] == 10100.0
    assert seen[0].about.cost.source == "pilot on 20 and 40 rows"
    assert (seen[0].tasks.seconds > 0).all()


def test_what_a_step_holds_when_it_is_called_is_in_the_memory_planned(tmp_path, dask_engine):
    found = run(tmp_path, [pt.Step("heavy", heavy, reducer="sum")], engine=dask_engine)
    planned = dict(zip(found.plan.tasks.task_id.to_pylist(), found.plan.tasks.memory_bytes.tolist(), strict=True))
    used = {r.task_key: r.peak_memory_bytes for r in found.run.records}
    assert {key: planned[key] >= peak for key, peak in used.items()} == dict.fromkeys(planned, True)


def test_a_pilot_that_fails_names_the_step_and_the_remedy(tmp_path):
    with pytest.raises(CostError, match=r"step 'late' on .* declare 'seconds' of every step"):
        run(tmp_path, [pt.Step("a", total, whole=True), pt.Step("late", lambda a: a["no"], using="a")])


def test_seconds_are_a_function_of_the_rows_of_a_call(tmp_path):
    plan = plan_of([pt.Step("a", total, reducer="sum", seconds=lambda rows: rows / 10)], workers=2, parts=4)
    assert plan.tasks.seconds[:4].tolist() == [2.6, 2.4, 2.6, 2.4]


def test_demands_of_a_step_are_those_of_its_sub_tasks():
    plan = plan_of(
        [pt.Step("a", total, reducer="sum", seconds=1, cpus=2, memory_bytes=5e6)],
        workers=pt.Workers.of([pt.Worker("w", 4)]),
        parts=2,
    )
    assert plan.tasks.cpus.tolist() == [2.0, 2.0, 2.0]
    assert plan.tasks.memory_bytes.tolist() == [5e6, 5e6, 5e6]


def test_a_mapping_names_the_steps(tmp_path):
    found = run(
        tmp_path,
        {"double": {"program": doubled, "seconds": 1}, "top": {"program": largest, "over": "double", "whole": True}},
    )
    assert found.result == 200.0


def test_a_pipeline_over_no_dataset_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="step 'double' is over the dataset, and there is none"):
        run(tmp_path, GRAPH, None)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "steps is empty"),
        ([pt.Step("a", doubled), pt.Step("a", doubled)], "2 steps are called 'a'"),
        ([pt.Step("a", doubled), pt.Step("b", doubled, over="aa")], "waits for 'aa', which is no step.*Did you mean"),
        ([pt.Step("a", doubled, over="b"), pt.Step("b", doubled, over="a")], "wait for each other"),
        ({"a": {"program": doubled, "whol": True}}, "has no setting 'whol'"),
        ({"a": {"over": "dataset"}}, "has no 'program'"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(tmp_path, steps, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        run(tmp_path, steps)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"name": "no name"}, ConfigError, "its name is an identifier"),
        ({"program": shares}, ProgramError, "all_of_it"),
        ({"program": spread, "using": ("all_of_it",)}, ProgramError, "top"),
        ({"seconds": -1}, ConfigError, "seconds is -1"),
        ({"cpus": float("nan")}, ConfigError, "cpus is nan"),
        ({"batch_format": "panda"}, ConfigError, "pandas"),
        ({"using": "b", "program": lambda b: b, "whole": True}, ConfigError, "over no rows"),
    ],
)
def test_a_step_that_cannot_be_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        pt.Step(**{"name": "a", "program": doubled, **settings})


def test_a_step_over_what_is_no_rows_is_named(tmp_path):
    steps = [
        pt.Step("all_of_it", total, whole=True, seconds=1),
        pt.Step("double", doubled, over="all_of_it", seconds=1),
    ]
    with pytest.raises(RunFailed, match="step 'double' is over 'all_of_it', whose result is a float and no rows"):
        run(tmp_path, steps, max_retries=0)


def test_a_setting_of_a_run_that_a_pipeline_has_not_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no setting 'reducer'"):
        run(tmp_path, reducer="mean")


def test_a_damaged_result_is_made_again(tmp_path):
    found = run(tmp_path)
    file = tmp_path / "runs" / found.run_id / "partials" / "part-double-0001.parquet"
    file.write_bytes(file.read_bytes()[:100])
    check(run(tmp_path, resume=found.run_id))


class Opens:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_in_the_place_of_a_result_is_never_loaded(tmp_path):
    found = run(tmp_path)
    file = tmp_path / "runs" / found.run_id / "partials" / "part-all_of_it-merge.parquet"
    facts = {b"batch-partitioner": pq.read_metadata(file).metadata[b"batch-partitioner"]}
    data = np.frombuffer(pickle.dumps(Opens(tmp_path / "opened")), np.uint8)
    rows = partials.as_rows([partials.dumps(Kept(), {"all_of_it-merge": ("pickle", data)})])
    pq.write_table(pa.Table.from_batches([rows]).replace_schema_metadata(facts), file)
    with pytest.raises(Tampered, match="result of sub-task all_of_it-merge was not sealed"):
        found["all_of_it"]
    assert not (tmp_path / "opened").exists()
    check(run(tmp_path, resume=found.run_id))


def test_a_result_that_only_pickle_can_write_is_sealed_with_the_key_of_its_run(tmp_path):
    steps = {"a": {"program": function_of_all, "over": "dataset", "whole": True, "serializer": "pickle"}}
    found = run(tmp_path, steps, parts=1)
    assert found["a"](1) == 101
    assert is_sealed(bytes(read_made(_sink_of(found.run), "a-0000").data))


def function_of_all(batch):
    rows = len(batch)
    return lambda x: rows + x


def test_a_value_is_kept_as_data():
    from partitioner.graphs.results import encoded

    made = encoded("a-0000", {"w": np.arange(3.0)}, "safe", KEY)
    assert isinstance(made, Made)
    assert unpack(made.data)["w"].tolist() == [0.0, 1.0, 2.0]


def test_what_only_pickle_could_write_is_refused_with_the_remedy():
    from partitioner.graphs.results import encoded

    with pytest.raises(ProgramError, match=r"step 'a': .*serializer='pickle'"):
        encoded("a-0000", lambda: 1, "safe", KEY)
