"""The search for rows that kill, range by range: what is tried, what is put by, and what parts are called."""

from __future__ import annotations

import numpy as np

from partitioner.coordinator import splitting
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import State
from partitioner.coordinator.transitions import BLOCKED, DONE, LIVE, READY, SPLIT, Change
from partitioner.coordinator.troubles import Part, Search, range_of
from partitioner.model import Edges, Fragment, Fragments, SubTasks, Workers
from partitioner.placement.algorithms.lpt import Lpt
from tests.coordinator.outcomes import done, rowed, submits
from tests.coordinator.paper import state_of


def dividing(rows: int = 16) -> State:
    """The only sub-task is being divided: its first half waits."""
    state = state_of(rowed([rows], 1), divisible=True)
    state.change(0, Change.SUBMITTED)
    splitting.begin(state, 0, rows)
    return state


def ranges(state: State) -> list[tuple[int, int]]:
    """Of the parts that wait or run, in the order in which they were made."""
    open_now = [t for t in state.parts if state.status[t] in (READY, LIVE)]
    return [(state.parts[t].start, state.parts[t].stop) for t in open_now]


def part(state: State, start: int, stop: int) -> int:
    """The part of these rows, submitted."""
    task = next(t for t, p in state.parts.items() if (p.start, p.stop) == (start, stop) and state.status[t] == READY)
    state.change(task, Change.SUBMITTED)
    return task


def dies(state: State, start: int, stop: int) -> None:
    splitting.died(state, part(state, start, stop))


def ends(state: State, start: int, stop: int, condemned: bool = False) -> bool:
    """Whether the whole is done with it, as the machine tells the search."""
    task = part(state, start, stop)
    state.change(task, Change.FINISHED)
    state.remaining -= 1
    return splitting.finished(state, task, condemned)


def test_parts_within_what_a_late_attempt_had_committed_are_dropped_and_the_others_go_on() -> None:
    state = state_of(rowed([12], 1), divisible=True)
    state.change(0, Change.SUBMITTED)
    assert not splitting.hand_over(state, 0, 12, 0, 3, committed=True)
    assert ranges(state) == [(0, 4), (4, 8), (8, 12)]
    assert not splitting.overtaken(state, part(state, 0, 4), (0, 8))
    assert (ranges(state), state.remaining) == ([(8, 12)], 2)


def test_what_a_late_attempt_left_of_a_part_and_its_other_half_are_tried_in_pieces_that_went_well() -> None:
    state = dividing()
    assert not splitting.overtaken(state, part(state, 0, 8), (0, 5))
    assert ranges(state) == [(5, 8), (8, 13), (13, 16)]


def test_other_halves_that_a_late_attempt_cut_are_tried_but_for_its_rows() -> None:
    state = dividing(32)
    state.searches[0].next = {1: (24, 32), 98: (16, 20), 99: (20, 24)}
    assert not splitting.overtaken(state, part(state, 0, 16), (0, 22))
    assert (sorted(ranges(state)), state.searches[0].next) == ([(22, 24), (24, 32)], {})


def test_what_is_put_by_joins_its_neighbour_among_all() -> None:
    search = Search(32, put_by=[(0, 2), (8, 16)])
    splitting._put_by(search, (4, 8))
    splitting._put_by(search, (16, 20))
    assert search.put_by == [(0, 2), (4, 20)]


def test_a_larger_range_that_dies_takes_nothing_back_and_only_its_own_count() -> None:
    state = state_of(rowed([16, 1, 1], 1), divisible=True)
    state.change(0, Change.SUBMITTED)
    splitting.begin(state, 0, 16)
    state.searches[0].by_row = True
    dies(state, 0, 8)
    assert (state.searches[0].by_row, state.remaining, ranges(state)) == (True, 4, [(0, 4)])


def test_the_first_half_is_tried_first_alone_and_smaller_by_one_where_rows_are_odd() -> None:
    state = dividing(17)
    assert (ranges(state), state.status[0], state.remaining, state.deaths) == ([(0, 8)], SPLIT, 2, {1: 0})
    assert state.searches[0].next == {1: (8, 17)}
    assert state.parts[1].key == "t000000.00-08"
    assert list(state.pool) == [1]


