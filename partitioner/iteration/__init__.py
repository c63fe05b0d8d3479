"""Rounds over a dataset that stays on its workers: broadcast a state, gather partial results, merge, update."""

from partitioner.attempt.rounds import RoundProgram
from partitioner.iteration.iterate import Iterated, iterate
from partitioner.iteration.session import Round, Session

__all__ = ["Iterated", "Round", "RoundProgram", "Session", "iterate"]
