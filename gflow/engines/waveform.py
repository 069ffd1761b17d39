"""The fast engine: neurons one by one and in parallel, given the residuals on a window of time.

Neurons interact only through the residuals. On a window these are polynomials; given them every
neuron is integrated on its own with its own events (`kernels.march`); the outputs give new
residuals, and the round is repeated until they stop changing (waveform relaxation: Lelarasmee,
Ruehli and Sangiovanni-Vincentelli, 1982).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from ..balance import Balance
from ..data import Data
from ..kernels import groups, march
from ..kernels.contacts import ON_SURFACE, RESIDUAL_ERROR
from ..kernels.modes import orthonormal_rows
from ..kernels.roots import halves, nodes, to_series
from ..kernels.taylor import ORDER
from ..model import row_norms
from ..pattern import Pattern, start_residual
from ..run import Run, Stop
from ..windows import Window, Windows

DEGREE = 10
"""Degree of the residuals on a window."""
ROUNDS = 12
GROUP = 3
"""Patterns of more neurons than this are carried as groups."""
ALLOWANCE = 8.0
"""Error of the residuals that is allowed, over ``rtol``: its effect on weights averages out."""
BLOCK = 64
"""Neurons whose outputs are summed together: sums do not depend on the number of threads."""


@lru_cache(maxsize=None)
def from_unit(degree: int) -> np.ndarray:
    """Matrix from monomials in x on [0, 1] to the Chebyshev series in 2 x - 1."""
    x = (nodes(degree) + 1) / 2
    return np.ascontiguousarray(to_series(degree) @ np.vander(x, degree + 1, increasing=True))


@lru_cache(maxsize=None)
def to_monomials(degree: int) -> np.ndarray:
    """Matrix from values at the Chebyshev nodes to monomials in s on [-1, 1]."""
    basis = [np.polynomial.chebyshev.cheb2poly(row) for row in np.eye(degree + 1)]
    square = np.array([np.pad(row, (0, degree + 1 - len(row))) for row in basis]).T
    return square @ to_series(degree)


class Marcher:
    """Neurons of one data set through one window: what the engine and its dense output share."""

    def __init__(self, data: Data, rtol: float, threads: int) -> None:
        self.data, self.rtol = data, rtol
        A = data.arrangement
        self.C = A.normal.shape[0]
        live = A.label >= 0
        self.choices = np.array([np.bincount(A.label[live & (A.length < 0)], minlength=self.C),
                                 np.bincount(A.label[live & (A.length > 0)], minlength=self.C)])
        self.mixed = bool((A.length < 0).any())
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.room = 40 * self.C + 1000
        self.marks = np.random.default_rng(0).integers(-2**62, 2**62, size=(self.C,))

    def keys(self, side: np.ndarray) -> np.ndarray:
        """A number (m,) for every pattern."""
        return side.astype(np.int64) @ self.marks

    def fields(self, values: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray]:
        """Field along every normal on its side 1 and -1, (C, p): from residuals (p, n)."""
        A = self.data.arrangement
        r = (to_monomials(len(values) - 1) @ values).T * (half / self.data.n)
        if self.C == 0:
            return np.zeros((0, len(values))), np.zeros((0, len(values)))
        pull = r[A.member] * A.length[A.member, None]
        up = A.length[A.member, None] > 0
        starts = A.start[:-1]
        plus = np.add.reduceat(np.where(up, pull, 0.0), starts, axis=0)
        minus = np.add.reduceat(np.where(up, 0.0, pull), starts, axis=0)
        return np.ascontiguousarray(plus), np.ascontiguousarray(minus)

    def run(self, window: Window, side: np.ndarray, values: np.ndarray, times: np.ndarray,
            weigh: bool, energy: np.ndarray | None = None,
            key: np.ndarray | None = None) -> Outcome:
        """March every neuron through the window under the residuals ``values`` (p, n).

        States are wanted at ``times`` (J,), in [-1, 1]; outputs of the network too if ``weigh``.
        The dissipated energy is added to ``energy`` (1,). ``key`` (m,) tells patterns apart.
        """
        key = self.keys(side) if key is None else key
        energy = np.zeros(0) if energy is None else energy
        data, A = self.data, self.data.arrangement
        half = (window.t1 - window.t0) / 2
        m, d = side.shape[0], data.d
        plus, minus = self.fields(values, half)
        _, first, group, counts = np.unique(key, return_index=True, return_inverse=True,
                                            return_counts=True)
        D = (side[first] == 1).astype(float) @ (plus[:, :, None] * A.normal[:, None]
                                                ).reshape(self.C, len(values) * d)
        if self.mixed:
            D += (side[first] == -1).astype(float) @ (minus[:, :, None] * A.normal[:, None]
                                                      ).reshape(self.C, len(values) * d)
        D = D.reshape(len(first), len(values), d)
        out = Outcome(window.U.copy(), side.copy(), window.loose_on(side.shape),
                      np.empty((m, times.size, d + 1)), window.direction.copy(),
                      window.closest.copy())
        weights = np.ldexp(1.0, 2 * window.power)
        size = float(np.abs(values).max(axis=0) @ np.abs(A.length)) * half / data.n
        noise = RESIDUAL_ERROR * max(self.rtol, 1e-12) * window.strength * half / data.n
        noise *= float(A.length @ A.length)
        accuracy, band = max(1e-3 * self.rtol, 1e-17), max(self.rtol, ON_SURFACE)
        p = len(values) - 1
        # Patterns of several neurons get a propagator; none if every neuron must be followed.
        slot = np.full(len(first), -1)
        large = np.flatnonzero(counts > GROUP) if energy.size == 0 else np.empty(0, dtype=int)
        slot[large] = np.arange(large.size)
        lam = np.empty((large.size, times.size, d + 1, d + 1))
        field0, bend = np.empty((large.size, d)), np.empty(large.size)
        groups.propagators(D[large], side, first[large], window.U, plus, minus, A.normal, times,
                           accuracy, size, noise, from_unit(p), halves(p), lam, field0, bend)
        slot[large[~np.isfinite(bend)]] = -1
        blocks = [np.arange(i, min(i + BLOCK, m)) for i in range(0, m, BLOCK)]
        heights = [np.zeros((times.size if weigh else 0, data.n)) for _ in blocks]
        moments = [np.zeros((large.size, d + 1, d + 1)) for _ in blocks]
        energies = [np.zeros(energy.size) for _ in blocks]

        def work(b: int) -> tuple[np.ndarray, int, int, int]:
            while True:
                log = np.empty((self.room, 5))
                room = np.zeros(2, dtype=np.int64)
                status, i = groups.march_block(
                    blocks[b], out.U, out.side, out.loose, group, slot, lam, field0, bend,
                    moments[b], D, plus, minus, A.normal, A.label, A.start, A.member, A.length,
                    times, out.states, log, room, self.choices, out.direction, out.closest,
                    accuracy, band, size, noise, from_unit(ORDER), halves(ORDER),
                    from_unit(p), halves(p), data.X, heights[b], weights, energies[b], not weigh)
                if status != march.FULL:
                    return log[:room[0]].copy(), status, i, int(room[1])
                self.room *= 2
                rows = blocks[b]
                out.U[rows], out.side[rows] = window.U[rows], side[rows]
                out.loose[rows] = window.loose_on(side.shape)[rows]
                heights[b][:] = moments[b][:] = energies[b][:] = 0.0

        results = list((self.pool.map if self.pool else map)(work, range(len(blocks))))
        for _, status, i, _ in results:
            if status == march.BROKEN:
                raise Stop("non_finite", f"the weights of neuron {i} became infinite or NaN after "
                           f"t = {window.t0:.6g}; rescale the data or start smaller")
            if status == march.STUCK:
                raise Stop("sliding_unresolved", f"neuron {i} meets hyperplanes again and again "
                           f"after t = {window.t0:.6g}; loosen rtol or perturb the start")
        out.log = np.concatenate([log for log, *_ in results])
        out.ambiguous = sum(result[3] for result in results)
        if weigh:
            out.h = np.zeros((times.size, data.n))
            for part in heights:
                out.h += part
            usable = slot[large] >= 0
            if usable.any():
                total = moments[0]
                for moment in moments[1:]:
                    total = total + moment
                lam, total = lam[usable], total[usable]
                # v = sum a_i w_i of every group and time, then the outputs of its active points.
                v = np.einsum("gjb,gbc,gjce->gje", lam[..., 0], total, lam[..., 1:])
                live = A.label >= 0
                on = np.zeros((len(v), data.n), dtype=bool)
                on[:, live] = side[first[large[usable]]][:, A.label[live]] * A.length[live] > 0
                pull = (on.T.astype(float) @ v.reshape(len(v), -1)).reshape(data.n, -1, d)
                out.h += np.einsum("kje,ke->jk", pull, data.X)
        for spent in energies:
            energy += spent
        return out


class Outcome:
    """What a round leaves behind."""

    def __init__(self, U: np.ndarray, side: np.ndarray, loose: np.ndarray, states: np.ndarray,
                 direction: np.ndarray, closest: np.ndarray) -> None:
        self.U, self.side, self.loose = U, side, loose
        self.states, self.direction, self.closest = states, direction, closest
        self.log = np.empty((0, 5))
        self.h = np.empty((0, 0))
        self.ambiguous = 0


class Waveform:
    """A flow under way in windows.

    Parameters
    ----------
    data : Data
    state : ndarray, shape (m (d + 1),)
        Start, ``[a (m), W (m d)]``.
    rtol : float
        Error allowed per window, relative to each neuron's norm.
    threads : int
        Number of threads; results do not depend on it.

    Attributes
    ----------
    path : Windows
        Dense output.
    """

    def __init__(self, data: Data, state: np.ndarray, rtol: float, threads: int = 1) -> None:
        self.data, self.rtol = data, rtol
        d = data.d
        m = state.size // (d + 1)
        a, W = state[:m].copy(), state[m:].reshape(m, d).copy()
        self.balance = Balance(a, W)
        r, self.refusal = start_residual(data, a, W)
        pattern = Pattern(data, a, W, r)
        self.initial_codes = pattern.codes.copy()
        self.ambiguous = pattern.ambiguous
        self.side, self.loose = pattern.side, pattern.loose
        self.side[pattern.rest] = -1
        self.r = r
        self.slope = np.zeros(data.n)
        self.t = 0.0
        size = np.maximum(np.abs(a), np.abs(W).max(axis=1))
        self.power = np.frexp(size)[1].astype(np.int64)
        self.U = np.ldexp(np.column_stack([a, W]), -self.power[:, None])
        self.codes = self.initial_codes.copy()
        self.direction = np.zeros((m, d + 1))
        self.closest = np.zeros((m, march.NEAR + 1), dtype=np.int32)
        self.marcher = Marcher(data, rtol, threads)
        self.path = Windows(m, d, state, self.marcher, self.side)
        self.key = self.marcher.keys(self.side)
        self.nfev = self.njev = self.steps = self.cuts = self.rejected = 0
        self.lengths = row_norms(data.X)

    def loss_and_gradient(self, state: np.ndarray) -> tuple[float, float]:
        """Loss and norm of the min-norm gradient, on the pattern of the end of the last window."""
        from ..kernels import field
        m, d = self.path.m, self.path.d
        a, W = state[:m], np.ascontiguousarray(state[m:].reshape(m, d))
        A = self.data.arrangement
        slider = np.flatnonzero((self.side == 0).any(axis=1))
        rank = np.zeros(slider.size, dtype=np.int64)
        basis = np.zeros((slider.size, d, d))
        on = (W @ self.data.X.T > 0).astype(float)
        for j, i in enumerate(slider):
            found, rank[j] = orthonormal_rows(A.normal[self.side[i] == 0])
            basis[j, :rank[j]] = found
            on[i, np.isin(A.label, np.flatnonzero(self.side[i] == 0))] = 0.0
        v = field.velocity(state, m, on, self.data.X, self.data.y, slider, rank, basis)
        r = field.residual(a, W, on, self.data.X, self.data.y)
        return float(r @ r / (2 * r.size)), float(row_norms(v))

    def integrate(self, run: Run) -> None:
        """Run to the end; windows go to `path`, events to ``run``.

        Raises
        ------
        Stop
            When the run ends before ``t_max``; everything up to then is recorded.
        """
        self.run = run
        if self.refusal:
            raise Stop("non_finite", self.refusal)
        pull = float(np.abs(self.r) @ self.lengths) / self.data.n
        H = min(self.run.t_max, 1.0 / pull if pull > 0 else self.run.t_max)
        while self.t < self.run.t_max:
            H = min(H, self.run.t_max - self.t)
            if self.run.t_max - self.t - H < 1e-3 * H:
                H = self.run.t_max - self.t
            if H <= 16 * np.spacing(self.t):
                raise Stop("step_too_small", f"windows fell below rounding at t = {self.t:.6g}")
            H = self.window(H)
            self.run.check(self.loss_and_gradient)

    def window(self, H: float) -> float:
        """Advance by at most ``H``; the length to try next."""
        t1 = self.t + H if self.t + H < self.run.t_max else self.run.t_max
        H = t1 - self.t
        strength = float(np.ldexp(np.abs(self.U[:, 0]) * row_norms(self.U[:, 1:]),
                                  2 * self.power).sum())
        window = Window(self.t, t1, self.U, self.power, np.flatnonzero(self.loose), self.direction,
                        self.closest, strength)
        s = nodes(DEGREE)
        values = self.r + (s[:, None] + 1) * (H / 2) * self.slope
        weight = self.lengths / self.data.n * H
        previous = np.inf
        used = values
        for rounds in range(1, ROUNDS + 1):
            if self.run.interrupted:
                raise Stop("interrupted")
            used = values
            out = self.marcher.run(window, self.side, used, s, True, key=self.key)
            self.nfev += 1
            values = self.data.y - out.h
            change = float((np.abs(values - used) @ weight).max())
            if change <= 0.3 * self.rtol:
                break
            # On a flow the loss falls: residuals that grow are a window that is too long.
            slack = (self.rtol * strength * float(self.lengths.max())) ** 2 * self.data.n
            largest = float((values**2).sum(axis=1).max())
            diverges = not largest <= 4 * float(self.r @ self.r) + slack
            if diverges or rounds >= 3 and (change > 0.5 * previous or rounds == ROUNDS):
                self.rejected += 1
                self.slope = np.zeros(self.data.n)
                return H / 3
            previous = change
        series = to_series(DEGREE) @ used
        error = float(np.abs(series[-2:]).sum(axis=0) @ weight) / ALLOWANCE
        if error > self.rtol:
            self.rejected += 1
            return float(H * max(0.2, 0.7 * (self.rtol / error) ** 0.4))
        self._accept(window, used, values, out, series)
        grow = 2.0 if error == 0 else float(min(2.0, 0.8 * (self.rtol / error) ** 0.25))
        if rounds > 5:
            grow = min(grow, 0.8)
        return H * max(0.3, grow)

    def _accept(self, window: Window, used: np.ndarray, values: np.ndarray, out: Outcome,
                series: np.ndarray) -> None:
        H = window.t1 - window.t0
        window.values = used
        log = out.log[np.argsort(out.log[:, 1], kind="stable")]
        window.events = log
        self.path.append(window)
        self.steps += 1
        self.t = window.t1
        self.ambiguous += out.ambiguous
        changes = self._changes(log)
        self.side, self.loose = out.side, out.loose
        self.direction, self.closest = out.direction, out.closest
        moved = log[:, 2] >= 0
        np.add.at(self.key, log[moved, 0].astype(int),
                  (log[moved, 4] - log[moved, 3]).astype(np.int64)
                  * self.marcher.marks[log[moved, 2].astype(int)])
        # Mantissas near 1, and every neuron back on its invariant.
        U = out.U
        power = np.frexp(np.abs(U).max(axis=1))[1].astype(np.int64)
        self.power = self.power + power
        a, W = np.ldexp(U[:, 0], -power), np.ldexp(U[:, 1:], -power[:, None])
        self.balance.restore(a, W, self.power)
        self.U = np.column_stack([a, W])
        self.r = values[-1]
        # T_j'(1) = j^2.
        self.slope = np.arange(len(series)) ** 2 @ series * (2 / H)
        for t, change in changes:
            self.run.changed(t, change)

    def _changes(self, log: np.ndarray) -> list[tuple[float, list[tuple[int, int, int, int]]]]:
        """Events of a window as changes of the ternary codes of points."""
        A = self.data.arrangement
        t0, t1 = self.path.breaks[-2:]
        found = []
        for row in log.tolist():
            i, s, h, new = int(row[0]), row[1], int(row[2]), row[4]
            points = A.member[A.start[h]:A.start[h + 1]] if h >= 0 else np.arange(self.data.n)
            now = (np.full(points.size, 0) if h < 0 else np.full(points.size, 2) if new == 0
                   else (new * A.length[points] > 0).astype(int))
            change = [(i, int(k), int(self.codes[i, k]), int(c)) for k, c in zip(points, now)
                      if self.codes[i, k] != c]
            self.codes[i, points] = now
            found.append((t0 + (s + 1) / 2 * (t1 - t0), change))
        return found
