"""The fast engine: neurons one by one and in parallel, given the residuals on a window of time.

Neurons interact only through the residuals. On a window these are polynomials; given them every
neuron is integrated on its own with its own events (`kernels.march`); the outputs give new
residuals, and the round is repeated until they stop changing (waveform relaxation: Lelarasmee,
Ruehli and Sangiovanni-Vincentelli, 1982).
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from ..balance import Balance
from ..data import Data
from ..kernels import march
from ..kernels.modes import orthonormal_rows
from ..kernels.roots import nodes, to_series
from ..model import TwoLayerReLU, row_norms
from ..pattern import Pattern, start_residual
from ..run import Run, Stop
from ..windows import Window, Windows
from .marcher import Frame, Marcher
from .tangent import Tangent, answer, resolution, solve

DEGREE = 8
"""Degree of the residuals on a window."""
ROUNDS = 12
WEAK = 1e-3
"""Outputs that answer to residuals by less than this need no tangent kernel."""
LATER = 30.0
"""A round that changes residuals by more than this, over ``rtol``, is worth the tangent kernel at
the end of the window too."""
ALLOWANCE = 20.0
"""Error of the residuals that is allowed, over ``rtol``: its effect on weights averages out."""


class Waveform:
    """A flow under way in windows.

    Parameters
    ----------
    data : Data
    model : TwoLayerReLU
        Start.
    rtol : float
        Error allowed per window, relative to each neuron's norm.
    threads : int
        Number of threads; results do not depend on it.

    Attributes
    ----------
    path : Windows
        Dense output.
    """

    def __init__(self, data: Data, model: TwoLayerReLU, rtol: float, threads: int = 1) -> None:
        self.data, self.rtol = data, rtol
        m, d = model.m, data.d
        # Mantissas, and powers of two.
        units = np.floor(model.log_scale / np.log(2.0))
        rest = np.exp(model.log_scale - units * np.log(2.0))
        a, W = model.a * rest, model.W * rest[:, None]
        self.unit = units.astype(np.int64)
        self.balance = Balance(a, W)
        r, self.refusal = start_residual(data, np.ldexp(a, self.unit),
                                         np.ldexp(W, self.unit[:, None]))
        pattern = Pattern(data, a, W, r)
        self.initial_codes = pattern.codes.copy()
        self.ambiguous = pattern.ambiguous
        self.side, self.loose = pattern.side, pattern.loose
        self.side[pattern.rest] = -1
        self.r = r
        self.slope = np.zeros(data.n)
        self.tangent: Tangent | None = None
        self.tried: tuple[float, np.ndarray] | None = None
        self.t = 0.0
        size = np.maximum(np.abs(a), np.abs(W).max(axis=1))
        power = np.frexp(size)[1].astype(np.int64)
        self.power = power + self.unit
        self.U = np.ldexp(np.column_stack([a, W]), -power[:, None])
        self.direction = np.zeros((m, d + 1))
        self.closest = np.zeros((m, march.NEAR + 1), dtype=np.int32)
        self.marcher = Marcher(data, rtol, threads)
        self.path = Windows(self.U, self.power, self.marcher, self.side)
        self.key = self.marcher.keys(self.side)
        self.nfev = self.njev = self.steps = self.cuts = self.rejected = 0
        self.lengths = row_norms(data.X)

    def measure(self, state: np.ndarray) -> tuple[float, Callable[[], float]]:
        """Loss, and a function that gives the norm of the min-norm gradient."""
        m, d = self.path.m, self.path.d
        a, W = state[:m], state[m:].reshape(m, d)
        r = self.data.y - np.maximum(self.data.X @ W.T, 0.0) @ a
        side, key = self.side, self.key.copy()

        def gradient_norm() -> float:
            A = self.data.arrangement
            live = A.label >= 0
            on = np.zeros((m, self.data.n))
            on[:, live] = side[:, A.label[live]] * A.length[live] > 0
            D = on @ (r[:, None] * self.data.X) / self.data.n
            for pattern in np.unique(key[(side == 0).any(axis=1)]):
                same = key == pattern
                basis, _ = orthonormal_rows(A.normal[side[same.argmax()] == 0])
                D[same] -= (D[same] @ basis.T) @ basis
            return float(row_norms(np.append((W * D).sum(axis=1), (a[:, None] * D).ravel())))

        return float(r @ r / (2 * r.size)), gradient_norm

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
            self.run.check(self.measure)

    def window(self, H: float) -> float:
        """Advance by at most ``H``; the length to try next."""
        t1 = self.t + H
        if t1 >= self.run.t_max - 4 * np.spacing(self.run.t_max):
            t1 = self.run.t_max
        H = t1 - self.t
        strength = float(np.ldexp(np.abs(self.U[:, 0]) * row_norms(self.U[:, 1:]),
                                  2 * self.power).sum())
        window = Window(self.t, t1, self.U, self.power, np.flatnonzero(self.loose), self.direction,
                        self.closest, strength)
        frame = self.marcher.begin(window, self.side, self.key, nodes(DEGREE), wanted=False)
        weight = self.lengths / self.data.n * H
        # On a flow the loss falls: residuals that grow are a window that is too long.
        slack = (self.rtol * strength * float(self.lengths.max())) ** 2 * self.data.n
        ceiling = 4 * float(self.r @ self.r) + slack
        first = frame.tangent() if self.tangent is None else self.tangent.scaled(H)
        last = None
        newton = first.strength > WEAK
        coarse = resolution(DEGREE)
        used = coarse @ self._guess(H, first if newton else None)
        previous = np.inf
        for rounds in range(1, ROUNDS + 1):
            if self.run.interrupted:
                raise Stop("interrupted")
            values = self.data.y - frame.run(used)
            self.nfev += 1
            defect = coarse @ values - used
            change = float((np.abs(defect) @ weight).max())
            series = to_series(DEGREE) @ values
            error = float(np.abs(series[-2:]).sum(axis=0) @ weight) / ALLOWANCE
            if change <= 0.3 * self.rtol:
                break
            diverges = not float((values**2).sum(axis=1).max()) <= ceiling
            if diverges or rounds >= 3 and (change > 0.5 * previous or rounds == ROUNDS):
                self.rejected += 1
                self.slope, self.tangent, self.tried = np.zeros(self.data.n), None, None
                return H / 3
            if rounds > 1 and error > 2 * self.rtol + change:
                break
            previous = change
            if newton and change > LATER * self.rtol:
                last = frame.tangent_after()
            used = used + (solve(defect, first, last) if newton else defect)
        if error > self.rtol:
            self.rejected += 1
            self.tangent, self.tried = first, (H, series)
            kink = self._first_kink(frame.log, weight)
            if kink < 1.0:
                return H * (kink + 1) / 2
            return float(H * max(0.2, 0.7 * (self.rtol / error) ** 0.4))
        self.tangent, self.tried = last, None
        self._accept(frame, used, values)
        grow = 2.0 if error == 0 else float(min(2.0, 0.8 * (self.rtol / error) ** 0.25))
        if rounds > 3:
            grow = min(grow, 1.0 if rounds == 4 else 0.7)
        return H * max(0.3, grow)

    def _guess(self, H: float, first: Tangent | None) -> np.ndarray:
        """Residuals at the nodes of the next window, before any round."""
        s = nodes(DEGREE)
        if self.tried is not None:
            # The window is the first part of one that was too long.
            length, series = self.tried
            return np.polynomial.chebyshev.chebval((s + 1) * (H / length) - 1, series).T
        used = self.r + (s[:, None] + 1) * (H / 2) * self.slope
        if first is not None:
            # The linear model that has this slope at the start.
            model = used + answer(np.tile(self.r, (s.size, 1)), first)
            used = used + solve(model - used - answer(used, first), first)
        return used

    def _first_kink(self, log: np.ndarray, weight: np.ndarray) -> float:
        """Time in (-1, 1) of the first event that bends the residuals too much for a polynomial;
        1 if there is none."""
        A = self.data.arrangement
        log = log[np.argsort(log[:, 1], kind="stable")]
        h = log[:, 2].astype(np.int64)
        size = np.append(np.maximum.reduceat((self.lengths * weight)[A.member], A.start[:-1])
                         if A.member.size else [], 0.0)
        # Neurons that bend at the same time count together; T_j of a kink falls like 1 / j^2.
        bend = np.cumsum(log[:, 5] * size[h]) / DEGREE**2 / ALLOWANCE
        before = np.searchsorted(log[:, 1], log[:, 1] - 1e-3)
        together = bend - np.append(0.0, bend)[before]
        sharp = np.flatnonzero((together > 0.5 * self.rtol) & (log[:, 1] > -0.9))
        return float(log[sharp[0], 1]) if sharp.size else 1.0

    def _accept(self, frame: Frame, used: np.ndarray, values: np.ndarray) -> None:
        window, out = frame.window, frame.ends
        log = frame.log[np.argsort(frame.log[:, 1], kind="stable")]
        window.values, window.events = used, np.ascontiguousarray(log[:, :5])
        self.steps += 1
        self.t = window.t1
        self.ambiguous += frame.ambiguous
        self.side, self.loose = out.side, out.loose
        self.direction, self.closest = out.direction, out.closest
        moved = log[:, 2] >= 0
        np.add.at(self.key, log[moved, 0].astype(int),
                  (log[moved, 4] - log[moved, 3]).astype(np.int64)
                  * self.marcher.marks[log[moved, 2].astype(int)])
        # Mantissas near 1, and every neuron back on its invariant.
        power = np.frexp(np.abs(out.U).max(axis=1))[1].astype(np.int64)
        self.power = self.power + power
        a, W = np.ldexp(out.U[:, 0], -power), np.ldexp(out.U[:, 1:], -power[:, None])
        self.balance.restore(a, W, self.power - self.unit)
        self.U = np.column_stack([a, W])
        self.path.append(window, (self.U, self.power))
        self.r = values[-1]
        # T_j'(1) = j^2.
        slopes = np.arange(DEGREE + 1) ** 2 @ to_series(DEGREE)
        self.slope = slopes @ used * (2 / (window.t1 - window.t0))
        self._record(window.t0, window.t1, log)

    def _record(self, t0: float, t1: float, log: np.ndarray) -> None:
        """Events of a window as changes of the ternary codes of points."""
        A = self.data.arrangement
        i, h = log[:, 0].astype(np.int64), log[:, 2].astype(np.int64)
        # Every event changes the points of a class, or all points where a neuron came to rest.
        begin = np.where(h >= 0, A.start[h], 0)
        count = np.where(h >= 0, A.start[h + 1], A.member.size) - begin
        row = np.repeat(np.arange(len(log)), count)
        inside = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
        point = A.member[begin[row] + inside]
        moves = h[row] >= 0
        old = np.where(moves, log[row, 3], self.side[i[row], A.label[point]])
        before = np.where(old == 0, 2, old * A.length[point] > 0)
        after = np.where(~moves, 0, np.where(log[row, 4] == 0, 2,
                                             log[row, 4] * A.length[point] > 0))
        change = before != after
        time = t0 + (log[row, 1] + 1) / 2 * (t1 - t0)
        self.run.record(time[change], i[row][change], point[change], before[change],
                        after[change])
