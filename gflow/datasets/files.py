"""Data from a text file."""

from __future__ import annotations

import os

import numpy as np

from ..problem.checks import flag
from ..problem.data import Data
from ..problem.files import plain
from ..problem.words import cut, listed, short
from .table import SHOWN, composed, read_table

ALIKE = 8 * float(np.finfo(float).eps)
"""Values that are closer, relative to their size, are one: rounding has drawn what is between."""


def from_csv(path: str | os.PathLike[str], target: str, *, standardise: bool = False,
             bias: bool = False) -> Data:
    """Read a regression data set from a text file with a header row.

    Fields are separated by commas, semicolons or tabs, whichever splits the header and the first
    row alike. The file is UTF-8. Lines without any character are skipped. A number has digits 0 to
    9, a decimal point, and no other marks.

    Parameters
    ----------
    path : str, bytes or path-like
        The file; ``~`` is the home directory.
    target : str
        Name of the column of labels. All others are inputs, in the order of the file.
    standardise : bool
        Whether to shift and scale every column, the target too, to mean 0 and variance 1.
    bias : bool
        Whether to append a column of ones, after standardising.

    Returns
    -------
    Data
        One point a row of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If ``target`` is not a string, or an option neither True nor False.
    ValueError
        If the file has no rows, a bad header, a missing or non-numeric value, or, with
        ``standardise``, a column with one value throughout, be it up to rounding.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "table.csv")
    >>> with open(path, "w", encoding="utf-8") as file:
    ...     _ = file.write("width,height,price\\n1,2,10\\n3,5,20\\n")
    >>> data = from_csv(path, "price", bias=True)
    >>> data.X, data.y
    (array([[1., 2., 1.],
           [3., 5., 1.]]), array([10., 20.]))
    >>> folder.cleanup()
    """
    if not isinstance(target, str):
        raise TypeError(f"target is {short(target)}: give the name of a column")
    standardise, bias = flag(standardise, "standardise"), flag(bias, "bias")
    name = plain(path)
    shown = cut(name, SHOWN)
    names, table = read_table(name)
    target = composed(target)
    if target not in names:
        raise ValueError(f"{shown} has no column {short(target)}: its columns are {listed(names)}")
    if len(names) == 1:
        raise ValueError(f"{shown} has no column besides the target {short(target)}: "
                         "give at least one input")
    if standardise:
        # In units in which no square overflows.
        table = np.ldexp(table, -np.frexp(np.abs(table).max(axis=0))[1])
        low, high = table.min(axis=0), table.max(axis=0)
        constant = high - low <= ALIKE * np.maximum(-low, high)
        if constant.any():
            k = int(constant.argmax())
            how = "" if low[k] == high[k] else ", up to the rounding of double precision"
            raise ValueError(f"column {short(names[k])} of {shown} has one value throughout{how}: "
                             "it cannot be standardised, so drop it")
        # The first mean is rounded like the values, which may be far more than their spread.
        for _ in range(2):
            table -= table.mean(axis=0)
        table /= table.std(axis=0)
    k = names.index(target)
    X = np.delete(table, k, axis=1)
    return Data(X, table[:, k], bias=bias)
