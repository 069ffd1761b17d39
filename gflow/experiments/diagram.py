"""The phase diagram of the optimization threshold over dimension and number of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plot.style import ordinary
from ..problem.checks import generator
from ..problem.quiet import quiet
from ..problem.words import counted, short
from ..problem.value import Value

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVEL = 0.95
STEEPNESS = np.geomspace(0.5, 50.0, 40)
"""Prior of the steepness of the fall, uniform in its logarithm."""
BEYOND = np.log(10.0)
"""How far beyond the grid a threshold is looked for, in log n."""
PLACES = 501
DRAWS = 4000


@dataclass(frozen=True, eq=False)
class ThresholdDiagram(Value):
    """Where interpolation gives way, from `threshold_diagram`.

    Attributes
    ----------
    d : ndarray, shape (G,)
        Dimensions.
    cells : list of tuple of ndarray, length G
        For each dimension ``n``, number of runs that interpolated, of runs of known outcome, and
        of runs that a limit cut before there was one.
    estimate : ndarray, shape (G,)
        Thresholds ``n*(d)``; NaN where all runs interpolated or none, and where the fit has it
        beyond the least or largest ``n`` with runs of known outcome.
    low, high : ndarray, shape (G,)
        Their 95% intervals, 0 or infinite at an open end.
    exponent : float
        Slope of ``log n*`` in ``log d``; NaN with less than two thresholds.
    exponent_low, exponent_high : float
        Its 95% interval.
    constant : float
        ``n* = constant d^exponent`` is the fit.
    """

    d: np.ndarray
    cells: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    exponent: float
    exponent_low: float
    exponent_high: float
    constant: float

    @property
    def cut(self) -> int:
        """Number of runs that a limit cut before there was an outcome; they are left out."""
        return int(sum(cell[3].sum() for cell in self.cells))

    def __repr__(self) -> str:
        lines = ["ThresholdDiagram: interpolation gives way at"]
        lines += [f"  d = {d:<4g} n* {_said(*row)}"
                  for d, *row in zip(self.d, self.estimate, self.low, self.high)]
        if np.isfinite(self.exponent):
            lines.append(f"  n* = {self.constant:.3g} d^{self.exponent:.3g}, exponent from "
                         f"{self.exponent_low:.3g} to {self.exponent_high:.3g}")
        if self.cut:
            verbs = ("was", "is") if self.cut == 1 else ("were", "are")
            lines.append(f"  {counted(self.cut, 'run')} {verbs[0]} cut at a limit and {verbs[1]} "
                         "left out")
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Probability of interpolation as shades, thresholds with intervals, and the bounds.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes if None.

        Returns
        -------
        matplotlib Axes
        """
        if ax is None:
            import matplotlib.pyplot as plt
            ax = plt.subplots(figsize=(6.5, 5), layout="constrained")[1]
        shades = None
        for d, (n, hits, runs, cut) in zip(self.d, self.cells):
            share = np.divide(hits, runs, out=np.full(n.size, np.nan), where=runs > 0)
            shades = ax.scatter(np.full(n.size, d), n, c=share, s=190, marker="s", cmap="Greys",
                                vmin=0, vmax=1.25, edgecolors="0.6", linewidths=0.6)
            ax.plot(np.full((cut > 0).sum(), d), n[cut > 0], "x", color="#D55E00", markersize=6,
                    label=None)
        if self.cut:
            ax.plot([], [], "x", color="#D55E00", label="some runs cut at a limit")
        known = np.isfinite(self.estimate)
        if known.any():
            ax.errorbar(self.d[known], self.estimate[known],
                        [(self.estimate - self.low)[known], (self.high - self.estimate)[known]],
                        fmt="o", color="#0072B2", capsize=4, linewidth=2, markersize=7, zorder=3,
                        label=r"threshold $n^*(d)$, 95%")
        for marker, bound, side in (("^", self.low, "above"), ("v", self.high, "below")):
            open_end = ~known & (bound > 0) & np.isfinite(bound)
            if open_end.any():
                ax.plot(self.d[open_end], bound[open_end], marker, color="#0072B2", markersize=9,
                        markerfacecolor="white", zorder=3, label=f"threshold {side} this")
        d = np.geomspace(self.d.min(), self.d.max(), 100)
        if np.isfinite(self.exponent):
            ax.plot(d, self.constant * d**self.exponent, "-", color="#0072B2", linewidth=1.5,
                    label=f"${self.constant:.2g}\\,d^{{{self.exponent:.2f}}}$ (exponent "
                    f"{self.exponent_low:.2f} to {self.exponent_high:.2f})")
        # Of one dimension a line would be a point.
        mark = "" if self.d.size > 1 else "_"
        ax.plot(d, d**3 * np.log(d), "--" + mark, color="#D55E00", linewidth=2,
                label=r"$d^3\,\log d$ (upper bound, up to a constant)")
        ax.plot(d, d, ":" + mark, color="#009E73", linewidth=2.5, label="$d$")
        ax.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel="number of points $n$",
               title="share of runs that interpolate")
        for axis, ticks in ((ax.xaxis, self.d),
                            (ax.yaxis, np.unique(np.concatenate([c[0] for c in self.cells])))):
            axis.set_ticks(ticks[::-(-len(ticks) // 12)], minor=False)
            axis.set_ticks([], minor=True)
            axis.set_major_formatter("{x:g}")
        lowest = min(min(c[0].min() for c in self.cells), self.d.min())
        # Room for the legend.
        ax.set_ylim(lowest / 1.3, (8 if known.all() else 12) * max(c[0].max() for c in self.cells))
        if shades is not None:
            ax.figure.colorbar(shades, ax=ax, boundaries=np.linspace(0, 1, 101),
                               ticks=[0, 0.25, 0.5, 0.75, 1])
        ax.legend(fontsize="small", loc="upper left")
        return ax


def _said(best: float, low: float, high: float) -> str:
    """A threshold in words."""
    if np.isfinite(best):
        return f"= {best:.3g}  ({low:.3g} to {high:.3g})"
    if low == 0 and high == np.inf:
        return "unknown: no run has an outcome"
    side = "above" if high == np.inf else "below"
    return f"{side} the grid of known outcomes ({low:.3g} to {high:.3g})"


@quiet
def threshold_diagram(table: np.ndarray, rng: int | np.random.Generator = 0) -> ThresholdDiagram:
    r"""Probability of interpolation over (d, n), the threshold n*(d), and its exponent.

    For each dimension the probability that a run interpolates is fitted by
    :math:`P(n) = 1 / (1 + (n / n^*)^k)`, with a prior that is uniform in :math:`\log n^*`, up to a
    factor of 10 beyond the grid, and in :math:`\log k`, ``k`` from 0.5 to 50. The threshold
    is the median of the posterior, its interval the central 95%; it is as wide as the gaps of the
    grid where outcomes change from one n to the next. (Of fixed thresholds such intervals held 87
    to 97% in a simulation with k = 4 and 10 seeds, by where they lie between the n of the grid.)
    Where it lies beyond all ``n`` with runs of known outcome it is a guess of the fit, and only a
    bound is given: that ``n``, or what the fit says if that is weaker.
    The exponent is that of least squares in ``log d``, weighted with the variances of the
    posteriors; its interval is that of draws from these. Runs that a limit cut have interpolated
    if their loss had fallen so far; if not they have no outcome and are left out.

    Parameters
    ----------
    table : structured ndarray
        A sweep of `threshold` over several ``d`` and ``n``.
    rng : int or numpy.random.Generator
        For the draws.

    Returns
    -------
    ThresholdDiagram

    Raises
    ------
    ValueError
        If the table has no runs or lacks a column.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348: n above d^3 log d is enough for training to get stuck, up to
    a constant (proved there for inputs with a margin of order 1/sqrt(d)).

    Examples
    --------
    >>> d, n = np.repeat([2, 4, 8], 40), np.tile(np.repeat([5, 10, 20, 40], 10), 3)
    >>> table = np.rec.fromarrays([d, n, n < 4 * d, np.full(120, "none")],
    ...                           names="d,n,interpolated,limit")
    >>> diagram = threshold_diagram(table)
    >>> np.abs(np.log(diagram.estimate / [7, 14, 28])).max() < 0.2, round(diagram.exponent, 1)
    (np.True_, 1.0)
    """
    names = getattr(table, "dtype", np.dtype([])).names or ()
    for name in ("d", "n", "interpolated", "limit"):
        if name not in names:
            raise ValueError(f"the table has no column {short(name)}: give a sweep of "
                             "gflow.experiments.threshold")
    if not len(table):
        raise ValueError("no task is done yet: there is no diagram")
    draw = generator(rng)
    dimensions = np.unique(table["d"])
    cells, rows, samples, spreads = [], [], [], []
    for d in dimensions:
        cells.append(_cells(table[table["d"] == d]))
        n, hits, runs, _ = cells[-1]
        places, posterior = _posterior(np.log(n), hits, runs)
        cumulated = np.cumsum(posterior)
        rows.append(_interval(n[runs > 0], hits.sum(), runs.sum(), cumulated, places))
        if np.isfinite(rows[-1][0]):
            samples.append(np.interp(draw.random(DRAWS), cumulated, places))
            spreads.append(samples[-1].std())
    estimate, low, high = np.array(rows).T
    known = np.isfinite(estimate)
    exponent = constant = np.nan
    interval = np.full(2, np.nan)
    if known.sum() > 1:
        x, w = np.log(dimensions[known]), 1 / np.array(spreads)
        exponent, offset = np.polyfit(x, np.log(estimate[known]), 1, w=w)
        constant = np.exp(offset)
        interval = np.quantile(np.polyfit(x, np.array(samples), 1, w=w)[0],
                               [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ThresholdDiagram(dimensions, cells, estimate, low, high, float(exponent),
                            float(interval[0]), float(interval[1]), float(constant))


def _cells(rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of points, and of runs that interpolated, of known outcome, cut before."""
    n, place = np.unique(rows["n"], return_inverse=True)
    # The loss does not rise: what has interpolated when it is cut has done so.
    known = (rows["limit"] == "none") | rows["interpolated"]
    hits, runs, cut = (np.bincount(place, kind, n.size).astype(int)
                       for kind in (rows["interpolated"], known, ~known))
    return n, hits, runs, cut


def _posterior(x: np.ndarray, hits: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in log n, and the probability that the threshold is there."""
    places = np.linspace(x[0] - BEYOND, x[-1] + BEYOND, PLACES)
    slope = STEEPNESS[:, None, None] * (x - places[:, None])
    logs = -(hits * np.logaddexp(0, slope) + (runs - hits) * np.logaddexp(0, -slope)).sum(axis=2)
    weight = np.exp(logs - logs.max()).sum(axis=0)
    return places, weight / weight.sum()


def _interval(seen: np.ndarray, hits: int, runs: int, cumulated: np.ndarray, places: np.ndarray
              ) -> tuple[float, float, float]:
    """The threshold with its interval, or a bound: ``seen`` are the ``n`` with known outcomes."""
    if not runs:
        return np.nan, 0.0, np.inf
    middle, low, high, least, most = np.exp(np.interp(
        [0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2, 1 - LEVEL, LEVEL], cumulated, places))
    if hits == runs or middle > seen[-1]:
        return np.nan, min(least, seen[-1]), np.inf
    if not hits or middle < seen[0]:
        return np.nan, 0.0, max(most, seen[0])
    return middle, low, high


@ordinary
def figure(table: np.ndarray) -> Figure:
    """`ThresholdDiagram.plot` of a sweep, in a figure of its own."""
    from matplotlib.figure import Figure
    fig = Figure(figsize=(7.5, 5.5), layout="constrained")
    threshold_diagram(table).plot(fig.subplots())
    return fig
