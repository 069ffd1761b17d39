"""What ends slides on a step of the reference engine, and where a neuron of any engine may as well
leave to the other side: multipliers as polynomials in time, with what they may be wrong by.

The two margins of a slide are ``|J| eta`` and ``|J| (1 - eta)`` (`gflow.kernels.crossings`). They
add up to the jump ``|J|`` across the hyperplane, so that where one ends a slide the other is the
jump there: both are 0 only where pulls of all points that matter balance. That happens when all
that the neuron sees beside the hyperplane is fitted, and what is left of it falls below errors,
before the pull of the hyperplane's own points passes 0. From then on one side leads away, and on
the other the neuron stays where it is; the sign of rounding decides, at every ``rtol``. Such a
neuron has a choice, whether its slide ended there or, by rounding, before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np
from numpy.polynomial.chebyshev import chebval

from ..kernels.chebyshev import halves, nodes, to_series
from ..kernels.crossings import (RELEASE_ABOVE, RELEASE_BELOW, RESIDUAL_ERROR, SIGN, SUM_ROUNDING,
                                 multiplier_errors, multipliers)
from ..kernels.roots import first_exit
from ..problem.loss import is_endless
from ..problem.norms import row_norms
from .events import OFF
from .pattern import Geometry, Slide

if TYPE_CHECKING:
    from .stepping import Stepping

NAUGHT, CLEAR = 100.0, 1000.0
"""A margin of so many times its error, `RESIDUAL_ERROR` of ``rtol``, may be 0, and one of so many
is not: where explicit steppers are at their limit of stability, pulls swing by 20 ``rtol``."""
WIDE = 3.0
"""A neuron within so many ``rtol`` of a hyperplane may be on it: as certificates have it."""


class Margins:
    """Margins of neurons under pulls that are polynomials in time, and their errors.

    Parameters
    ----------
    geometry : Geometry
    p : ndarray, shape (q, n)
        Pulls at the Chebyshev nodes of degree q - 1 of a stretch of time.
    error : ndarray, shape (n,)
        What errors of the weights do to them, see `RESIDUAL_ERROR`.
    """

    def __init__(self, geometry: Geometry, p: np.ndarray, error: np.ndarray) -> None:
        error = error + SUM_ROUNDING * np.abs(p).max(axis=0)
        self.geometry, self.fine = geometry, len(p) - 1
        self.p, self.error = geometry.pulls(p), np.abs(geometry.pulls(error))

    def of(self, i: int, slide: Slide, side: np.ndarray
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Margins (q, s) below and above of a slide of neuron ``i``, and errors (s,), with the
        sides (m, C) of all neurons."""
        geometry = self.geometry
        around = (i, side, geometry.X, geometry.label, geometry.length, slide.hyperplanes,
                  slide.solve)
        below, above, _ = multipliers(self.p, i, slide.sign, *around[1:])
        return below, above, multiplier_errors(self.error, *around)

    def leaves(self, margin: np.ndarray, band: float) -> float:
        """When a margin (q,) passes 0, or ``-band`` if it begins within that; 2 if never."""
        return float(first_exit(to_series(self.fine) @ margin, halves(self.fine), band, 1.0))

    def opens(self, i: int, h: int, side: np.ndarray, sign: float, normal: np.ndarray,
              weight: Callable[[float], np.ndarray], band: float) -> tuple[float, bool]:
        """When one side begins to lead away from a hyperplane on which a neuron is, as far as
        errors say, while on the other it stays.

        Parameters
        ----------
        i, h : int
            Neuron and hyperplane.
        side : ndarray, shape (m, C)
            Sides on the stretch.
        sign : float
            Sign of the output weight.
        normal : ndarray, shape (C, d)
            Unit normals.
        weight : callable
            The hidden weight (d,) at a time in [-1, 1].
        band : float
            Error of weights, relative to their norm.

        Returns
        -------
        s : float
            In [-1, 1]; 2 if never.
        waits : bool
            Whether one that has just come off is still to be decided at the end: its own side has
            not clearly led away, on the other it would stay.
        """
        side, now = side.copy(), side[i, h]
        side[i, h] = 0
        planes = np.flatnonzero(side[i] == 0)
        slide = Slide(planes, normal[planes], sign)
        if sign == 0.0 or len(slide.basis) < planes.size:
            return 2.0, False
        below, above, error = self.of(i, slide, side)
        j = int(np.searchsorted(planes, h))
        own, across = (below[:, j], above[:, j])[::-int(now)]
        return self.opening(own, across, float(error[j]),
                            lambda s: is_on(weight(s), normal[h], band))

    def opening(self, own: np.ndarray, across: np.ndarray, error: float,
                on: Callable[[float], bool]) -> tuple[float, bool]:
        """The same for one whose own side has the margin ``own`` (q,), while the other one has
        ``across``; ``on`` says whether it is on the hyperplane at a time."""
        clear, naught = CLEAR * error, NAUGHT * error
        for one, other in ((own, across), (across, own)):
            first = self.leaves(one, clear)
            if one[0] < -clear:
                # On this side it is on its way; the other one leads away since its output weight
                # has changed its sign.
                first = 2.0 if one is own else -1.0
            # Where pulls swing by more than errors they may have come to rest at the end.
            for s in (first, 1.0) if first <= 1.0 else ():
                leads, rest = chebval(s, to_series(self.fine) @ np.column_stack([one, other]))
                # One that leaves by this very side has a reason to be gone.
                if leads <= clear and abs(rest) <= naught and (one is own or on(s)):
                    return s, False
        return 2.0, bool(waits(own, across, error))


