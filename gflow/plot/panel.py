"""Several pictures of a run in one figure, and all pictures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..flows.flow import Flow
from ..problem.words import short
from .course import (AlignmentPicture, DirectionsPicture, EventsPicture, LossPicture,
                     MarginsPicture, NormsPicture, OverTime, alignment, directions, events, loss,
                     margins, norms)
from .picture import Picture, drawn, time_of
from .plane import BoundaryPicture, NeuronsPicture, PolarPicture, boundary, neurons, polar
from .style import check_axes, check_flow, clock, closed, legend
from .targets import (FitPicture, FunctionPicture, KinksPicture, fit, function, inputs_of,
                      kinks)


Name = Literal["loss", "norms", "directions", "alignment", "events", "neurons", "polar",
               "boundary", "function", "kinks", "fit", "margins"]
NAMES: tuple[Name, ...] = get_args(Name)
PICTURES: Mapping[str, type[Picture]] = {
    kind.name: kind for kind in (
        LossPicture, NormsPicture, DirectionsPicture, AlignmentPicture, EventsPicture,
        NeuronsPicture, PolarPicture, BoundaryPicture, FunctionPicture, KinksPicture, FitPicture,
        MarginsPicture)}
DRAWS: Mapping[str, Callable[..., Axes]] = dict(zip(PICTURES, (
    loss, norms, directions, alignment, events, neurons, polar, boundary, function, kinks, fit,
    margins)))
ORDINARY = (6.4, 4.8)
"""Inches of one picture, if it needs no more room."""
TALL, WIDE = 3.6, 4.6
"""Inches of a picture among others."""


def tells(flow: Flow) -> tuple[Name, ...]:
    """The four pictures that tell a run: the last one is what can be shown of what was learnt.

    Examples
    --------
    >>> import gflow
    >>> tells(gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), t_max=1.0))
    ('loss', 'directions', 'polar', 'function')
    """
    check_flow(flow)
    inputs = inputs_of(flow.data)[0].size
    target: Name = "function" if inputs == 1 else "boundary" if inputs == 2 else "fit"
    return "loss", "directions", "polar", target


def laid_out(figure: Figure, names: Sequence[str]) -> list[Axes]:
    """Axes for pictures, in rows of two if there are more than three."""
    columns = len(names) if len(names) <= 3 else 2
    rows = -(-len(names) // columns)
    return [figure.add_subplot(rows, columns, k + 1,
                               projection="polar" if name == "polar" else None)
            for k, name in enumerate(names)]


def size_of(names: Sequence[str]) -> tuple[float, float]:
    """Inches of a figure of pictures.

    Examples
    --------
    >>> size_of(["loss"]), size_of(["loss"] * 4)
    ((6.4, 4.8), (9.2, 7.2))
    """
    if len(names) == 1:
        kind = PICTURES.get(names[0])
        return kind.shape.get("figsize", ORDINARY) if kind else ORDINARY
    columns = len(names) if len(names) <= 3 else 2
    return WIDE * columns, TALL * -(-len(names) // columns)


def panel(flow: Flow, t: float | None = None, ax: Sequence[Axes] | None = None,
          **options: object) -> np.ndarray:
    """The four pictures that tell a run: loss, directions, neurons, and what was learnt.

    The last one is the function of one input, the boundary of two, or outputs against labels.

    Parameters
    ----------
    flow : Flow
        The run.
    t : float, optional
        Time of neurons and of what was learnt, marked in the other two; the end if None.
    ax : sequence of four matplotlib Axes, optional
        Where to draw, the third one polar; a new figure if None.
    **options
        For the lines and points of all four.

    Returns
    -------
    ndarray of four matplotlib Axes
        ``panel(flow)[0].figure`` is the figure.

    Raises
    ------
    TypeError, ValueError
        If ``t`` is no time that was reached, or there are not four axes.
    """
    names = tells(flow)
    time = None if t is None else time_of(flow, t)
    # Everything is looked at before anything is drawn.
    pictures = [PICTURES[name](flow, options) for name in names]
    for picture in pictures:
        picture.check_time(flow.t_end if time is None else time)
    if ax is None:
        import matplotlib.pyplot as plt
        made = plt.figure(figsize=size_of(names), layout="constrained")
        with closed(made):
            return _four(pictures, np.array(laid_out(made, names), dtype=object), time)
    places = np.array(ax, dtype=object).ravel()
    if places.size != len(names):
        raise ValueError(f"ax has {places.size} axes: give four, the third one polar, or none")
    for picture, place in zip(pictures, places):
        check_axes(place, picture.polar, picture.linear)
    return _four(pictures, places, time)


def _four(pictures: Sequence[Picture], places: np.ndarray, time: float | None) -> np.ndarray:
    """Draw pictures on axes, those over time without a line if that is None."""
    for picture, place in zip(pictures, places):
        at = picture.flow.t_end if time is None else time
        picture.on(place)
        if time is not None or not isinstance(picture, OverTime):
            picture.move(at)
        if not isinstance(picture, OverTime):
            place.set_title(clock(at), loc="left", fontsize="medium")
    # Legends look at how much room there is when everything else is in its place; below a polar
    # picture there is what it says.
    for picture in sorted(pictures, key=lambda picture: not isinstance(picture, PolarPicture)):
        label(picture)
    return places


def figure(flow: Flow, what: str = "panel", t: float | None = None) -> Figure:
    """A picture by name in a figure of its own, which no window shows.

    Parameters
    ----------
    flow : Flow
        The run.
    what : str
        ``"panel"``, or one of `NAMES`.
    t : float, optional
        As of the picture.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If there is no such picture of this run, or ``t`` is no time that was reached.
    """
    names = tells(flow) if what == "panel" else (known(what),)
    made = Figure(figsize=size_of(names), layout="constrained")
    places = laid_out(made, names)
    if what == "panel":
        panel(flow, t, places)
    elif issubclass(PICTURES[names[0]], OverTime) and t is None:
        picture = PICTURES[names[0]](flow, {}).on(places[0])
        legend(picture.ax, loc=picture.corner)
    else:
        drawn(PICTURES[names[0]], flow, t, places[0], {})
    return made


def label(picture: Picture, alone: bool = False) -> None:
    """A legend for a picture of a film or among others; a polar one among others has no room for
    it, and says what is in it below."""
    if alone or not isinstance(picture, PolarPicture):
        # "best" would look at every point; beside others there is no room.
        elsewhere = picture.corner == "outside" and not alone or \
            picture.corner == "best" and picture.times is not None
        place = "upper right" if elsewhere else picture.corner
        legend(picture.ax, loc=place, fontsize="small" if alone else "x-small")
    else:
        # Formulas without blanks: lines are broken there if the figure is small.
        signs = r"$\bullet$ $a_i>0$, $\times$ $a_i<0$"
        rim = ";\nrays: activation boundaries; on the rim: points, " \
            r"$\blacktriangle$ $y>0$, $\triangledown$ $y\leq{}0$"
        own = f"{picture.ax.get_xlabel()} ({signs}){rim if picture.plane.whole else ''}"
        picture.ax.set_xlabel(own, fontsize="small", wrap=True)


def known(what: object) -> str:
    """The name of a picture, given as that or as the function that draws it.

    Raises
    ------
    ValueError
        If there is no such picture.
    """
    for name, draw in DRAWS.items():
        # A function of somebody else may have the same name.
        if what is draw or isinstance(what, str) and what == name:
            return name
    raise ValueError(f"there is no picture {short(what)}: choose among panel, "
                     f"{', '.join(PICTURES)}")
