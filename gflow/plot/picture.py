"""What all pictures share: a flow on axes, and artists that can be moved to another time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from weakref import WeakKeyDictionary

import numpy as np

from ..problem.checks import finite
from ..problem.inputs import within
from ..problem.network import TwoLayer
from ..problem.norms import row_norms, unit_rows
from ..problem.quiet import quiet
from ..problem.words import short
from .shared import Room, shared
from .style import axes, check_axes, check_flow, check_options, legend, some

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..flows.flow import Flow

MANY = 400
"""Neurons that are drawn one by one."""
NUMBERS = 2_000_000
"""Weights that are looked at for lines over time; of wide networks at fewer of the times."""
FEWEST = 100
"""Of these times, at least."""
LOOKS = 100
"""Times of a film at which limits are looked for, at most."""
EARLY, DECADE = 0.1, 12
"""Reported times that begin later leave out what early alignment does; it is looked at so many
times in a decade of time from here on."""


class Neurons(NamedTuple):
    """Neurons at one time.

    Attributes
    ----------
    model : TwoLayer
        The network.
    directions : ndarray, shape (m, d)
        ``w_i/|w_i|``, zero where ``w_i`` is.
    log_norms : ndarray, shape (m,)
        ``log |w_i|``, also below the range of double precision.
    weight : ndarray, shape (m,)
        ``|a_i| |w_i|`` over the largest of them.
    up : ndarray of bool, shape (m,)
        Whether ``a_i >= 0``.
    alive : ndarray of bool, shape (m,)
        Whether the neuron is active at some point.
    """

    model: TwoLayer
    directions: np.ndarray
    log_norms: np.ndarray
    weight: np.ndarray
    up: np.ndarray
    alive: np.ndarray


@quiet
def neurons_at(flow: Flow, t: float) -> Neurons:
    """Neurons of a flow at one time.

    Raises
    ------
    TypeError, ValueError
        If it was not reached, or not kept.
    """
    model = flow.model if t == flow.t_end else flow(t)
    W, a, log = model.W, model.a, 0.0
    if flow.saved is None:
        neurons, power = flow.path.scaled(np.array([t]))
        a, W, log = neurons[0, :, 0], neurons[0, :, 1:], power[0] * np.log(2.0)
    norms = row_norms(W)
    size = np.log(np.abs(a)) + np.log(norms) + 2 * log
    best = size.max()
    everywhere = flow.activation.smooth or bool(flow.activation.slope)
    weight = np.exp(size - best) if np.isfinite(best) else np.zeros(size.size)
    return Neurons(model, unit_rows(W), np.log(norms) + log, weight, np.atleast_1d(a >= 0),
                   np.asarray(flow.pattern(t).any(axis=1) | everywhere))


class Course(NamedTuple):
    """A flow at the times that are looked at.

    Attributes
    ----------
    t : ndarray, shape (T,)
    directions : ndarray, shape (T, m, d)
    norms, log_norms : ndarray, shape (T, m)
    loss : ndarray, shape (T,)
    """

    t: np.ndarray
    directions: np.ndarray
    norms: np.ndarray
    log_norms: np.ndarray
    loss: np.ndarray


_courses: WeakKeyDictionary[Flow, Course] = WeakKeyDictionary()


def resampled(flow: Flow) -> bool:
    """Whether a run is looked at at other times than it reports: at fewer if the network is wide,
    at more if the reported ones (of a long run) begin late."""
    return flow.saved is None and (flow.t.size > _most(flow) or _early(flow).size > 0)


def _most(flow: Flow) -> int:
    return max(FEWEST, NUMBERS // (flow.path.m * (flow.path.d + 1)))


def _early(flow: Flow) -> np.ndarray:
    """Times up to where the reported ones are close; none of a run of steps, which has none."""
    t = flow.t
    if t.size < 2 or t[0] > 0 or t[1] <= 2 * EARLY or "lr" in flow.settings:
        return np.empty(0)
    close = np.append(t[2:] <= 10**(1 / DECADE) * t[1:-1], True)
    end = float(t[1 + np.argmax(close)])
    return np.geomspace(EARLY, end, int(DECADE * np.log10(end / EARLY)) + 2)[:-1]


@quiet
def course(flow: Flow) -> Course:
    """A flow at times that are looked at (see `resampled`); kept as long as it is."""
    known = _courses.get(flow)
    if known is None:
        t = np.union1d(flow.t[some(flow.t.size, _most(flow))], _early(flow))
        neurons, power = flow.path.scaled(t)
        norms = row_norms(neurons[:, :, 1:])
        u = neurons[:, :, 1:] / np.where(norms > 0, norms, 1.0)[:, :, None]
        field = flow.field
        # Neurons one by one as their products with a, which do not underflow before the loss does.
        size = np.ldexp(neurons[:, :, 0] * norms, 2 * power)
        loss = np.array([field.value(field.outputs(*pair)) for pair in zip(size, u)])
        known = _courses[flow] = Course(t, u, np.ldexp(norms, power),
                                        np.log(norms) + power * np.log(2.0), loss)
    return known


class Picture:
    """A flow on axes.

    Parameters
    ----------
    flow : Flow
        The run.
    options : mapping
        For the artists, by any name of an option of a matplotlib line.
    times : ndarray, optional
        Times that it will be moved to: limits are made for all of them. By default for none: what
        is drawn at one time fills the axes.

    Raises
    ------
    TypeError, ValueError
        If there is no such picture of the flow, or an option is none of a line.
    """

    name = "picture"
    polar = False
    """Whether its axes are polar."""
    linear = False
    """Whether its axes have to be linear."""
    shape: Mapping[str, Any] = {}
    """Options of new axes."""
    corner = "best"
    """Where the legend is."""

    def __init__(self, flow: Flow, options: Mapping[str, object],
                 times: np.ndarray | None = None) -> None:
        check_flow(flow)
        check_options(options)
        self.flow, self.options, self.times = flow, options, times
        self.check()

    def on(self, ax: Axes) -> Self:
        """Draw it on axes.

        Raises
        ------
        TypeError, ValueError
            If they are of another kind.
        """
        check_axes(ax, self.polar, self.linear)
        self.ax, self.shared, self.room = ax, shared(ax), Room(ax)
        self.artists: list[Artist] = []
        self.draw()
        self.shared.pictures += 1
        return self

    def check(self) -> None:
        """Refuse a flow that has no such picture, or has not kept what it needs.

        Raises
        ------
        ValueError
            In one sentence.
        """

    def check_time(self, t: float) -> None:
        """Refuse a time at which what is drawn was not kept.

        Raises
        ------
        ValueError
            In one sentence.
        """
        neurons_at(self.flow, t)

    def draw(self) -> None:
        """Draw what does not move, and make what does."""
        raise NotImplementedError

    def move(self, t: float) -> None:
        """Move to a time."""
        raise NotImplementedError


def drawn(kind: type[Picture], flow: Flow, t: float | None, ax: Axes | None,
          options: Mapping[str, object]) -> Axes:
    """Draw a picture at a time; at the end if that is None."""
    picture = kind(flow, options)
    time = flow.t_end if t is None else time_of(flow, t)
    picture.check_time(time)
    with axes(ax, kind.polar, kind.linear, **kind.shape) as place:
        picture.on(place).move(time)
        legend(place, loc=picture.corner)
    return place


def looks(times: np.ndarray | None) -> list[float]:
    """Times of a film at which limits are looked for.

    Examples
    --------
    >>> looks(None), looks(np.arange(3.0)), len(looks(np.arange(1000.0)))
    ([], [0.0, 1.0, 2.0], 100)
    """
    return [] if times is None else [float(t) for t in times[some(times.size, LOOKS)]]


def time_of(flow: Flow, t: object) -> float:
    """A time that the flow has reached.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if hasattr(t, "get_xaxis"):
        raise TypeError("t is axes: write ax=...")
    time = np.array([finite(t, "t")])
    return float(within(time, flow.t_end, getattr(t, "dtype", None),
                        f"t = {short(t)} is outside [0, {flow.t_end!r}], the times reached")[0])


def bundles(values: np.ndarray, weight: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Neurons that stand for all: of those with nearly the same end, and start, the heaviest.

    Parameters
    ----------
    values : ndarray, shape (T, m)
        What is drawn of them.
    weight : ndarray, shape (m,)
    most : int
        Lines.

    Returns
    -------
    chosen : ndarray of int, shape (k,)
    mass : ndarray, shape (k,)
        Weight of those that each stands for.

    Examples
    --------
    >>> chosen, mass = bundles(np.array([[0.0, 1.0, 0.1, 1.1]]), np.array([1.0, 2.0, 3.0, 6.0]), 2)
    >>> chosen, mass
    (array([2, 3]), array([4., 8.]))
    """
    m = weight.size
    if m <= most:
        return np.arange(m), weight
    ends = np.nan_to_num(values[-1])
    span = np.ptp(ends) or 1.0
    order = np.lexsort((values[0], np.round(50 * ends / span)))
    parts = np.array_split(order, most)
    chosen = np.array([part[np.argmax(weight[part])] for part in parts])
    return chosen, np.array([weight[part].sum() for part in parts])
