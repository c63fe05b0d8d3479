"""Which terms a cost has, by cross-validation.

Forward selection. A candidate is judged by its held-out errors: random folds, and one fold that holds the largest pieces,
since pieces are small and fragments large, and what counts is how a formula extrapolates. Among candidates within one
standard error of the best the least complex wins (Breiman et al., CART, 1984), so that a super-linear term needs evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.costs.fitting.regression import errors, floor_of, robust_many
from partitioner.costs.fitting.terms import Term
from partitioner.model.data import Floats

FOLDS = 4
MOST_TERMS = 4
LEAST_GAIN = 0.01
ALIKE = 0.25
"""Linear terms whose held-out errors differ by less than this part tell the same, such as bytes and characters of text."""

BOTH = 0.75
"""Complexity of two linear terms that are added together: above one, below any power."""

PIECES_FOR_SHAPES, PIECES_FOR_NUMBERS = 8, 12

PROOF, PROOF_OF_WHOLE = 2.0, 4.0
"""Standard errors by which a further or a more complex term must gain: the best of twenty gains one by chance. A power of
whole calls is told to fragments a thousand times as large: one by chance, in a hundred pilots, would cost more than it is
worth.
"""

AT_ONCE = 4e6
"""Numbers that all fits computed together hold at most: 32 MB, and some times that under way."""

Option = tuple[int, ...]
"""Indices of the candidates that are added together."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """``chosen`` indices into the candidates, ``considered`` the mean held-out error of each in the first round, by name.

    ``rival``: another that few pieces cannot tell from the only one chosen, though sub-tasks may.
    """

    chosen: tuple[int, ...]
    considered: dict[str, float]
    error: float
    rival: int | None = None


class _Validation:
    """Held-out errors of a set of columns, with the folds fixed so that sets can be compared pairwise.

    A piece that ran in several slots is held out everywhere and counts once: its runs say the same of other pieces.
    """

    def __init__(self, design: Floats, target: Floats, seed: int) -> None:
        self.design, self.target, self.floor = design, target, floor_of(target)
        self.piece = np.unique(design, axis=0, return_inverse=True)[1].reshape(-1)
        self.runs = np.bincount(self.piece)
        n = len(self.runs)
        shuffled = np.random.default_rng(seed).permutation(n)
        folds = [shuffled[k::FOLDS] for k in range(min(FOLDS, n))]
        if n >= 12:
            usual = np.bincount(self.piece, target) / self.runs
            folds.append(np.argsort(usual, kind="stable")[-(n // 4) :])
        self.folds = folds

    def errors(self, options: Sequence[Sequence[int]]) -> list[Floats]:
        """For each set of columns, all of one size, one error per held-out piece, folds one after another; column 0 is the
        intercept.
        """
        held = np.stack([np.isin(self.piece, fold) for fold in self.folds])
        at_once = max(int(AT_ONCE / (held.size * (1 + len(options[0])))), 1)
        out: list[Floats] = []
        for start in range(0, len(options), at_once):
            part = np.stack([self.design[:, [0, *columns]] for columns in options[start : start + at_once]])
            x = np.repeat(part, len(held), axis=0)
            kept = np.tile(~held, (len(part), 1))
            fits = robust_many(x, np.broadcast_to(self.target, kept.shape), kept, self.floor)
            predicted = (x @ fits[:, :, None])[:, :, 0].reshape(len(part), len(held), -1)
            out += [self._by_piece(of_option) for of_option in predicted]
        return out

    def _by_piece(self, predicted: Floats) -> Floats:
        """Errors of ``predicted`` float64[folds, n], of the pieces that each fold holds out."""
        found = errors(predicted, self.target[None, :], self.floor)
        means = (np.bincount(self.piece, one, len(self.runs)) / self.runs for one in found)
        return np.concatenate([mean[fold] for mean, fold in zip(means, self.folds, strict=True)])


def select(terms: Sequence[Term], design: Floats, target: Floats, seed: int = 0) -> Selection:
    """The terms that predict ``target`` float64[n]; ``design`` float64[n, 1 + p], ones first, then one column per term."""
    check = _Validation(design, target, seed)
    chosen: tuple[int, ...] = ()
    current = check.errors([()])[0]
    considered: dict[str, float] = {}
    rival: int | None = None
    told = [i for i, term in enumerate(terms) if len(check.runs) >= _pieces_needed(term)]
    usable = [i for i in told if np.ptp(design[:, i + 1]) > 0 and _spread_enough(terms, i, design)]
    options = [(i,) for i in usable] + _polynomials(terms, usable) + _with_rows(terms, usable, len(check.runs))
    while options and len(chosen) < min(MOST_TERMS + (len(target) > 500) * 2, max(len(target) // 5, 1)):
        tried = _tried(check, chosen, options)
        if not chosen:
            considered = {" + ".join(terms[i].name for i in o): float(e.mean()) for o, e in tried.items()}
        pick = _simplest(terms, tried)
        gain = current - tried[pick]
        # Work grows with its input: it is the absence of the first term that needs proof, and the presence of further ones.
        proof = _proof(terms, pick) * _standard_error(gain)
        needed = max(LEAST_GAIN * current.mean(), proof) if chosen else -_standard_error(gain)
        if gain.mean() <= needed:
            break
        rival = None if chosen else _rival(terms, tried, pick, len(check.runs))
        chosen = (*chosen, *pick)
        current = tried[pick]
        options = [(i,) for i in usable if i not in chosen]
    return Selection(chosen, considered, float(current.mean()), rival)


def _tried(check: _Validation, chosen: Option, options: Sequence[Option]) -> dict[Option, Floats]:
    """Held-out errors of ``chosen`` with each of the options, which are computed together where they are of one size."""
    out: dict[Option, Floats] = {}
    for size in {len(o) for o in options}:
        alike = [o for o in options if len(o) == size]
        out |= zip(alike, check.errors([[j + 1 for j in (*chosen, *o)] for o in alike]), strict=True)
    return {o: out[o] for o in options}


def _rival(terms: Sequence[Term], tried: dict[Option, Floats], pick: Option, pieces: int) -> int | None:
    """Of a cost by rows the best of its other linear terms, of another its rows, where few pieces do not tell them apart."""
    if pieces >= PIECES_FOR_SHAPES or len(pick) > 1 or _complexity(terms, pick) >= 1:
        return None
    by_rows = terms[pick[0]].name == "rows"
    close = {
        o[0]: float(tried[o].mean())
        for o in tried
        if o != pick and len(o) == 1 and _complexity(terms, o) < 1 and (by_rows or terms[o[0]].name == "rows")
        if _close(tried[o], tried[pick], ALIKE * float(tried[pick].mean()), PROOF)
    }
    return min(close, key=lambda i: (close[i], i)) if close else None


def _close(errors_of_one: Floats, errors_of_best: Floats, alike: float, proof: float) -> bool:
    worse = errors_of_one - errors_of_best
    return bool(worse.mean() <= max(proof * _standard_error(worse), alike))


def _proof(terms: Sequence[Term], option: Option) -> float:
    return PROOF_OF_WHOLE if any(terms[i].complexity >= 2 and not terms[i].per_row for i in option) else PROOF


def _polynomials(terms: Sequence[Term], usable: Sequence[int]) -> list[Option]:
    """The pairs f, f^2 of one per-row feature: a loop in a loop costs both, and alone 1.5 beats either."""
    at = {(terms[i].feature, terms[i].shape): i for i in usable if terms[i].per_row}
    return [
        (i, at[feature, "square"])
        for (feature, shape), i in at.items()
        if shape == "linear" and (feature, "square") in at
    ]


def _with_rows(terms: Sequence[Term], usable: Sequence[int], pieces: int) -> list[Option]:
    """The rows together with each linear term of their size: rows that cost something each besides what they hold look,
    to either alone, like a power of their bytes. None of pieces too few for powers.
    """
    rows = [i for i in usable if terms[i].name == "rows" and pieces >= PIECES_FOR_SHAPES]
    return [(i, j) for i in rows for j in usable if j != i and terms[j].complexity < 1 and not terms[j].of_number]


def _pieces_needed(term: Term) -> int:
    """Different pieces below which chance tells more of a term than they do: six of any numbers rise together sometimes."""
    return PIECES_FOR_NUMBERS if term.of_number else PIECES_FOR_SHAPES if term.complexity >= 1 else 0


def _spread_enough(terms: Sequence[Term], i: int, design: Floats) -> bool:
    """A super-linear shape of whole fragments is extrapolated far: it needs pieces that span a factor of 8 in size.

    Where calls differ in rows, those of several must span it in size and in rows: single rows tell of their own size alone,
    which a call of many does not raise to a power.
    """
    term = terms[i]
    if term.complexity < 2:
        return True
    rows = [design[:, j + 1] for j, t in enumerate(terms) if t.name == "rows" and np.ptp(design[:, j + 1]) > 0]
    if not rows or term.per_row:
        return _spans(term, design[:, i + 1])
    several = rows[0] > 1
    return all(_spans(term, column[several]) for column in (design[:, i + 1], term.of_whole(rows[0])))


def _spans(term: Term, column: Floats) -> bool:
    positive = column[column > 0]
    return bool(len(positive) > 7 and term.of_whole(np.array([8.0]))[0] <= positive.max() / positive.min())


def _complexity(terms: Sequence[Term], option: Option) -> float:
    most = max(terms[i].complexity for i in option)
    return max(most, BOTH) + most / 10 if len(option) > 1 else most


def _simplest(terms: Sequence[Term], tried: dict[Option, Floats]) -> Option:
    rank = {o: (_complexity(terms, o), float(e.mean()), o) for o, e in tried.items()}
    best = min(tried, key=lambda o: (rank[o][1], o))
    others = [o for o in tried if _proof(terms, o) < PROOF_OF_WHOLE]
    if _proof(terms, best) == PROOF_OF_WHOLE and others:
        second = min(others, key=lambda o: (rank[o][1], o))
        if _close(tried[second], tried[best], 0.0, PROOF_OF_WHOLE):
            best, tried = second, {o: tried[o] for o in others}
    linear = rank[best][0] < 1
    alike = ALIKE * rank[best][1] if linear else 0.0
    simpler = (o for o in tried if rank[o][0] < rank[best][0] and _close(tried[o], tried[best], alike, PROOF))
    return min((best, *simpler), key=lambda o: rank[o])


def _standard_error(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf
