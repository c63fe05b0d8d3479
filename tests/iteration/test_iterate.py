"""Rounds: broadcast, partials, merge, update; kept data, commits, resume, deaths, and the same bits throughout."""

import re
from pathlib import Path

import numpy as np
import pytest

import partitioner as pt
from partitioner.engines.dask import DaskEngine
from partitioner.engines.spark import SparkEngine
from partitioner.errors import ConfigError, DataError, ResumeRefused, RunFailed
from partitioner.runs.resume import from_directory
from partitioner.store.run_directory import RunDirectory
from tests.iteration.rounds_programs import SLOPES, START, Gradient, gradient, step, table


def slopes(checkpoint, program=Gradient, **options):
    settings = {"update": step, "rounds": 6, "engine": "serial", "max_tasks": 3, "cost": "rows", "progress": False}
    return pt.iterate(table(), program, START, checkpoint=checkpoint, **{**settings, **options})


@pytest.fixture(scope="module")
def six_rounds(tmp_path_factory):
    return slopes(str(tmp_path_factory.mktemp("six")))


def prepared(log):
    return Path(log).read_text().splitlines()


def test_rounds_go_on_until_the_loss_stays(checkpoint):
    found = slopes(checkpoint, rounds=200, tolerance=1e-20)
    assert found.converged
    assert len(found.rounds) < 200
    np.testing.assert_allclose(found.state["w"], SLOPES, atol=1e-9)
    assert found.losses == sorted(found.losses, reverse=True)


def test_rounds_end_at_their_limit_and_say_so(six_rounds):
    assert (len(six_rounds.rounds), six_rounds.converged, six_rounds.state["round"]) == (6, False, 6)
    assert [r.rows for r in six_rounds.rounds] == [600] * 6


def test_a_function_gets_the_batch_the_state_and_its_arguments(checkpoint):
    def total(batch, state, factor):
        return {"n": len(batch) * factor + state}

    found = pt.iterate(
        table(), total, 1, update=lambda old, merged: old + 1, rounds=2, arguments={"factor": 10}, engine="serial",
        max_tasks=3, cost="rows", checkpoint=checkpoint, progress=False,
    )  # fmt: skip
    assert (found.merged, found.state) == ({"n": 6006}, 3)


def test_without_an_update_the_merged_output_is_the_next_state(checkpoint):
    found = pt.iterate(
        table(), lambda batch, state: state / 3, 81.0, rounds=4, engine="serial", max_tasks=3, cost="rows",
        checkpoint=checkpoint, progress=False, tolerance=1e-9,
    )  # fmt: skip
    assert (found.state, found.converged, len(found.rounds)) == (81.0, True, 1)


def in_place(batch, state):
    """A program that changes the state it is given."""
    state["w"] += len(batch)
    return {"w": state["w"], "parts": 1}


def moved_in_place(state, merged):
    state["w"] += merged["parts"]
    return state


def test_what_works_in_place_changes_no_other_partition_and_is_no_convergence(checkpoint):
    start = {"w": np.zeros(2)}
    found = pt.iterate(
        table(), in_place, start, update=moved_in_place, rounds=2, tolerance=0.1, engine="serial", max_tasks=3, cost="rows",
        checkpoint=checkpoint, progress=False,
    )  # fmt: skip
    assert (found.converged, start["w"].tolist()) == (False, [0.0, 0.0])
    assert found.merged["w"].tolist() == [600.0 + 3 * 3.0] * 2
    assert found.state["w"].tolist() == [6.0, 6.0]


def test_rounds_that_fail_say_how_they_go_on_and_no_command_takes_them_for_a_run(checkpoint):
    with pytest.raises(RunFailed, match=r"then the same call with resume='(\S+)' \(of a job: --resume \1\) goes on"):
        slopes(checkpoint, program=lambda batch, state: 1 / 0, max_retries=0)
    (place,) = Path(checkpoint).iterdir()
    with pytest.raises(ConfigError, match=rf"is one of rounds, .* the same call with resume='{place.name}'"):
        from_directory(RunDirectory(str(place)), {})


