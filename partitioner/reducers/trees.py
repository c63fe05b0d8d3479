"""Trees of numbers: nested dicts, lists, tuples, named tuples and dataclasses of numbers, arrays or tensors."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from partitioner.errors import ProgramError


def walk(function: Callable[..., Any], *trees: Any) -> Any:
    """``function`` on the matching leaves; the result has the structure of the first tree.

    Raises ProgramError where the structures differ.
    """
    first = trees[0]
    if isinstance(first, Mapping):
        _same_keys(first, trees[1:])
        return _same_mapping(first, {key: walk(function, *(tree[key] for tree in trees)) for key in first})
    if isinstance(first, list | tuple):
        _alike(trees, len)
        leaves = [walk(function, *parts) for parts in zip(*trees, strict=True)]
        return type(first)(*leaves) if _named(first) else type(first)(leaves)
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        _alike(trees, type)
        names = [f.name for f in dataclasses.fields(first) if f.init]
        return dataclasses.replace(first, **{n: walk(function, *(getattr(t, n) for t in trees)) for n in names})
    return function(*trees)


def leaves(tree: Any) -> Iterator[Any]:
    """All leaves, in order."""
    found: list[Any] = []
    walk(found.append, tree)
    yield from found


def outline(tree: Any) -> str:
    """A tree in a few words, for messages."""
    if isinstance(tree, Mapping):
        return f"a {type(tree).__name__} with keys {', '.join(map(str, tree))}"
    return f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, list | tuple) else type(tree).__name__


def added(left: Any, right: Any) -> Any:
    """The sum of two trees. Raises ProgramError where their structures or shapes differ."""
    return walk(add_leaves, left, right)


def add_leaves(left: Any, right: Any) -> Any:
    """The sum of two leaves of equal shape; text and None must be equal, and stay."""
    if left is None or isinstance(left, str):
        if left != right:
            raise ProgramError(f"Trees differ: {left!r} and {right!r}; only numbers, arrays and tensors are added.")
        return left
    if np.shape(left) != np.shape(right):
        raise ProgramError(f"Parameters differ in shape: {np.shape(left)} and {np.shape(right)}; return one shape.")
    return left + right


def added_into(left: Any, right: Any) -> Any:
    """``added``, to the bit, into the arrays of ``left`` where they can be written and keep their type."""
    return walk(_add_into, left, right)


def _add_into(left: Any, right: Any) -> Any:
    alike = type(left) is np.ndarray and type(right) is np.ndarray and left.dtype == right.dtype
    if alike and left.shape == right.shape and left.dtype.kind in "fciu" and left.flags.writeable:
        return np.add(left, right, out=left)
    return add_leaves(left, right)


def largest_change(old: Any, new: Any) -> float:
    """The largest absolute difference between matching numbers of two trees; infinite where one is NaN, or becomes so."""
    found = [0.0]

    def compare(a: Any, b: Any) -> None:
        a, b = np.asarray(of_tensor(a)), np.asarray(of_tensor(b))
        if a.size and np.issubdtype(a.dtype, np.number):
            kind = np.result_type(a, b, np.float64)
            a, b = a.astype(kind), b.astype(kind)
            with np.errstate(invalid="ignore"):
                apart = np.where(a == b, 0.0, np.abs(a - b))
            found.append(float(np.max(np.where(np.isnan(apart), np.inf, apart))))

    walk(compare, old, new)
    return max(found)


def copied(tree: Any) -> Any:
    """A tree of one's own to work on in place; the same one where it cannot be copied (a tensor with a graph, a lock)."""
    try:
        return copy.deepcopy(tree)
    except (TypeError, RuntimeError):
        return tree


def is_tensor(leaf: Any) -> bool:
    """Whether a leaf is a tensor of torch, which is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(leaf, torch.Tensor)


def of_tensor(leaf: Any) -> Any:
    """A tensor of any type as a float64 (or complex) array; another leaf as it is."""
    if not is_tensor(leaf):
        return leaf
    leaf = leaf.detach().cpu()
    return (leaf if leaf.is_complex() else leaf.double()).numpy()


def _named(tree: Any) -> bool:
    return isinstance(tree, tuple) and hasattr(tree, "_fields")


def _same_mapping(first: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    if type(first) is dict or not isinstance(first, MutableMapping):
        return items if type(first) is dict else type(first)(items)  # type: ignore[call-arg]
    found = copy.copy(first)  # keeps what the kind holds besides: a default, the metadata of a state_dict
    found.update(items)
    return found


def _same_keys(first: Mapping[Any, Any], others: Sequence[Any]) -> None:
    """A ``state_dict`` and a dict of the same keys are one structure."""
    for other in others:
        if not isinstance(other, Mapping) or other.keys() != first.keys():
            raise ProgramError(f"Parameters differ in structure: {outline(first)} and {outline(other)}.")


def _alike(trees: tuple[Any, ...], of: Callable[[Any], Any]) -> None:
    for other in trees[1:]:
        if type(other) is not type(trees[0]) or of(other) != of(trees[0]):
            raise ProgramError(
                f"Parameters differ in structure: {outline(trees[0])} and {outline(other)}; return one structure."
            )
