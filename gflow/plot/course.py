"""A whole run against time: loss, norms, directions, alignment, events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..flows.flow import Flow
from ..engines.events import KINDS
from ..engines.record import Record
from ..problem.quiet import quiet
from ..problem.words import counted, kind_of
from .picture import MANY, Picture, bundles, course, drawn, neurons_at, resampled
from .shared import PAIRS
from .style import (DARK, DASHES, DOWN, EDGES, FAINT, UP, axes, check_flow, check_options, clock,
                    colour, dots, edge_style, edges_label, given, grey, legend, limits, line,
                    logarithmic, of_run, positive, some, time_axis)


LINES = 200
"""Lines that stand for the neurons of a wide network, about."""
FEW = 10
"""Of these for those of each sign and for the dead, at least."""
SMALLEST = 1e-290
"""Norm that a logarithmic axis of matplotlib has room for, and for what is around it."""
MARKS = {"activate": ("#0072B2", "^"), "deactivate": ("#D55E00", "v"), "slide": ("#009E73", "s"),
         "release": ("#CC79A7", "D")}
"""Colours and marks of events by kind; of flows on top of the first one marks alone tell the kind.
"""
LATER = ((DARK, "none"), ("#E69F00", "left"), ("#56B4E9", "bottom"))
"""Colours and fills of these flows, one after the other."""


class OverTime(Picture):
    """A picture against time; what moves is a line at one time."""

    corner = "top"

    def check_time(self, t: float) -> None:
        """A line is there at every time."""

    def move(self, t: float) -> None:
        """Put the line at a time."""
        x = self.place(t)
        if not self.artists:
            self.artists = [self.ax.axvline(x, **line({
                "color": grey(self.ax, 0.2), "linewidth": 1.4, "alpha": 0.8, "zorder": 4}))]
        self.artists[0].set(xdata=[x, x])

    def place(self, t: float) -> float:
        """Where on the axis a time is."""
        return t

    def neuron_lines(self, t: np.ndarray, values: np.ndarray) -> None:
        """One line a neuron, or a bundle of them, styled by the sign of its output weight at the
        end; dead ones are faint. Those that have no value at any time stand for none."""
        end = neurons_at(self.flow, self.flow.t_end)
        m, many = end.weight.size, end.weight.size > MANY
        up, colours = end.up, self.shared.pair(self.name)
        there = np.isfinite(values).any(axis=0)
        groups = [(up & end.alive, {**UP, "color": colours[0]}, "$a_i > 0$"),
                  (~up & end.alive, {**DOWN, "color": colours[1]}, "$a_i < 0$"),
                  (~end.alive, {"color": grey(self.ax, FAINT),
                                "linestyle": "-" if many else (0, (1, 1))}, "dead at the end")]
        own = {"alpha": max(0.4, min(1.0, 25 / m)), "linewidth": 1.0, **dots(t)}
        users = given(self.options)
        label = users.pop("label", None)
        heaviest = 0.0
        drawn_lines: list[tuple[Any, float]] = []
        for group, style, name in groups:
            mine = np.flatnonzero(group & there)
            if not mine.size:
                continue
            most = max(FEW, round(LINES * mine.size / m)) if many else mine.size
            chosen, mass = bundles(values[:, mine], end.weight[mine], most)
            options = line({**own, **style}, users)
            lines = self.ax.plot(t, values[:, mine[chosen]], **options)
            drawn_lines += zip(lines, mass.tolist())
            heaviest = max(heaviest, float(mass.max()))
            # The legend has a line for all, and not one for each.
            said = f"{name} ({_count(mine.size, len(lines))})" if label is None else label
            self.ax.plot([], [], **{**options, "alpha": None, "label": said})
            label = label and "_" + str(label).lstrip("_")
        if label is None and not there.all():
            missing = int((~there).sum())
            self.ax.plot([], [], **line({"color": "none", "alpha": 0, "label":
                                         f"not drawn ({_count(missing, missing)})"}))
        if many and "alpha" not in users:
            for one, own_mass in drawn_lines:
                share = (own_mass / (heaviest or 1.0))**0.5
                one.set(alpha=0.15 + 0.85 * share, linewidth=one.get_linewidth() * (1 + share))
        time_axis(self.ax, t)


def _count(neurons: int, lines: int) -> str:
    said = counted(neurons, "neuron")
    return said if neurons == lines else f"{said} in {counted(lines, 'bundle')}"


class LossPicture(OverTime):
    """See `loss`."""

    name = "loss"
    corner = "best"

    def check(self) -> None:
        """The loss is looked up here, and whether it was kept."""
        self.found = _course(self.flow, "loss")

    def draw(self) -> None:
        """The curve."""
        t, loss = self.found
        values = positive(loss)
        before = self.shared.turn(self.name)
        own = {"color": colour(self.ax, before),
               "linestyle": DASHES[before % len(DASHES)], **dots(t)}
        self.ax.plot(t, values, **line(own, self.options))
        time_axis(self.ax, t)
        logarithmic(self.ax)
        self.ax.set_ylabel("loss $L$")


class NormsPicture(OverTime):
    """See `norms`."""

    name = "norms"

    def check(self) -> None:
        """The norms are looked up here, and whether they were kept."""
        self.found = _course(self.flow, "log_norms")

    def draw(self) -> None:
        """The lines."""
        t, log = self.found
        if self._below(log[:1]):
            # Of matplotlib a logarithmic axis ends before double precision does.
            self.neuron_lines(t, np.where(np.isfinite(log), log / np.log(10), np.nan))
            self.ax.set_ylabel(r"norm $\log_{10} |w_i|$")
            return
        norms = _course(self.flow, "norms")[1]
        values = positive(np.where(norms < SMALLEST, 0.0, norms))
        self.neuron_lines(t, values)
        logarithmic(self.ax)
        self.ax.set_ylabel("norm $|w_i|$")

    @staticmethod
    def _below(log: np.ndarray) -> bool:
        """Whether a logarithmic axis has no room for some of these."""
        return bool((np.isfinite(log) & (log < np.log(SMALLEST))).any())


class DirectionsPicture(OverTime):
    """See `directions`."""

    name = "directions"

    def check(self) -> None:
        """The directions are looked up here, and whether they were kept."""
        self.found = _course(self.flow, "directions")

    @quiet
    def draw(self) -> None:
        """The lines."""
        t, u = self.found
        gone: np.ndarray = (u == 0).all(axis=2)
        if self.flow.path.d != 2:
            # Of a neuron that has come to rest at 0 the last direction that it had.
            last = u.shape[0] - 1 - np.argmax(~gone[::-1], axis=0)
            cosine = np.einsum("tid,id->ti", u, u[last, np.arange(last.size)])
            angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
            self.neuron_lines(t, np.where(gone, np.nan, angles))
            self.ax.set_ylabel("angle to the final $w_i$ (degrees)")
            return
        angles = np.degrees(np.unwrap(np.arctan2(u[..., 1], u[..., 0]), axis=0))
        angles -= 360 * np.round(angles[-1] / 360)
        self.neuron_lines(t, np.where(gone, np.nan, angles))
        self.ax.set_ylabel("angle of $w_i$ (degrees)")
        low, high = limits(np.where(gone, np.nan, angles))
        self._edges(low, high)
        # Ticks are for what other flows have drawn, too.
        low, high = (pick([end, *self.room.there["y"]]) for pick, end in ((min, low), (max, high)))
        step = 90 if high - low > 200 else 45 if high - low > 100 else 15
        if self.ax.get_autoscaley_on():
            self.ax.set_yticks(np.arange(step * np.ceil(low / step), high + 1, step))

    def _edges(self, low: float, high: float) -> None:
        """Activation boundaries at all angles in sight, also beyond half a turn."""
        normal = self.flow.data.arrangement.normal
        shown = some(len(normal), EDGES)
        edges = np.degrees(np.arctan2(normal[shown, 1], normal[shown, 0])) + 90
        label = edges_label(shown.size, len(normal))
        for edge in edges:
            for place in np.arange(low + (edge - low) % 180, high, 180):
                self.ax.axhline(place, label=label, **edge_style(self.ax, shown.size))


class AlignmentPicture(OverTime):
    """See `alignment`."""

    name = "alignment"

    @quiet
    def check(self) -> None:
        """The alignment is found here, and whether there is one."""
        self.course, self.found = _course(self.flow, "directions"), self.flow.alignment()

    @quiet
    def draw(self) -> None:
        """The lines, and the phases."""
        (t, u), found = self.course, self.found
        ends = found.early.end_direction
        cosine = np.einsum("tid,id->ti", u, ends)
        angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        angles[:, found.early.dead] = np.nan
        self.neuron_lines(t, angles)
        phases = found.phases
        for time, style, label in ((phases.alignment, "--", "aligned"),
                                   (phases.escape, ":", "escape of the loss")):
            if 0 < time < np.inf:
                self.ax.axvline(time, **line({
                    "color": grey(self.ax, 0.0), "linestyle": style, "linewidth": 1.2,
                    "label": f"{label}, {clock(time)}"}))
        self.ax.set_ylabel("angle to where the early flow leads (degrees)")


class EventsPicture(OverTime):
    """See `events`."""

    name = "events"

    @quiet
    def draw(self) -> None:
        """A mark for every event."""
        flow, ax = self.flow, self.ax
        rows, label = np.arange(flow.path.m), "neuron"
        if flow.path.d == 2 and flow.saved is None:
            u = neurons_at(flow, 0.0).directions
            rows = np.argsort(np.argsort(np.arctan2(u[:, 1], u[:, 0]), kind="stable"))
            label = "neuron, by its angle at the start"
        size = float(np.clip(160 / max(1, len(flow.events)) ** 0.5, 2.4, 5.0))
        before = self.shared.turn(self.name)
        for kind in KINDS:
            own = flow.events[flow.events["kind"] == kind]
            if len(own):
                said = of_run(f"{kind} ({len(own)})", self.options, before)
                ax.plot(own["time"], rows[own["neuron"]], **{**line(
                    {"linestyle": "", "markersize": size, **self._mark(kind, before, size)},
                    self.options), "label": said})
        if not len(flow.events):
            ax.plot([], [], **line({"color": "none", "alpha": 0,
                                    "label": of_run("no events", self.options, before)}))
        ax.plot([0, flow.t_end], [0, flow.path.m - 1], **line({"color": "none", "alpha": 0}))
        time_axis(ax, np.array([0.0, flow.t_end]))
        locator = ax.yaxis.get_major_locator()
        if isinstance(locator, MaxNLocator):
            # Of halves of neurons there are none.
            locator.set_params(integer=True, min_n_ticks=1)
        ax.set_ylabel(label)

    def _mark(self, kind: str, before: int, size: float) -> dict[str, Any]:
        """How a kind of event looks: full and coloured of the first flow, hollow or half full and
        in one colour of another one."""
        shade, mark = MARKS[kind]
        if not before:
            return {"color": shade, "marker": mark, "markeredgewidth": 0}
        shade, fill = LATER[(before - 1) % len(LATER)]
        return {"color": grey(self.ax, 0.2) if shade == DARK else shade, "marker": mark,
                "fillstyle": fill, "markerfacecoloralt": "none",
                "markeredgewidth": min(1.0, 0.2 * size)}


class MarginsPicture(OverTime):
    """See `margins`."""

    name = "margins"
    corner = "best"

    @quiet
    def check(self) -> None:
        """The margins are found here, and whether there are any."""
        found = self.found = self.flow.margin()
        # From where on no point is on the wrong side.
        behind = np.flatnonzero(~((found.smoothed > 0) & (found.hard > 0)))
        self.late = (np.arange(found.t.size) > (behind[-1] if behind.size else -1)) & (found.t > 0)
        if not self.late.any():
            raise ValueError("the network does not separate the data, and has no margin to show: "
                             "run longer, or give it more neurons")

    def draw(self) -> None:
        """Both curves."""
        found, late, before = self.found, self.late, self.shared.turn(self.name)
        colours = PAIRS[before % len(PAIRS)]
        # Of matplotlib a logarithmic axis ends before double precision does.
        log = self.flow.log_t[late] / np.log(10)
        for values, own, text in ((found.smoothed, {**UP, "color": colours[0]}, "smoothed"),
                                  (found.hard, {**DOWN, "color": colours[1]}, "hard")):
            self.ax.plot(log, values[late], **{**line({**own, **dots(log)}, self.options),
                                               "label": of_run(text, self.options, before)})
        over = r"$|\theta|^2$" if found.degree == 2 else "norm of the layer that moves"
        self.ax.set(xlabel=r"$\log_{10} t$", ylabel=f"margin / {over}")

    def place(self, t: float) -> float:
        """Nowhere before the curves begin."""
        return float(np.log10(t)) if t >= self.found.t[self.late][0] else np.nan


def _course(flow: Flow, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and a quantity at them."""
    if what == "log_norms" and flow.saved is not None:
        with np.errstate(divide="ignore"):
            return flow.t, np.log(flow.norms)
    if resampled(flow):
        return course(flow).t, getattr(course(flow), what)
    return flow.t, getattr(flow, what)