def losing(checkpoint, losses, **options):
    """Rounds whose losses are given."""
    told = iter(losses)
    return pt.iterate(
        table(), lambda batch, state: {"n": len(batch)}, 0, update=lambda old, merged: old + 1, rounds=len(losses),
        loss=lambda merged: next(told), engine="serial", max_tasks=2, cost="rows", checkpoint=checkpoint,
        progress=False, **options,
    )  # fmt: skip


def test_a_loss_that_is_nan_ends_the_rounds_and_names_its_round(checkpoint):
    said = r"the loss of round 1 is NaN, .*rounds/000001\.state\. Take smaller steps"
    with pytest.raises(RunFailed, match=said):
        losing(checkpoint, [1.0, float("nan"), 1.0])


def test_a_loss_that_is_infinite_has_not_converged(checkpoint):
    inf = float("inf")
    found = losing(checkpoint, [1.0, inf, inf, 2.0, 2.0, 2.0], tolerance=1e-3)
    assert (found.losses, found.converged) == ([1.0, inf, inf, 2.0, 2.0], True)


@pytest.mark.parametrize(("to", "converged"), [(np.nan, False), (np.inf, False), (0.0, True)])
def test_a_state_that_becomes_no_number_has_not_converged(checkpoint, to, converged):
    found = pt.iterate(
        table(), lambda batch, state: 0, {"w": np.zeros(2)}, update=lambda old, merged: {"w": np.array([0.0, to])}, rounds=1,
        tolerance=0.1, engine="serial", max_tasks=2, cost="rows", checkpoint=checkpoint, progress=False,
    )  # fmt: skip
    assert found.converged is converged


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            "los",
            r"loss is 'los', and the merged output has no such key; it has gradient, loss, n\. Did you mean 'loss'",
        ),
        ("gradient", r"loss 'gradient' gives a numpy\.ndarray of shape \(3,\); a loss is one number"),
    ],
)
def test_a_loss_that_is_not_there_or_no_number_is_refused(checkpoint, loss, said):
    with pytest.raises(ConfigError, match=said):
        slopes(checkpoint, loss=loss)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"update": lambda old, merged: None}, "update returned None"),
        ({"output": "out"}, "pt.iterate has no setting 'output'"),
        ({"on_error": "quarantine"}, "pt.iterate sets no row aside"),
        ({"rounds": 2.5}, r"rounds is 2\.5; give a whole number"),
        ({"tolerance": "1e-8"}, r"tolerance is '1e-8'; give a number\. YAML takes 1e-8 for text; write 1\.0e-8"),
    ],
)
def test_what_rounds_cannot_have_is_refused(checkpoint, options, said):
    with pytest.raises(ConfigError, match=said):
        slopes(checkpoint, **options)


def test_a_prepare_that_nobody_would_call_is_refused(checkpoint):
    class Alone:
        def prepare(self, batch): ...

        def __call__(self, data, state): ...

    with pytest.raises(ConfigError, match="RoundProgram alone; derive from it"):
        pt.iterate(table(), Alone, START, engine="serial", checkpoint=checkpoint, progress=False)


def test_a_dataset_without_rows_is_refused(checkpoint):
    with pytest.raises(DataError, match="the dataset has no rows"):
        pt.iterate(table().slice(0, 0), Gradient, START, engine="serial", checkpoint=checkpoint, progress=False)


def test_until_decides_by_old_new_and_merged(checkpoint):
    found = slopes(checkpoint, until=lambda old, new, merged: new["round"] == 4 and merged["n"] == 600)
    assert (found.state["round"], found.converged) == (4, True)


