import numpy as np
import pyarrow as pa

from partitioner.costs.fitting.terms import Term
from partitioner.costs.measuring.observed import observed
from partitioner.model import CommitRecord, SubTasks
from partitioner.testing.tables import TableSource


def record(key, seconds, worker="w0", started=0.0, quarantined=0, shared=0.0):
    return CommitRecord(
        task_key=key,
        attempt_id=f"{key}-a0",
        worker_id=worker,
        path="",
        rows_in=1,
        rows_out=1,
        rows_written=1,
        quarantined=quarantined,
        segments=(),
        bytes_read=0,
        seconds=seconds,
        cpu_seconds=seconds,
        load_seconds=0.0,
        read_seconds=0.0,
        peak_memory_bytes=7,
        started=started,
        finished=0.0,
        digest="",
        measured={"shared": shared, "thread_cpu_seconds": 0.25},
    )


def two_tasks():
    dataset = TableSource(pa.table({"text": ["a", "bb", "ccc", "dddd"]})).dataset([1, 1, 2])
    tasks = SubTasks.build(
        [1.0, 1.0],
        fragments=dataset.fragments,
        offsets=np.array([0, 1, 3]),
        fragment_index=np.array([0, 1, 2]),
    )
    return dataset, tasks


TERMS = [Term("rows"), Term("len(text)", "square", per_row=True), Term("missing feature")]


def test_terms_are_summed_over_the_fragments_of_a_sub_task():
    dataset, tasks = two_tasks()
    m = observed(dataset, tasks, [record("t000000", 1.0), record("t000001", 3.0, started=1.0)], TERMS)
    assert m.columns["rows"].tolist() == [1.0, 3.0]
    assert m.columns["sum len(text)^2"].tolist() == [1.0, 4.0 + 9.0 + 16.0]
    assert m.seconds.tolist() == [1.0, 3.0]
    assert "missing feature" not in m.columns


def test_the_first_of_each_worker_is_marked():
    dataset, tasks = two_tasks()
    m = observed(dataset, tasks, [record("t000000", 1.0, started=2.0), record("t000001", 3.0, started=1.0)], TERMS)
    assert m.seconds.tolist() == [3.0, 1.0]
    assert m.first.tolist() == [True, False]


def test_parts_and_quarantined_sub_tasks_are_passed_over():
    dataset, tasks = two_tasks()
    m = observed(dataset, tasks, [record("t000000.0", 1.0), record("t000001", 3.0, quarantined=1)], TERMS)
    assert len(m) == 0


def test_of_attempts_that_shared_a_process_the_threads_own_seconds_count():
    dataset, tasks = two_tasks()
    m = observed(dataset, tasks, [record("t000000", 1.0, shared=1.0)], TERMS, {"w0": "gpu"})
    assert m.cpu_seconds.tolist() == [0.25]
    assert m.worker_class == ("gpu",)
