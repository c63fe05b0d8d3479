"""Partial results on their way into one: which lie where, and what one merge takes of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """One partial result as it lies in a file: row ``row`` of ``name`` below the directory ``place``.

    ``key``: the sub-task or merge that made it, for messages; ``size`` bytes of its file; ``digest`` sha256 of the rows of
    the file, empty where that is known only once it is made; ``of``: of a merge, the sha256 of all that it was made of.
    """

    key: str
    place: str
    name: str
    row: int = 0
    size: int = 0
    digest: str = ""
    of: str = ""

    @property
    def url(self) -> str:
        """The file, for messages."""
        return f"{self.place}/{self.name}"


@dataclass(frozen=True, slots=True)
class Merge:
    """Neighbouring partial results that one attempt merges instead of calling the program, in the order of ``pieces``.

    ``home``: the directory with the commits of merges; ``span``: what is merged, for messages; ``of`` as in ``Piece``.
    """

    key: str
    home: str
    span: str
    pieces: tuple[Piece, ...]
    of: str

    @property
    def place(self) -> str:
        """The directory of merged results."""
        return f"{self.home}/partials"
