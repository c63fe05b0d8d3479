"""Some of the sub-tasks, as sub-tasks of their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from partitioner.model import Edges, SubTasks
from partitioner.model.data import Ints

_NUMBERS = ("seconds", "memory_bytes", "cpus", "gpus", "gpu_memory_bytes", "priority", "deadline", "release")


def take_tasks(tasks: SubTasks, kept: Ints) -> SubTasks:
    """The sub-tasks at ``kept`` (int64, ascending), renumbered; dependencies among them stay, others go."""
    place = np.full(len(tasks), -1, np.int64)
    place[kept] = np.arange(len(kept))
    edges = tasks.edges
    inner = (place[edges.source] >= 0) & (place[edges.target] >= 0)
    full = len(edges.delay) == len(edges)
    columns = {name: getattr(tasks, name)[kept] for name in _NUMBERS}
    if tasks.fragments is not None:
        pieces = [tasks.fragments_of(int(i)) for i in kept]
        columns["offsets"] = np.concatenate([[0], np.cumsum([len(p) for p in pieces])]).astype(np.int64)
        columns["fragment_index"] = np.concatenate(pieces) if pieces else np.empty(0, np.int64)
    return tasks.with_columns(
        task_id=tasks.task_id.take(pa.array(kept)),
        seconds_by_class={k: v[kept] for k, v in tasks.seconds_by_class.items()},
        resources={k: v[kept] for k, v in tasks.resources.items()},
        requires={k: v[kept] for k, v in tasks.requires.items()},
        hard_deadline=None if tasks.hard_deadline is None else tasks.hard_deadline[kept],
        hot_groups=_those(tasks.hot_groups, kept),
        preferred_host=_those(tasks.preferred_host, kept),
        edges=Edges(
            place[edges.source[inner]],
            place[edges.target[inner]],
            edges.delay[inner] if full else edges.delay,
            edges.bytes[inner] if len(edges.bytes) == len(edges) else edges.bytes,
        ),
        **columns,
    )


def _those(texts: tuple[str, ...], kept: Ints) -> tuple[str, ...]:
    return tuple(texts[int(i)] for i in kept) if texts else ()
