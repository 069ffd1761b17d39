"""A run at one time, in the plane of its neurons or of its inputs: neurons, polar, boundary."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patheffects import withStroke

from ..flows.flow import Flow
from ..problem.network import TwoLayer
from ..problem.quiet import quiet
from ..problem.words import counted
from .picture import Neurons, Picture, drawn, looks, neurons_at
from .points import Cloud, Plane
from .shared import digest, placed
from .style import (DASHES, EDGES, edge_style, edges_label, grey, limits, line, mark_size, on_dark,
                    powers, some)
from .targets import inputs_of


POINTS = 60
"""Data points that are marked on the rim, at most."""
DECADES = 12.0
"""Of norms, at most: smaller ones are in the middle."""
CLEAR = 0.15
"""Part of the radius, next to the rim, that has no label."""
CELLS = 2e8
"""Neurons times cells of a picture of the outputs; as it takes about a second."""
SMALLEST, LARGEST = 60, 200
"""Cells along a side."""
EXTEND = {(False, False): "neither", (True, False): "min", (False, True): "max",
          (True, True): "both"}
"""Sides of a colour bar that images have more of than it shows: below, above."""
HEADROOM = 0.13
"""Part of the height that is added above the points for the legend."""
CROSSING = 40
"""Neurons whose hyperplanes are drawn, at most."""


class NeuronsPicture(Picture):
    """See `neurons`."""

    name = "neurons"
    linear = True
    # With room for the legend.
    shape = {"figsize": (7.6, 4.8)}
    corner = "outside"

    def draw(self) -> None:
        """Boundaries, and points that will move."""
        ax, flow = self.ax, self.flow
        self.plane = Plane(flow)
        if self.plane.whole:
            normal = flow.data.arrangement.normal
            shown = some(len(normal), EDGES)
            label = edges_label(shown.size, len(normal))
            if not self.shared.has("edges", digest(normal)):
                self.shared.keep([ax.axline((0, 0), (-v[1], v[0]), label=label,
                                            **edge_style(ax, shown.size))
                                  for v in normal[shown]], "edges", digest(normal))
        self.cloud = Cloud(ax, self.name, flow.path.m, self.options)
        self.artists = list(self.cloud.artists)
        one, two = self.plane.labels()
        ax.set(aspect="equal", xlabel=one, ylabel=two)
        powers(ax)
        if self.times is not None:
            self._reach(max(self._far(t) for t in looks(self.times)))

    def _place(self, t: float) -> tuple[np.ndarray, Any]:
        found = neurons_at(self.flow, t)
        return found.model.W @ self.plane.frame.T, found

    def _far(self, t: float) -> float:
        """Where the farthest neuron is at a time of the film; legends say what is there then."""
        place, found = self._place(t)
        self.cloud.say(found)
        return float(np.abs(place).max())

    def _reach(self, size: float) -> None:
        there = self.room.there
        reach = max(1.1 * size, 1e-300, *np.abs(there["x"] + there["y"]))
        self.room.show(x=(-reach, reach), y=(-reach, reach))

    @quiet
    def move(self, t: float) -> None:
        """Move to a time."""
        place, found = self._place(t)
        self.cloud.move(place, found)
        if self.times is None:
            self._reach(float(np.abs(place).max()))


class PolarPicture(Picture):
    """See `polar`."""

    name = "polar"
    polar = linear = True
    # The legend beside it is as long as the words for the boundaries.
    shape = {"subplot_kw": {"projection": "polar"}, "figsize": (7.6, 4.8)}
    corner = "outside"

    def draw(self) -> None:
        """The rim, boundaries, and points that will move."""
        ax, flow = self.ax, self.flow
        self.plane = Plane(flow)
        # Static parts are drawn in units of the radius, which is known when neurons are.
        self.rays = ax.plot([], [], **edge_style(ax, min(EDGES, len(
            flow.data.arrangement.normal))))
        marks: tuple[dict[str, Any], ...] = ({"marker": "^"},
                                             {"marker": "v",
                                              "markerfacecolor": grey(ax, 1.0)})
        self.rim = [ax.plot([], [], **line({
            "linestyle": "", "color": grey(ax, 0.0), "markersize": mark_size(flow.data.n, 6.0),
            "clip_on": False, "zorder": 3, **style}))[0] for style in marks]
        self.cloud = Cloud(ax, self.name, flow.path.m, self.options)
        self.artists = list(self.cloud.artists)
        self.shared.rims += [*self.rays, *self.rim, *self.cloud.artists]
        self.bottom = self.top = np.nan
        if self.times is not None:
            found = [neurons_at(flow, t) for t in looks(self.times)]
            for one in found:
                self.cloud.say(one)
            self._radius(np.concatenate([self._log(one) for one in found]))

    @staticmethod
    def _log(found: Any) -> np.ndarray:
        return np.asarray(found.log_norms / np.log(10.0))

    def _radius(self, log: np.ndarray) -> None:
        """Decades of the norms that are shown, and what is drawn up to their rim."""
        finite = log[np.isfinite(log)]
        ax: Any = self.ax
        top = float(finite.max()) if finite.size else 0.0
        low = float(np.quantile(finite, 0.001)) if finite.size else -1.0
        top = np.floor(top) + 1
        bottom = max(np.floor(low), top - DECADES) - 0.5
        before = self.shared.radius
        self.bottom, self.top = min(bottom, before[0]), max(top, before[1])
        self.shared.radius = self.bottom, self.top
        for drawn_line in self.shared.rims:
            # What ends at the rim, or in the middle, does so if another flow reaches further.
            radius = np.array(drawn_line.get_ydata(), dtype=float)
            drawn_line.set_ydata(np.where(radius == before[0], self.bottom, np.where(
                radius == before[1], self.top, radius)))
        ax.set_ylim(self.bottom, self.top)
        decades = np.arange(np.ceil(self.bottom), self.top)
        # A label next to the rim would be crossed by it.
        clear = decades <= self.top - CLEAR * (self.top - self.bottom)
        decades = decades[clear] if clear.any() else decades
        decades = decades[::-1][::-(-decades.size // 4) or 1]
        ax.set_yticks(decades, [f"$10^{{{int(k)}}}$" for k in decades], fontsize="x-small",
                      color=grey(ax, 0.3))
        ax.set_rlabel_position(67.5)
        ax.set_xticks(np.radians(np.arange(0, 360, 45)))
        ax.tick_params(axis="x", labelsize="small", pad=7)
        ax.grid(color=grey(ax, 0.9), linewidth=0.6)
        ax.set_xlabel("angle of $w_i$, and norm $|w_i|$" if self.plane.whole else
                      "angle of $w_i$ in the plane of the principal directions\n"
                      f"({100 * self.plane.share.sum():.0f}% of $\\sum |w_i|^2$), and norm $|w_i|$")
        key = digest(self.flow.data.X, self.flow.data.y)
        if self.plane.whole and not self.shared.has("rim", key):
            self._data()
            self.shared.keep([*self.rays, *self.rim], "rim", key)

    def _data(self) -> None:
        """Activation boundaries as rays, data points on the rim."""
        data = self.flow.data
        normal = data.arrangement.normal
        shown = some(len(normal), EDGES)
        edges = np.arctan2(normal[shown, 1], normal[shown, 0])
        both = np.concatenate([edges + np.pi / 2, edges - np.pi / 2])
        ends = np.tile([self.bottom, self.top, np.nan], both.size)
        self.rays[0].set_data(np.repeat(both, 3), ends)
        self.rays[0].set_label(edges_label(shown.size, len(normal)))
        points = np.flatnonzero(data.X.any(axis=1))
        picked = points[some(points.size, POINTS)]
        angle = np.arctan2(data.X[picked, 1], data.X[picked, 0])
        said = "points" if picked.size == points.size else f"{picked.size} of {points.size} points"
        for marks, own, sign in zip(self.rim, (data.y[picked] > 0, data.y[picked] <= 0),
                                    ("$y > 0$", r"$y \leq 0$")):
            marks.set_data(angle[own], np.full(own.sum(), self.top))
            if own.any():
                marks.set_label(f"{said}, {sign}")

    @quiet
    def move(self, t: float) -> None:
        """Move to a time."""
        found = neurons_at(self.flow, t)
        log = self._log(found)
        if self.times is None:
            self._radius(log)
        u = found.directions @ self.plane.frame.T
        radius = np.clip(log, self.bottom, self.top)
        self.cloud.move(np.column_stack([np.arctan2(u[:, 1], u[:, 0]), radius]), found)


class BoundaryPicture(Picture):
    """See `boundary`."""

    name = "boundary"
    linear = True
    corner = "top"

    def check(self) -> None:
        """Two inputs, with or without a bias."""
        self.columns, self.bias = inputs_of(self.flow.data)
        if self.columns.size != 2:
            varying = counted(self.columns.size, "varying column")
            raise ValueError(f"the data have {varying}: this figure needs two inputs, and a "
                             "constant column if there is a bias")

    @quiet
    def draw(self) -> None:
        """Points, and what will move."""
        flow, ax, data = self.flow, self.ax, self.flow.data
        x = data.X[:, self.columns]
        side = int(np.clip((CELLS / flow.path.m)**0.5, SMALLEST, LARGEST))
        ends = [limits(x[:, k], 0.25) for k in (0, 1)]
        # The legend is above all points, in three rows among other pictures too.
        ends[1] = ends[1][0], ends[1][1] + HEADROOM * (ends[1][1] - ends[1][0])
        self.x = [np.linspace(*end, side) for end in ends]
        self.grid = np.tile(data.X[0], (side * side, 1))
        first, second = np.meshgrid(*self.x)
        self.grid[:, self.columns] = np.column_stack([first.ravel(), second.ravel()])
        y = data.y
        self.level = 0.0 if y.min() < 0 < y.max() else float(y.min() + y.max()) / 2
        reach = float(np.abs(y - self.level).max()) or 1.0
        self.image = ax.imshow(np.zeros((side, side)), extent=(*ends[0], *ends[1]),
                               origin="lower", cmap="cividis", aspect="auto", zorder=0,
                               interpolation="bilinear", norm=self._norm(1.25 * reach))
        self.shared.images.append(self.image)
        if self.times is not None:
            self._bar("both")
        below = r"$\leq$" if (y == self.level).any() else "below"
        for own, mark, face, text in ((y > self.level, "o", "white", "above"),
                                      (y <= self.level, "s", "black", below)):
            ax.plot(*x[own].T, **line({
                "color": "black", "linestyle": "", "marker": mark, "markerfacecolor": face,
                "markersize": mark_size(data.n, 6.5), "zorder": 3,
                "markeredgecolor": "black" if face == "white" else "white",
                "markeredgewidth": mark_size(data.n, 1.0),
                "label": f"label {text} {self.level:.3g}" if own.any() else None}))
        # Those of neurons that are off at every point bend what is drawn elsewhere.
        own_folds: tuple[dict[str, Any], ...] = (
            {"linewidth": 1.0}, {"linewidth": 1.2, "linestyle": (0, (2.5, 1.5))})
        self.folds = [ax.plot([], [], **line({"color": "#CC79A7", "zorder": 1, **own}))[0]
                      for own in own_folds]
        for t in looks(self.times):
            self._say(neurons_at(flow, t))
        before = self.shared.turn(self.name)
        own_line = line({"color": "black", "linewidth": 2.0, "label": f"output {self.level:.3g}",
                         "linestyle": DASHES[before % len(DASHES)]}, self.options)
        self.line = ax.plot([], [], **{**own_line, "zorder": 2})[0]
        if on_dark(ax):
            # In the legend, too.
            rim = withStroke(linewidth=self.line.get_linewidth() + 1.5, foreground=grey(ax, 0.3))
            self.line.set_path_effects([rim])
        self.artists = [self.image, *self.folds, self.line]
        powers(ax)
        ax.set(xlabel=f"input $x_{{{self.columns[0] + 1}}}$",
               ylabel=f"input $x_{{{self.columns[1] + 1}}}$")
        self.room.show(x=ends[0], y=ends[1])

    def _norm(self, reach: float) -> Normalize:
        """Of all images on these axes, as they have one colour bar: outputs up to ``reach`` from
        the level are in it."""
        low, high = self.level - reach, self.level + reach
        norm = self.shared.norm
        if norm is None:
            norm = self.shared.norm = Normalize(low, high)
        else:
            assert norm.vmin is not None and norm.vmax is not None
            norm.vmin, norm.vmax = min(norm.vmin, low), max(norm.vmax, high)
        return norm

    def _bar(self, extend: str) -> None:
        """The colour bar, with points on the sides where images have more than it shows."""
        shared = self.shared
        new = shared.bar is None or shared.bar.extend != extend or not placed(shared.bar.ax)
        if new:
            shared.unbar()
            shared.bar = self.ax.figure.colorbar(self.image, ax=self.ax, label="output",
                                                 extend=extend)
        assert shared.bar is not None
        if self.level not in shared.levels:
            shared.levels.append(self.level)
            new = True
        for level in shared.levels if new else ():
            shared.bar.ax.axhline(level, **line({"color": "k", "linewidth": 1.5}))

    @quiet
    def move(self, t: float) -> None:
        """Move to a time."""
        from contourpy import contour_generator
        found = neurons_at(self.flow, t)
        side = self.x[0].size
        values = outputs(found.model, self.grid).reshape(side, side)
        self.image.set_data(values)
        if self.times is None:
            norm, seen = self.shared.norm, [np.asarray(image.get_array())
                                            for image in self.shared.images]
            assert norm is not None and norm.vmin is not None and norm.vmax is not None
            low, high = min(one.min() for one in seen), max(one.max() for one in seen)
            self._bar(EXTEND[bool(low < norm.vmin), bool(high > norm.vmax)])
        lines = contour_generator(self.x[0], self.x[1], values).lines(self.level)
        hole = np.full((1, 2), np.nan)
        path = np.concatenate([hole, *(part for one in lines for part in (one, hole))])
        self.line.set_data(*path.T)
        self._say(found)
        for fold, own in zip(self.folds, self._heavy(found)):
            fold.set_data(*self._lines(found.directions[own]).T)

    def _heavy(self, found: Neurons) -> tuple[np.ndarray, np.ndarray]:
        """Neurons whose kinks are drawn: those active at some point, and those at none, which
        bend the output elsewhere."""
        heavy = np.argsort(-found.weight, kind="stable")[:CROSSING]
        # Others are constant in both inputs.
        heavy = heavy[(found.directions[heavy][:, self.columns]**2).any(axis=1)]
        return heavy[found.alive[heavy]], heavy[~found.alive[heavy]]

    def _say(self, found: Neurons) -> None:
        """Name in the legend the kinks that are there."""
        count = min(CROSSING, self.flow.path.m)
        few = count < self.flow.path.m
        names = (f"kinks of the {count} heaviest neurons" if few else "kinks of the neurons",
                 "dead ones among these" if few else "kinks of dead neurons")
        for fold, own, text in zip(self.folds, self._heavy(found), names):
            if own.size:
                fold.set_label(text)

    def _lines(self, W: np.ndarray) -> np.ndarray:
        """Hyperplanes of these neurons as lines of the plane, longer than axes are wide."""
        v, b = W[:, self.columns], np.zeros(len(W))
        if self.bias is not None:
            b = W[:, self.bias] * self.flow.data.X[0, self.bias]
        size = (v**2).sum(axis=1)
        foot = -(b / size)[:, None] * v
        along = np.column_stack([-v[:, 1], v[:, 0]]) / np.sqrt(size)[:, None]
        far = 10 * max(np.ptp(self.x[0]), np.ptp(self.x[1])) + np.abs(foot).max(initial=0.0)
        gap = np.full_like(foot, np.nan)
        ends = np.stack([foot - far * along, foot + far * along, gap], axis=1)
        return ends.reshape(-1, 2)


def outputs(model: TwoLayer, X: np.ndarray) -> np.ndarray:
    """Outputs at many points, some at a time."""
    rows = max(1, int(4e6 / model.m))
    return np.concatenate([model(X[k:k + rows]) for k in range(0, len(X), rows)])


def neurons(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """Neurons at one time as points of the plane, with the activation boundaries of the data.

    For inputs of more than two columns, in the plane of the two leading singular vectors of the
    weights at the end (without boundaries); axes say how much of the weights is along them. Neurons
    that are active at no point are faint; of more than 400 those with a small ``|a_i| |w_i|`` are
    pale. Of more than 40 boundaries 40 are drawn, and the legend says so.

    Parameters
    ----------
    flow : Flow
        The run.
    t : float, optional
        Time; the end of the run if None.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the points, by any name of an option of a line: ``alpha``, ``ms``, ``color``.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If ``t`` is no time that was reached.
    """
    return drawn(NeuronsPicture, flow, t, ax, options)


def polar(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """Neurons at one time by angle and logarithm of the norm.

    Rays are activation boundaries, and triangles on the rim data points, up if the label is
    positive. Norms may be below the range of double precision (``log_scale``); what is smaller
    than nearly all others is in the middle. Parameters as in `neurons`; ``ax`` has to be polar.

    Raises
    ------
    TypeError, ValueError
        If ``t`` is no time that was reached, or ``ax`` is not polar.
    """
    return drawn(PolarPicture, flow, t, ax, options)


def boundary(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object
             ) -> Axes:
    """Output on the plane of two inputs at one time, and the line where it is that of no label.

    That is 0 if labels have both signs, else halfway between the smallest and the largest. Thin
    lines are where the heaviest neurons bend, dashed those of neurons that are active at no point.
    Parameters as in `neurons`; options go to the line.

    Raises
    ------
    TypeError, ValueError
        If ``t`` is no time that was reached, or the data have not two inputs.
    """
    return drawn(BoundaryPicture, flow, t, ax, options)