def test_where_the_first_half_dies_it_is_divided_and_the_second_is_put_by() -> None:
    state = dividing()
    dies(state, 0, 8)
    dies(state, 0, 4)
    search = state.searches[0]
    assert (ranges(state), search.put_by, search.next) == ([(0, 2)], [(4, 16)], {3: (2, 4)})
    assert (state.remaining, search.parts, search.by_row, search.good) == (2, {3}, False, 0)
    assert state.parts[3].split_from == ("t000000", "t000000.00-08", "t000000.00-04")


def test_where_the_first_half_goes_well_the_second_is_tried_as_a_whole() -> None:
    state = dividing()
    assert ends(state, 0, 8) is False
    assert (ranges(state), state.searches[0].good, state.searches[0].next) == ([(8, 16)], 8, {})
    assert ends(state, 8, 16) is True
    assert (state.status[0], state.remaining, state.finished) == (DONE, 0, True)


def test_a_range_no_larger_than_one_that_went_well_dies_of_a_row() -> None:
    state = dividing()
    ends(state, 0, 8)
    dies(state, 8, 16)
    assert (state.searches[0].by_row, ranges(state)) == (True, [(8, 12)])
    ends(state, 8, 12)
    assert ranges(state) == [(12, 14)]  # the second half must hold the row, and is divided untried


def test_a_larger_range_than_one_that_went_well_may_die_of_its_number() -> None:
    state = dividing(17)
    ends(state, 0, 8)
    dies(state, 8, 17)
    assert (state.searches[0].by_row, ranges(state)) == (False, [(8, 12)])
    ends(state, 8, 12)
    assert ranges(state) == [(12, 17)]


def test_a_row_that_is_set_aside_says_nothing_of_sizes_and_its_neighbour_is_put_by() -> None:
    state = dividing(8)
    dies(state, 0, 4)
    dies(state, 0, 2)
    assert ends(state, 0, 1, condemned=True) is False
    search = state.searches[0]
    assert (search.condemned, search.good, ranges(state)) == (1, 0, [(1, 8)])
    assert ends(state, 1, 8) is True


def test_what_was_put_by_is_tried_in_pieces_as_large_as_what_went_well() -> None:
    state = dividing(32)
    dies(state, 0, 16)
    dies(state, 0, 8)
    ends(state, 0, 4)
    assert ends(state, 4, 8) is False
    assert ranges(state) == [(8, 12), (12, 16), (16, 20), (20, 24), (24, 28), (28, 32)]


def test_what_was_put_by_is_tried_in_one_piece_once_a_row_is_the_cause() -> None:
    state = dividing(32)
    dies(state, 0, 16)
    ends(state, 0, 8)
    dies(state, 8, 16)
    ends(state, 8, 12)
    assert ranges(state) == [(12, 14)]
    ends(state, 12, 14)
    assert ranges(state) == [(14, 15)]
    ends(state, 14, 15, condemned=True)
    assert ranges(state) == [(15, 32)]  # with the neighbour that was put by, in one piece


def test_what_was_put_by_is_tried_in_one_piece_where_deaths_were_not_for_size_though_no_row_was_to_blame() -> None:
    state = dividing(32)
    dies(state, 0, 16)
    ends(state, 0, 8)
    dies(state, 8, 16)
    for start, stop in ((8, 12), (12, 14), (14, 15), (15, 16)):
        ends(state, start, stop)
    assert (state.searches[0].by_row, state.searches[0].condemned) == (True, 0)
    assert ranges(state) == [(16, 32)]


def test_ranges_put_by_that_touch_become_one_on_either_side() -> None:
    search = Search(20)
    for rows in ((10, 12), (12, 14), (8, 10), (2, 4)):
        splitting._put_by(search, rows)
    assert search.put_by == [(8, 14), (2, 4)]


