"""What tables of other packages know beside their numbers: labels of rows, names of columns."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from .words import listed, short


class Rows(NamedTuple):
    """Labels of the rows of a table.

    Attributes
    ----------
    index : pandas.Index
    name : str
        How one writes them, ``{}`` for the table.
    pick : str
        How one writes a table's rows of other labels, ``{}`` for the table and the labels.
    """

    index: Any
    name: str
    pick: str


def rows_of(table: Any) -> Rows | None:
    """Labels of the rows of what may be a table; None if it has none.

    Examples
    --------
    >>> rows_of([[1.0, 2.0]])
    """
    # Whoever hands one in has loaded its package.
    pandas, xarray = sys.modules.get("pandas"), sys.modules.get("xarray")
    if pandas is not None and isinstance(table, pandas.DataFrame | pandas.Series):
        return Rows(table.index, "{}.index", "{}.loc[{}]")
    if xarray is not None and isinstance(table, xarray.DataArray) and table.ndim:
        axis = table.dims[0]
        if axis in table.indexes:
            return Rows(table.indexes[axis], f"{{}}[{axis!r}].values",
                        f"{{}}.sel({{{{{axis!r}: {{}}}}}})")
    return None


def same_rows(X: Any, y: Any) -> None:
    """Refuse points and labels, as many, whose rows have unlike labels: numbers are paired by their
    place, and that is another order.

    Raises
    ------
    ValueError
        If they have.

    Examples
    --------
    >>> import pandas
    >>> y = pandas.Series([1.0, 2.0], index=["b", "a"])
    >>> same_rows(pandas.DataFrame({"x": [3.0, 4.0]}, index=["a", "b"]), y)
    Traceback (most recent call last):
        ...
    ValueError: row 0 is labelled 'a' in X and 'b' in y: give y.loc[X.index], or X.to_numpy() and \
y.to_numpy() if rows of one place belong together
    """
    ours, theirs = rows_of(X), rows_of(y)
    if ours is None or theirs is None or ours.index.equals(theirs.index):
        return
    one, other = ours.index, theirs.index
    first = next((k for k in range(len(one)) if not one[k:k + 1].equals(other[k:k + 1])), 0)
    advice = "X.to_numpy() and y.to_numpy() if rows of one place belong together"
    if one.is_unique and other.is_unique and one.isin(other).all():
        advice = f"{theirs.pick.format('y', ours.name.format('X'))}, or {advice}"
    raise ValueError(f"row {first} is labelled {short(_plain(one[first]), 30)} in X and "
                     f"{short(_plain(other[first]), 30)} in y: give {advice}")


def columns_of(table: Any) -> tuple[str, ...] | None:
    """Names of the columns of what may be a table; None if it has none, or others than text.

    Examples
    --------
    >>> import pandas
    >>> columns_of(pandas.DataFrame({"x": [1.0], "y": [2.0]})), columns_of([[1.0, 2.0]])
    (('x', 'y'), None)
    """
    xarray = sys.modules.get("xarray")
    names: Any = getattr(table, "columns", ())
    if xarray is not None and isinstance(table, xarray.DataArray):
        names = table.indexes.get(table.dims[1], ()) if table.ndim == 2 else ()
    # Those of pandas and polars, and of nothing else that we do not know.
    known = type(table).__module__.partition(".")[0] in ("pandas", "polars", "xarray")
    names = tuple(names) if known else ()
    return names if names and all(isinstance(name, str) for name in names) else None


def same_columns(ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None,
                 bias: bool = False) -> None:
    """Refuse inputs whose columns have other names, or another order, than those of a run; where
    that has a ``bias``, one more of any name may stand for it.

    Raises
    ------
    ValueError
        If both have names, and not the same ones in the same places.

    Examples
    --------
    >>> same_columns(("x", "y"), ("y", "x"))
    Traceback (most recent call last):
        ...
    ValueError: column 0 is 'y' and that of the run is 'x': give the columns x, y in this order
    """
    if bias and ours and theirs and len(theirs) == len(ours) + 1:
        theirs = theirs[:-1]
    if ours and theirs and len(ours) != len(theirs):
        raise ValueError(f"the columns are {listed(theirs)}, and those of the run {listed(ours)}: "
                         "give the same ones")
    for k, (our, their) in enumerate(zip(ours or (), theirs or ())):
        if our != their:
            raise ValueError(f"column {k} is {short(their, 30)} and that of the run is "
                             f"{short(our, 30)}: give the columns {listed(ours or ())} in this "
                             "order")


def _plain(label: Any) -> Any:
    """A label as Python has it."""
    return label.item() if hasattr(label, "item") else label
