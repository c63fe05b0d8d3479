"""From call to result: every second is drawn under its name."""

from __future__ import annotations

import numpy as np
import pytest

from partitioner.report.call import call_bars, call_note, steps
from partitioner.report.facts import read
from partitioner.report.figures import memory_scatter
from partitioner.report.summary import summarise


@pytest.fixture
def timed(troubled):
    """A run of 20 s from call to result, 2 s of them in no phase."""
    run = troubled()
    run.write_phases({"describe": 1.0, "program load": 4.0, "run": 12.5, "report": 0.5}, 20.0)
    return run


def test_each_phase_begins_where_the_one_before_ends_and_what_none_names_is_a_bar_too(timed):
    bars = call_bars(summarise(read(timed))).data[0]
    assert list(bars.base) == [0.0, 1.0, 5.0, 17.5, 18.0]
    assert list(bars.x) == [1.0, 4.0, 12.5, 0.5, 2.0]
    assert [t.split("</b>")[0] for t in bars.hovertext][-1] == "<b>between these"


def test_what_is_less_than_a_hundredth_is_no_bar(timed):
    timed.write_phases({"describe": 1.0, "run": 12.5}, 13.6)
    assert steps(summarise(read(timed))) == [("describe", 1.0), ("run", 12.5)]


def test_every_bar_has_its_seconds_beside_or_within_it(timed):
    figure = call_bars(summarise(read(timed)))
    assert list(figure.data[0].text) == ["1 s", "4 s", "12.5 s", "0.5 s", "2 s"]
    assert list(figure.layout.yaxis.ticktext) == ["describe", "program load", "run", "report", "between these"]
    assert figure.layout.xaxis.range[1] > 21.0  # those of the last one have room


def test_a_run_without_phases_has_no_such_figure(troubled):
    summary = summarise(read(troubled()))
    assert call_bars(summary) is None
    assert call_note(summary) == ""


def test_the_memory_of_a_process_that_slots_share_is_drawn_whole(timed):
    alone = np.array(memory_scatter(read(timed)).data[0].x)
    facts = read(timed)
    facts.plan["reasons"]["process memory"] = {"resident": 200e6, "slots": 4}
    assert np.array(memory_scatter(facts).data[0].x) == pytest.approx(alone + 150.0)
