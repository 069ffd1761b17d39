"""Figures of a sweep: medians and quartiles over the seeds."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..problem.words import counted, plain, short

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
MARKERS = "osD^vPX"
WIDE = 10.0
"""Axes that span more than this factor are logarithmic."""
VANISHING = 1e-286
"""Axes of smaller values are, too: Matplotlib shows these as 0 on linear ones."""


def curves(table: np.ndarray, y: str, x: str | None = None, by: str | None = None,
           ax: Any = None) -> Any:
    """A result against a parameter: median as a line, quartiles as a band.

    Parameters
    ----------
    table : structured ndarray
        From `gflow.sweep` or `gflow.load_sweep`.
    y : str
        A result, one number a task; yes or no is drawn as a share.
    x : str, optional
        A parameter; the one with most values if None.
    by : str, optional
        Another parameter, one line for each value; the one with most values left if None.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no such column, or it has no numbers, or none that is finite.
    """
    x, by = axes_of(table, x, by)
    values = _numbers(table, y)
    _check_seen(table, y, x, values)
    if ax is not None:
        return _drawn(table, y, values, x, by, ax)
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots()
    try:
        return _drawn(table, y, values, x, by, ax)
    except BaseException:
        plt.close(fig)
        raise


def _drawn(table: np.ndarray, y: str, values: np.ndarray, x: str, by: str | None, ax: Any) -> Any:
    """The curves of a result with these values, on axes."""
    groups = np.unique(table[by]) if by else [None]
    for i, group in enumerate(groups):
        chosen = np.ones(len(table), dtype=bool) if by is None else _equal(table[by], group)
        points = _places(table[x][chosen])
        samples = [values[chosen & _equal(table[x], point)] for point in points]
        samples = [sample[~np.isnan(sample)] for sample in samples]
        colour = COLOURS[i % len(COLOURS)]
        # Whatever the settings of matplotlib say.
        style = {"color": colour, "marker": MARKERS[i % len(MARKERS)], "markersize": 4,
                 "fillstyle": "full", "markerfacecolor": colour, "markeredgecolor": colour,
                 "markeredgewidth": 1.0, "linestyle": "-",
                 "label": None if by is None else plain(f"{by} = {_written(table[by], group)}")}
        if table[y].dtype == bool:
            ax.plot(points, [sample.mean() for sample in samples], **style)
            continue
        low, middle, high = (np.array([_quantile(sample, q) for sample in samples])
                             for q in (0.25, 0.5, 0.75))
        ax.plot(points, middle, **style)
        ax.fill_between(points, low, high, color=style["color"], alpha=0.2, linewidth=0)
    share = table[y].dtype == bool
    ax.set(xlabel=plain(x), ylabel=plain(f"share of {y}" if share else y))
    if _spans(table[x]):
        ax.set_xscale("log")
        # Ticks where there are points: those of a logarithmic axis overlap.
        points = _places(table[x])
        ax.set_xticks(points[::-(-points.size // 8)], minor=False)
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter("{x:g}")
    if share:
        ax.set_ylim(-0.03, 1.03)
    elif _spans(values):
        ax.set_yscale("log")
    if by:
        ax.legend(fontsize="small")
    return ax


def overview(table: np.ndarray, ys: Sequence[str] | None = None, x: str | None = None,
             by: str | None = None) -> Any:
    """`curves` of several results, side by side.

    Parameters
    ----------
    table, x, by
        As for `curves`.
    ys : sequence of str, optional
        Results; the first four that are finite numbers in some task if None.

    Returns
    -------
    matplotlib Figure
    """
    ys, x, by = _chosen(table, ys, x, by)
    from matplotlib.figure import Figure
    fig = Figure(figsize=(4.5 * len(ys), 3.8), layout="constrained")
    for ax, y in zip(fig.subplots(1, len(ys), squeeze=False)[0], ys):
        curves(table, y, x, by, ax)
    return fig


def left_out(table: np.ndarray, ys: Sequence[str] | None = None, x: str | None = None,
             by: str | None = None) -> tuple[int, list[str]]:
    """How many tasks `overview` does not show, and the columns of which these have no value."""
    ys, x, by = _chosen(table, ys, x, by)
    shown = np.any([_seen(table, x, _numbers(table, y)) for y in ys], axis=0)
    nowhere = np.isnan(np.asarray(table[x], dtype=float))
    lacks = [x] if nowhere.any() else []
    return int((~shown).sum()), lacks + (ys if (~shown & ~nowhere).any() else [])


def _chosen(table: np.ndarray, ys: Sequence[str] | None, x: str | None, by: str | None
            ) -> tuple[list[str], str, str | None]:
    """Results and axes of `overview`."""
    if not len(table):
        raise ValueError("no task is done yet: there is nothing to draw")
    if ys is None:
        numbers = [name for name in _names(table)[1] if _is_number(table.dtype[name])]
        if not numbers:
            raise ValueError("no result is a number: choose what to draw")
        x, by = axes_of(table, x, by)
        found = [y for y in numbers if _finite(table, x, _numbers(table, y))]
        # Of none that is finite the first one is named.
        return (found or numbers)[:4 if found else 1], x, by
    if not ys:
        raise ValueError("no result is named: choose what to draw")
    return list(ys), *axes_of(table, x, by)


def _seen(table: np.ndarray, x: str, values: np.ndarray) -> np.ndarray:
    """Which tasks a figure shows: none without a value on either axis."""
    return np.asarray(~np.isnan(values) & ~np.isnan(np.asarray(table[x], dtype=float)))


def _finite(table: np.ndarray, x: str, values: np.ndarray) -> bool:
    """Whether there is anything to see."""
    return bool(np.isfinite(values[_seen(table, x, values)]).any())


def _check_seen(table: np.ndarray, y: str, x: str, values: np.ndarray) -> None:
    """Refuse axes on which nothing would be."""
    if _finite(table, x, values):
        return
    if np.isfinite(values).any():
        raise ValueError(f"{y!r} is finite in no task that has a value of {x!r}: choose another "
                         "parameter for the horizontal axis")
    raise ValueError(f"{y!r} is finite in {'none of the ' if len(table) > 1 else 'no task of '}"
                     f"{counted(len(table), 'task')}: there is nothing to draw, choose another "
                     "result")


def axes_of(table: np.ndarray, x: str | None, by: str | None) -> tuple[str, str | None]:
    """Parameters for the horizontal axis and the lines: those with most values if not given."""
    parameters = _names(table)[0]
    for name in (x, by):
        if name is not None and name not in parameters:
            raise ValueError(f"{short(name)} is no parameter of the sweep: choose one of "
                             f"{', '.join(parameters)}")
    if x is not None and not _is_number(table.dtype[x]):
        numeric = [name for name in parameters if _is_number(table.dtype[name])]
        raise ValueError(f"{x!r} is not a number, as the horizontal axis has to be: " + (
            f"choose one of {', '.join(numeric)}" if numeric else "no parameter is one"))
    if by is not None and table.dtype[by] == object:
        raise ValueError(f"{by!r} has values of mixed types, which have no order: choose another "
                         "parameter for the lines")
    count = {name: len(np.unique(table[name])) for name in parameters
             if table.dtype[name] != object}
    if x is None:
        numeric = [name for name in count if _is_number(table.dtype[name]) and name != by]
        if not numeric:
            raise ValueError("no parameter is a number: there is no horizontal axis")
        x = max(numeric, key=lambda name: len(_places(table[name])))
    if by is None:
        rest = [name for name in count if name != x and 1 < count[name] <= len(COLOURS)]
        by = max(rest, key=lambda name: count[name], default=None)
    return x, by


def _names(table: np.ndarray) -> tuple[list[str], list[str]]:
    """Parameters and results."""
    names = list(table.dtype.names or ())
    seed = names.index("seed")
    return names[:seed], names[seed + 1:]


def _numbers(table: np.ndarray, y: str) -> np.ndarray:
    results = _names(table)[1]
    if y not in results:
        raise ValueError(f"{short(y)} is no result of the sweep: choose one of "
                         f"{', '.join(results)}")
    if not _is_number(table.dtype[y]):
        raise ValueError(f"{y!r} is not one number a task")
    return np.asarray(table[y], dtype=float)


def _quantile(sample: np.ndarray, q: float) -> float:
    """A quantile of numbers that may be infinite; NaN if there are none."""
    if not sample.size:
        return np.nan
    # Between two entries it takes a difference, which infinities do not have.
    if np.isfinite(sample).all():
        return float(np.quantile(sample, q))
    return float(np.quantile(sample, q, method="inverted_cdf"))


def _equal(column: np.ndarray, value: Any) -> np.ndarray:
    """Where a column has a value; NaN, which stands for none, is one too."""
    found: np.ndarray = (column == value) | (column != column) & (value != value)
    return found


def _places(column: np.ndarray) -> np.ndarray:
    """Values on an axis, each once; NaN, which stands for none, has no place there."""
    found = np.unique(column)
    return np.asarray(found[found == found])


def _written(column: np.ndarray, value: Any) -> str:
    """A parameter as the grid has it, as far as tables tell: beside None whole numbers are floats
    (and written as whole), None is NaN, and among strings it is empty.

    Examples
    --------
    >>> gap = np.array([np.nan, 1.0])
    >>> _written(gap, gap[0]), _written(gap, gap[1]), _written(gap[1:], gap[1])
    ('None', '1', '1.0')
    """
    if column.dtype.kind == "f" and np.isnan(column).any():
        if np.isnan(value):
            return "None"
        finite = column[~np.isnan(column)]
        return str(int(value)) if (finite == np.floor(finite)).all() else str(value)
    # A table does not tell an empty string from None.
    return str(value) or "(none)"


def _is_number(dtype: np.dtype) -> bool:
    return dtype.shape == () and dtype.kind in "biuf"


def _spans(values: np.ndarray) -> bool:
    """Whether values are positive and differ by a large factor, or are so small that a linear axis
    would show them as 0."""
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() <= 0:
        return False
    return bool(finite.max() > WIDE * finite.min() or finite.max() < VANISHING)
