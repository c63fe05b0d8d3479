"""Other fleets for a run: its measured seconds, on directories made by hand."""

import json
from dataclasses import replace

import pytest

import partitioner as pt
from partitioner.errors import ConfigError
from tests.test_cli import call


def finished(hands, path, took, predicted=(4.0, 4.0, 4.0, 4.0), end=None, **plan):
    """A run of sub-tasks on two workers in turn, each ``took`` seconds, one right after the other."""
    free = [0.0, 0.0]
    records = []
    for i, seconds in enumerate(took):
        records.append(hands.record(i, f"w{i % 2}", free[i % 2], free[i % 2] + seconds))
        free[i % 2] += seconds
    session = hands.line("session", 0.0, engine="dask", workers=["w0", "w1"], committed=0)
    lines = [session, *(line for r in records for line in hands.ran(r)[1:]), hands.line("end", end or max(free))]
    return hands.write_run(path, hands.plan_of(list(predicted), **plan), lines, records)


def test_a_finished_run_answers_with_the_seconds_it_measured(hands, tmp_path):
    run = finished(hands, tmp_path / "r", [8.0, 2.0, 8.0, 2.0])
    found = pt.whatif(run.url, workers=[1, 2, 4])
    assert [f.makespan for f in found.fleets] == pytest.approx([20.0, 10.0, 8.0])
    assert found.about == "measured in run r"
    assert found.notes[0] == (
        "Not counted: the run took 16 s on its own 2 workers, its sub-tasks explain 10 s; "
        "retries, lost workers or idle time made the difference."
    )


def test_gaps_between_sub_tasks_count(hands, tmp_path):
    run = finished(hands, tmp_path / "r", [5.0, 5.0, 5.0, 5.0], end=11.0)
    found = pt.whatif(run.url, workers=[1, 4])
    assert [f.makespan for f in found.fleets] == pytest.approx([22.0, 5.5])
    assert "Every sub-task counts 10.0% longer than it took, for gaps between them" in found.notes[0]


def test_seconds_on_a_fast_worker_are_more_on_the_reference(hands, tmp_path):
    plan = hands.plan_of([8.0, 8.0], workers=1)
    fast = replace(plan, workers=replace(plan.workers, speed=plan.workers.speed * 2))
    records = [hands.record(0, "w0", 0.0, 5.0), hands.record(1, "w0", 5.0, 10.0)]
    lines = [hands.line("session", 0.0, engine="dask", workers=["w0"]), hands.line("end", 10.0)]
    run = hands.write_run(tmp_path / "r", fast, lines, records)
    found = pt.whatif(run.url, workers={"fast": 1, "plain": [pt.Worker("p")]})
    assert [f.makespan for f in found.fleets] == pytest.approx([10.0, 20.0])


def test_what_an_unfinished_run_has_not_measured_is_predicted_and_corrected(hands, tmp_path):
    plan = hands.plan_of([4.0, 4.0, 4.0, 4.0])
    records = [hands.record(0, "w0", 0.0, 6.0), hands.record(1, "w1", 0.0, 6.0)]
    lines = [hands.line("session", 0.0, engine="dask", workers=["w0", "w1"])]
    found = pt.whatif(hands.write_run(tmp_path / "r", plan, lines, records).url, workers=[4])
    assert found.fleets[0].makespan == 6.0
    assert found.notes[0] == "2 of 4 sub-tasks are not measured: predicted, corrected by the rest."


def test_a_divided_sub_task_takes_what_its_parts_took(hands, tmp_path):
    plan = hands.plan_of([4.0], workers=1)
    whole = hands.record(0, "w0", 0.0, 0.0, split=True, rows_in=0, rows_out=0)
    parts = [
        hands.record(0, "w0", 3.0 * k, 3.0 * k + 3, task_key=f"t000000.{k}", part=(5 * k, 5 * k + 5)) for k in (0, 1)
    ]
    lines = [hands.line("session", 0.0, engine="dask", workers=["w0"])]
    found = pt.whatif(hands.write_run(tmp_path / "r", plan, lines, [whole, *parts]).url, workers=[1])
    assert found.fleets[0].makespan == 6.0


def test_measured_rows_need_no_seconds_and_unmeasured_ones_do(hands, tmp_path):
    run = finished(hands, tmp_path / "r", [5.0, 5.0, 5.0, 5.0], predicted=[100.0] * 4, unit="rows")
    assert pt.whatif(run.url, workers=[4]).fleets[0].makespan == 5.0
    nothing = finished(hands, tmp_path / "n", [], predicted=[100.0] * 4, unit="rows", end=1.0)
    with pytest.raises(ConfigError, match=r"run n has no sub-task committed and its costs are rows"):
        pt.whatif(nothing.url)


def test_a_run_that_stopped_before_its_plan_is_refused(hands, tmp_path):
    run = hands.write_run(tmp_path / "r", None, [], [])
    with pytest.raises(ConfigError, match=r"the run stopped before it had a plan, so nothing is known of its workers"):
        pt.whatif(run.url)


def test_the_command_answers_for_runs_and_configurations(hands, tmp_path, capfd):
    run = finished(hands, tmp_path / "r", [5.0, 5.0, 5.0, 5.0])
    assert call("whatif", run.url, "--workers", "1,4", "--deadline", "1min", "--price", "36", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert [(f["workers"], f["makespan"], f["money"]) for f in told["fleets"]] == [(1, 20.0, 0.2), (4, 5.0, 0.2)]
    assert (told["deadline_seconds"], told["smallest"]["workers"]) == (60.0, 1)
    (tmp_path / "c.yaml").write_text("dataset: in.csv\ncost: {model: bytes, seconds_per_byte: 1.0}\nengine: serial\n")
    (tmp_path / "in.csv").write_text("x\n" + "1\n" * 64)
    assert call("whatif", tmp_path / "c.yaml", "--set", f"dataset={tmp_path}/in.csv", "--workers", "2,8") == 0
    out = capfd.readouterr().out
    assert "seconds predicted by cost 'bytes'" in out
    assert "8 workers" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist; give the directory of a run"),
        (["nowhere", "--set", "cost=rows"], "--set and --allow-module are for a configuration"),
        ([".", "--workers", "many"], "--workers 'many': write counts with commas between them, such as 8,16,32."),
        ([".", "--price", "gpu=dear"], "--price gpu=dear: write a number, or class=number, such as gpu=2.5."),
        ([".", "--price", "1", "--price", "gpu=2"], "write one number for all workers, or class=number for each."),
    ],
)
def test_a_wrong_command_is_exit_2_and_says_why(arguments, message, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("whatif", *arguments) == 2
    assert message in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []  # asking makes no directory
