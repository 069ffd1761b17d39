"""Training data, and the arrangement of hyperplanes that its points define."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .checks import flag, real_array
from .frames import columns_of, own_names, same_rows
from .norms import row_norms
from .quiet import quiet
from .standard import Standard
from .value import lock
from .words import counted, kind_of, short

if TYPE_CHECKING:  # pragma: no cover
    from .network import TwoLayerReLU

PARALLEL = 1e-14
"""Two points whose unit vectors differ by less than this, up to sign, share a hyperplane."""


class Arrangement(NamedTuple):
    """Hyperplane classes of the data: points ``x_k = length_k * normal_c`` share one hyperplane.

    Attributes
    ----------
    normal : ndarray, shape (C, d)
        Unit normals.
    label : ndarray of intp, shape (n,)
        Class of each point, -1 for a zero row (it has no hyperplane).
    length : ndarray, shape (n,)
        Signed length of each point along its normal.
    start, member : ndarray of intp, shapes (C + 1,) and (number of non-zero rows,)
        Points of class ``c`` are ``member[start[c]:start[c + 1]]``.
    """

    normal: np.ndarray
    label: np.ndarray
    length: np.ndarray
    start: np.ndarray
    member: np.ndarray


class Data:
    """A regression data set: inputs ``X`` and labels ``y``. It cannot be changed: results hold it.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs, one point a row.
    y : array_like, shape (n,)
        Labels.
    bias : bool
        Append a column of ones: the last hidden weight of a network on these data is its bias, and
        the networks of a run take inputs with and without that column.

    Attributes
    ----------
    teacher : TwoLayerReLU or None
        The network whose outputs are the labels, but for noise, if `gflow.datasets` made them with
        one; files do not keep it.
    columns : tuple of str or None
        Names of the columns of ``X``, without that of the bias, if they come from a table. What a
        run is tested on has the same.
    standard : object or None
        How `gflow.datasets.from_csv` has standardised the columns, if it has; files do not keep it.

    Raises
    ------
    TypeError
        If an entry is not a real number.
    ValueError
        If the shapes disagree, are empty, or an entry is NaN or infinite; if both are tables of
        pandas or xarray and their rows have unlike labels.

    Examples
    --------
    >>> data = Data([[1.0, 2.0], [0.5, -1.0]], [1.0, 0.0])
    >>> data.n, data.d
    (2, 2)
    >>> Data([[3.0], [5.0]], [1.0, 0.0], bias=True).X
    array([[3., 1.],
           [5., 1.]])
    """

    bias = False
    teacher: TwoLayerReLU | None = None
    columns: tuple[str, ...] | None = None
    standard: Standard | None = None

    def __init__(self, X: ArrayLike, y: ArrayLike, bias: bool = False) -> None:
        points, labels = real_array(X, "X", 2), _labels(y)
        if points.size == 0:
            raise ValueError(f"X has shape {points.shape}: give at least one point and one column")
        if points.shape[0] != labels.shape[0]:
            raise ValueError(f"X has {counted(points.shape[0], 'row')} but y has "
                             f"{counted(labels.shape[0], 'entry')}: give as many labels as points")
        same_rows(X, y)
        if (names := own_names(columns_of(X))) is not None:
            note(self, columns=names)
        if flag(bias, "bias"):
            points = with_ones(points)
            note(self, bias=True)
        note(self, X=points, y=labels)

    if TYPE_CHECKING:  # pragma: no cover
        X: np.ndarray
        y: np.ndarray
    else:
        def __setattr__(self, name: str, value: object) -> None:
            """Runs that hold these data would be other ones."""
            if name in OWN:
                raise AttributeError(f"{name} of a Data cannot be set, since results hold it: make "
                                     "another one with gflow.Data(X, y)")
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in OWN:
            raise AttributeError(f"{name} of a Data cannot be deleted, since results hold it")
        super().__delattr__(name)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Arrays that come out of a pickle can be written to."""
        note(self, **state)

    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.X.shape[0])

    @property
    def d(self) -> int:
        """Input dimension, the bias column included."""
        return int(self.X.shape[1])

    @cached_property
    @quiet
    def arrangement(self) -> Arrangement:
        """Hyperplane classes: duplicates, opposite points and multiples share one."""
        return _arrange(self.X)

    def __repr__(self) -> str:
        bias = ", bias=True" if self.bias else ""
        return f"Data(n={self.n}, d={self.d}{bias})"


