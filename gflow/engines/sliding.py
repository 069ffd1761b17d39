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

from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebint, chebval

from ..kernels.chebyshev import halves, nodes, to_series
from ..kernels.crossings import (RELEASE_ABOVE, RELEASE_BELOW, RESIDUAL_ERROR, SIGN, SUM_ROUNDING,
                                 multiplier_errors, multipliers)
from ..kernels.roots import first_exit, root_between
from ..kernels.slides import WIDE, least
from ..problem.loss import is_endless
from ..problem.norms import row_norms
from .events import OFF
from .gear import STABLE
from .held import Held, is_on
from .pattern import Geometry, Slide

if TYPE_CHECKING:
    from .stepping import Stepping

NAUGHT, CLEAR = 100.0, 1000.0
"""A margin of so many times its error, `RESIDUAL_ERROR` of ``rtol``, may be 0, and one of so many
is not: where explicit steppers are at their limit of stability, pulls swing by 20 ``rtol``, and
within a step they may move a neuron off by some. Larger: slides that end late / smaller: releases
that are noise."""
SWING = 2.0
"""A margin that is so much larger within a step than at both ends swings."""


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
        below, above = multipliers(self.p, i, slide.sign, *around[1:])
        return below, above, multiplier_errors(self.error, *around)

    def leaves(self, margin: np.ndarray, band: float) -> float:
        """When a margin (q,) passes 0, or ``-band`` if it begins within that; 2 if never."""
        return float(first_exit(to_series(self.fine) @ margin, halves(self.fine), band, 1.0))

    def beside(self, i: int, h: int, side: np.ndarray, sign: float, normal: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, float] | None:
        """Margins (q,) of a neuron beside a hyperplane, if it did slide on it: on its own side and
        across; and their error. None where it has no such margins.

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
        """
        side, now = side.copy(), side[i, h]
        side[i, h] = 0
        planes = np.flatnonzero(side[i] == 0)
        slide = Slide(planes, normal[planes], sign)
        if sign == 0.0 or len(slide.basis) < planes.size:
            return None
        below, above, error = self.of(i, slide, side)
        j = int(np.searchsorted(planes, h))
        own, across = (below[:, j], above[:, j])[::-int(now)]
        return own, across, float(error[j])

    def opening(self, own: np.ndarray, across: np.ndarray, error: float,
                on: Callable[[float], bool]) -> tuple[float, bool]:
        """When one side of a hyperplane on which a neuron is begins to lead away, as far as errors
        say, while on the other it stays.

        Parameters
        ----------
        own, across : ndarray, shape (q,)
            Its margins, see `beside`.
        error : float
            Their error.
        on : callable
            Whether it is on the hyperplane at a time in [-1, 1].

        Returns
        -------
        s : float
            In [-1, 1]; 2 if never.
        waits : bool
            Whether one that has just come off is still to be decided at the end: its own side has
            not clearly led away, on the other it would stay.
        """
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


def is_even(own: float, across: float) -> bool:
    """Whether a neuron that was let go of where both margins were errors may still have been on
    either side, as far as margins say now, in units of their error."""
    return own <= CLEAR and across <= CLEAR


