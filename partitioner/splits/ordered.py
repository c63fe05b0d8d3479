"""``ordered``: contiguous sub-tasks in input order, the longest as short as it can be."""

from __future__ import annotations

from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.splits.chains import Chain, cut_evenly, fewest_parts, smallest_capacity
from partitioner.splits.pieces import Packing, Pieces
from partitioner.splits.sizing import Size, count_within, split_whole_or_cut


def contiguous(pieces: Pieces, size: Size, limits: Limits) -> Packing:
    """Exact chains-on-chains partition of the pieces, within the memory of ``size``; see ``chains``."""
    second = pieces.memory_bytes if pieces.costs.memory_combines == "sum" else None
    chain = Chain.of(pieces.weights, second, size.memory_bytes)
    seconds_chain = chain if pieces.seconds.any() else Chain.of(pieces.seconds, second, size.memory_bytes)
    count, size = count_within(size, lambda seconds: fewest_parts(seconds_chain, seconds), limits)
    count = min(count, len(pieces))
    return Packing(cut_evenly(chain, count, smallest_capacity(chain, count)))


class Ordered:
    """Every sub-task is a contiguous range of the input; the largest is minimal for the number of sub-tasks.

    O(n + tasks log n log(1 / precision)) time, exact (see ``chains``).
    """

    name = "ordered"

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Sub-tasks in input order; fragments are cut only where whole ones would be uneven or too large."""

        def pack(pieces: Pieces, size: Size) -> Packing:
            return contiguous(pieces, size, limits)

        return split_whole_or_cut(dataset, costs, limits, pack, pack)
