"""Non-negative least squares on a small Gram matrix.

Active-set method of Lawson and Hanson (Solving Least Squares Problems, 1974, chapter 23) in the form of Bro and de Jong
(J. Chemometrics 11, 1997), which needs only X'X and X'y. For a handful of columns this is faster than a library call and
keeps scipy out of the core.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from partitioner.model.data import Floats


def nnls(gram: Floats, moment: Floats, tolerance: float = 1e-10) -> Floats:
    """The x >= 0 that minimises x'Gx/2 - m'x; ``gram`` float64[p, p] positive semi-definite, ``moment`` float64[p]."""
    p = len(moment)
    scale = float(np.abs(moment).max(initial=0.0)) or 1.0
    if (inner := _unbounded(gram, moment, tolerance * scale)) is not None:
        return inner
    x = np.zeros(p)
    active = np.zeros(p, np.bool_)
    for _ in range(10 * p + 10):
        gradient = moment - gram @ x
        gradient[active] = -np.inf
        if active.all() or gradient.max() <= tolerance * scale:
            break
        active[int(np.argmax(gradient))] = True
        x, active = _inner(gram, moment, x, active)
    return x


def _unbounded(gram: Floats, moment: Floats, tolerance: float) -> Floats | None:
    """The minimum without the bound, where it is not negative and is the only one; else None."""
    try:
        x = np.asarray(np.linalg.solve(gram, moment), np.float64)
    except np.linalg.LinAlgError:
        return None
    found = (x >= 0).all() and (np.abs(gram @ x - moment) <= tolerance).all()
    return x if found else None


def _inner(gram: Floats, moment: Floats, x: Floats, active: np.ndarray) -> tuple[Floats, np.ndarray]:
    """Solve on the active columns; step back to the boundary and drop columns until the solution is not negative."""
    active = active.copy()
    while active.any():
        at = np.flatnonzero(active)
        trial = np.zeros_like(x)
        trial[at] = np.linalg.lstsq(gram[np.ix_(at, at)], moment[at], rcond=1e-12)[0]
        negative = active & (trial <= 0)
        if not negative.any():
            return trial, active
        step = float(np.min(x[negative] / (x[negative] - trial[negative] + 1e-300)))
        x = x + step * (trial - x)
        active &= x > 1e-15 * max(float(x.max(initial=0.0)), 1e-300)
        active &= ~(negative & (x <= 0))
        x = np.where(active, x, 0.0)
    return np.zeros_like(x), active


MOST_FACES = 5
"""Columns up to which all sets of them are solved: 31 of five."""


def nnls_many(gram: Floats, moment: Floats) -> Floats:
    """``nnls`` of b problems at once: float64[b, p] of ``gram`` float64[b, p, p] and ``moment`` float64[b, p].

    Of each ``gram`` the columns whose diagonal is not 0 are linearly independent.

    The minimum lies in one of the sets of columns that are not zero, at the minimum without the bound: all sets are solved.
    """
    p = moment.shape[1]
    if p > MOST_FACES:
        return np.stack([nnls(g, m) for g, m in zip(gram, moment, strict=True)])
    gram = gram + np.eye(p) * (np.diagonal(gram, axis1=1, axis2=2) <= 0)[:, :, None]
    found = np.linalg.solve(gram, moment[:, :, None])[:, :, 0]
    at = np.flatnonzero((found < 0).any(axis=1))
    if len(at):
        found[at] = _best_face(gram[at], moment[at])
    return np.asarray(found, np.float64)


def _best_face(gram: Floats, moment: Floats) -> Floats:
    """float64[b, p]: of the solutions on all sets of fewer than p columns that are not negative the one of least value."""
    count, p = moment.shape
    best, least = np.zeros((count, p)), np.zeros(count)
    for size in range(1, p):
        for face in combinations(range(p), size):
            x = np.linalg.solve(gram[:, face][:, :, face], moment[:, face, None])[:, :, 0]
            value = np.where((x >= 0).all(axis=1), -(x * moment[:, face]).sum(axis=1) / 2, np.inf)
            lower = np.flatnonzero(value < least)
            least[lower] = value[lower]
            best[lower] = 0.0
            best[lower[:, None], face] = x[lower]
    return best