def led_apart(own: float, across: float, naught: float = NAUGHT) -> bool:
    """Whether one side leads away by now, clear of errors, and the other one leads nowhere, to so
    many errors, or away, too: then that neuron had a choice."""
    return max(own, across) <= naught and min(own, across) < -CLEAR


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
        self.half, self.size, self.jump = length / 2, np.ones((1, 1)), np.ones((1, 1))
        # Pulls carry the error of the weights: once they decay to it, multipliers mean nothing.
        a, W = engine.split(series[0])
        error = RESIDUAL_ERROR * max(engine.rtol, 1e-12) * np.abs(engine.data.arrangement.length)
        error *= (np.abs(a) * row_norms(W)) @ np.abs(engine.pattern.on)
        if not engine.square:
            bend = engine.field.curvature(engine.outputs(self.states[0]), engine.clock.log_rate(t0))
            error *= bend
        if engine.clock.parts is not None:
            # Clocks may go faster by a power that no polynomial follows; signs do not depend on it.
            self.size = np.abs(p).max(axis=1, keepdims=True)
            self.size[self.size == 0.0] = 1.0
            p, error = p / self.size, error / self.size[0]
        # On losses without end pulls keep their signs, and fall by orders on a long step.
        self.fall = is_endless(engine.field.loss) and engine.drift.turning is None
        self.scaled = (self.fall or engine.clock.parts is not None
                       or engine.drift.turning is not None)
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
        jump, self.jump = below + above, np.ones((1, 1))
        if self.fall and (jump > 0).all():
            # A polynomial of sums of exponentials is wrong by more than what is left of them.
            below, above, error, self.jump = below / jump, above / jump, error / jump[0], jump
        return below, above, error

    def moves(self, i: int) -> np.ndarray:
        """By how much, relative to its size and per unit of s, margins of 1 of the last `of` move
        neuron ``i`` off its hyperplanes: (q, s)."""
        own = self.states[:, [i, *range(self.engine.m + i * self.engine.d,
                                        self.engine.m + (i + 1) * self.engine.d)]]
        size = float(row_norms(own[:1])[0])
        speed = np.full(len(own), self.half / size if size > 0 else 0.0)
        if self.engine.drift.turning is None:
            speed *= np.abs(own[:, 0])
        return np.asarray(speed[:, None] * self.size * self.jump)

    def doubtful(self, one: np.ndarray, other: np.ndarray, error: Any) -> Any:
        """Whether both margins (q, ...) may be errors, and are comparable from step to step."""
        return (np.abs(one[-1]) + np.abs(other[-1]) <= CLEAR * error) & (not self.scaled)

    def lets_go(self, margin: np.ndarray, other: np.ndarray, error: float, moves: np.ndarray,
                before: float, doubt: float = 1.0, seen: float = np.inf
                ) -> tuple[float, np.ndarray | None]:
        """When a margin (q,) ends a slide, the other one being ``other``; 2 if never. And the way
        (q + 1,), as a series, on which it would lead the neuron; None if that is never off it.

        ``before`` says how far it would be off at the start, had it been let go of where it was
        first led away; ``doubt``, by what errors are larger than they should be (`Held.doubt`);
        ``seen``, how large they are by what margins do (`Strays.seen`).

        By itself a margin within errors has no sign. What shows is what it adds up to, the neuron
        going off by ``moves`` times minus the margin: errors come and go, and what they move comes
        back. Once that is more than errors of its weight, or the margin is clear of its own, it is
        let go of where that passed 0. Explicit steppers swing within a step beyond their limit of
        stability, and are right at its ends. Where both margins are errors a side is taken by what
        grows alone.
        """
        if before == 0.0 and (margin >= 0).all() or self.fall and (margin > 0).all():
            return 2.0, None
        noise = error * (NAUGHT if self.engine.gear.asked in STABLE else min(doubt, NAUGHT))
        to, s, band = to_series(self.fine), nodes(self.fine), max(self.engine.rtol, 1e-12)
        series = chebint(to @ ((margin + least(band) * error) * moves), lbnd=-1)
        way = chebval(s, series)
        off = np.maximum(np.maximum.accumulate(way), before) - way
        swings = np.abs(margin).max() > SWING * max(abs(margin[0]), abs(margin[-1]))
        gone = off > NAUGHT * band * doubt
        gone[-1] |= (way.max() - way[-1] > (NAUGHT if swings else WIDE) * band * doubt
                     or margin[-1] < -noise)
        grows = margin[-1] < -noise or margin.max() < -error and margin[-1] <= margin[0]
        if not gone.any() or abs(other[-1]) <= min(noise, seen) and not grows:
            return 2.0, series
        top = int(np.argmax(way[:int(np.argmax(gone)) + 1]))
        if top == 0 and margin[0] <= 0:
            return -1.0, series
        low = top if margin[top] > 0 else top - 1
        return float(root_between(to @ margin, 0.0, s[low], s[low + 1])), series


def contacts(engine: Stepping, series: np.ndarray, t0: float, length: float, held: Held
             ) -> list[tuple[float, int, int, int]]:
    """Exits of multipliers from [0, 1], and output weights of sliding neurons through zero:
    (s, neuron, hyperplane, kind), with s in [-1, 1]."""
    margins, (a, W) = OfStep(engine, series, t0, length), engine.split(series[0])
    found = []
    held.look(t0, length)
    for i, slide in engine.pattern.slides.items():
        if a[i] == 0.0 and not W[i].any():
            continue
        below, above, error = margins.of(i, slide, engine.pattern.side)
        moves = margins.moves(i)
        seen = np.full(error.size, np.inf)
        for c in np.flatnonzero(margins.doubtful(below, above, error)):
            pair = i, int(slide.hyperplanes[c])
            held.margins[pair] = both = np.column_stack([below[:, c], above[:, c]])
            seen[c] = held.strays.seen(pair, both)
        for kind, margin, other in ((RELEASE_BELOW, below, above), (RELEASE_ABOVE, above, below)):
            for j, h in enumerate(slide.hyperplanes):
                key = i, int(h), kind
                s, way = margins.lets_go(margin[:, j], other[:, j], float(error[j]),
                                         moves[:, j if moves.shape[1] > 1 else 0],
                                         held.off.get(key, 0.0), held.doubt(i, int(h)), seen[j])
                if way is not None:
                    held.ways[key] = way
                if s <= 1.0:
                    found.append((s, *key))
        out = slide.sign * series[:, i]
        s = first_exit(out, halves(len(series) - 1), 1e-13 * np.abs(series[0, i]), 1.0)
        if s <= 1.0:
            found.append((float(s), i, -1, SIGN))
    return found


