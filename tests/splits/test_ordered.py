import numpy as np
import pytest

from partitioner.errors import InfeasiblePlan
from partitioner.model import Costs, Limits
from partitioner.splits.ordered import Ordered
from partitioner.testing.splits import dataset_of


def costs(*seconds, **fields):
    return Costs(np.array(seconds, float), np.zeros(len(seconds)), **fields)


def ranges(tasks):
    held = [tasks.fragments.take(tasks.fragments_of(i)) for i in range(len(tasks))]
    return [[(int(a), int(b)) for a, b in zip(f.start, f.stop, strict=True)] for f in held]


def test_whole_fragments_are_kept_where_they_are_even():
    tasks = Ordered().split(dataset_of(np.array([10, 10, 20])), costs(1, 1, 2), Limits(min_tasks_per_slot=2))
    assert ranges(tasks) == [[(0, 10), (10, 20)], [(20, 40)]]
    assert tasks.seconds.tolist() == [2.0, 2.0]


def test_a_large_fragment_is_cut_and_neighbouring_cuts_are_joined():
    tasks = Ordered().split(dataset_of(np.array([100])), costs(8), Limits(min_tasks_per_slot=4))
    assert ranges(tasks) == [[(0, 25)], [(25, 50)], [(50, 75)], [(75, 100)]]
    assert tasks.seconds.tolist() == pytest.approx([2.0] * 4)


def test_whole_only_fragments_are_never_cut():
    tasks = Ordered().split(dataset_of(np.array([100, 10]), None), costs(8, 1), Limits(min_tasks_per_slot=4))
    assert ranges(tasks) == [[(0, 100)], [(100, 110)]]


def test_target_counts_the_fixed_cost():
    tasks = Ordered().split(dataset_of(np.array([100])), costs(60, fixed_seconds=5.0), Limits(target_task_seconds=20.0))
    assert tasks.seconds.tolist() == pytest.approx([20.0] * 4)


def test_what_is_longer_than_the_target_and_cannot_be_cut_leaves_the_others_even():
    tasks = Ordered().split(
        dataset_of(np.full(9, 10), None), costs(500, *[1.0] * 8), Limits(target_task_seconds=4.0, max_tasks=100)
    )
    assert tasks.seconds[0] == 500.0
    assert tasks.seconds[1:].max() <= 4.0


def test_max_tasks_prevails_over_the_target():
    tasks = Ordered().split(dataset_of(np.array([100])), costs(60), Limits(target_task_seconds=1.0, max_tasks=2))
    assert tasks.seconds.tolist() == pytest.approx([30.0, 30.0])


def test_allowed_memory_prevails_over_max_tasks():
    held = Costs(np.ones(4), np.full(4, 10.0))
    with pytest.raises(InfeasiblePlan, match=r"allowed_mem = 10 bytes needs 4 sub-tasks, and max_tasks = 2"):
        Ordered().split(dataset_of(np.full(4, 5)), held, Limits(allowed_mem=10, max_tasks=2))


def test_memory_of_a_sub_task_may_be_the_largest_instead_of_the_sum():
    held = Costs(np.ones(4), np.array([1.0, 9.0, 2.0, 3.0]), fixed_memory_bytes=100.0, memory_combines="max")
    tasks = Ordered().split(dataset_of(np.full(4, 5)), held, Limits(min_tasks_per_slot=2))
    assert tasks.memory_bytes.tolist() == [109.0, 103.0]


def test_with_no_limits_there_are_four_sub_tasks_per_slot():
    assert len(Ordered().split(dataset_of(np.array([1000])), costs(10), Limits(slots=10))) == 40


def test_with_no_limits_up_to_eight_slots_get_the_same_split():
    counts = [len(Ordered().split(dataset_of(np.array([1000])), costs(10), Limits(slots=s))) for s in (1, 2, 8)]
    assert counts == [32, 32, 32]


@pytest.mark.parametrize(
    ("known", "more", "tasks"),
    [
        (0.05, {}, 2),
        (0.55, {}, 6),
        (1000.0, {}, 32),
        (None, {}, 31),
        (0.05, {"min_tasks_per_slot": 4}, 8),
        (0.05, {"max_tasks": 1}, 1),
    ],
)
def test_seconds_known_from_earlier_runs_say_how_many_sub_tasks_pay(known, more, tasks):
    """1,000 rows on 2 slots, of a cost in rows: a sub-task for each tenth of a second."""
    limits = Limits(slots=2, known_seconds=known, **more)
    assert len(Ordered().split(dataset_of(np.array([1000])), costs(1000, unit="rows"), limits)) == tasks


