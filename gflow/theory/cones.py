"""Convex problems over networks, on a few rays and cells: solved by simplex or interior points.

What `gflow.theory.convex` asks for, restricted to networks whose neurons are on given rays or in
given cells of the arrangement of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp

from ..engines.events import ON
from .extremal import ExtremalVectors

TIGHT = 1e-10
"""Gap, relative to the value, at which to stop looking."""
SEEDS = 3
"""Rays for a start, over the number of points: enough to interpolate, few beside the rest."""


class Goal(NamedTuple):
    """One of the three problems.

    Attributes
    ----------
    y : ndarray, shape (n,)
        Labels.
    decay : float
        ``lambda``; 0 for outputs that have to be met.
    margin : bool
        Whether ``y_k h_k >= 1`` is what has to be met, not ``h = y``.
    """

    y: np.ndarray
    decay: float = 0.0
    margin: bool = False

    def cost(self, norm: float, h: np.ndarray) -> float:
        """What is minimised, over ``decay`` if there is one, of a network that meets the rest."""
        if self.decay:
            return norm + float(np.sum((h - self.y)**2)) / (2 * len(h) * self.decay)
        return norm

    def unmet(self, h: np.ndarray) -> float:
        """By how much outputs miss what has to be met, over the largest label."""
        if self.decay:
            return 0.0
        miss = 1.0 - self.y * h if self.margin else np.abs(h - self.y)
        return float(miss.max() / np.abs(self.y).max())

    def bound(self, mu: np.ndarray) -> tuple[float, float]:
        """The best bound that multipliers on the ray of ``mu``, of potential at most 1, prove, and
        their factor on it."""
        if self.margin:
            return float(np.abs(mu).sum()), 1.0
        if not self.decay:
            return float(mu @ self.y), 1.0
        # Of s mu with s <= 1; the Fenchel dual of the square.
        size = len(mu) * self.decay * float(mu @ mu)
        s = min(1.0, max(0.0, float(mu @ self.y) / size)) if size > 0 else 0.0
        return s * float(mu @ self.y) - s**2 * size / 2, s


@dataclass
class Pool:
    """What a restricted problem may use: rays, with either sign, and cells.

    Attributes
    ----------
    X : ndarray, shape (n, d)
    rays : ndarray, shape (R, d)
        Unit vectors.
    sign : list of float
        Of the output weights on each cell.
    cells : list of ndarray, shape (n,)
        Sides of the points, -1 or 1.
    """

    X: np.ndarray
    rays: np.ndarray
    sign: list[float] = field(default_factory=list)
    cells: list[np.ndarray] = field(default_factory=list)
    seen: set[tuple[float, bytes]] = field(default_factory=set)

    def columns(self) -> np.ndarray:
        """Outputs (n, 2 R) of the rays: with a positive output weight, then with a negative one."""
        up = np.maximum(self.X @ self.rays.T, 0.0)
        return np.concatenate([up, -up], axis=1)

    def add(self, found: ExtremalVectors, cells: bool) -> bool:
        """Add the directions on which multipliers are passed, with their cells if wanted; false if
        there is nothing new."""
        passed = (np.abs(found.value) > 1.0 + TIGHT / 4) & (found.kind != "saddle")
        self.rays = np.concatenate([self.rays, found.w[passed]])
        if not cells:
            return bool(passed.any())
        before = len(self.seen)
        for value, pattern in zip(found.value[passed], found.pattern[passed]):
            sign, side = float(np.sign(value)), np.where(pattern == ON, 1.0, -1.0)
            # A closed cell next to the direction: it has it.
            if (sign, side.tobytes()) not in self.seen:
                self.seen.add((sign, side.tobytes()))
                self.sign.append(sign)
                self.cells.append(side)
        return len(self.seen) > before


Solution: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Multipliers (n,), and neurons: signs (k,) of output weights and vectors ``|a| w`` (k, d)."""


def linear(pool: Pool, goal: Goal) -> Solution:
    """The problem on rays alone, a linear program, by the simplex method of HiGHS."""
    from scipy.optimize import linprog
    F = pool.columns()
    if goal.margin:
        found = linprog(np.ones(F.shape[1]), A_ub=-goal.y[:, None] * F, b_ub=-np.ones(len(F)),
                        method="highs-ds", options={"dual_feasibility_tolerance": 1e-10,
                                                    "primal_feasibility_tolerance": 1e-10})
    else:
        found = linprog(np.ones(F.shape[1]), A_eq=F, b_eq=goal.y, method="highs-ds",
                        options={"dual_feasibility_tolerance": 1e-10,
                                 "primal_feasibility_tolerance": 1e-10})
    if found.status != 0:
        raise Unsolved(found.message)
    mu = -goal.y * found.ineqlin.marginals if goal.margin else found.eqlin.marginals
    R = len(pool.rays)
    return mu, np.repeat([1.0, -1.0], R), np.tile(pool.rays, (2, 1)) * found.x[:, None]


