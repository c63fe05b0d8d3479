from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.report import timeline as module
from partitioner.report.facts import read
from partitioner.report.history import COMMITTED, FAILED, History, Session, Try
from partitioner.report.summary import summarise
from partitioner.report.timeline import _lanes, merged, timeline

SPANS = st.lists(
    st.tuples(st.sampled_from(["w0", "w1"]), st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=40
)


def tries(spans, outcome=COMMITTED):
    made = [Try(f"t{i}-a0", f"t{i}", 0, w, w, s, float(s), float(s + d), outcome) for i, (w, s, d) in enumerate(spans)]
    return sorted(made, key=lambda t: t.started)


@settings(max_examples=100, deadline=None)
@given(SPANS)
def test_no_two_attempts_on_a_lane_overlap_and_lanes_are_as_few_as_possible(spans):
    ran = tries(spans)
    lanes, bands = _lanes(ran, ["w0", "w1"])
    for lane in set(lanes):
        mine = [t for t, at in zip(ran, lanes, strict=True) if at == lane]
        assert all(a.finished <= b.started for a, b in pairwise(mine))
    for worker, (first, width) in bands.items():
        most = max(
            (
                sum(o.worker == worker and o.started <= t.started < o.finished for o in ran)
                for t in ran
                if t.worker == worker
            ),
            default=0,
        )
        assert width == max(1, most)
        assert {at for t, at in zip(ran, lanes, strict=True) if t.worker == worker} == set(range(first, first + most))


def test_close_neighbours_become_one_bar_but_failures_stay_apart(monkeypatch):
    monkeypatch.setattr(module, "BARS", 3)
    told = History((Session(0.0, 10_000.0, "dask", ("w0",)),), ())
    ran = (
        tries([("w0", 0, 5), ("w0", 6, 5), ("w0", 100, 5)]) + tries([("w0", 106, 1)], FAILED) + tries([("w0", 108, 2)])
    )
    bars = merged(told, ran, [0] * 5)
    assert [(b.start, b.finish, b.outcome, b.count) for b in bars] == [
        (0.0, 11.0, COMMITTED, 2),
        (100.0, 105.0, COMMITTED, 1),
        (106.0, 107.0, FAILED, 1),
        (108.0, 110.0, COMMITTED, 1),
    ]


def test_bars_carry_outcome_times_and_worker(troubled):
    facts = read(troubled())
    figure = timeline(facts, summarise(facts))
    drawn = {bar.name: list(zip(bar.y, bar.base, bar.x, strict=True)) for bar in figure.data}
    assert drawn == {
        COMMITTED: [(0, 1.0, 2.0), (0, 3.0, 4.0), (1, 5.0, 4.0), (0, 8.0, 4.0)],
        FAILED: [(1, 1.0, 1.0)],
        "lost": [(1, 2.5, 1.5)],
    }


def test_many_workers_become_a_map_whose_sum_is_the_time_run(hands, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LANES", 3)
    records = [hands.record(i, f"w{i}", float(i), i + 4.0) for i in range(5)]
    lines = [
        hands.line("session", -1.0, engine="dask", workers=[f"w{i}" for i in range(5)]),
        *(each for made in records for each in hands.ran(made)),
        hands.line("end", 14.0),
    ]
    facts = read(hands.write_run(tmp_path / "r", hands.plan_of([4.0] * 5, workers=5), lines, records))
    busy = timeline(facts, summarise(facts)).data[0].z
    assert busy.shape == (5, module.BINS)
    assert [float(row.sum()) * 15.0 / module.BINS for row in busy] == pytest.approx([4.0] * 5, rel=1e-2)


def test_nothing_ran_nothing_is_drawn(hands, tmp_path):
    facts = read(hands.write_run(tmp_path / "r", hands.plan_of([1.0]), [], []))
    assert timeline(facts, summarise(facts)) is None
