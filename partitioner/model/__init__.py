"""The values that every stage passes on: frozen, columnar where they can be large.

``fragments``; ``source`` datasets, sources and sinks; ``data`` costs; ``tasks`` sub-tasks and their limits; ``workers``;
``plan`` and the ``explanation`` of what backs it; ``execution`` attempts, events and commit records. Seconds are float
seconds at reference speed 1.0, sizes bytes.
"""

from partitioner.model.data import Costs
from partitioner.model.execution import (
    NO_CARE,
    Attempt,
    Care,
    CommitRecord,
    Event,
    EventKind,
    Failure,
    Partial,
    Spans,
    Upcoming,
    part_key,
    spans_of,
)
from partitioner.model.explanation import CostFacts, Explanation, Portfolio, Turn
from partitioner.model.fragments import Fragment, Fragments
from partitioner.model.merging import Merge, Piece
from partitioner.model.plan import Plan
from partitioner.model.source import Dataset, Sink, Source
from partitioner.model.tasks import Edges, Limits, SubTask, SubTasks, TaskInputs
from partitioner.model.workers import Worker, Workers

__all__ = [
    "NO_CARE",
    "Attempt",
    "Care",
    "CommitRecord",
    "CostFacts",
    "Costs",
    "Dataset",
    "Edges",
    "Event",
    "EventKind",
    "Explanation",
    "Failure",
    "Fragment",
    "Fragments",
    "Limits",
    "Merge",
    "Partial",
    "Piece",
    "Plan",
    "Portfolio",
    "Sink",
    "Source",
    "Spans",
    "SubTask",
    "SubTasks",
    "TaskInputs",
    "Turn",
    "Upcoming",
    "Worker",
    "Workers",
    "part_key",
    "spans_of",
]
