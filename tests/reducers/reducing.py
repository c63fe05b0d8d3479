"""A reducer over the outputs of a program, one sub-task each."""

from partitioner.reducers import partials
from partitioner.reducers.tree import merge_tree


def reduced(reducer, *values):
    """The result of all ``values``, merged in the tree of a run."""
    return reducer.extract_output(merge_tree(reducer, [_part(reducer, value) for value in values]))


def reduced_as_sent(reducer, *values):
    """The same, with every partial result written and read again, as between processes."""
    sent = [partials.loads(reducer, partials.dumps(reducer, _part(reducer, value)), "0") for value in values]
    return reducer.extract_output(merge_tree(reducer, sent))


def _part(reducer, value):
    return reducer.add_input(reducer.create_accumulator(), value)
