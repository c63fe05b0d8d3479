import numpy as np
import pytest

from partitioner.model import Edges, SubTasks, Workers
from partitioner.placement.problem import Problem
from partitioner.placement.schedules.ranks import ReadyQueue, by_rank, downward_rank, optimistic_cost, upward_rank


def test_upward_rank_of_the_paper(paper_tasks: SubTasks, paper_workers: Workers) -> None:
    rank = upward_rank(Problem(paper_tasks, paper_workers, bandwidth=1.0))
    expected = [108.0, 77.0, 80.0, 80.0, 69.0, 63.333, 42.667, 35.667, 44.333, 14.667]
    assert rank.tolist() == pytest.approx(expected, abs=1e-3)


def test_downward_rank_of_the_paper(paper_tasks: SubTasks, paper_workers: Workers) -> None:
    rank = downward_rank(Problem(paper_tasks, paper_workers, bandwidth=1.0))
    expected = [0.0, 31.0, 25.0, 22.0, 24.0, 27.0, 62.333, 66.667, 63.667, 93.333]
    assert rank.tolist() == pytest.approx(expected, abs=1e-3)


def test_optimistic_cost_of_the_last_two_levels(paper_tasks: SubTasks, paper_workers: Workers) -> None:
    table = optimistic_cost(Problem(paper_tasks, paper_workers, bandwidth=1.0))
    assert table[9].tolist() == [0.0, 0.0, 0.0]
    # n9 -> n10: 21 on a, 7 on b, 16 on c; 13 more to move
    assert table[8].tolist() == [20.0, 7.0, 16.0]


def test_equal_ranks_keep_parents_before_children() -> None:
    edges = Edges(np.array([2, 1]), np.array([1, 0]), np.zeros(2), np.zeros(2))
    problem = Problem(SubTasks.build([0.0, 0.0, 0.0], edges=edges), Workers.identical(1))
    assert by_rank(problem, upward_rank(problem)) == [2, 1, 0]


def test_ready_queue_releases_a_child_after_its_parents() -> None:
    edges = Edges(np.array([0, 1]), np.array([2, 2]), np.zeros(2), np.zeros(2))
    problem = Problem(SubTasks.build([1.0, 1.0, 1.0, 1.0], edges=edges), Workers.identical(1))
    assert list(ReadyQueue(problem, np.array([1.0, 3.0, 9.0, 2.0]))) == [1, 3, 0, 2]