def test_partitions_are_prepared_once_and_kept(checkpoint, tmp_path):
    log = str(tmp_path / "log")
    slopes(checkpoint, arguments={"log": log})
    assert len(prepared(log)) == 3


def test_what_does_not_fit_in_the_cache_is_read_again_each_round(checkpoint, tmp_path):
    log = str(tmp_path / "log")
    slopes(checkpoint, arguments={"log": log}, cache=7000)
    assert len(prepared(log)) == 1 + 2 * 6


def test_dask_gives_the_same_bits_and_reads_each_partition_once(checkpoint, tmp_path, dask_engine, six_rounds):
    log = str(tmp_path / "log")
    found = slopes(checkpoint, arguments={"log": log}, engine=dask_engine)
    assert found.state["w"].tobytes() == six_rounds.state["w"].tobytes()
    assert len(prepared(log)) == 3


@pytest.mark.spark
def test_spark_gives_the_same_bits_with_one_job_for_all_rounds_and_reads_once(checkpoint, tmp_path, spark, six_rounds):
    log, tracker = str(tmp_path / "log"), spark.sparkContext.statusTracker()
    before = set(tracker.getJobIdsForGroup(None))
    engine = SparkEngine(session=spark, locality_wait=60.0, timeout=240)
    found = slopes(checkpoint, arguments={"log": log}, engine=engine)
    engine.close()
    assert found.state["w"].tobytes() == six_rounds.state["w"].tobytes()
    assert len(prepared(log)) == 3
    jobs = [tracker.getJobInfo(job) for job in set(tracker.getJobIdsForGroup(None)) - before]
    names = [tracker.getStageInfo(stage).name for job in jobs for stage in job.stageIds]
    looks = [name for name in names if "/engines/spark.py" in name]  # one, and another where one misses an executor
    seats = [int(n) for name in names for n in re.findall(r": (\d+) seats for its rounds", name)]
    assert looks, names
    assert sum(seats) == 3, names  # each is asked for once: in one job, or in two where slots were seen one by one
    assert len(names) == len(looks) + len(seats) + 1, names  # and the preflight; none for a round
    assert not [p for p in Path(found.url).glob("seats/**/*") if p.is_file() and p.stat().st_size]


@pytest.mark.spark
def test_an_update_may_use_the_session_that_the_rounds_run_on(checkpoint, spark):
    def counted(state, merged):
        if state["round"] == 1:
            assert spark.sparkContext.parallelize(range(3), 3).count() == 3
        return step(state, merged)

    assert slopes(checkpoint, engine=spark, update=counted, rounds=3).state["round"] == 3


@pytest.mark.spark
def test_a_python_worker_of_spark_that_dies_costs_its_part_of_one_round_and_no_bit(
    checkpoint, tmp_path, spark, six_rounds
):
    log = str(tmp_path / "log")
    found = slopes(checkpoint, arguments={"log": log, "die_in_round": 3}, engine=spark)
    assert Path(f"{log}.died").exists()
    assert found.state["w"].tobytes() == six_rounds.state["w"].tobytes()
    assert 3 < len(prepared(log)) <= 3 + 2  # elsewhere in that round, and at home in the next


def test_a_resume_on_another_engine_goes_on_after_the_last_round(checkpoint, dask_engine, six_rounds):
    begun = slopes(checkpoint, rounds=4)
    found = slopes(checkpoint, resume=begun.run_id, engine=dask_engine)
    assert [r.replayed for r in found.rounds] == [True] * 4 + [False] * 2
    assert found.state["w"].tobytes() == six_rounds.state["w"].tobytes()


def test_a_worker_that_dies_costs_its_part_of_one_round_and_no_bit(checkpoint, tmp_path, six_rounds):
    log = str(tmp_path / "log")
    engine = DaskEngine(workers=2)
    try:
        found = slopes(checkpoint, arguments={"log": log, "die_in_round": 3}, engine=engine)
    finally:
        engine.close()
    assert Path(f"{log}.died").exists()
    assert found.state["w"].tobytes() == six_rounds.state["w"].tobytes()
    assert 3 < len(prepared(log)) <= 3 + 3


