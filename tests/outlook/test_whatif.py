"""The same work on other fleets: figures that can be reckoned by hand, intervals that hold, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import partitioner as pt
from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.placement.explain.interval import interval

EIGHT = [{"task_id": f"t{i}", "seconds": 10.0} for i in range(8)]


def plan(tasks=EIGHT, workers=2, **worker):
    return pt.place(tasks, [{"worker_id": f"w{j}", **worker} for j in range(workers)], algorithm="lpt")


def test_makespan_bound_gap_and_money_of_every_fleet():
    found = pt.whatif(plan(), workers=[1, 3, 8], prices=36.0).fleets
    assert [(f.fleet, f.workers, f.slots, f.sub_tasks) for f in found] == [
        ("1 worker", 1, 1, 8),
        ("3 workers", 3, 3, 8),
        ("8 workers", 8, 8, 8),
    ]
    assert [(f.makespan, f.lower_bound, f.gap) for f in found] == [(80, 80, 0), (30, 30, 0), (10, 10, 0)]
    assert [f.money for f in found] == pytest.approx([0.8, 0.9, 0.8])  # 36 an hour is 0.01 a second and worker
    assert all(f.low < f.middle < f.high for f in found)


def test_without_prices_there_is_no_money_and_by_default_half_to_four_times_the_workers_are_asked():
    found = pt.whatif(plan(workers=4)).fleets
    assert [(f.workers, f.money) for f in found] == [(2, None), (4, None), (8, None), (16, None)]


def test_prices_by_worker_class_and_those_of_the_workers():
    mixed = pt.place(
        EIGHT,
        [
            {"worker_id": "a", "worker_class": "gpu", "price_per_hour": 3600.0},
            {"worker_id": "b", "worker_class": "cpu", "price_per_hour": 360.0},
        ],
        algorithm="lpt",
    )
    assert pt.whatif(mixed, workers=2).fleets[0].money == pytest.approx(40 * 1.1)
    assert pt.whatif(mixed, workers=2, prices={"gpu": 7200.0}).fleets[0].money == pytest.approx(40 * 2.1)


def test_more_workers_than_there_were_keep_their_mix():
    (found,) = pt.whatif(plan(speed=2.0), workers=4).fleets
    assert found.makespan == 10.0
    half = pt.place(EIGHT, [{"worker_id": "a"}, {"worker_id": "b", "speed": 3.0}], algorithm="lpt")
    assert pt.whatif(half, workers=4).fleets[0].makespan == 10.0  # two slow take one each, two fast three each


def test_given_fleets_and_tables(tmp_path):
    pd.DataFrame({"worker_id": ["x", "y"], "cpus": [4, 4], "price_per_hour": [36, 36]}).to_csv(
        tmp_path / "big.csv", index=False
    )
    fleets = {"one": [pt.Worker("z", cpus=2)], "two": str(tmp_path / "big.csv")}
    found = pt.whatif(plan(), workers=fleets, deadline=60).fleets
    assert [(f.fleet, f.slots, f.makespan, f.money) for f in found] == [("one", 2, 40, None), ("two", 8, 10, 0.2)]
    assert pt.whatif(plan(), workers=fleets, deadline=60).smallest.fleet == "one"


def test_the_smallest_fleet_is_in_time_and_one_worker_less_is_not():
    rng = np.random.default_rng(0)
    tasks = [{"task_id": f"t{i}", "seconds": s} for i, s in enumerate(rng.lognormal(1, 0.7, 300))]
    found = pt.whatif(plan(tasks), workers=[2], deadline="100s")
    n = found.smallest.workers
    before, at = pt.whatif(plan(tasks), workers=[n - 1, n], deadline=100).fleets
    assert (before.meets_deadline, at.meets_deadline, found.fleets[0].meets_deadline) == ("likely", "yes", "no")
    assert at.high <= 100 < before.high


def test_a_deadline_that_no_number_of_workers_meets_is_said_with_the_remedy():
    found = pt.whatif(plan(), workers=[2], deadline=9.0)
    assert found.smallest is None
    assert "No fleet that was tried surely ends within 9 s." in str(found)
    assert "Shorter sub-tasks (target_task_seconds, min_tasks_per_slot) or faster workers help." in str(found)


def test_a_fleet_that_cannot_hold_a_sub_task_is_refused_and_the_others_are_told():
    large = plan([{"task_id": "t", "seconds": 1.0, "memory_bytes": 8e9}], memory_bytes=16e9)
    fleets = {"small": [pt.Worker("s", memory_bytes=4e9)], "large": 1}
    small, fits = pt.whatif(large, workers=fleets, deadline=60).fleets
    assert (small.makespan, small.meets_deadline, fits.makespan) == (None, "no", 1.0)
    assert "8e+09" in small.refused
    with pytest.raises(InfeasiblePlan, match=r"no fleet can do this work\. small: .*8e\+09"):
        pt.whatif(large, workers={"small": fleets["small"]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, r"a fleet of 0 workers: a count is a whole number from 1 to 100,000"),
        ({"workers": [2.5]}, r"a fleet of 2\.5 workers"),
        ({"workers": [True]}, r"a fleet is True; it is a count"),
        ({"workers": []}, r"workers is empty; name a fleet, such as workers=\[8, 16, 32\]"),
        ({"workers": {1, 2}}, r"workers is \{1, 2\}; give counts or fleets"),
        ({"workers": "no-such.csv"}, r"no file 'no-such\.csv': a fleet is a count, or a table of workers"),
        ({"deadline": -1}, r"-1 is no time; write seconds above 0, or for example '15min' or '2h'"),
        ({"deadline": "soon"}, r"'soon' is no time"),
        ({"deadline": float("nan")}, r"nan is no time"),
        ({"prices": -0.5}, r"prices is -0\.5; a price per hour is a number of at least 0"),
        ({"prices": {"w9": 1.0}}, r"prices names 'w9', which is no worker class and no worker\. Did you mean 'w0'\?"),
        ({"prices": {"w0": "cheap"}}, r"the price of 'w0' is 'cheap'"),
        ({"algorithm": "ltp"}, r"Did you mean 'lpt'\?"),
    ],
)
def test_what_is_no_fleet_no_time_and_no_price_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        pt.whatif(plan(), **arguments)


def test_what_can_be_asked_about_is_named():
    with pytest.raises(
        ConfigError, match=r"whatif of 5: give a Run, the path of a run directory, a Plan or a RunConfig"
    ):
        pt.whatif(5)
    with pytest.raises(ConfigError, match=r"no-such-run does not exist; give the directory of a run"):
        pt.whatif("no-such-run")


def test_costs_without_seconds_are_refused_with_what_gives_them():
    rows = pt.plan(pd.DataFrame({"x": range(40)}), cost="rows", workers=2)
    with pytest.raises(ConfigError, match=r"the costs of this plan are rows, not seconds.*cost='calibrate'"):
        pt.whatif(rows)


def test_no_work_takes_no_time():
    (found,) = pt.whatif(plan([]), workers=3, deadline=1).fleets
    assert (found.makespan, found.high, found.meets_deadline) == (0.0, 0.0, "yes")


def test_a_configuration_is_cut_anew_for_every_fleet():
    config = {"dataset": pd.DataFrame({"x": range(640)}), "cost": {"model": "rows", "seconds_per_row": 0.5}}
    found = pt.whatif(pt.RunConfig(**config, engine={"engine": "dask", "workers": 2}), workers=[2, 16])
    assert [(f.slots, f.makespan) for f in found.fleets] == [(2, 160.0), (16, 20.0)]
    assert found.fleets[1].sub_tasks > found.fleets[0].sub_tasks


@pytest.mark.parametrize(
    ("tasks", "workers", "noise", "seen"), [(40, 4, 0.3, 0), (40, 20, 0.3, 0), (200, 12, 0.1, 500)]
)
def test_the_interval_holds_what_simulated_runs_take(tasks, workers, noise, seen):
    held = 0
    for seed in range(20):
        seconds = np.random.default_rng(seed).lognormal(1, 0.8, tasks)
        drawn = plan([{"task_id": f"t{i}", "seconds": s} for i, s in enumerate(seconds)], workers)
        found = interval(drawn, seen, noise, seed)
        held += found.low <= pt.simulate(drawn, {"noise": noise}, seed).makespan <= found.high
    assert held >= 17
