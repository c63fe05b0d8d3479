"""Options of algorithms, and limits, from Python and the command line; what is wrong is refused before planning."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partitioner import cli
from partitioner.errors import ConfigError, InfeasiblePlan, UnknownName
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.algorithms.proportional import Proportional
from partitioner.placement.api import compare, place

TEN = SubTasks.build([1.0] * 10, priority=[1.0] * 2 + [0.0] * 8)
FOUR = Workers.of(Worker(f"w{j}", host=f"h{j}") for j in range(4))


def loads(algorithm: Any, tasks: SubTasks = TEN) -> list[int]:
    plan = place(tasks, FOUR, algorithm=algorithm)
    return np.bincount(plan.worker, minlength=4).tolist()


def test_a_share_of_the_slots_is_kept_for_urgent_work() -> None:
    plan = place(TEN, FOUR, algorithm={"algorithm": "urgent", "share": 0.5, "level": 1})
    assert plan.about.notes == {"urgent": 2, "reserved_slots": 2}
    assert set(plan.worker[2:].tolist()) == {0, 1}


def test_weights_by_worker() -> None:
    assert loads({"name": "proportional", "weights": {"w0": 7, "w1": 1, "w2": 1, "w3": 1}}) == [7, 1, 1, 1]


def test_an_instance_with_measured_speeds() -> None:
    """What a run measures of its workers, as weights of the next plan."""
    assert loads(Proportional({"w0": 1.0}).adjusted({"w0": 7.0}, rate=1.0)) == [7, 1, 1, 1]


def test_loads_that_monitoring_reports() -> None:
    assert loads({"algorithm": "dynamic", "loads": {"w0": 100.0, "w1": 100.0}}) == [0, 0, 5, 5]


def test_hosts_that_hold_the_data() -> None:
    hosts = {f"t{i:06d}": ["h2"] for i in range(3)}
    plan = place(TEN, FOUR, algorithm={"algorithm": "locality", "hosts": hosts, "wait_seconds": 10})
    assert plan.worker[:3].tolist() == [2, 2, 2]


def test_groups_that_plan_for_themselves() -> None:
    plan = place(TEN, FOUR, algorithm={"algorithm": "dimension_exchange", "groups": 4})
    assert plan.about.notes["groups"] == 4


def test_a_class_by_its_module() -> None:
    assert loads("partitioner.placement.algorithms.round_robin:RoundRobin") == [3, 3, 2, 2]


def test_compare_takes_options_too() -> None:
    found = compare(TEN, FOUR, algorithms=["lpt", {"algorithm": "urgent", "share": 0.5}])
    assert [plan.algorithm for plan in found.plans] == ["lpt", "urgent"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"algorithm": "urgent", "share": 1}, "share 1: it must be a number, at least 0 and below 1"),
        ({"algorithm": "urgent", "share": "half"}, "share 'half': it must be a number"),
        ({"algorithm": "urgent", "shard": 0.2}, "has no option 'shard'.*Did you mean 'share'"),
        ({"algorithm": "lpt", "share": 0.2}, "'lpt' has no option 'share'; it has no options"),
        (
            {"algorithm": "proportional", "weights": {"w0": -1}},
            "weights of worker 'w0': -1: it must be a number",
        ),
        ({"algorithm": "proportional", "weights": 3}, "write a mapping of worker id to number"),
        ({"algorithm": "proportional", "weights": {"x": 1}}, "weights name worker 'x'"),
        ({"algorithm": "proportional", "weights": {f"w{j}": 0 for j in range(4)}}, "weights are 0 for every worker"),
        ({"algorithm": "dynamic", "loads": {"w0": float("nan")}}, "loads of worker 'w0': nan"),
        ({"algorithm": "dimension_exchange", "groups": 0}, "groups 0: it must be a whole number"),
        ({"algorithm": "locality", "hosts": {"t000000": "h1"}}, "hosts of task 't000000': 'h1' is no list of hosts"),
        ({"algorithm": "locality", "wait_seconds": -1}, "wait_seconds -1: it must be a number, at least 0"),
    ],
)
def test_a_wrong_option_is_refused_by_name(spec: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        place(TEN, FOUR, algorithm=spec)


def test_an_unknown_algorithm_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'urgent'"):
        place(TEN, FOUR, algorithm={"algorithm": "urgnt", "share": 0.2})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"load_bound": 0}, "load bound 0: it must be a number, above 0"),
        ({"load_bound": float("nan")}, "load bound nan"),
        ({"load_bound": 9.0, "load_weights": {"t000000": -1}}, "load weight of task 't000000': -1"),
        (
            {"load_bound": 9.0, "load_weights": {"t00000": 1}},
            "name task 't00000', which is not among the tasks. Did you mean 't00000",
        ),
        ({"bandwidth": 0}, "bandwidth 0: it must be a number, above 0"),
        ({"bandwidth": -5.0}, "bandwidth -5.0"),
        ({"seed": -1}, "seed -1: it must be a whole number of at least 0"),
        ({"seed": 1.5}, "seed 1.5"),
        ({"time_limit": float("nan")}, "time limit nan s: it must be above 0"),
        ({"time_limit": "soon"}, "time limit soon s: it must be above 0"),
    ],
)
def test_a_wrong_limit_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        place(TEN, FOUR, algorithm="lpt", **more)


def test_a_weighted_load_above_the_bound_is_infeasible() -> None:
    weights = {f"t{i:06d}": 2.0 for i in range(10)}
    assert place(TEN, FOUR, algorithm="lpt", load_bound=6.0, load_weights=weights).makespan == 3.0
    with pytest.raises(InfeasiblePlan, match=r"Worker 'w0' carries a weighted load of 6 s, the load bound is 5 s"):
        place(TEN, FOUR, algorithm="lpt", load_bound=5.0, load_weights=weights)


def test_unequal_tasks_in_proportion_to_their_work() -> None:
    """Whatever the order of arrival: by count the gap was 200 %."""
    tasks = SubTasks.build(np.random.default_rng(0).lognormal(1, 1.5, 200))
    workers = Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate([1.0, 1.0, 2.0, 4.0, 8.0]))
    plan = place(tasks, workers, algorithm="proportional")
    work = np.bincount(plan.worker, weights=tasks.seconds)
    assert work / work.sum() == pytest.approx(np.array([1, 1, 2, 4, 8]) / 16, abs=0.002)
    assert plan.gap < 0.01


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    (tmp_path / "tasks.csv").write_text("task_id,seconds,priority\na,3,1\nb,2,0\nc,2,0\n")
    (tmp_path / "workers.csv").write_text("worker_id\nw0\nw1\n")
    return ["place", "--tasks", str(tmp_path / "tasks.csv"), "--workers", str(tmp_path / "workers.csv")]


def said(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return int(ended.value.code or 0), capsys.readouterr().out


def test_options_on_the_command_line(tables: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(
        capsys, [*tables, "--algorithm", "urgent", "--option", "share=0.5", "--option", "level=1", "--json"]
    )
    assert (code, json.loads(text)["reasons"]["reserved_slots"]) == (0, 1)


def test_charts_on_the_command_line(tables: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, [*tables, "--algorithm", "lpt", "--mermaid"])[1].startswith("gantt\n")
    code, text = said(capsys, [*tables, "--algorithm", "lpt", "--flow"])
    assert (code, 'place["place<br/>lpt - makespan 4 - gap 0.00%"]' in text) == (0, True)


def test_steps_and_load_bound_on_the_command_line(tables: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, [*tables, "--steps", "50000", "--load-bound", "4"])[0] == 0
    assert said(capsys, [*tables, "--load-bound", "3"])[0] == 3
    assert said(capsys, [*tables, "--steps", "0"])[0] == 2
    assert said(capsys, [*tables, "--option", "share"])[0] == 2
    assert said(capsys, [*tables, "--json", "--mermaid"])[0] == 2
