"""The fixed tree over the partial results of a run: which merge makes which node, and of what."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from partitioner.model import Merge, Piece
from partitioner.reducers.fan_in import span, width


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The fixed tree over ``leaves``, with ``home`` for what is merged; ``digests`` tell the leaves apart.

    While some leaves are not there yet, only nodes that none of those is below may be asked for.
    """

    home: str
    leaves: Sequence[Piece]
    digests: Sequence[str]

    @classmethod
    def over(cls, home: str, leaves: Sequence[Piece]) -> Tree:
        """Of partial results in order."""
        return cls(home, leaves, tuple(digest_of(leaf) for leaf in leaves))

    @property
    def size(self) -> float:
        """Bytes of the largest leaf."""
        return float(max(leaf.size for leaf in self.leaves))

    @property
    def root(self) -> Piece:
        """Where all of them are one."""
        return self.node((len(self.leaves) - 1).bit_length(), 0)

    def node(self, level: int, place: int) -> Piece:
        """A leaf, or what a merge makes; a node with one child is that child."""
        below = span(len(self.leaves), level, place)
        if len(below) == 1:
            return self.leaves[below[0]]
        while level > 1 and len(below) <= 1 << (level - 1):
            level, place = level - 1, place * 2
        of = hashlib.sha256("\n".join(self.digests[i] for i in below).encode()).hexdigest()
        key = f"merge-{level:02d}-{place:06d}"
        return Piece(key, f"{self.home}/partials", f"{key}.value", of=of)

    def merges(self, stages: Sequence[int]) -> tuple[dict[str, Merge], dict[str, list[str]]]:
        """The merges of all stages by key, and the keys of the pieces that each takes."""
        before = 0
        found: dict[str, Merge] = {}
        below: dict[str, list[str]] = {}
        for stage in stages:
            for place in range(width(len(self.leaves), stage)):
                merge = self.merge(before, stage, place)
                if merge is not None:
                    found[merge.key] = merge
                    below[merge.key] = [piece.key for piece in merge.pieces]
            before = stage
        return found, below

    def merge(self, before: int, stage: int, place: int) -> Merge | None:
        """What makes a node of level ``stage`` of nodes of level ``before``; None where it is one of those."""
        count, step = len(self.leaves), stage - before
        last = min(width(count, before), (place + 1) << step)
        pieces = tuple(self.node(before, i) for i in range(place << step, last))
        if len(pieces) < 2:
            return None
        made, inside = self.node(stage, place), span(count, stage, place)
        said = f"sub-tasks {self.leaves[inside[0]].key} to {self.leaves[inside[-1]].key}"
        return Merge(made.key, self.home, said, pieces, made.of)


def digest_of(leaf: Piece) -> str:
    """What tells a partial result from every other."""
    return f"{leaf.key} {leaf.row} {leaf.digest}"
