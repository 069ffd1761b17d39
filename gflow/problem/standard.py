"""Columns of a table at mean 0 and variance 1, and those of another table by the same numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .quiet import quiet

ALIKE = 8 * float(np.finfo(float).eps)
"""Values that are closer, relative to their size, are one: rounding has drawn what is between."""


class Standard(NamedTuple):
    """How the columns of a table were shifted and scaled.

    Attributes
    ----------
    names : tuple of str
        The columns.
    unit : ndarray of int, shape (k,)
        Exponents of powers of two in which no square overflows.
    centre : ndarray, shape (2, k)
        What was subtracted then: a mean, and what its rounding had left.
    spread : ndarray, shape (k,)
        What it was divided by at last.

    Examples
    --------
    >>> Standard.of(("x",), np.array([[1.0], [3.0]]))(np.array([[1.0], [5.0]]))
    array([[-1.],
           [ 3.]])
    """

    names: tuple[str, ...]
    unit: np.ndarray
    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    @quiet
    def of(cls, names: tuple[str, ...], table: np.ndarray) -> Standard:
        """That of a table (rows, k) without columns of one value; see `constant`."""
        unit = -np.frexp(np.abs(table).max(axis=0))[1]
        table = np.ldexp(table, unit)
        first = table.mean(axis=0)
        # The first mean is rounded like the values, which may be far more than their spread.
        table = table - first
        centre = np.array([first, table.mean(axis=0)])
        return cls(names, unit, centre, (table - centre[1]).std(axis=0))

    def __call__(self, table: np.ndarray) -> np.ndarray:
        """A table with the same columns by these numbers."""
        with np.errstate(all="ignore"):
            # Beyond double precision it is infinite, which data refuse.
            moved = np.ldexp(table, self.unit) - self.centre[0] - self.centre[1]
            return np.asarray(moved / self.spread)


@quiet
def constant(table: np.ndarray) -> np.ndarray:
    """Which columns have one value throughout, be it up to rounding.

    Examples
    --------
    >>> constant(np.array([[1.0, 0.1], [2.0, 0.1]]))
    array([False,  True])
    """
    # As `Standard` sees them.
    table = np.ldexp(table, -np.frexp(np.abs(table).max(axis=0))[1])
    low, high = table.min(axis=0), table.max(axis=0)
    return np.asarray(high - low <= ALIKE * np.maximum(-low, high))
