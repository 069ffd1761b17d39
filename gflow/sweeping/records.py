"""What a store holds, as tables: NumPy, pandas, xarray."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from .codec import decode
from .store import Row, Store
from ..problem.words import short

if TYPE_CHECKING:  # pragma: no cover
    from pandas import DataFrame
    from xarray import Dataset
else:
    # For those who ask for type hints at run time: the packages may be missing.
    DataFrame = Dataset = Any

WIDEST = 10**8
"""Bytes of a column of strings of equal width; wider ones are objects."""
FORMS = ("records", "pandas", "xarray")


class Failure(NamedTuple):
    """A task that failed.

    Attributes
    ----------
    params : dict
        Its parameters.
    seed : int
        Its seed index.
    error : str
        Its traceback.
    """

    params: dict[str, object]
    seed: int
    error: str


@overload
def load_sweep(path: str | os.PathLike[str] | bytes,
               form: Literal["records"] = "records") -> np.recarray: ...


@overload
def load_sweep(path: str | os.PathLike[str] | bytes, form: Literal["pandas"]) -> DataFrame: ...


@overload
def load_sweep(path: str | os.PathLike[str] | bytes, form: Literal["xarray"]) -> Dataset: ...


def load_sweep(path: str | os.PathLike[str] | bytes,
               form: Literal["records", "pandas", "xarray"] = "records",
               ) -> np.recarray | DataFrame | Dataset:
    """Results that `gflow.sweep` has stored so far; also while it runs.

    Parameters
    ----------
    path : str, bytes or path-like
        The store; ``~`` is written out.
    form : {"records", "pandas", "xarray"}
        What to return.

    Returns
    -------
    numpy.recarray, pandas.DataFrame or xarray.Dataset
        A record for each task that is done: parameters, ``seed``, results, in the order in which
        tasks were first asked for. Arrays of equal shape are fields of that shape; others, values
        of mixed types, and what NumPy's numbers and strings do not hold exactly, are objects. What
        a task lacks is NaN in numbers, "" in strings, otherwise None. While no task is done there
        are the parameters and ``seed``, without records. A Dataset has the parameters with several
        values and ``seed`` as dimensions, the others as attributes (yes and no as 1 and 0, since
        files of netCDF have no other), and NaN where there is no task.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no store of a sweep, damaged, or of a newer format.
    ImportError
        If pandas or xarray is asked for and not installed.

    Examples
    --------
    >>> import tempfile, gflow
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
    ...     table = gflow.sweep(lambda n, rng: {"twice": 2 * n}, {"n": [1, 2]}, executor=pool,
    ...                         store=f"{folder}/a.db", progress=False)
    ...     gflow.load_sweep(f"{folder}/a.db")
    rec.array([(1, 0, 2), (2, 0, 4)],
              dtype=[('n', '<i8'), ('seed', '<i8'), ('twice', '<i8')])
    """
    if not isinstance(form, str) or form not in FORMS:
        raise ValueError(f"form = {short(form)}: choose one of {', '.join(FORMS)}")
    with Store(path, read_only=True) as store:
        columns, parameters = _columns(store, False)
    if form == "pandas":
        return _frame(columns)
    if form == "xarray":
        return _dataset(columns, parameters)
    return _record_array(columns)


def records(store: Store, wanted: bool = False) -> np.recarray:
    """Record array of an open store, looked at once more; see `load_sweep`."""
    store.check()
    return _record_array(_columns(store, wanted)[0])


def failures(path: str | os.PathLike[str] | bytes) -> list[Failure]:
    """Tasks of a store that failed, with their tracebacks.

    Parameters
    ----------
    path : str, bytes or path-like
        The store; ``~`` is written out.

    Returns
    -------
    list of Failure

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_sweep`.
    """
    with Store(path, read_only=True) as store:
        return [Failure(json.loads(row.params), row.seed, row.error)
                for row in store.rows("failed")]


def _columns(store: Store, wanted: bool) -> tuple[dict[str, np.ndarray], list[str]]:
    """Columns by name, and which of them are parameters."""
    rows, arrays = store.rows("done", wanted), store.arrays(wanted)
    params = [json.loads(row.params) for row in rows]
    results = [_result(store, row, arrays.get(row.id, {})) for row in rows]
    parameters = list(dict.fromkeys(name for point in params for name in point))
    names = dict.fromkeys(name for result in results for name in result)
    columns = {name: _parameter([point.get(name) for point in params]) for name in parameters}
    if not rows:
        columns = _promised(store, wanted)
        parameters = list(columns)
    columns["seed"] = np.array([row.seed for row in rows], dtype=np.int64)
    for name in names:
        # A parameter may have that name in stores of an older gflow.
        columns[_free(name, columns)] = _column([result.get(name) for result in results])
    return columns, parameters


def _result(store: Store, row: Row, arrays: dict[str, bytes]) -> dict[str, Any]:
    try:
        return decode(row.scalars, arrays)
    except Exception as error:
        # Stores from before have no checksums.
        raise store.damaged(f"the result of {row.params[:200]} seed {row.seed} cannot be read: "
                            f"{type(error).__name__}") from error


def _promised(store: Store, wanted: bool) -> dict[str, np.ndarray]:
    """Parameters of tasks that are all failed or waiting, as columns without records."""
    rows = sorted(row for status in ("failed", "pending") for row in store.rows(status, wanted))
    params = [json.loads(row.params) for row in rows]
    names = dict.fromkeys(name for point in params for name in point)
    return {name: _parameter([point.get(name) for point in params])[:0] for name in names}


def _parameter(values: list[Any]) -> np.ndarray:
    """The narrowest array in which different values of a parameter are told apart."""
    column = _column(values)
    if column.dtype.kind == "f":
        # 1 and 1.0 are two tasks.
        whole, real = ({value for value in values if type(value) is kind} for kind in (int, float))
        alike = not whole.isdisjoint(real)
    else:
        alike = column.dtype.kind == "U" and {"", None} <= {*values}
    return _objects(values) if alike else column


def _column(values: list[Any]) -> np.ndarray:
    """The narrowest array that holds the values exactly."""
    kinds = {type(value) for value in values} - {type(None)}
    missing = any(value is None for value in values)
    if kinds == {np.ndarray}:
        if not missing and len({(value.shape, value.dtype) for value in values}) == 1:
            # NumPy has limits: of dimensions, and of the size of a record.
            with suppress(ValueError, IndexError):
                np.dtype([("", values[0].dtype, values[0].shape)])
                return np.stack(values)
    elif kinds == {int} and not missing and all(-2**63 <= value < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    elif kinds <= {int, float} and kinds:
        if all(type(value) is not int or _is_float(value) for value in values):
            return np.array([np.nan if value is None else value for value in values], dtype=float)
    elif kinds == {bool} and not missing:
        return np.array(values)
    elif kinds == {str} and _fits(values):
        return np.array(["" if value is None else value for value in values])
    return _objects(values)


def _objects(values: list[Any]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _is_float(value: int) -> bool:
    """Whether double precision holds a whole number."""
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _are_floats(column: np.ndarray) -> bool:
    """Whether double precision holds all whole numbers of a column."""
    return column.dtype.kind in "iu" and all(map(_is_float, column.ravel().tolist()))


def _fits(values: list[str]) -> bool:
    """Whether NumPy's strings hold these: they drop zeros at the end, and all take the longest."""
    longest = max(len(value or "") for value in values)
    return len(values) * longest * 4 <= WIDEST and \
        not any(value and value[-1] == "\0" for value in values)


def _record_array(columns: dict[str, np.ndarray]) -> np.recarray:
    size = len(columns["seed"])
    table = np.empty(size, dtype=[(name, column.dtype, column.shape[1:])
                                  for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table.view(np.recarray)


def _frame(columns: dict[str, np.ndarray]) -> DataFrame:
    try:
        import pandas
    except ImportError:
        raise ImportError("form=\"pandas\" needs the package pandas: pip install "
                          "pandas") from None
    return pandas.DataFrame({name: column if column.ndim == 1 else list(column)
                             for name, column in columns.items()})


def _dataset(columns: dict[str, np.ndarray], parameters: list[str]) -> Dataset:
    try:
        import xarray
    except ImportError:
        raise ImportError("form=\"xarray\" needs the package xarray: pip install "
                          "xarray") from None
    axes = {}
    for name in (*parameters, "seed"):
        if columns[name].dtype == object:
            raise ValueError(f"{name!r} has values of mixed types, lists or None, which are no "
                             "coordinates: use form=\"records\" or \"pandas\"")
        values, place = np.unique(columns[name], return_inverse=True)
        if name == "seed" or len(values) > 1:
            axes[name] = (values, place)
    if len(set(zip(*(place for _, place in axes.values())))) < len(columns["seed"]):
        raise ValueError("several tasks have the same place on the axes, such as 0.0 and -0.0: use "
                         "form=\"records\" or \"pandas\"")
    shape = tuple(len(values) for values, _ in axes.values())
    index = tuple(place for _, place in axes.values())
    variables = {}
    for name, column in columns.items():
        if name in axes or name in parameters:
            continue
        full = _spread(column, shape, index)
        inner = [_free(f"{name}_{axis}", columns) for axis in range(column.ndim - 1)]
        variables[name] = ([*axes, *inner], full)
    constant = {name: _attribute(columns[name][0]) for name in parameters
                if name not in axes and len(columns[name])}
    return xarray.Dataset(variables, {name: values for name, (values, _) in axes.items()},
                          constant)


def _attribute(value: np.generic) -> int | float | str:
    """A value as netCDF takes it for an attribute: it has no booleans there."""
    plain = value.item()
    return int(plain) if isinstance(plain, bool) else plain


def _free(name: str, taken: dict[str, np.ndarray]) -> str:
    """A name that is not that of a parameter or of another result."""
    while name in taken:
        name += "_"
    return name


def _spread(column: np.ndarray, shape: tuple[int, ...],
            index: tuple[np.ndarray, ...]) -> np.ndarray:
    """Records on the grid of their parameters; gaps are NaN, or None where there is no NaN."""
    complete = len(column) == np.prod(shape)
    dtype = column.dtype
    if not complete:
        dtype = np.result_type(dtype, float) if dtype.kind in "fc" or _are_floats(column) else \
            np.dtype(object)
    full = np.full(shape + column.shape[1:], np.nan if dtype.kind in "fc" else None if
                   dtype == object else column.dtype.type(), dtype=dtype)
    full[index] = column
    return full
