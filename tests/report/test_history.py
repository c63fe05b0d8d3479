from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.report.history import CANCELLED, COMMITTED, FAILED, LOST, UNFINISHED, history


def outcomes(told):
    return {t.attempt_id: t.outcome for t in told.tries}


def test_a_failed_attempt_keeps_its_error_and_its_retry_commits(hands):
    made = hands.record(0, "w0", 3.0, 5.0, number=1)
    error = {"type": "OSError", "message": "disk"}
    lines = [
        hands.line("session", 0.0, engine="serial", workers=["w0"], committed=0),
        hands.line("submitted", 0.1, attempt="t000000-a0", worker="w0"),
        hands.line("started", 1.0, attempt="t000000-a0", worker="w0"),
        hands.line("failed", 2.0, attempt="t000000-a0", worker="w0", error=error),
        *hands.ran(made),
        hands.line("end", 5.0),
    ]
    told = history(lines, {"t000000": made})
    assert outcomes(told) == {"t000000-a0": FAILED, "t000000-a1": COMMITTED}
    assert (told.tries[0].seconds, told.tries[0].error) == (1.0, error)


def test_a_lost_worker_takes_its_live_attempts_with_it(hands):
    lines = [
        hands.line("session", 0.0, workers=["w0", "w1"]),
        hands.line("submitted", 0.1, attempt="t000000-a0", worker="w0"),
        hands.line("submitted", 0.1, attempt="t000001-a0", worker="w1"),
        hands.line("started", 0.5, attempt="t000000-a0", worker="w0"),
        hands.line("worker_lost", 2.0, attempt="", worker="w0"),
    ]
    assert outcomes(history(lines, {})) == {"t000000-a0": LOST, "t000001-a0": UNFINISHED}


def test_the_commit_record_outranks_a_ledger_that_a_killed_driver_left(hands):
    made = hands.record(0, "w0", 1.0, 4.0)
    lines = [
        hands.line("session", 0.0, workers=["w0"]),
        hands.line("submitted", 0.5, attempt="t000000-a0", worker="w0"),
    ]
    told = history(lines, {"t000000": made})
    assert outcomes(told) == {"t000000-a0": COMMITTED}
    assert told.sessions[0].seconds == 4.0


def test_of_two_attempts_that_ended_well_the_recorded_one_counts(hands):
    winner = hands.record(0, "w1", 1.0, 2.0, number=1)
    lines = [
        hands.line("session", 0.0, workers=["w0", "w1"]),
        *hands.ran(hands.record(0, "w0", 0.5, 3.0)),
        *hands.ran(winner),
    ]
    told = history(sorted(lines, key=lambda each: each["time"]), {"t000000": winner})
    assert outcomes(told) == {"t000000-a0": CANCELLED, "t000000-a1": COMMITTED}


def test_an_output_whose_record_a_resume_rebuilt_settles_the_open_attempt(hands):
    rebuilt = hands.record(0, "unknown", -hands.T0, 9.0, seconds=0.0)
    lines = [
        hands.line("session", 0.0, workers=["w0"]),
        hands.line("submitted", 0.5, attempt="t000000-a3", worker="w0"),
    ]
    assert outcomes(history(lines, {"t000000": rebuilt})) == {"t000000-a3": COMMITTED}


def test_the_pause_between_two_drivers_does_not_count(hands):
    lines = [
        hands.line("session", 0.0, workers=["w0"]),
        hands.line("stopped", 10.0, error={"type": "Interrupted", "message": "Ctrl-C"}),
        hands.line("session", 3610.0, workers=["w0"]),
        hands.line("end", 3615.0),
    ]
    told = history(lines, {})
    assert told.seconds == 15.0
    assert [told.at(hands.T0 + t) for t in (4.0, 2000.0, 3612.0)] == [4.0, 10.0, 12.0]


def test_a_start_reported_with_its_end_begins_where_the_worker_became_free(hands):
    lines = [
        hands.line("session", 0.0, workers=["serial"]),
        hands.line("submitted", 0.0, attempt="t000000-a0", worker="serial"),
        hands.line("submitted", 0.0, attempt="t000001-a0", worker="serial"),
        hands.line("started", 2.0, attempt="t000000-a0", worker="serial"),
        hands.line("failed", 2.0, attempt="t000000-a0", worker="serial", error={"type": "E"}),
        hands.line("started", 5.0, attempt="t000001-a0", worker="serial"),
        hands.line("failed", 5.0, attempt="t000001-a0", worker="serial", error={"type": "E"}),
    ]
    assert [t.seconds for t in history(lines, {}).tries] == [2.0, 3.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["session", "submitted", "started", "finished", "failed", "lost", "cancelled", "end"]),
            st.integers(0, 4),
        ),
        max_size=40,
    )
)
def test_any_cut_off_or_shuffled_ledger_is_read(hands, steps):
    lines = [
        hands.line(what, float(at), attempt=f"t00000{i}-a0", worker="w0", workers=["w0"])
        for at, (what, i) in enumerate(steps)
    ]
    told = history(lines, {})
    assert len(told.tries) == len({i for what, i in steps if what not in ("session", "end")})
    assert told.seconds <= len(steps)
    assert all(t.seconds >= 0 for t in told.tries)