class Let(NamedTuple):
    """How a neuron came off a hyperplane.

    Attributes
    ----------
    fresh : bool
        A slide has just ended, and nothing decides it so far.
    seen : bool
        A step has been made since.
    even : float
        Time at which it was let go, where both margins were errors then; infinite if not.
    """

    fresh: bool
    seen: bool = False
    even: float = np.inf


class Freed:
    """Neurons that came off a hyperplane, or over it, and have not left it for a reason that is
    clear of errors.

    Attributes
    ----------
    pairs : dict of (int, int) to Let
        Neuron and hyperplane.
    told : set of (int, int)
        Those of which a choice has been told since their side changed.
    """

    def __init__(self) -> None:
        self.pairs: dict[tuple[int, int], Let] = {}
        self.told: set[tuple[int, int]] = set()

    def add(self, touched: Any, changed: dict[tuple[int, int], bool]) -> None:
        """Contacts ``(neuron, hyperplane, kind)`` of an instant, and pairs of which sides change
        there, whether they slid before."""
        for i, h, kind in touched:
            if h >= 0:
                # One that only touches it, or goes over it by noise, is as undecided as before.
                was = self.pairs.get((i, h), Let(False))
                self.pairs[i, h] = Let(kind in (RELEASE_BELOW, RELEASE_ABOVE), True, was.even)
        # Some are let go of by the way. What was chosen is over where a side changes.
        self.pairs |= {pair: Let(True) for pair, slid in changed.items() if slid}
        self.told -= changed.keys()

    def tell(self, engine: Stepping, series: np.ndarray, t0: float, t1: float) -> None:
        """Tell the choices of a step that is made, and forget who is clear of its hyperplane.

        Of leaky neurons those are told where slides end, see `gflow.engines.pattern.undecided`; a
        dead neuron stays where it is by convention.
        """
        pattern, margins = engine.pattern, None
        W = engine.split(engine.state)[1]
        for (i, h), let in list(self.pairs.items()):
            side = int(pattern.side[i, h])
            near = is_on(W[i], pattern.arrangement.normal[h], engine.band)
            if side == 0 or pattern.rest[i] or not (let.fresh or near or let.even < np.inf):
                del self.pairs[i, h]
                continue
            if engine.pattern.activation.slope or (pattern.codes[i] == OFF).all():
                continue
            margins = margins or OfStep(engine, series, t0, t1 - t0)
            when, waits, even = self._opens(margins, series, i, h, let, (t0, t1))
            if when <= t1 and (i, h) not in self.told:
                self.told.add((i, h))
                pattern.choices.append(np.array([[i, when, h, side, -side, 2]]))
            if when <= t1 or not (near or even < np.inf or let.fresh and waits):
                del self.pairs[i, h]
            else:
                self.pairs[i, h] = Let(let.fresh and waits, True, even)
        engine.held.strays.keep([*engine.held.margins, *self.pairs])

    @staticmethod
    def _opens(margins: OfStep, series: np.ndarray, i: int, h: int, let: Let,
               span: tuple[float, float]) -> tuple[float, bool, float]:
        """Time of a choice on a step with this ``span``, and whether it is to be waited for, see
        `Margins.opening`; what `Let.even` is from now on."""
        engine, pattern = margins.engine, margins.engine.pattern
        own = slice(engine.m + i * engine.d, engine.m + (i + 1) * engine.d)
        found = margins.beside(i, h, pattern.side, float(np.sign(chebval(-1.0, series[:, i]))),
                               pattern.arrangement.normal)
        if found is None:
            return np.inf, False, np.inf
        one, other, error = found
        if margins.doubtful(one, other, error):
            both = np.column_stack([one, other][::-int(pattern.side[i, h])])
            error = min(error, engine.held.strays.seen((i, h), both) / NAUGHT)
            engine.held.strays.note((i, h), both)
        s, waits = margins.opening(one, other, error, lambda s: is_on(
            chebval(s, series[:, own]), pattern.arrangement.normal[h], engine.band))
        even = let.even
        if let.fresh and not let.seen and abs(other[0]) <= CLEAR * error:
            even = span[0]
        if s <= 1.0:
            return min(even, span[0] + (s + 1) / 2 * (span[1] - span[0])), waits, even
        with np.errstate(divide="ignore", invalid="ignore"):
            last = float(one[-1] / error), float(other[-1] / error)
        even = even if is_even(*last) else np.inf
        apart = led_apart(*last) or last[0] < -1.0 and last[1] <= NAUGHT and not is_on(
            engine.split(engine.state)[1][i], pattern.arrangement.normal[h],
            NAUGHT / WIDE * engine.band)
        return even if apart else np.inf, waits, even