@pytest.mark.parametrize(
    ("rows", "slots", "tasks"), [(500, 40, 160), (500, 20, 60), (100, 9, 9), (100, 1, 8), (10, 40, 10)]
)
def test_few_rows_of_unknown_cost_make_several_sub_tasks_for_each_of_many_slots(rows, slots, tasks):
    """One of twelve rows holds a long one by chance, and nothing else is left to run beside it."""
    split = Ordered().split(dataset_of(np.array([rows])), costs(rows, unit="rows"), Limits(slots=slots))
    assert len(split) == tasks


@pytest.mark.parametrize(
    ("fixed", "slots", "tasks"), [(0.0, 2, 32), (0.01, 2, 32), (0.5, 2, 20), (5.0, 2, 8), (5.0, 20, 80)]
)
def test_what_each_sub_task_costs_by_itself_makes_fewer_of_them(fixed, slots, tasks):
    """40 s in 1,000 rows: a sub-task takes four times what it costs by itself, and every slot has four of them at least."""
    known = costs(40.0, fixed_seconds=fixed)
    assert len(Ordered().split(dataset_of(np.array([1000])), known, Limits(slots=slots))) == tasks


def test_there_are_never_more_sub_tasks_than_rows():
    assert len(Ordered().split(dataset_of(np.array([2, 3])), costs(1, 1), Limits(slots=3))) == 5


def test_a_target_in_seconds_does_not_apply_to_a_stand_in_cost():
    rows = costs(1000, unit="rows")
    tasks = Ordered().split(dataset_of(np.array([1000])), rows, Limits(target_task_seconds=1.0, max_tasks=3))
    assert len(tasks) == 3


def test_a_fixed_cost_above_the_target_is_refused():
    with pytest.raises(InfeasiblePlan, match=r"costs 7 seconds before its first row .* target_task_seconds = 5"):
        Ordered().split(dataset_of(np.array([10])), costs(1, fixed_seconds=7.0), Limits(target_task_seconds=5.0))


def test_seconds_by_class_are_summed_like_seconds():
    both = costs(1, 1, 2, fixed_seconds=0.5, seconds_by_class={"gpu": np.array([0.1, 0.1, np.nan])})
    tasks = Ordered().split(dataset_of(np.array([10, 10, 20])), both, Limits(min_tasks_per_slot=2))
    np.testing.assert_allclose(tasks.seconds_by_class["gpu"], [0.7, np.nan])


def test_known_costs_of_rows_place_the_cut():
    rows = np.array([1.0] * 6 + [6.0] + [1.0] * 6)
    known = costs(18, record_seconds=rows)
    tasks = Ordered().split(dataset_of(np.array([13])), known, Limits(min_tasks_per_slot=3))
    assert ranges(tasks) == [[(0, 6)], [(6, 7)], [(7, 13)]]
    assert tasks.seconds.tolist() == [6.0, 6.0, 6.0]


def test_byte_ranges_of_unknown_rows_are_cut():
    data = dataset_of(np.array([1000]), "bytes")
    data.fragments.rows[0] = -1
    tasks = Ordered().split(data, costs(1), Limits(min_tasks_per_slot=2))
    assert ranges(tasks) == [[(0, 500)], [(500, 1000)]]
    assert tasks.fragments.rows.tolist() == [-1, -1]


def test_fragments_that_cost_nothing_are_split_by_count():
    tasks = Ordered().split(dataset_of(np.full(8, 1)), costs(*[0] * 8), Limits(min_tasks_per_slot=2))
    assert [len(tasks.fragments_of(i)) for i in range(2)] == [4, 4]


def test_a_target_that_asks_for_absurdly_many_sub_tasks_is_refused():
    with pytest.raises(InfeasiblePlan, match=r"ask for 1,000,000,000 sub-tasks .* 5,000,000 is the most"):
        Ordered().split(dataset_of(np.array([10**9])), costs(1000), Limits(target_task_seconds=1e-9))
