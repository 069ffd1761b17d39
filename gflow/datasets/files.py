"""Data from a text file."""

from __future__ import annotations

import os

import numpy as np

from ..problem.checks import flag
from ..problem.data import Data, note
from ..problem.files import plain
from ..problem.standard import Standard, constant
from ..problem.words import cut, listed, short
from .table import SHOWN, composed, read_table


def from_csv(path: str | os.PathLike[str], target: str, *,
             standardise: bool | Data = False, bias: bool = False) -> Data:
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
    standardise : bool or Data
        Whether to shift and scale every column, the target too, to mean 0 and variance 1. A table
        to test on is shifted and scaled by the numbers of the table that was trained on: give the
        data that `from_csv` made of that one, by ``standardise=True``. Columns are taken in their
        order.
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
        If ``target`` is not a string, or an option neither True nor False (nor data).
    ValueError
        If the file has no rows, a bad header, a missing or non-numeric value, or, with
        ``standardise``, a column with one value throughout, be it up to rounding; if data for it
        were not standardised, or have other columns.

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
    >>> train = from_csv(path, "price", standardise=True)
    >>> from_csv(path, "price", standardise=train).X.tolist() == train.X.tolist()
    True
    >>> folder.cleanup()
    """
    if not isinstance(target, str):
        raise TypeError(f"target is {short(target)}: give the name of a column")
    bias = flag(bias, "bias")
    if not isinstance(standardise, Data):
        standardise = flag(standardise, "standardise")
    name = plain(path)
    shown = cut(name, SHOWN)
    names, table = read_table(name)
    target = composed(target)
    if target not in names:
        raise ValueError(f"{shown} has no column {short(target)}: its columns are {listed(names)}")
    if len(names) == 1:
        raise ValueError(f"{shown} has no column besides the target {short(target)}: "
                         "give at least one input")
    scale = None
    if isinstance(standardise, Data):
        scale = _given(standardise, names, target, shown)
        table = table[:, [names.index(column) for column in scale.names]]
        names = list(scale.names)
    elif standardise:
        same = constant(table)
        if same.any():
            k = int(same.argmax())
            how = "" if np.ptp(table[:, k]) == 0 else ", up to the rounding of double precision"
            raise ValueError(f"column {short(names[k])} of {shown} has one value throughout{how}: "
                             "it cannot be standardised, so drop it")
        scale = Standard.of(tuple(names), table)
    if scale is not None:
        table = scale(table)
    k = names.index(target)
    data = Data(np.delete(table, k, axis=1), table[:, k], bias=bias)
    note(data, columns=tuple(names[:k] + names[k + 1:]))
    if scale is not None:
        note(data, standard=scale)
    return data


def _given(train: Data, names: list[str], target: str, shown: str) -> Standard:
    """The numbers by which ``train`` was standardised, if they are of these columns."""
    scale = train.standard
    if scale is None:
        raise ValueError("standardise is a Data that was not standardised itself, or comes from a "
                         "saved run: give what from_csv made of the training table with "
                         "standardise=True")
    other = [name for name in scale.names if name not in names]
    other += [name for name in names if name not in scale.names]
    if other or target in (train.columns or ()):
        what = (f"{short(other[0])} is a column of one of the two only" if other else
                f"its labels are not {short(target)}")
        raise ValueError(f"{shown} cannot be standardised as the data in standardise were, for "
                         f"{what}: give tables with the same columns and the same target")
    return scale
