"""``ordered``: contiguous sub-tasks in input order, the longest as short as it can be."""

from __future__ import annotations

from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.splits.base import Splitter
from partitioner.splits.chains import Chain, cut_evenly, fewest_parts, smallest_capacity
from partitioner.splits.pieces import Load, Packing
from partitioner.splits.sizing import Size, count_within, split_whole_or_cut


def contiguous(load: Load, size: Size, limits: Limits) -> Packing:
    """Exact chains-on-chains partition, within the memory of ``size``; see ``chains``."""
    second = load.memory_bytes if load.summed else None
    capped = load.capped(size.seconds)
    chain = Chain.of(capped.weights, second, size.memory_bytes)
    seconds_chain = chain if load.seconds.any() else Chain.of(load.seconds, second, size.memory_bytes)
    count, within = count_within(size, lambda seconds: fewest_parts(seconds_chain, seconds), limits)
    if capped is not load and within.seconds > size.seconds:  # the target gave way to max_tasks
        chain = Chain.of(load.weights, second, size.memory_bytes)
    count = min(count, len(load))
    return Packing(cut_evenly(chain, count, smallest_capacity(chain, count)))


class Ordered(Splitter):
    """Every sub-task is a contiguous range of the input; the largest is minimal for the number of sub-tasks.

    O(n + tasks log n log(1 / precision)) time, exact (see ``chains``).
    """

    name = "ordered"

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Sub-tasks in input order; fragments are cut only where whole ones would be uneven or too large."""

        def pack(load: Load, size: Size) -> Packing:
            return contiguous(load, size, limits)

        return split_whole_or_cut(dataset, costs, limits, pack, pack)