def test_a_resume_tries_the_gaps_between_what_is_committed_and_no_range_across_a_cut() -> None:
    state = state_of(rowed([20], 1), divisible=True)
    assert splitting.proceed(state, 0, 20, [(12, 15), (2, 5)], [], [8]) is False
    assert (ranges(state), state.status[0]) == ([(0, 2), (5, 8), (8, 11), (11, 12), (15, 18), (18, 20)], SPLIT)
    assert state.searches[0].good == 3


def test_what_waits_for_others_is_divided_once_these_are_committed() -> None:
    state = state_of(rowed([20], 1), divisible=True)
    state.status[0] = BLOCKED
    assert splitting.proceed(state, 0, 20, [(2, 5)], ["t000000"], [8]) is False
    assert (state.held_back, state.parts, state.remaining) == ({0: (20, [(2, 5)], ["t000000"], [8])}, {}, 1)


def test_a_resume_where_everything_is_committed_is_done() -> None:
    state = state_of(rowed([20], 1), divisible=True)
    assert splitting.proceed(state, 0, 20, [(0, 5), (5, 20)], []) is True
    assert (ranges(state), state.remaining, state.status[0]) == ([], 0, DONE)


def test_a_resume_takes_overlapping_rows_as_committed_once() -> None:
    state = state_of(rowed([20], 1), divisible=True)
    splitting.proceed(state, 0, 20, [(0, 10), (4, 6)], [])
    assert ranges(state) == [(10, 20)]


def test_what_an_earlier_session_divided_is_divided_again_without_a_trial() -> None:
    state = state_of(rowed([16], 1), divisible=True)
    splitting.proceed(state, 0, 16, [], ["t000000", "t000000.00-16", "t000000.00-08"])
    assert (ranges(state), state.searches[0].put_by) == ([(0, 4)], [(8, 16)])
    assert state.searches[0].next == {1: (4, 8)}
    assert state.parts[1].split_from == ("t000000", "t000000.00-16", "t000000.00-08")


def test_a_part_names_of_what_was_divided_only_what_holds_all_its_rows() -> None:
    state = dividing()
    state.searches[0].split |= {"t000000.08-16": (8, 16), "t000000.00-12": (0, 12), "t000000.04-16": (4, 16)}
    task = splitting._add(state, 0, (4, 16))
    assert state.parts[task].split_from == ("t000000", "t000000.04-16")


def test_halves_that_were_divided_are_halved_down_to_two_rows() -> None:
    state = state_of(rowed([4], 1), divisible=True)
    splitting.proceed(state, 0, 4, [], ["t000000.0-4", "t000000.0-2", "t000000.0-1"])
    assert (ranges(state), state.searches[0].next) == ([(0, 1)], {1: (1, 2)})


def test_a_single_row_is_never_divided_though_its_name_was() -> None:
    state = state_of(rowed([4], 1), divisible=True)
    splitting.proceed(state, 0, 4, [(0, 3)], ["t000000.3-4"])
    assert ranges(state) == [(3, 4)]


def test_rows_handed_over_become_even_pieces_that_are_as_good_as_wholes() -> None:
    state = state_of(rowed([100], 1), divisible=True)
    assert splitting.hand_over(state, 0, 100, 40, 3, committed=True) is False
    assert ranges(state) == [(40, 60), (60, 80), (80, 100)]
    assert (state.rests, state.deaths, state.searches[0].good, state.remaining) == ({1, 2, 3}, {}, 40, 4)


def test_where_the_rows_before_a_cut_are_not_committed_they_are_a_piece_too() -> None:
    state = state_of(rowed([100], 1), divisible=True)
    splitting.hand_over(state, 0, 100, 40, 2, committed=False)
    assert (ranges(state), state.searches[0].good) == ([(0, 40), (40, 70), (70, 100)], 0)


def test_no_piece_is_empty_and_nothing_left_is_done() -> None:
    state = state_of(rowed([5], 1), divisible=True)
    assert splitting.hand_over(state, 0, 5, 3, 4, committed=True) is False
    assert ranges(state) == [(3, 4), (4, 5)]
    state = state_of(rowed([5], 1), divisible=True)
    assert splitting.hand_over(state, 0, 5, 5, 1, committed=True) is True
    assert state.finished


