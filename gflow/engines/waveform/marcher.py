"""Neurons through one window of time, given the residuals on it: a round of the fast engine."""

from __future__ import annotations

import time
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from ...problem.activation import RELU, Activation
from ...problem.data import Data
from ...kernels import groups, march, rounds
from ...kernels.crossings import ON_SURFACE, RESIDUAL_ERROR
from ...kernels.pulls import fields_of
from ...kernels.chebyshev import from_unit, halves, monomials, to_series
from ...kernels.taylor import ORDER
from ...kernels.workspace import Force, Geometry
from ..run import Stop
from .crew import Crew
from .window import Window
from .tangent import Tangent, gram, pays

GROUP = 3
"""Patterns of more neurons than this, and than a propagator has rows, are carried as groups."""
FEW_GROUPS = 100
"""Propagators of so many groups are worth a thread."""
BLOCKS, SMALLEST_BLOCK, WORK = 16, 64, 32_000
"""Outputs are summed by block, so that sums do not depend on the number of threads: of so many
neurons at least, or as many as have so many products of weights and normals."""
NEGLIGIBLE = 3e-3
"""Residuals are kept to this part of ``rtol``."""
LOOSEST = 1e-5
"""Events of a neuron are located as for this ``rtol`` at least: they lie close to each other."""
TAYLOR = 1e-2
"""Error of a piece of a neuron, over ``rtol``."""
TOGETHER = 128
"""Patterns whose sides are looked at as numbers at the same time."""
NO_RELEASE = np.array([2.0, -1.0, 0.0])
NO_EVENTS = np.empty((0, 6))


