"""What pictures on the same axes share: turns of colours, what is drawn once, room, a twin, a bar.

It lasts as long as a mark of ours is on the axes: ``ax.clear()`` takes that away, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Normalize
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

PAIRS = (("#0072B2", "#D55E00"), ("#009E73", "#CC79A7"), ("#56B4E9", "#E69F00"))
"""Colours of ``a_i > 0`` and ``a_i < 0``, for one flow after another."""


class Shared:
    """What pictures on the same axes share, from `shared`.

    Attributes
    ----------
    pictures : int
        How many have been drawn.
    twin : Axes or None
        Axes of the stems of `kinks`.
    outside : dict
        Of every flow there how many kinks are out of its sight, and how many it has.
    radius : tuple of float
        Ends of the radii of `polar`.
    rims : list of Line2D
        What reaches from one of these ends to the other, or is at one of them.
    norm : Normalize or None
        Of all images of `boundary`.
    images : list of AxesImage
        These.
    bar : Colorbar or None
        Of these.
    levels : list of float
        Outputs that are marked on it.
    """

    def __init__(self, ax: Axes) -> None:
        from matplotlib.artist import Artist
        self.ax, self.mark = ax, Artist()
        self.mark.set_visible(False)
        self.mark.set_in_layout(False)
        ax.add_artist(self.mark)
        # Of what pictures change these stay when axes are cleared.
        self._before = ax.get_zorder(), ax.get_aspect(), ax.get_anchor()
        self.pictures = 0
        self._turns: dict[str, int] = {}
        self._once: dict[tuple[object, ...], Sequence[Artist]] = {}
        self.twin: Axes | None = None
        self.outside: dict[int, np.ndarray] = {}
        self.radius = np.inf, -np.inf
        self.rims: list[Line2D] = []
        self.norm: Normalize | None = None
        self.images: list[AxesImage] = []
        self.bar: Colorbar | None = None
        self.levels: list[float] = []

    def turn(self, name: str) -> int:
        """How often a picture has been drawn before; it is noted."""
        self._turns[name] = self._turns.get(name, -1) + 1
        return self._turns[name]

    def pair(self, name: str) -> tuple[str, str]:
        """Colours of ``a_i > 0`` and ``a_i < 0`` for the next flow."""
        return PAIRS[self.turn(name) % len(PAIRS)]

    def has(self, *key: object) -> bool:
        """Whether what was kept under this name is still there."""
        there = self.ax.get_children()
        return any(artist in there for artist in self._once.get(key, ()))

    def keep(self, artists: Sequence[Artist], *key: object) -> None:
        """Note artists that are drawn once under a name."""
        self._once[key] = artists

    def count(self, name: str) -> int:
        """How many are there whose names begin so."""
        return sum(key[0] == name and self.has(*key) for key in self._once)

    def leave(self) -> None:
        """Take away what is ours and not on the axes, which were cleared."""
        if self.twin is not None and placed(self.twin):
            self.twin.remove()
        self.unbar()
        zorder, aspect, anchor = self._before
        self.ax.set_zorder(zorder)
        self.ax.set_aspect(aspect)
        self.ax.set_anchor(anchor)

    def unbar(self) -> None:
        """Remove the colour bar."""
        if self.bar is not None and placed(self.bar.ax):
            # Matplotlib gives the room back to the axes of the image, which clearing makes forget.
            image: Any = self.bar.mappable
            image.axes = self.ax
            self.bar.remove()
        self.bar = None


def placed(ax: Axes) -> bool:
    """Whether axes are in their figure; those that were removed are not."""
    if ax.figure is None:
        return False
    inside: list[Any] = list(ax.figure.axes)
    for one in inside:
        inside += one.child_axes
    return ax in inside


def shared(ax: Axes) -> Shared:
    """What pictures on these axes share; anew if they were cleared.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> [shared(ax).turn("loss") for _ in range(2)]
    [0, 1]
    >>> ax.clear()
    >>> shared(ax).turn("loss")
    0
    """
    known: Shared | None = vars(ax).get("_gflow")
    if known is None or known.mark not in ax.get_children():
        if known is not None:
            known.leave()
        known = vars(ax)["_gflow"] = Shared(ax)
    return known


class Room:
    """Limits of axes that leave in sight what was there when this was made.

    Parameters
    ----------
    ax : matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> line = ax.plot([0, 5], [1, 2])
    >>> Room(ax).show(x=(2.0, 7.0))
    >>> [float(end) for end in ax.get_xlim()]
    [0.0, 7.0]
    """

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        if shared(ax).pictures:
            ends: tuple[Any, Any] = ax.get_xlim(), ax.get_ylim()
        elif ax.has_data():
            # Limits of axes that have lines across them only say nothing.
            ends = ax.dataLim.intervalx, ax.dataLim.intervaly
        else:
            ends = (), ()
        self.there = {name: [float(end) for end in pair if np.isfinite(end)]
                      for name, pair in zip("xy", ends)}
        self._inverted = {"x": ax.xaxis_inverted(), "y": ax.yaxis_inverted()}

    def show(self, **needed: tuple[float, float]) -> None:
        """Limits of ``x`` or ``y`` with these ends; an axis that was turned round stays so."""
        for name, ends in needed.items():
            both = [*ends, *self.there[name]]
            low, high = min(both), max(both)
            found = (high, low) if self._inverted[name] else (low, high)
            getattr(self.ax, f"set_{name}lim")(found)


def digest(*arrays: np.ndarray) -> str:
    """A name for numbers: the same for the same ones.

    Examples
    --------
    >>> digest(np.ones(2)) == digest(np.ones(2)), digest(np.ones(2)) == digest(np.ones(3))
    (True, False)
    """
    found = hashlib.sha1(usedforsecurity=False)
    for array in arrays:
        found.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