def test_a_whole_that_was_committed_drops_all_its_open_parts() -> None:
    state = state_of(rowed([100, 1], 1), divisible=True)
    splitting.hand_over(state, 0, 100, 40, 3, committed=True)
    task = part(state, 40, 60)
    state.change(task, Change.FINISHED)
    state.remaining -= 1
    state.searches[0].parts.discard(task)
    part(state, 60, 80)
    splitting.drop(state, 0)
    assert [state.status[t] for t in (0, 1, *state.parts)] == [DONE, READY, DONE, DONE, DONE]
    assert (state.remaining, state.searches) == (1, {})


def test_a_part_has_its_share_of_the_seconds_and_the_demands_of_its_whole() -> None:
    state = state_of(rowed([10], 1), divisible=True)
    state.seconds, state.by_class = [50.0], {"old": [80.0], "new": [20.0]}
    state.demands.memory = [7.0]
    state.part_numbers = {"t000000.00-03": 4}
    state.trouble(0).smaller = 8
    state.trouble(0).slow_on = frozenset(["w"])
    state.hungry, state.idle = {}, {"worker-0": None}
    task = state.add_part(Part(0, "t000000.00-03", 0, 3, ("t000000",)), 0.3)
    assert (task, list(state.seconds), state.by_class) == (1, [50.0, 15.0], {"old": [80.0, 24.0], "new": [20.0, 6.0]})
    assert (list(state.demands.memory), list(state.demands.kind), state.numbers) == ([7.0, 7.0], [0, 0], {1: 4})
    assert (list(state.planned), state.home[1], state.status[1], state.remaining) == ([0.0, 0.0], "", READY, 2)
    assert (state.troubles[1].smaller, state.troubles[1].slow_on) == (8, frozenset(["w"]))
    assert (state.deaths, list(state.pool), state.hungry) == ({1: 0}, [1], {"worker-0": None})


def test_a_part_knows_its_rows_and_a_name_its_range() -> None:
    assert Part(0, "t.03-07", 3, 7, ()).rows == 4
    assert [range_of(key, 9) for key in ("t000000", "t000000.3-7")] == [(0, 9), (3, 7)]


def test_rows_are_named_by_their_place_in_the_whole() -> None:
    state = state_of(rowed([10, 4], 1), divisible=True)
    task = state.add_part(Part(1, "t000001.2-3", 2, 3, ()), 0.1)
    assert state.row_name(task) == "row 2 of sub-task t000001"
    assert state.row_name(0) == "row 0 of sub-task t000000"
    assert [state.rows_of(t) for t in (0, 1, task)] == [10, 4, 1]
    assert [state.key_of(t) for t in (0, 1, task)] == ["t000000", "t000001", "t000001.2-3"]


def test_rows_that_only_reading_tells_are_minus_one_and_those_of_no_input_none() -> None:
    from tests.coordinator.paper import plan_of

    assert state_of(rowed([-1], 1)).rows_of(0) == -1
    assert state_of(rowed([0], 1)).rows_of(0) == 0
    assert state_of(plan_of([1.0])).rows_of(0) == 0


def test_the_delay_behind_a_sub_task_whose_rows_are_all_in_parts_counts_from_when_it_is_freed() -> None:
    fragments = Fragments.of([Fragment(i, "f", 0, 0, 4, 4, 1) for i in range(3)])
    edges = Edges(np.array([0, 1]), np.array([1, 2]), np.array([0.0, 7.0]), np.zeros(2))
    tasks = SubTasks.build(
        [1.0] * 3, fragments=fragments, offsets=np.arange(4), fragment_index=np.arange(3), edges=edges
    )
    state = state_of(Lpt().place(tasks, Workers.identical(1), "makespan", 0, None), divisible=True)
    splitting.go_on(state, 1, 4, [(0, 4)], ["t000001"], [])
    (first,) = submits(step(state, [], 100.0)[1])
    step(state, [done(first)], 105.0)
    assert (state.status[1], state.readiness.due) == (DONE, [(12.0, 2)])