OWN = {"X", "y", "bias", "teacher", "columns", "standard", "arrangement", "n", "d"}
"""What a data set is made of."""


def note(data: Data, **parts: object) -> None:
    """Attributes of a data set that is being made."""
    vars(data).update(parts)
    lock([part for name, part in parts.items() if name in OWN])


def _labels(y: ArrayLike) -> np.ndarray:
    """Labels as an array; of two classes in words the message says what to do."""
    try:
        return real_array(y, "y", 1)
    except TypeError as error:
        classes = _words(y)
        if len(classes) != 2:
            raise
        raise TypeError(f"{error}: of two classes make -1 and 1, such as np.where(np.asarray(y) "
                        f"== {short(classes[1])}, 1.0, -1.0)") from None


def _words(y: object) -> list[str]:
    """The words that all labels are; none if there are others, or they cannot be read."""
    try:
        labels = np.asarray(y, dtype=object).ravel().tolist()
    except Exception:
        return []
    return sorted(set(labels)) if all(isinstance(label, str) for label in labels) else []


DataLike: TypeAlias = Data | tuple[ArrayLike, ArrayLike]
"""Data, or points and labels ``(X, y)``."""


def as_data(data: DataLike) -> Data:
    """The data set itself, or the one that a pair (X, y) defines.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    if isinstance(data, Data):
        return data
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"data is {kind_of(data)}: give a Data or a pair (X, y)")
    return Data(*data)


def relabelled(data: Data, y: np.ndarray) -> Data:
    """The same points with other labels.

    Examples
    --------
    >>> relabelled(Data([[1.0]], [0.0]), np.array([5.0])).y
    array([5.])
    """
    made = Data(data.X[:, :-1], y, bias=True) if data.bias else Data(data.X, y)
    note(made, **{name: vars(data)[name] for name in ("columns", "standard") if name in vars(data)})
    return made


def with_ones(X: np.ndarray) -> np.ndarray:
    """``X`` (n, d) with a constant column at its end, (n, d + 1).

    Examples
    --------
    >>> with_ones(np.array([[3.0]]))
    array([[3., 1.]])
    """
    return np.column_stack([X, np.ones(len(X))])


def _arrange(X: np.ndarray) -> Arrangement:
    """Group the rows of ``X`` by line through the origin (``numerics``: hyperplane classes)."""
    n, d = X.shape
    lengths = row_norms(X)
    alive = np.flatnonzero(lengths > 0)
    # Divide twice: a tiny row would lose its direction to underflow otherwise.
    unit = X[alive] / np.abs(X[alive]).max(axis=1, keepdims=True)
    unit /= row_norms(unit)[:, None]
    # Equal lines have equal |projection|: sort by one, compare close neighbours only.
    key = np.abs(unit @ np.cos(1.0 + np.arange(d)))
    order = np.argsort(key, kind="stable")
    found = np.full(alive.size, -1)
    recent: list[int] = []
    for j in order:
        recent = [r for r in recent if key[j] - key[r] <= 4 * d * PARALLEL]
        twin = next((r for r in recent if _same_line(unit[r], unit[j])), None)
        if twin is None:
            found[j] = j
            recent.append(j)
        else:
            found[j] = twin
    # Classes in the order of their first point, and its orientation.
    first: dict[int, int] = {}
    for j, r in enumerate(found):
        first.setdefault(int(r), j)
    number = {r: c for c, r in enumerate(first)}
    label = np.full(n, -1, dtype=np.intp)
    label[alive] = [number[int(r)] for r in found]
    normal = unit[list(first.values())]
    length = np.zeros(n)
    length[alive] = lengths[alive] * np.sign((unit * normal[label[alive]]).sum(axis=1))
    member = alive[np.argsort(label[alive], kind="stable")].astype(np.intp)
    start = np.searchsorted(label[member], np.arange(len(first) + 1)).astype(np.intp)
    return Arrangement(np.ascontiguousarray(normal), label, length, start, member)


def _same_line(u: np.ndarray, v: np.ndarray) -> bool:
    return bool(np.abs(u - v).max() <= PARALLEL or np.abs(u + v).max() <= PARALLEL)
