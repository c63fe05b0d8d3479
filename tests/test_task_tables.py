"""What the run directory keeps of sub-tasks, so that a resume places and orders the rest under the same constraints."""

import numpy as np
import pandas as pd

import partitioner as pt
from partitioner.model import Edges, SubTasks
from partitioner.store.run_directory import RunDirectory


def test_every_constraint_of_sub_tasks_is_kept(tmp_path):
    fragments = pt.plan(pd.DataFrame({"x": [1, 2, 3]}), cost="rows", max_tasks=1).tasks.fragments
    tasks = SubTasks.build(
        [1.0, 2.0],
        cpus=[1.0, 2.0],
        gpus=[0.5, 1.0],
        gpu_memory_bytes=[1e9, 2e9],
        priority=[0.0, 7.0],
        deadline=[np.inf, 9.0],
        release=[0.0, 5.0],
        hard_deadline=np.array([False, True]),
        seconds_by_class={"new": np.array([0.5, np.nan])},
        resources={"licence": np.array([1.0, 0.0])},
        requires={"eu": np.array([True, False])},
        hot_groups=("a", "b"),
        preferred_host=("h1", ""),
        edges=Edges(np.array([0]), np.array([1]), np.array([3.0]), np.array([100.0])),
        fragments=fragments,
        offsets=np.array([0, 1, 1]),
        fragment_index=np.array([0]),
    )
    run = RunDirectory(str(tmp_path))
    run.write_tasks(tasks)
    read = run.read_tasks()
    assert [repr(read[i]) for i in (0, 1)] == [repr(tasks[i]) for i in (0, 1)]
    assert read.hard_deadline is not None
    assert read.hard_deadline.tolist() == [False, True]
    assert (read.edges.delay.tolist(), read.edges.bytes.tolist()) == ([3.0], [100.0])


def test_sub_tasks_without_constraints_need_no_further_table(tmp_path):
    run = RunDirectory(str(tmp_path))
    run.write_tasks(pt.plan(pd.DataFrame({"x": [1, 2, 3]}), cost="rows").tasks)
    assert not run.files.exists("edges.parquet")
    assert len(run.read_tasks().edges) == 0


def test_a_run_directory_with_the_older_names_of_columns_is_read(tmp_path):
    run = RunDirectory(str(tmp_path))
    rows = pd.DataFrame({"key": ["a"] * 8 + ["b"]})
    written = pt.plan(rows, cost="rows", split={"split": "grouped", "key": "key"}, max_tasks=3).tasks
    run.write_tasks(written)
    for table, new, old in (("tasks", "hot_groups", "group"), ("fragments", "section", "unit")):
        held = run.read_table(table)
        run.write_table(table, held.rename_columns([old if c == new else c for c in held.column_names]))
    read = run.read_tasks()
    assert set(read.hot_groups) == {"key = 'a'", ""}
    assert [repr(read[i]) for i in range(len(read))] == [repr(written[i]) for i in range(len(written))]
    assert read.fragments.section.tolist() == written.fragments.section.tolist()