@lru_cache(maxsize=64)
def blocks(m: int, products: int) -> np.ndarray:
    """Where blocks of ``m`` neurons begin and end, each of which has so many ``products`` of its
    weight with normals."""
    size = max(min(SMALLEST_BLOCK, -(-WORK // max(products, 1))), -(-m // BLOCKS))
    return np.append(np.arange(0, m, size), m)


def _along(total: np.ndarray, side: np.ndarray, now: int) -> np.ndarray:
    """The sum (C,) of ``total`` (G,) over the patterns ``side`` (G, C) whose side is ``now``."""
    # A few patterns at a time: an array of all, and no number of it used twice, would cost more
    # than the sum.
    parts = [np.einsum("g,gh->h", total[first:first + TOGETHER],
                       (side[first:first + TOGETHER] == now).astype(float))
             for first in range(0, len(side), TOGETHER)]
    return np.asarray(parts[0] if len(parts) == 1 else np.sum(parts, axis=0))


class Patterns(NamedTuple):
    """Which neurons share a pattern.

    Attributes
    ----------
    key : ndarray of int, shape (m,)
        Equal where patterns are.
    first : ndarray of int, shape (G,)
        The first neuron of each.
    of : ndarray of int, shape (m,)
        The pattern of each neuron.
    counts : ndarray of int, shape (G,)
        Neurons of each.
    """

    key: np.ndarray
    first: np.ndarray
    of: np.ndarray
    counts: np.ndarray

    @classmethod
    def by(cls, key: np.ndarray) -> Patterns:
        """Of neurons with these keys: what `numpy.unique` would find, in less time."""
        order = np.argsort(key, kind="stable")
        inorder = key[order]
        new = np.ones(len(key), dtype=bool)
        np.not_equal(inorder[1:], inorder[:-1], out=new[1:])
        of = np.empty(len(key), dtype=np.int64)
        of[order] = new.cumsum() - 1
        return cls(key, order[new], of, np.bincount(of))


class Marcher:
    """Neurons of one data set through windows: what the engine and its dense output share.

    Nothing in it changes, so that any number of threads may use it.

    Parameters
    ----------
    data : Data
    rtol : float
    activation : Activation
    decay : float
        Weight decay: neurons are marched without it, and shrink by ``exp(-decay t)`` besides.

    Attributes
    ----------
    rows : int
        Events of a block of neurons that there is room for at first.
    """

    def __init__(self, data: Data, rtol: float, activation: Activation = RELU,
                 decay: float = 0.0) -> None:
        self.data, self.rtol, self.activation, self.decay = data, rtol, activation, decay
        A = data.arrangement
        self.C = A.normal.shape[0]
        live = A.label >= 0
        self.all_live = bool(live.all())
        self.live, self.planes, self.signed = live, A.label[live], A.length[live]
        below = np.bincount(A.label[live & (A.length < 0)], minlength=self.C)
        above = np.bincount(A.label[live & (A.length > 0)], minlength=self.C)
        self.mixed = bool(below.any() or activation.slope)
        # Copies: arrays that cannot be written to would have all kernels compiled again.
        self.geometry = Geometry(A.normal, np.array(A.normal.T, order="C"), below, above,
                                 A.label, A.length, A.start, A.member,
                                 np.array(data.X.T, order="C"), activation.slope)
        self.lengths = np.abs(A.length)
        self.rows = 4 * self.C + 1000
        self.marks = np.random.default_rng(0).integers(-2**62, 2**62, size=(self.C,))

    def __reduce__(self) -> tuple[type[Marcher], tuple[Data, float, Activation, float]]:
        return Marcher, (self.data, self.rtol, self.activation, self.decay)

    @cached_property
    def square(self) -> np.ndarray:
        """Products (n, n) of the points."""
        return gram(self.geometry.rows)

    def keys(self, side: np.ndarray) -> np.ndarray:
        """A number (m,) for every pattern."""
        return side.astype(np.int64) @ self.marks

    def patterns(self, side: np.ndarray) -> Patterns:
        """The patterns of neurons on these sides (m, C)."""
        return Patterns.by(self.keys(side))

    def keys_after(self, key: np.ndarray, log: np.ndarray, side: np.ndarray) -> np.ndarray:
        """The same after the events ``log`` (see `march`), which led to ``side`` (m, C)."""
        if not len(log):
            return key
        key = key.copy()
        h = log[:, 2].astype(np.int64)
        i, change = log[:, 0].astype(np.int64), (log[:, 4] - log[:, 3]).astype(np.int64)
        np.add.at(key, i, np.where(h >= 0, change * self.marks[h], 0))
        if h.min() < 0:
            # A neuron that comes to rest leaves all hyperplanes at once.
            key[i[h < 0]] = self.keys(side[i[h < 0]])
        return key

    def active(self, side: np.ndarray) -> np.ndarray:
        """Derivative of the activation at points (G, n) on the patterns ``side`` (G, C): 1 where
        they are active, the slope where not, 0 where they slide."""
        slope = self.activation.slope
        z = np.take(side, self.planes, axis=1) * self.signed
        seen: np.ndarray = (z > 0).astype(float)
        if slope:
            seen += slope * (z < 0)
        if self.all_live:
            return seen
        on = np.zeros((len(side), self.data.n))
        on[:, self.live] = seen
        return on

    def force(self, values: np.ndarray, half: float, error: np.ndarray) -> Force:
        """The pulls (p, n) of a window of half length ``half``, wrong by ``error`` (n,), as
        `march` takes them.

        Raises
        ------
        Stop
            If one is not finite.
        """
        A, n, degree = self.data.arrangement, self.data.n, len(values) - 1
        local = min(self.rtol, LOOSEST)
        bad, fields, sizes = fields_of(
            values, to_series(degree), monomials(degree), A.length, A.start, A.member,
            self.activation.slope, half / n, error, NEGLIGIBLE * self.rtol)
        if bad >= 0:
            raise Stop("non_finite", f"the pull of point {bad} "
                       "became infinite or NaN; rescale the data or start smaller")
        p = fields.shape[2]
        return Force(fields[0], fields[1], sizes[0], sizes[1], sizes[2], sizes[3],
                     max(TAYLOR * local, 1e-17), max(local, ON_SURFACE),
                     from_unit(p - 1), halves(p - 1), from_unit(ORDER), halves(ORDER))

    def wrong(self, pulls: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
        """What magnitudes of pulls (n,) times a ``factor`` add up to along every normal, (C,),
        where points on side 1, and where those on side -1, are active."""
        A = self.data.arrangement
        sizes = fields_of(pulls[None], to_series(0), monomials(0), A.length, A.start, A.member,
                          self.activation.slope, factor, np.zeros(self.data.n), 0.0)[2]
        return sizes[0], sizes[2]

    def moves(self, side: np.ndarray) -> np.ndarray:
        """Which patterns ``side`` (G, C) are active somewhere, or slide, for a slope of 0."""
        if not self.mixed:
            return np.asarray((side >= 0).any(axis=1))
        above, below = self.geometry.above > 0, self.geometry.below > 0
        return np.asarray((side == 0).any(axis=1) | (side[:, above] > 0).any(axis=1)
                          | (side[:, below] < 0).any(axis=1))

    def errors(self, window: Window, of: np.ndarray, side: np.ndarray) -> np.ndarray:
        """``rtol sum |a_i| |w_i| |x_k|`` (n,) over the neurons that are active at point k, times
        the curvature of the loss there: by how much an error of ``rtol`` of every neuron moves the
        pull; and what else it is wrong by, over `RESIDUAL_ERROR`.

        ``of`` (m,) are the patterns, on these sides (G, C).
        """
        U = window.U
        weight = np.abs(U[:, 0]) * np.sqrt(np.einsum("ic,ic->i", U[:, 1:], U[:, 1:]))
        total = np.bincount(of, np.ldexp(weight, 2 * window.power), len(side))
        # The strength of a window is the sum of these times curvatures of the loss.
        share = window.strength / max(float(total.sum()), np.finfo(float).tiny)
        error = np.asarray(max(self.rtol, 1e-12) * share * (self._seen(total, side) * self.lengths))
        return error + window.doubt / RESIDUAL_ERROR if window.doubt.size else error

    def _seen(self, total: np.ndarray, side: np.ndarray) -> np.ndarray:
        """The sum (n,) of ``total`` (G,) times the size of `active` over patterns ``side``."""
        above = _along(total, side, 1)
        if not self.mixed and self.all_live:
            return np.asarray(above[self.planes])
        below, slope = _along(total, side, -1), abs(self.activation.slope)
        up, down = above[self.planes], below[self.planes]
        seen = np.zeros(self.data.n)
        seen[self.live] = np.where(self.signed > 0, up + slope * down, down + slope * up)
        return seen

    def begin(self, window: Window, side: np.ndarray, patterns: Patterns, times: np.ndarray,
              crew: Crew, wanted: bool, alone: bool = False) -> Frame:
        """What all rounds on a window share. See `Frame`."""
        return Frame(self, window, side, patterns, times, crew, wanted, alone)


class Frame:
    """A window under way: its start, its patterns, and room for the ends of its neurons.

    Parameters
    ----------
    marcher : Marcher
    window : Window
    side : ndarray of int8, shape (m, C)
        Sides at the start.
    patterns : Patterns
        Of the start.
    times : ndarray, shape (J,)
        Increasing times in [-1, 1]: the Chebyshev nodes, unless states are wanted.
    crew : Crew
        Does the work.
    wanted : bool
        Whether the states at these times are wanted, rather than the outputs of the network and
        the ends of the neurons.
    alone : bool
        Follow every neuron, none as part of a group.

    Attributes
    ----------
    ends : Neurons
        Neurons at the end, after `run`.
    states : ndarray, shape (m, J, d + 1)
        If wanted.
    log : ndarray, shape (E, 6)
        Events, see `march`.
    choices : ndarray, shape (K, 6)
        Choices between several solutions, see there too.
    """

    def __init__(self, marcher: Marcher, window: Window, side: np.ndarray, patterns: Patterns,
                 times: np.ndarray, crew: Crew, wanted: bool, alone: bool) -> None:
        self.marcher, self.window, self.side, self.times = marcher, window, side, times
        self.crew = crew
        crew.rows = max(crew.rows, marcher.rows)
        self.wanted, self.patterns = wanted, patterns
        m, d = side.shape[0], marcher.data.d
        self.loose = window.loose_on(side.shape)
        self.ends = groups.Neurons(np.empty_like(window.U), np.empty_like(side),
                                   np.empty_like(self.loose), np.empty_like(window.direction),
                                   np.empty_like(window.closest), np.empty((m, 3)),
                                   np.ldexp(1.0, 2 * window.power))
        first, of = patterns.first, patterns.of
        large = (np.empty(0, dtype=np.int64) if alone
                 else np.flatnonzero(patterns.counts > max(GROUP, d)))
        slot = np.full(first.size, -1)
        slot[large] = np.arange(large.size)
        own = side[first]
        self.groups = groups.Groups(
            of, first, (own == 0).sum(axis=1), slot,
            np.empty((large.size, times.size, d + 1, d + 1)),
            np.empty((large.size, d)), np.full(large.size, np.inf))
        self.on, self.error = marcher.active(own[large]), marcher.errors(window, of, own)
        self.edges = blocks(m, marcher.C * d)
        self.states = np.empty((m if wanted else 0, times.size, d + 1))
        self.to_series = np.empty((0, 0)) if wanted else to_series(times.size - 1)
        self.log = self.choices = NO_EVENTS
        self._after: Patterns | None = None

    def tangent(self) -> Tangent:
        """How outputs answer to residuals on the patterns and weights of the start."""
        return self._tangent(self.window.U, self.side, self.patterns)

    def tangent_after(self) -> Tangent:
        """The same at the end of the last round."""
        return self._tangent(self.ends.U, self.ends.side, self.after())

    @property
    def kinked(self) -> bool:
        """Whether outputs had kinks in the last round."""
        return len(self.log) > 0

    def after(self) -> Patterns:
        """Patterns at the end of the last round."""
        if not len(self.log):
            return self.patterns
        if self._after is None:
            self._after = Patterns.by(self.marcher.keys_after(self.patterns.key, self.log,
                                                              self.ends.side))
        return self._after

    def _tangent(self, U: np.ndarray, side: np.ndarray, patterns: Patterns) -> Tangent:
        marcher, e, length = self.marcher, U.shape[1], self.window.t1 - self.window.t0
        U, own, of = np.ldexp(U, self.window.power[:, None]), side[patterns.first], patterns.of
        if pays(marcher.data.n, e - 1, len(own), lambda: len(U) + int((own == 0).sum())):
            return Tangent.of_neurons(marcher.geometry, marcher.square, U, of, own, length)
        flat = np.zeros((len(own), e * e))
        groups.add_moments(of, U, flat)
        return Tangent.of_patterns(marcher.geometry, flat.reshape(-1, e, e), own, length)

    def run(self, values: np.ndarray, energy: np.ndarray | None = None) -> np.ndarray:
        """March every neuron under the pulls ``values`` (p, n); outputs (J, n) of the network, or
        what they would be if no weight had decayed since the start of the window.

        The dissipated energy is added to ``energy`` (1,).
        """
        started = time.perf_counter()
        window, crew = self.window, self.crew
        half = (window.t1 - window.t0) / 2
        force = self.marcher.force(values, half, self.error)
        h = np.zeros((0 if self.wanted else self.times.size, self.marcher.data.n))
        results, sums = self._play(force, 0 if energy is None else 2, half, h)
        for status, i in results:
            if status == march.BROKEN:
                raise Stop("non_finite", f"the weights of neuron {i} became infinite or NaN after "
                           "t = {t}; rescale the data or start smaller", window.t0)
            if status == march.STUCK:
                raise Stop("sliding_unresolved", f"neuron {i} meets hyperplanes again and again "
                           "after t = {t}; loosen rtol or perturb the start", window.t0)
        self.log, self.choices, self._after = NO_EVENTS, NO_EVENTS, None
        room = sums.rooms[:, 0]
        if room.any():
            self.log = np.concatenate([log[:count] for log, count in zip(sums.logs, room)])
            chosen = self.log[:, 2] < -1.5
            if chosen.any():
                self.log, self.choices = self.log[~chosen], self.log[chosen]
        if energy is not None:
            energy += sums.spent[:, 0].sum()
        crew.took(time.perf_counter() - started)
        return h

    def _play(self, force: Force, spending: int, half: float, h: np.ndarray
              ) -> tuple[list[tuple[int, int]], rounds.Sums]:
        """How every part of the neurons ended, and what blocks add up to; outputs go to ``h``.

        All in one call, or the phases of `rounds.march_round` one after the other, each by several
        threads. Energies have ``spending`` numbers.
        """
        marcher, crew, data, d = self.marcher, self.crew, self.marcher.data, self.marcher.data.d
        starts = (self.window.U, self.side, self.loose, self.window.direction, self.window.closest,
                  NO_RELEASE)
        G, large, p = self.groups.first.size, self.groups.bend.size, force.plus.shape[1]
        B, J = self.edges.size - 1, self.times.size
        patterns = min(-(-large // FEW_GROUPS), crew.threads) if crew.busy else 1
        shares = min(crew.threads, B) if crew.busy else 1
        gather = 0 if self.wanted else rounds.GATHER
        flat = np.empty((G, p * d))
        D = flat.reshape(G, p, d)
        room = self.states if self.wanted else np.empty((shares, J, d + 1))

        def play(phases: int, part: int, parts: int) -> tuple[int, int]:
            states = room if self.wanted else room[part:part + 1]
            end: tuple[int, int] = rounds.march_round(
                phases, part, parts, self.edges, starts[0], self.side, self.ends, self.groups, D,
                flat, sums, marcher.geometry, force, marcher.mixed, self.times, states,
                self.wanted, self.to_series, self.on, h)
            return end

        prepare = rounds.PREPARE
        while True:
            for target, start in zip(self.ends, starts):
                np.copyto(target, start)
            spent = np.zeros((B, spending))
            if spending:
                spent[:, 1:] = marcher.decay * half
            # A cache line each: threads count events at the same time.
            sums = rounds.Sums(
                np.zeros((B, large, d + 1, d + 1)), np.zeros((B, large, J, d)),
                np.zeros((B, len(h), data.n)), spent, np.zeros((B, 16), dtype=np.int64),
                crew.logs(B))
            if shares == 1 and patterns < 2:
                results = crew.share(lambda i: play(prepare + rounds.MARCH + gather, i, 1), 1)
            else:
                if prepare:
                    crew.share(lambda i: play(rounds.PREPARE, i, max(patterns, 1)),
                               max(patterns, 1))
                results = crew.share(lambda i: play(rounds.MARCH, i, shares), shares)
                if gather:
                    crew.share(lambda i: play(gather, i, 1), 1)
            if all(status != march.FULL for status, _ in results):
                return results, sums
            # What neurons of a pattern have in common is known by now.
            prepare, crew.rows = 0, 2 * crew.rows
            h[...] = 0.0
