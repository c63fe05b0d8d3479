import pytest

from partitioner.coordinator import forecast
from partitioner.coordinator.state import Policy, State, initial
from partitioner.coordinator.transitions import DONE
from partitioner.model import SubTasks, Workers
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


def waiting(state: State) -> list[int]:
    return [len(holder.queue) for holder in state.workers.values()]


def test_a_program_slower_than_predicted_everywhere_leaves_every_sub_task_where_the_plan_put_it():
    state = state_of(80)
    complete(state, "worker-0", 4, 3.0)
    complete(state, "worker-1", 4, 3.0)
    assert [holder.pace for holder in state.workers.values()] == [1.0, 1.0]
    assert waiting(state) == [36, 36]


def test_waiting_work_moves_from_a_worker_that_turns_out_slow():
    state = state_of(80)
    complete(state, "worker-0", 4, 3.0)
    complete(state, "worker-1", 4, 1.0)
    slow, quick = (holder.pace for holder in state.workers.values())
    assert slow < 1.0 < quick
    assert sum(waiting(state)) == 72
    assert waiting(state)[0] / waiting(state)[1] == pytest.approx(slow / quick, rel=0.08)


def test_differences_that_save_little_move_nothing():
    state = state_of(80)
    complete(state, "worker-0", 4, 1.05)
    complete(state, "worker-1", 4, 1.0)
    assert waiting(state) == [36, 36]


def test_a_declared_speed_that_is_true_is_kept():
    plan = RoundRobin().place(SubTasks.build([1.0] * 80), Workers.identical(1, speed=0.5))
    state = initial(plan, "paper://", Policy())
    complete(state, "worker-0", 8, 2.0)
    assert state.workers["worker-0"].pace == 1.0


def test_other_objectives_than_the_makespan_keep_their_placement():
    plan = RoundRobin().place(SubTasks.build([1.0] * 80), Workers.identical(2), "money")
    state = initial(plan, "paper://", Policy())
    complete(state, "worker-0", 4, 9.0)
    complete(state, "worker-1", 4, 1.0)
    assert waiting(state) == [36, 36]
