"""What tables of other packages know beside their numbers: labels of rows, names of columns."""

from __future__ import annotations

import numbers
import sys
from typing import Any, NamedTuple

from .words import cut, listed, short


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
    _same_axes(X, y)
    ours, theirs = rows_of(X), rows_of(y)
    if ours is None or theirs is None or ours.index.equals(theirs.index):
        return
    one, other = ours.index, theirs.index
    first = next((k for k in range(len(one)) if not one[k:k + 1].equals(other[k:k + 1])), 0)
    advice = "X.to_numpy() and y.to_numpy() if rows of one place belong together"
    if one.is_unique and other.is_unique and one.isin(other).all():
        advice = f"{theirs.pick.format('y', ours.name.format('X'))}, or {advice}"
    # Times begin alike: only text is written as Python has it.
    said = [short(label, 30) if isinstance(label, str) else cut(str(label), 60)
            for label in (_plain(one[first]), _plain(other[first]))]
    raise ValueError(f"row {first} is labelled {said[0]} in X and {said[1]} in y: give {advice}")


def _same_axes(X: Any, y: Any) -> None:
    """Refuse tables of xarray that name their axes, if those of the points and of the labels have
    unlike names and the points are along another axis."""
    xarray = sys.modules.get("xarray")
    if xarray is None or not all(isinstance(one, xarray.DataArray) for one in (X, y)):
        return
    if X.ndim == 2 and y.ndim == 1 and y.dims[0] == X.dims[1] != X.dims[0]:
        raise ValueError(f"y goes along {short(y.dims[0])}, and the rows of X along "
                         f"{short(X.dims[0])}: give X.transpose({short(y.dims[0])}, ...)")


def _one_index(X: Any) -> Any:
    """Names of the entries of points that are given as a list of tables of one axis: they are read
    by place, so that these must be alike."""
    rows = [(k, rows_of(row)) for k, row in enumerate(X)] if isinstance(X, list | tuple) else []
    named = [(k, row.index) for k, row in rows if row is not None]
    for k, index in named[1:]:
        first, one = named[0]
        if not index.equals(one):
            raise ValueError(f"points {first} and {k} of X have unlike names of their entries, or "
                             "the same in another order: bring them into one, as "
                             "pandas.DataFrame(X) does, or give arrays")
    return named[0][1] if named and len(named) == len(rows) else ()


class Label(str):
    """The name of a column that is no text, such as a year, by its text: a file can hold that.

    Attributes
    ----------
    kind : str
        What it is, ``number`` or the name of its class.
    """

    kind: str

    def __new__(cls, text: str, kind: str) -> Label:
        made = super().__new__(cls, text)
        made.kind = kind
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """What a copy, or a pickle, is made of."""
        return str(self), self.kind

    def __repr__(self) -> str:
        return str(self)


def kind_of(name: str) -> str:
    """What the name of a column is: ``text``, unless it is a `Label`.

    Examples
    --------
    >>> kind_of("size"), kind_of(Label("2019", "number"))
    ('text', 'number')
    """
    return name.kind if isinstance(name, Label) else "text"


def columns_of(table: Any) -> tuple[str, ...] | None:
    """Names of the columns of what may be a table, those that are no text as a `Label`; None if it
    has none.

    Raises
    ------
    ValueError
        If it is a list of points whose entries have unlike names.

    Examples
    --------
    >>> import pandas
    >>> columns_of(pandas.DataFrame({"x": [1.0], "y": [2.0]})), columns_of([[1.0, 2.0]])
    (('x', 'y'), None)
    >>> columns_of(pandas.DataFrame({2020: [1.0], 2019: [2.0]}))
    (2020, 2019)
    """
    xarray = sys.modules.get("xarray")
    names: Any = getattr(table, "columns", ())
    if xarray is not None and isinstance(table, xarray.DataArray):
        names = table.indexes.get(table.dims[1], ()) if table.ndim == 2 else ()
    # Those of pandas and polars, and of nothing else that we do not know.
    known = type(table).__module__.partition(".")[0] in ("pandas", "polars", "xarray")
    found = tuple(map(_named, names if known else _one_index(table)))
    return found or None


def own_names(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The names of columns, None for the numbers 0, 1, ... that stand for none.

    Examples
    --------
    >>> import pandas
    >>> own_names(columns_of(pandas.DataFrame([[1.0, 2.0]]))), own_names(("x", "y"))
    (None, ('x', 'y'))
    """
    return None if names and _are_places(names) and names == _places(len(names)) else names


def _named(name: Any) -> str:
    if isinstance(name, str):
        return str(name)
    if isinstance(name, numbers.Real) and not isinstance(name, bool):
        # 2019.0 is the same name as 2019, as it is to pandas.
        return Label(str(name if isinstance(name, numbers.Integral) else float(name)
                         ).removesuffix(".0"), "number")
    return Label(_text(name), type(name).__name__)


def _text(name: Any) -> str:
    """The text of a name with several parts is that of its parts, whatever numbers they are."""
    if isinstance(name, tuple):
        return f"({', '.join(map(_text, name))})"
    return repr(str(name)) if isinstance(name, str) else str(name)


def _places(count: int) -> tuple[str, ...]:
    return tuple(Label(str(k), "number") for k in range(count))


def _are_places(names: tuple[str, ...]) -> bool:
    """Whether they are the numbers 0, 1, ... in any order, which say nothing but places."""
    return {kind_of(name) for name in names} == {"number"} and set(names) == set(
        _places(len(names)))


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
    if theirs and not ours and _are_places(theirs):
        # What has no names has places.
        ours = _places(len(theirs))
    kinds = [{kind_of(name) for name in names or ()} for names in (ours, theirs)]
    if ours and theirs and kinds[0] != kinds[1] and sorted(ours) != sorted(theirs) and (
            _are_places(ours) or _are_places(theirs)):
        # One of them has no names.
        return
    if ours and theirs and len(ours) != len(theirs):
        raise ValueError(f"the columns are {listed(theirs)}, and those of the run {listed(ours)}: "
                         "give the same ones")
    # The same names may be numbers here and text there, as in a file.
    alike = sorted(map(kind_of, ours or ())) == sorted(map(kind_of, theirs or ()))
    for k, (our, their) in enumerate(zip(ours or (), theirs or ())):
        if our != their or alike and kind_of(our) != kind_of(their):
            raise ValueError(f"column {k} is {short(their, 30)} and that of the run is "
                             f"{short(our, 30)}: give the columns {listed(ours or ())} in this "
                             "order")


def _plain(label: Any) -> Any:
    """A label as Python has it."""
    return label.item() if hasattr(label, "item") else label