def test_another_start_is_refused_at_a_resume(checkpoint):
    begun = slopes(checkpoint, rounds=2)
    with pytest.raises(ResumeRefused, match="round 0"):
        pt.iterate(
            table(), Gradient, {"w": np.ones(3), "round": 0}, update=step, rounds=3, engine="serial", max_tasks=3,
            cost="rows", progress=False, checkpoint=checkpoint, resume=begun.run_id,
        )  # fmt: skip


def test_other_arguments_of_the_program_are_refused_at_a_resume(checkpoint):
    begun = slopes(checkpoint, rounds=2)
    with pytest.raises(ResumeRefused, match="code"):
        slopes(checkpoint, arguments={"die_in_round": 77}, resume=begun.run_id)


def test_a_partial_larger_than_an_event_goes_through_a_file_that_does_not_stay(checkpoint):
    found = pt.iterate(
        table(), lambda batch, state: np.ones(100_000), 0, rounds=1, engine="serial", max_tasks=3, cost="rows",
        checkpoint=checkpoint, progress=False,
    )  # fmt: skip
    assert found.merged.tolist() == [3.0] * 100_000
    assert not list(Path(found.url).rglob("*.partial"))


def test_a_program_that_returns_none_is_named_with_its_sub_task(checkpoint):
    with pytest.raises(RunFailed, match=r"sub-task t0+\d? failed.*returned None"):
        slopes(checkpoint, lambda batch, state: None)


def test_nan_in_a_partial_stops_the_rounds(checkpoint):
    with pytest.raises(RunFailed, match="NaN"):
        slopes(checkpoint, lambda batch, state: gradient(np.full((2, 3), np.nan), np.ones(2), state))


def test_a_state_that_only_pickle_could_write_is_refused(checkpoint):
    with pytest.raises(ConfigError, match="pickle"):
        pt.iterate(
            table(), Gradient, {"w": lambda: 0}, rounds=1, engine="serial", checkpoint=checkpoint, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "words"), [({"rounds": 0}, "rounds is 0"), ({"tolerance": -1.0}, "tolerance is -1.0")]
)
def test_settings_that_cannot_be_are_refused(checkpoint, setting, words):
    with pytest.raises(ConfigError, match=words):
        slopes(checkpoint, **setting)


def test_the_report_draws_the_loss_of_every_round(six_rounds):
    page = (Path(six_rounds.url) / "report.html").read_text()
    assert "6 rounds, stopped at the limit" in page
    points = page.split("points='")[1].split("'")[0].split()
    assert len(points) == 6
    assert page.count("<tr>") == 7


class NotYet(Gradient):
    """Fails in its fourth round until a file is there."""

    def __call__(self, data, state):
        if state["round"] == 3 and not Path(self.log).exists():
            raise OSError("not yet")
        return gradient(*data, state)

    def prepare(self, batch):
        return batch[["a", "b", "c"]].to_numpy(), batch["y"].to_numpy()


def test_a_run_that_stopped_within_a_round_goes_on_with_that_round(checkpoint, tmp_path, six_rounds):
    arguments = {"log": str(tmp_path / "now")}
    with pytest.raises(RunFailed, match="not yet"):
        slopes(checkpoint, NotYet, arguments=arguments)
    (run,) = Path(checkpoint).iterdir()
    assert [p.name for p in sorted((run / "rounds").glob("*.merged"))] == [f"{i:06d}.merged" for i in range(3)]
    Path(arguments["log"]).write_text("")
    found = slopes(checkpoint, NotYet, arguments=arguments, resume=run.name)
    assert [r.replayed for r in found.rounds] == [True] * 3 + [False] * 3
    assert found.state["w"].tobytes() == six_rounds.state["w"].tobytes()