def _over_time(kind: type[OverTime], flow: Flow, t: float | None, ax: Axes | None,
               options: dict[str, object]) -> Axes:
    """A picture against time, with a line at ``t`` if that is given."""
    if t is not None:
        return drawn(kind, flow, t, ax, options)
    picture = kind(flow, options)
    with axes(ax, **kind.shape) as place:
        picture.on(place)
        legend(place, loc=picture.corner)
    return place


def loss(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """Loss against time, logarithmic.

    Parameters
    ----------
    flow : Flow
        The run.
    t : float, optional
        A time to mark.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the lines, by any name that matplotlib knows for them: ``lw``, ``color``, ``label``.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import gflow, matplotlib.figure
    >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), t_max=5.0)
    >>> axes = gflow.plot.loss(flow, ax=matplotlib.figure.Figure().subplots(), lw=2)
    >>> axes.get_yscale(), axes.lines[0].get_linewidth()
    ('log', 2.0)
    """
    return _over_time(LossPicture, flow, t, ax, options)


def norms(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """Norms ``|w_i|`` against time, one line a neuron; parameters as in `loss`. Of starts below
    double precision their logarithms.

    Of more than 400 neurons bundles are drawn, each by its heaviest neuron (``|a_i| |w_i|`` at the
    end), the more of the weight of the network it has the darker.
    """
    return _over_time(NormsPicture, flow, t, ax, options)


def directions(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object
               ) -> Axes:
    """Angle of every neuron against time; parameters as in `loss`, bundles as in `norms`.

    For inputs of two columns the polar angle of ``w_i``, in degrees, with the activation
    boundaries of the data (at most 40 of them); otherwise the angle to its direction at the end.
    """
    return _over_time(DirectionsPicture, flow, t, ax, options)


def alignment(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object
              ) -> Axes:
    """Angle of every neuron to the extremal vector that its early flow ends with, against time.

    Neurons that die in the early flow have none, and the legend counts them. Vertical lines are
    the end of the alignment and the escape of the loss (`gflow.Flow.alignment`). Parameters as in
    `loss`, bundles as in `norms`.
    """
    return _over_time(AlignmentPicture, flow, t, ax, options)


def events(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """Every activation event, time and neuron, by kind; parameters as in `loss`.

    For inputs of two columns neurons are in the order of their angles at the start.
    """
    return _over_time(EventsPicture, flow, t, ax, options)


def margins(flow: Flow, t: float | None = None, ax: Axes | None = None, **options: object) -> Axes:
    """Hard and smoothed margin of the data (`gflow.Flow.margin`) against log10 t, on an endless
    loss; parameters as in `loss`.

    Times before both margins are positive for good are left away, as there is nothing to see.

    Raises
    ------
    ValueError
        On a loss that rests, or if the network never separates the data.

    Examples
    --------
    >>> import gflow, matplotlib.figure
    >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1]), t_max=1e30, loss="logistic")
    >>> axes = gflow.plot.margins(flow, ax=matplotlib.figure.Figure().subplots())
    >>> float(axes.lines[0].get_xdata()[-1].round(9)), [one.get_label() for one in axes.lines]
    (30.0, ['smoothed', 'hard'])
    """
    return _over_time(MarginsPicture, flow, t, ax, options)


def _descents(twins: object) -> list[Flow]:
    """The twins of `step_sizes`, looked at."""
    if isinstance(twins, Record) or not isinstance(twins, Iterable):
        raise TypeError(f"twins is {kind_of(twins)}: give a list of runs of gflow.descend")
    found = list(twins)
    if not found:
        raise ValueError("there are no twins: give at least one run of gflow.descend")
    for one in found:
        if not isinstance(one, Flow):
            raise TypeError(f"twins has {kind_of(one)}: give runs of gflow.descend")
        if "lr" not in one.settings:
            raise ValueError("twins has a run of gflow.integrate: give runs of gflow.descend")
    return found


def step_sizes(flow: Flow, twins: Sequence[Flow], ax: Axes | None = None, **options: object
               ) -> Axes:
    """Largest distance of trained networks to the flow, against the step size, and slope 1.

    Parameters
    ----------
    flow : Flow
        From `gflow.integrate`.
    twins : sequence of Flow
        From `gflow.descend`, of the same start, each with another ``lr``.
    ax : matplotlib Axes, optional
        Where to draw; new axes if None.
    **options
        For the line; several sets of runs read well in grey with different markers.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If there are no twins, or they are no descents, or have another start than the flow, or
        other data.
    """
    from ..flows.discrete import distances
    check_flow(flow)
    twins = _descents(twins)
    lr, far = np.array(sorted((twin.settings["lr"], distances(flow, twin).max())
                              for twin in twins)).T
    check_options(options)
    shown = positive(far)
    with axes(ax) as place:
        place.loglog(lr, shown, **line({"color": colour(place, 0), "marker": "o"}, options))
        drawn = any(one.get_label() == "slope 1" for one in place.lines)
        place.loglog(lr, shown[0] * lr / lr[0], **line({
            "color": grey(place, 0.8), "linewidth": 7, "zorder": 1,
            "label": "_slope 1" if drawn else "slope 1"}))
        place.set(xlabel="step size (learning rate)",
                  ylabel="largest distance to the flow, relative")
    return place
