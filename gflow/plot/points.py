"""Neurons as points, and the plane that they are seen in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .picture import MANY, Neurons
from .shared import shared
from .style import FAINT, given, grey, line

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from ..flows.flow import Flow

LEVELS = ((0.0, 0.12), (0.01, 0.3), (0.1, 0.6), (0.5, 1.0))
"""Weights of neurons of wide networks from which on they have an opacity."""


class Cloud:
    """Neurons as points: sign by colour and mark, dead ones faint, of many the light ones pale.

    Parameters
    ----------
    ax : matplotlib Axes
    name : str
        Of the picture.
    m : int
        Neurons.
    options : mapping
        For the points.
    """

    def __init__(self, ax: Axes, name: str, m: int, options: Mapping[str, object]) -> None:
        self.levels = LEVELS if m > MANY else ((0.0, 0.8),)
        size = 3.0 if m > MANY else 5.5
        users = given(options)
        label = users.pop("label", None)
        common: dict[str, Any] = {"linestyle": "", "markersize": size}
        dead = {**common, "marker": ".", "color": grey(ax, FAINT),
                "alpha": 0.12 if m > MANY else 0.5, "markeredgewidth": 0, "zorder": 1.9}
        self.dead: Line2D = ax.plot([], [], **line(dead, users))[0]
        self.groups: list[tuple[float, float, bool, Line2D]] = []
        tops = [low for low, _ in self.levels[1:]] + [np.inf]
        for (low, alpha), top in zip(self.levels, tops):
            for up in (True, False):
                own = {**common, "marker": "o" if up else "x", "alpha": alpha,
                       "markeredgewidth": 0.3 if up else 1.2, "zorder": 2.0 + low}
                self.groups.append((low, top, up, ax.plot([], [], **line(own, users))[0]))
        colours = shared(ax).pair(name)
        for *_, up, points in self.groups:
            if "color" not in users:
                points.set_color(colours[0 if up else 1])
            if up and "markeredgecolor" not in users and "color" not in users:
                points.set_markeredgecolor("white")
        # The heaviest of each sign speak for all in the legend.
        names = ["$a_i > 0$", "$a_i < 0$", "dead"]
        if label is not None:
            names = [str(label), "_" + str(label), "_dead"]
        self.named = list(zip((self.groups[-2][-1], self.groups[-1][-1], self.dead), names))

    @property
    def artists(self) -> list[Line2D]:
        """What moves."""
        return [self.dead, *(points for *_, points in self.groups)]

    def say(self, neurons: Neurons) -> None:
        """Name in the legend what is there."""
        alive, positive = neurons.alive, neurons.up
        for (points, text), own in zip(self.named, (alive & positive, alive & ~positive, ~alive)):
            if own.any():
                points.set_label(text)

    def move(self, place: np.ndarray, neurons: Neurons) -> None:
        """Put neurons at ``place`` (m, 2)."""
        self.say(neurons)
        self.dead.set_data(*place[~neurons.alive].T)
        for low, top, up, points in self.groups:
            own = neurons.alive & (neurons.up == up) & (neurons.weight < top)
            # Weights may be NaN or 0.
            own &= (neurons.weight >= low) if low > 0 else True
            points.set_data(*place[own].T)


class Plane:
    """The plane that neurons are seen in: that of the inputs if they have two columns, else the
    plane of the two leading singular vectors of the hidden weights at the end.

    Attributes
    ----------
    frame : ndarray, shape (2, d)
        Orthonormal rows.
    share : ndarray, shape (2,)
        Part of ``sum |w_i|^2`` at the end along each; NaN for inputs of two columns.
    """

    def __init__(self, flow: Flow) -> None:
        d = flow.path.d
        self.whole = d == 2
        if self.whole:
            self.frame, self.share = np.eye(2), np.full(2, np.nan)
            return
        W = flow.model.W
        largest = np.abs(W).max() or 1.0
        _, size, rows = np.linalg.svd(W / largest, full_matrices=False)
        self.frame = np.vstack([rows, np.zeros((2, d))])[:2]
        share = np.append(size, [0.0, 0.0])[:2]**2 / ((size**2).sum() or 1.0)
        self.share = share

    def labels(self) -> tuple[str, str]:
        """Of the two axes."""
        if self.whole:
            return "$w_{i1}$", "$w_{i2}$"
        one, two = (f"principal direction {k + 1} ({100 * self.share[k]:.0f}% of $\\sum |w_i|^2$)"
                    for k in (0, 1))
        return one, two
