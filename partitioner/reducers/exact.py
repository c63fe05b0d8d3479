"""Sums of floats without any rounding: the same bits however the numbers are cut, grouped and ordered.

A sum is a Python integer, in units of 2^-1127, far below the smallest double. Numbers are first added up in blocks, by the
error-free extraction of Rump, Ogita and Oishi, "Accurate floating-point summation part I" (2008), algorithm 3.2: what each
pass extracts is a multiple of one power of two and small enough that its sum is exact in any order. About 2 passes of 6
array operations are enough for usual data; numbers of very different size need more.
"""

from __future__ import annotations

from math import frexp, inf, nan, prod
from typing import Any

import numpy as np

from partitioner.model.data import Floats

UNIT = 1127  # sums count in 2^-UNIT: the smallest double is 2^-1074, and 53 bits of a fraction fit below it
BLOCK = 1 << 15  # elements worked on at once, so that they stay in the processor's cache
LARGEST = 2.0**900  # above, the extraction could overflow
SPLITTER = 2.0**27 + 1  # Dekker 1971: halves of 26 bits


def exact_sums(values: Floats) -> list[int]:
    """The sum of each of d columns of finite float64[n, d], as integers in units of 2^-UNIT."""
    rows = max(1, BLOCK // max(1, values.shape[1]))
    totals = [0] * values.shape[1]
    for start in range(0, len(values), rows):
        for part in _extracted(values[start : start + rows]):
            for j, number in enumerate(part.tolist()):
                if number:
                    totals[j] += units(number)
    return totals


def exact_squares(values: Floats) -> list[int]:
    """The sum of the squares of each column; each square is exact as two doubles (Dekker's product)."""
    rows = max(1, BLOCK // max(1, values.shape[1]))
    totals = [0] * values.shape[1]
    for start in range(0, len(values), rows):
        totals = [a + b for a, b in zip(totals, _squares(values[start : start + rows]), strict=True)]
    return totals


def _squares(values: Floats) -> list[int]:
    safe = (np.abs(values) < 2.0**450) & ((np.abs(values) > 2.0**-450) | (values == 0.0))
    if not safe.all():
        products = _squares(np.where(safe, values, 0.0))
        return [a + b for a, b in zip(products, _slow_squares(values, safe), strict=True)]
    square = values * values
    scaled = SPLITTER * values
    high = scaled - (scaled - values)
    low = values - high
    rest = low * low - ((square - high * high) - 2.0 * high * low)
    return [a + b for a, b in zip(exact_sums(square), exact_sums(rest), strict=True)]


def exact_products(*factors: Floats) -> list[int]:
    """By column, the sum over rows of the product of matching numbers of two or three finite float64[n, d]."""
    rows = max(1, BLOCK // max(1, factors[0].shape[1]))
    totals = [0] * factors[0].shape[1]
    for start in range(0, len(factors[0]), rows):
        found = _products([f[start : start + rows] for f in factors])
        totals = [a + b for a, b in zip(totals, found, strict=True)]
    return totals


def _products(factors: list[Floats]) -> list[int]:
    sizes = [np.abs(f) for f in factors]
    safe = np.all([((s < 2.0**300) & (s > 2.0**-300)) | (s == 0.0) for s in sizes], axis=0)
    terms = [factors[0] if safe.all() else np.where(safe, factors[0], 0.0)]
    for factor in factors[1:]:
        factor = np.where(safe, factor, 0.0)
        terms = [part for term in terms for part in two_product(term, factor)]
    totals = [sum(column) for column in zip(*(exact_sums(term) for term in terms), strict=True)]
    for i, j in np.argwhere(~safe):  # too large or too small for products of doubles
        totals[j] += prod(units(float(f[i, j])) for f in factors) >> UNIT * (len(factors) - 1)
    return totals


def two_product(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """A product of doubles and its rounding error (Dekker 1971)."""
    product = left * right
    halves = []
    for factor in (left, right):
        scaled = SPLITTER * factor
        high = scaled - (scaled - factor)
        halves.append((high, factor - high))
    (a, b), (c, d) = halves
    return product, b * d - (((product - a * c) - b * c) - a * d)


def units(number: float) -> int:
    """A finite double in units of 2^-UNIT."""
    fraction, exponent = frexp(number)
    return int(fraction * 2.0**53) << (exponent - 53 + UNIT)


def ratio(numerator: int, denominator: int) -> float:
    """The double nearest to a quotient; NaN for 0 / 0, an infinity where it is too large."""
    if denominator == 0:
        return nan
    try:
        return numerator / denominator  # integers of any size are divided with one rounding
    except OverflowError:
        return inf if numerator > 0 else -inf


def _extracted(block: Floats) -> list[Floats]:
    """Parts, float64[d] each, whose exact sum over all parts is the sum of each column."""
    if not block.size:
        return []
    rest, parts = block, list[Floats]()
    bits = int(len(block) + 2).bit_length()
    while True:
        largest = np.abs(rest).max(axis=0)
        if not largest.any():
            return parts
        if (largest > LARGEST).any():
            return parts + list(rest)  # one by one
        sigma = np.ldexp(1.0, np.frexp(largest)[1] + bits)
        taken = (sigma + rest) - sigma
        parts.append(np.add.reduce(taken, axis=0))
        rest = rest - taken


def _slow_squares(values: Floats, safe: Any) -> list[int]:
    """Squares of the numbers that are too large or too small for products of doubles."""
    totals = [0] * values.shape[1]
    for i, j in np.argwhere(~safe):
        totals[j] += units(float(values[i, j])) ** 2 >> UNIT
    return totals