def conic(pool: Pool, goal: Goal) -> Solution:
    """The problem on rays and whole cells, a second-order cone program, by Clarabel."""
    import clarabel
    X, F = pool.X, pool.columns()
    (n, d), R, J = X.shape, F.shape[1], len(pool.cells)
    # Variables: weights of rays; for each cell a bound t of |v|, and v; outputs, with decay.
    size, free = R + J * (d + 1), n if goal.decay else 0
    side = np.array(pool.cells).reshape(J, n)
    on = np.array(pool.sign)[:, None] * (side > 0)
    made = (on.T[:, :, None] * np.insert(X, 0, 0.0, axis=1)[:, None]).reshape(n, -1)
    out = sp.csc_matrix(np.concatenate([F, made], axis=1))
    if goal.decay:
        first = sp.hstack([out, -sp.eye(n)])
        meet, cone = np.zeros(n), clarabel.ZeroConeT(n)
    elif goal.margin:
        first = sp.diags(-goal.y) @ out
        meet, cone = -np.ones(n), clarabel.NonnegativeConeT(n)
    else:
        first, meet, cone = out, goal.y, clarabel.ZeroConeT(n)
    stay = sp.block_diag([-u[:, None] * np.insert(X, 0, 0.0, axis=1) for u in side]) if J else None
    blocks = [first, _wide(-sp.eye(R), 0, size + free)]
    if J:
        blocks += [_wide(stay, R, size + free), _wide(-sp.eye(J * (d + 1)), R, size + free)]
    A = sp.csc_matrix(sp.vstack(blocks))
    q = np.zeros(size + free)
    q[:R], q[R:size:d + 1] = 1.0, 1.0
    P = sp.csc_matrix((size + free, size + free))
    if goal.decay:
        scale = 1 / (n * goal.decay)
        P = sp.csc_matrix(sp.diags(np.concatenate([np.zeros(size), np.full(n, scale)])))
        q[size:] = -scale * goal.y
    options = clarabel.DefaultSettings()
    options.verbose, options.max_threads, options.max_iter = False, 1, 200
    options.tol_gap_abs = options.tol_gap_rel = options.tol_feas = 1e-11
    cones = [cone, clarabel.NonnegativeConeT(R + J * n), *J * [clarabel.SecondOrderConeT(d + 1)]]
    found = clarabel.DefaultSolver(P, q, A, np.concatenate([meet, np.zeros(A.shape[0] - n)]), cones,
                                   options).solve()
    x, z = np.array(found.x), np.array(found.z)[:n]
    if not np.isfinite(x).all() or not np.isfinite(z).all() or "Infeasible" in str(found.status):
        raise Unsolved(str(found.status))
    mu = goal.y * z if goal.margin else -z
    rays = np.tile(pool.rays, (2, 1)) * np.maximum(x[:R], 0.0)[:, None]
    return (mu, np.concatenate([np.repeat([1.0, -1.0], R // 2), pool.sign]),
            np.concatenate([rays, x[R:size].reshape(J, d + 1)[:, 1:]]))


class Unsolved(Exception):
    """A solver found no solution on the cells that it was given."""


def _wide(block: Any, before: int, width: int) -> Any:
    """A sparse block with empty columns before and behind it."""
    return sp.hstack([sp.csc_matrix((block.shape[0], before)), block,
                      sp.csc_matrix((block.shape[0], width - before - block.shape[1]))])


def solvers(decay: float) -> list[Callable[[Pool, Goal], Solution]]:
    """The solvers to use, one after the other."""
    try:
        import clarabel  # noqa: F401
    except ImportError:
        if decay:
            raise ImportError("an optimum with decay needs the conic solver Clarabel: install "
                              "gflow[convex]") from None
        return [linear]
    return [conic] if decay else [conic, linear]


def seeds(X: np.ndarray) -> np.ndarray:
    """Rays that some networks that interpolate consist of: those in which hyperplanes meet."""
    n, d = X.shape
    rng, rays = np.random.default_rng(0), [np.eye(d)]
    for _ in range(SEEDS * n if d > 2 else n if d > 1 else 0):
        chosen = rng.choice(n, min(d - 1, n), replace=False) if d > 2 else [len(rays) - 1]
        rays.append(np.linalg.svd(X[chosen])[2][-1:])
    found = np.concatenate(rays)
    return np.concatenate([found, -found])
