"""What the network has learnt at one time: function, kinks, fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..flows.flow import Flow
from ..problem.data import Data
from ..problem.quiet import quiet
from ..problem.words import counted
from .picture import MANY, Picture, drawn, looks, neurons_at
from .shared import PAIRS, digest, placed
from .style import COLOURS, DASHES, colour, grey, limits, line, mark_size, of_run, powers


GRID, COARSEST, PRODUCTS = 601, 201, 4_000_000
"""Points of a curve, fewest of them, and neurons times points that are quick."""
PLACES = 200
"""Parts of the width in which kinks of a wide network are added up."""
FLAT = 1e-3
"""Part of the largest of these sums up to which another one is left out."""
SETS = "osD^v"
"""Marks of the data of one flow after another."""


def inputs_of(data: Data) -> tuple[np.ndarray, int | None]:
    """Columns of the inputs, and that of the bias: the last one that is the same for all points.

    Examples
    --------
    >>> inputs_of(Data([[1.0, 2.0], [3.0, 2.0]], [0.0, 1.0]))
    (array([0]), 1)
    """
    constant = np.flatnonzero((np.ptp(data.X, axis=0) == 0) & data.X[0].astype(bool))
    if not constant.size or data.d == 1:
        return np.arange(data.d), None
    bias = int(constant[-1])
    return np.delete(np.arange(data.d), bias), bias


class OneInput(Picture):
    """A picture of functions of one input."""

    def check(self) -> None:
        """One input and a bias."""
        columns, _ = inputs_of(self.flow.data)
        if columns.size != 1:
            raise ValueError(f"the data have {counted(self.flow.data.d, 'column')}: this figure "
                             "needs one input and a constant column as the bias")

    def prepare(self) -> None:
        """The grid."""
        powers(self.ax)
        data = self.flow.data
        columns, self.bias = inputs_of(data)
        self.column = int(columns[0])
        self.points = data.X[:, self.column]
        margin = 0.3 * (float(np.ptp(self.points)) or 1.0)
        count = int(np.clip(PRODUCTS // self.flow.path.m, COARSEST, GRID))
        self.x = np.linspace(self.points.min() - margin, self.points.max() + margin, count)
        self.grid = np.tile(data.X[0], (count, 1))
        self.grid[:, self.column] = self.x

    def film_limits(self) -> None:
        """Limits for all times of a film."""
        if self.times is not None:
            values = [self.flow(t)(self.grid) for t in looks(self.times)]
            self.room.show(x=(self.x[0], self.x[-1]),
                           y=limits(np.concatenate([*values, self.flow.data.y])))

    def data_points(self, shade: Any) -> bool:
        """Marks of the data, if no flow on these axes has had the same; whether they were drawn.

        Those of the first flow are full, and others have the colour of their network."""
        data, shared = self.flow.data, self.shared
        key = digest(data.X, data.y)
        if shared.has("data", key):
            return False
        k = shared.count("data")
        own: dict[str, Any] = {"color": "#0072B2", "markeredgecolor": "white"} if not k else \
            {"color": shade, "markerfacecolor": grey(self.ax, 1.0), "markeredgewidth": 1.6}
        own |= {"linestyle": "", "marker": SETS[k % len(SETS)], "zorder": 3,
                "markersize": mark_size(self.points.size, 7.0),
                "label": f"data {k + 1}" if k else "data"}
        shared.keep(self.ax.plot(self.points, data.y, **line(own)), "data", key)
        return True


class FunctionPicture(OneInput):
    """See `function`."""

    name = "function"

    @quiet
    def draw(self) -> None:
        """Data and the least squares line, and the curve that will move."""
        self.prepare()
        ax, data = self.ax, self.flow.data
        before = self.shared.turn(self.name)
        own = {"color": colour(ax, before), "linewidth": 1.8, "label": "network",
               "linestyle": DASHES[before % len(DASHES)]}
        self.curve = ax.plot(self.x, np.zeros(self.x.size), **line(own, self.options))[0]
        if self.data_points(self.curve.get_color()):
            fit = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
            ax.plot(self.x, self.grid @ fit, **line({
                "color": "#E69F00", "linewidth": 5, "alpha": 0.45, "zorder": 1.9,
                "label": "least squares line"}))
        self.artists = [self.curve]
        ax.set(xlabel="input $x$", ylabel="output")
        self.film_limits()

    def move(self, t: float) -> None:
        """Move to a time."""
        self.curve.set_ydata(neurons_at(self.flow, t).model(self.grid))
        if self.times is None:
            self.ax.relim()
            self.ax.autoscale_view()


class KinksPicture(OneInput):
    """See `kinks`."""

    name = "kinks"
    linear = True
    # Kinks may be anywhere, and move.
    corner = "above"

    @quiet
    def draw(self) -> None:
        """Data, the curve and the stems that will move."""
        self.prepare()
        ax, m = self.ax, self.flow.path.m
        before = self.before = self.shared.turn(self.name)
        self.highest = 0.0
        if self.shared.twin is None or not placed(self.shared.twin):
            self.shared.twin = ax.twinx()
        else:
            # Stems of other flows stay in sight.
            self.highest = float(np.abs(self.shared.twin.get_ylim()).max())
        self.twin = self.shared.twin
        self.curve = ax.plot(self.x, np.zeros(self.x.size), **line({
            "color": colour(ax, before), "linewidth": 1.8,
            "linestyle": DASHES[before % len(DASHES)],
            "label": of_run("network", self.options, before)}))[0]
        self.data_points(self.curve.get_color())
        colours = PAIRS[before % len(PAIRS)]
        self.stems: list[tuple[bool, Any]] = []
        for up, shade, mark, text in ((True, colours[0], "o", "$a_i > 0$"),
                                      (False, colours[1], "x", "$a_i < 0$")):
            own = {"color": shade, "linewidth": 0.7, "linestyle": "-", "marker": mark,
                   "markersize": 4.5, "zorder": 2,
                   "alpha": 0.8 if m > MANY else max(0.3, min(0.8, 120 / m))}
            self.stems.append((up, self.twin.plot([], [], **line(own, self.options))[0]))
            said = of_run(f"kinks, {text}", self.options, before)
            ax.plot([], [], **{**line(own, self.options), "alpha": 1.0, "label": said})
        if not any(line.get_zorder() == 0 for line in self.twin.lines):
            self.twin.axhline(0, **line({"color": grey(ax, 0.8), "linewidth": 0.7, "zorder": 0}))
        # The function is above the stems.
        ax.set_zorder(self.twin.get_zorder() + 1)
        ax.patch.set_visible(False)
        self.twin.patch.set_visible(True)
        self.artists = [*(stem for _, stem in self.stems), self.curve]
        ax.set(xlabel="input $x$, and kinks", ylabel="output")
        self.room.show(x=(self.x[0], self.x[-1]))
        self.twin.set_ylabel(f"change of slope at a kink, {self._formula()}" if m <= MANY else
                             f"changes of slope, added up in {PLACES} parts")
        self.film_limits()
        for t in looks(self.times):
            self._height(self._stems(*self._kinks(t))[1])

    def _height(self, weight: np.ndarray) -> None:
        self.highest = max(self.highest, 1.15 * float(np.abs(weight).max(initial=0.0)), 1e-300)
        self.twin.set_ylim(-self.highest, self.highest)

    def _kinks(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Places of the kinks, and how much the slope changes there."""
        found = neurons_at(self.flow, t)
        u, model = found.directions, found.model
        constant = 0.0 if self.bias is None else self.flow.data.X[0, self.bias] * u[:, self.bias]
        place = -constant / u[:, self.column] + np.zeros(model.m)
        return place, (1 - model.slope) * model.a * np.abs(model.W[:, self.column])

    def _formula(self) -> str:
        slope = self.flow.model.slope
        return f"${'' if not slope else f'{1 - slope:.3g}'} a_i |w_{{i{self.column + 1}}}|$"

    def _stems(self, place: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those that are drawn: of a wide network those of each sign together in a part of the
        width, at their mean, if their stem is more than a mark on the axis."""
        inside = (place >= self.x[0]) & (place <= self.x[-1]) & (weight != 0)
        place, weight = place[inside], weight[inside]
        if self.flow.path.m <= MANY:
            return place, weight
        part = np.minimum(PLACES * (place - self.x[0]) / (self.x[-1] - self.x[0]), PLACES - 1)
        key = part.astype(int) + PLACES * (weight > 0)
        total = np.bincount(key, weight, 2 * PLACES)
        most = max(np.abs(total).max(), 0.0 if self.times is None else self.highest)
        seen = np.abs(total) > FLAT * most
        return np.bincount(key, weight * place, 2 * PLACES)[seen] / total[seen], total[seen]

    @quiet
    def move(self, t: float) -> None:
        """Move to a time."""
        place, _ = found = self._kinks(t)
        where, weight = self._stems(*found)
        for up, stem in self.stems:
            own = (weight > 0) == up
            x, y, gap = where[own], weight[own], np.full(own.sum(), np.nan)
            stem.set_data(np.column_stack([x, x, x]).ravel(),
                          np.column_stack([0 * y, y, gap]).ravel())
            stem.set_markevery((1, 3))
        self.curve.set_ydata(neurons_at(self.flow, t).model(self.grid))
        if self.times is None:
            self._height(weight)
            self.ax.relim()
            self.ax.autoscale_view(scalex=False)
            # Neurons that are 0, or constant in the input, have none.
            place = place[np.isfinite(place)]
            far = (place < self.x[0]) | (place > self.x[-1])
            # Of all flows on these axes.
            self.shared.outside[self.before] = np.array([far.sum(), place.size])
            outside, total = np.sum(list(self.shared.outside.values()), axis=0)
            self.ax.set_xlabel(f"input $x$, and kinks ({outside} of {total} are outside)"
                               if outside else "input $x$, and kinks")


class FitPicture(Picture):
    """See `fit`."""

    name = "fit"
    linear = True
    corner = "upper left"

    def draw(self) -> None:
        """The diagonal, and points that will move."""
        ax, y = self.ax, self.flow.data.y
        before = self.shared.turn(self.name)
        if not self.shared.has("diagonal"):
            self.shared.keep([ax.axline((0.0, 0.0), slope=1, **line({
                "color": grey(ax, 0.6), "linewidth": 1.0, "zorder": 1,
                "label": "output = label"}))], "diagonal")
        own = {"linestyle": "", "marker": "o", "markersize": mark_size(y.size, 6.0),
               "alpha": 0.7,
               "color": COLOURS[(before + 1) % len(COLOURS)], "label": "points"}
        self.points = ax.plot(y, y, **line(own, self.options))[0]
        self.artists = [self.points]
        ax.set(xlabel="label", ylabel="output")
        powers(ax)
        if self.times is not None:
            values = [self.flow(t)(self.flow.data.X) for t in looks(self.times)]
            self._show(values)

    def _show(self, values: list[np.ndarray]) -> None:
        """Limits. Labels that are all the same have the scale of the outputs: on one of their own
        the diagonal would be upright, and as far from it as the eye can tell."""
        y = self.flow.data.y
        outputs = limits(np.concatenate([*values, y]))
        self.room.show(x=limits(y) if np.ptp(y) else outputs, y=outputs)

    def move(self, t: float) -> None:
        """Move to a time."""
        values = neurons_at(self.flow, t).model(self.flow.data.X)
        self.points.set_ydata(values)
        if self.times is None:
            self._show([values])


def function(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object
             ) -> Axes:
    """The fitted function of one input with a bias, the data, and the least squares line.

    Parameters
    ----------
    flow : Flow
        A run on data of two columns, one of them constant (a bias).
    t : float, optional
        Time; the end of the run if None.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the line of the network.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the data are not one input and a bias, or ``t`` is no time that was reached.
    """
    return drawn(FunctionPicture, flow, t, ax, options)


def kinks(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """The fitted function of one input, and where its neurons bend it: ``-b_i / w_i``.

    A stem a neuron, as high as the slope changes there: ``a_i |w_i1|`` (axis on the right), the
    first weight being that of the input. Of more than 400 neurons stems of one sign are added up
    in 200 parts of the width. Parameters as in `function`; options go to the stems.

    Raises
    ------
    TypeError, ValueError
        If the data are not one input and a bias, or ``t`` is no time that was reached.
    """
    return drawn(KinksPicture, flow, t, ax, options)


def fit(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """Output against label at every point, for inputs of any dimension.

    Parameters as in `function`, on any data; options go to the points.

    Raises
    ------
    TypeError, ValueError
        If ``t`` is no time that was reached.
    """
    return drawn(FitPicture, flow, t, ax, options)
