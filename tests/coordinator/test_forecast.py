import pytest

from partitioner.coordinator import forecast, rebalancing
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Live, State, initial
from partitioner.coordinator.transitions import DONE
from partitioner.model import Attempt, SubTasks, Workers
from partitioner.placement.algorithms.round_robin import RoundRobin


def state_of(tasks: int, workers: int = 2) -> State:
    plan = RoundRobin().place(SubTasks.build([1.0] * tasks), Workers.identical(workers))
    return initial(plan, "paper://", Policy())


def complete(state: State, worker: str, count: int, seconds: float) -> None:
    holder = state.workers[worker]
    for _ in range(count):
        task = holder.queue.popleft()
        holder.backlog -= 1.0
        state.status[task] = DONE
        forecast.observe(state, holder, task, seconds)
        rebalancing.consider(state, 0.0)


def waiting(state: State) -> list[int]:
    return [len(holder.queue) for holder in state.workers.values()]


def test_a_program_slower_than_predicted_everywhere_leaves_every_sub_task_where_the_plan_put_it():
    state = state_of(80)
    complete(state, "worker-0", 4, 3.0)
    complete(state, "worker-1", 4, 3.0)
    assert [holder.factor for holder in state.workers.values()] == pytest.approx([3.0, 3.0])
    assert waiting(state) == [36, 36]


def test_waiting_work_moves_from_a_worker_that_turns_out_slow():
    state = state_of(80)
    complete(state, "worker-0", 6, 3.0)
    complete(state, "worker-1", 6, 1.0)
    slow, quick = (holder.factor for holder in state.workers.values())
    assert slow > 2.0 > 1.5 > quick
    complete(state, "worker-0", 2, 3.0)
    complete(state, "worker-1", 2, 1.0)
    assert sum(waiting(state)) == 64
    assert waiting(state)[0] < 25 < 39 < waiting(state)[1]


def test_differences_that_save_little_move_nothing():
    state = state_of(80)
    complete(state, "worker-0", 4, 1.05)
    complete(state, "worker-1", 4, 1.0)
    assert waiting(state) == [36, 36]


def test_a_declared_speed_that_is_true_is_kept():
    plan = RoundRobin().place(SubTasks.build([1.0] * 80), Workers.identical(1, speed=0.5))
    state = initial(plan, "paper://", Policy())
    complete(state, "worker-0", 8, 2.0)
    assert state.workers["worker-0"].factor == 1.0
    assert state.as_planned


def test_other_objectives_than_the_makespan_keep_their_placement():
    plan = RoundRobin().place(SubTasks.build([1.0] * 80), Workers.identical(2), "money")
    state = initial(plan, "paper://", Policy())
    complete(state, "worker-0", 8, 9.0)
    complete(state, "worker-1", 8, 1.0)
    assert waiting(state) == [32, 32]


def test_the_spread_starts_from_a_prior_and_follows_what_is_seen():
    state = state_of(400)
    assert forecast.spread(state) == pytest.approx(0.2)
    complete(state, "worker-0", 100, 1.0)
    assert forecast.spread(state) < 0.07


def test_what_is_left_of_a_running_attempt_counts_not_its_whole():
    state = state_of(2)
    live = Live(Attempt("t000000", 0, 0, "worker-0", "paper://"), 100.0, load=100.0, expected=100.0, started=0.0)
    holder = state.workers["worker-0"]
    assert forecast.left(state, holder, live, 90.0) == 10.0
    assert forecast.left(state, holder, live, 100.0) == 0.0
    overdue = [forecast.left(state, holder, live, now) for now in (101.0, 200.0, 400.0)]
    assert 0 < overdue[0] < overdue[1] < overdue[2] < 400.0