def waits(own: np.ndarray, across: np.ndarray, error: Any) -> Any:
    """Whether neurons are still to be decided at the end of margins (..., q)."""
    return (own[..., -1] >= -CLEAR * error) & (np.abs(across[..., -1]) <= NAUGHT * error)


class OfStep(Margins):
    """Margins on a part of a step.

    Parameters
    ----------
    engine : Stepping
    series : ndarray, shape (p + 1, m (d + 1))
        Chebyshev series of the weights on the part.
    t0, length : float
        Its begin and length.
    """

    def __init__(self, engine: Stepping, series: np.ndarray, t0: float, length: float) -> None:
        self.engine = engine
        fine = 2 * (len(series) - 1)
        self.states = np.ascontiguousarray(chebval(nodes(fine), series).T)
        times = t0 + (nodes(fine) + 1) / 2 * length
        p = np.array([engine.pulls(state, t) for state, t in zip(self.states, times)])
        # Pulls carry the error of the weights: once they decay to it, multipliers mean nothing.
        a, W = engine.split(series[0])
        error = RESIDUAL_ERROR * max(engine.rtol, 1e-12) * np.abs(engine.data.arrangement.length)
        error *= (np.abs(a) * row_norms(W)) @ np.abs(engine.pattern.on)
        if not engine.square:
            bend = engine.field.curvature(engine.outputs(self.states[0]), engine.clock.log_rate(t0))
            error *= bend
        if engine.clock.parts is not None:
            # Clocks may go faster by a power that no polynomial follows; signs do not depend on it.
            size = np.abs(p).max(axis=1, keepdims=True)
            size[size == 0.0] = 1.0
            p, error = p / size, error / size[0]
        # On losses without end pulls keep their signs, and fall by orders on a long step.
        self.fall = is_endless(engine.field.loss) and engine.drift.turning is None
        super().__init__(engine.pattern.geometry, p, error)

    def of(self, i: int, slide: Slide, side: np.ndarray
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, with what decay does if it turns weights."""
        below, above, error = super().of(i, slide, side)
        engine = self.engine
        if engine.drift.turning is not None:
            # Times the output weight: by itself what decay does to a multiplier has a pole
            # where that passes 0, and no polynomial follows it up to there.
            size = slide.sign * self.states[:, i:i + 1]
            own = self.states[:, engine.m + i * engine.d:engine.m + (i + 1) * engine.d]
            moved = (own * engine.drift.turning) @ slide.solve.T
            below, above = below * size - moved, above * size + moved
            error = error * np.abs(size).max()
        jump = below + above
        if self.fall and (jump > 0).all():
            # A polynomial of sums of exponentials is wrong by more than what is left of them.
            below, above, error = below / jump, above / jump, error / jump[0]
        return below, above, error

    def lets_go(self, margin: np.ndarray, other: np.ndarray, error: float) -> float:
        """When a margin (q,) ends a slide, the other one being ``other``; 2 if never.

        A margin clear of its error is followed to its zero; another has no sign. Where an explicit
        stepper is at its limit of stability, and both margins are 0 but for its swings, they pass
        0 and come back as long as it stays there, within every step: a slide goes on until they are
        beyond that, or do not come back.
        """
        if self.fall and (margin > 0).all():
            return 2.0
        s = self.leaves(margin, 0.0 if margin[0] > error else error)
        swings = NAUGHT * error
        if self.engine.gear.count and s <= 1.0 and abs(
                chebval(s, to_series(self.fine) @ other)) <= swings:
            return -1.0 if margin.max() < -error else self.leaves(margin + swings, 0.0)
        return s


def contacts(engine: Stepping, series: np.ndarray, t0: float, length: float
             ) -> list[tuple[float, int, int, int]]:
    """Exits of multipliers from [0, 1], and output weights of sliding neurons through zero:
    (s, neuron, hyperplane, kind), with s in [-1, 1]."""
    margins, (a, W) = OfStep(engine, series, t0, length), engine.split(series[0])
    found = []
    for i, slide in engine.pattern.slides.items():
        if a[i] == 0.0 and not W[i].any():
            continue
        below, above, error = margins.of(i, slide, engine.pattern.side)
        for kind, margin, other in ((RELEASE_BELOW, below, above), (RELEASE_ABOVE, above, below)):
            for j, h in enumerate(slide.hyperplanes):
                s = margins.lets_go(margin[:, j], other[:, j], float(error[j]))
                if s <= 1.0:
                    found.append((s, i, int(h), kind))
        out = slide.sign * series[:, i]
        s = first_exit(out, halves(len(series) - 1), 1e-13 * np.abs(series[0, i]), 1.0)
        if s <= 1.0:
            found.append((float(s), i, -1, SIGN))
    return found


class Freed:
    """Neurons that came off a hyperplane, or over it, and have not left it for a reason that is
    clear of errors.

    Attributes
    ----------
    pairs : dict of (int, int) to bool
        Neuron and hyperplane: whether a slide has just ended, and nothing decides it so far.
    told : set of (int, int)
        Those of which a choice has been told since their side changed.
    """

    def __init__(self) -> None:
        self.pairs: dict[tuple[int, int], bool] = {}
        self.told: set[tuple[int, int]] = set()

    def add(self, touched: Any, changed: dict[tuple[int, int], bool]) -> None:
        """Contacts ``(neuron, hyperplane, kind)`` of an instant, and pairs of which sides change
        there, whether they slid before."""
        for i, h, kind in touched:
            if h >= 0:
                self.pairs[i, h] = kind in (RELEASE_BELOW, RELEASE_ABOVE)
        # Some are let go of by the way. What was chosen is over where a side changes.
        self.pairs |= {pair: True for pair, slid in changed.items() if slid}
        self.told -= changed.keys()

    def tell(self, engine: Stepping, series: np.ndarray, t0: float, t1: float) -> None:
        """Tell the choices of a step that is made, and forget who is clear of its hyperplane.

        Of leaky neurons those are told where slides end, see `gflow.engines.pattern.undecided`; a
        dead neuron stays where it is by convention.
        """
        pattern, margins = engine.pattern, None
        W = engine.split(engine.state)[1]
        for (i, h), fresh in list(self.pairs.items()):
            side = int(pattern.side[i, h])
            near = is_on(W[i], pattern.arrangement.normal[h], engine.band)
            if side == 0 or pattern.rest[i] or not (fresh or near):
                del self.pairs[i, h]
                continue
            if engine.pattern.activation.slope or (pattern.codes[i] == OFF).all():
                continue
            margins = margins or OfStep(engine, series, t0, t1 - t0)
            s, waits = self._opens(margins, series, i, h)
            if s <= 1.0 and (i, h) not in self.told:
                self.told.add((i, h))
                pattern.choices.append(np.array(
                    [[i, t0 + (s + 1) / 2 * (t1 - t0), h, side, -side, 2]]))
            if s <= 1.0 or not (near or fresh and waits):
                del self.pairs[i, h]
            else:
                self.pairs[i, h] = fresh and waits

    @staticmethod
    def _opens(margins: OfStep, series: np.ndarray, i: int, h: int) -> tuple[float, bool]:
        """See `Margins.opens`."""
        engine, pattern = margins.engine, margins.engine.pattern
        own = slice(engine.m + i * engine.d, engine.m + (i + 1) * engine.d)
        return margins.opens(i, h, pattern.side, float(np.sign(chebval(-1.0, series[:, i]))),
                             pattern.arrangement.normal, lambda s: chebval(s, series[:, own]),
                             engine.band)


def is_on(w: np.ndarray, normal: np.ndarray, band: float) -> bool:
    """Whether a neuron may be on a hyperplane, as far as errors of its weight say."""
    return bool(abs(w @ normal) <= WIDE * band * np.sqrt(w @ w))
