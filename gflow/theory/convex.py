r"""Global optima over networks of any width: least norm, weight decay, largest margin.

With :math:`v = |a| w` a neuron costs :math:`|a| |w| = |v|` when it is balanced, and what it adds at
the points is linear in v while v stays in one cell of the arrangement. So each problem here,

.. math::

    \min \sum_j |v_j| \text{ with } h = y, \qquad
    \min \tfrac{1}{2n} |y - h|^2 + \lambda \sum_j |v_j|, \qquad
    \min \sum_j |v_j| \text{ with } y_k h_k \ge 1,

is convex over all cells together (Pilanci and Ergen, "Neural networks are convex regularizers",
ICML 2020). There are too many cells to list. The dual says which are wanted: with multipliers
:math:`\mu` of the outputs it asks for :math:`|\sum_k \mu_k \max(w \cdot x_k, 0)| \le 1` on the
whole sphere, and the function on the left is the alignment potential of the points with labels
:math:`n \mu`. Its largest value is found exactly by `extremal_vectors`: a solution of the problem
on a few cells is either optimal on all of them, to a gap that is then known, or the directions
where the potential is above 1 show cells to add. (That `extremal_vectors` separates: derived here.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple

import numpy as np

from ..engines.events import ON
from ..problem.checks import flag, non_negative
from ..problem.data import Data, as_data
from ..problem.field import outputs
from ..problem.inputs import DataLike
from ..problem.network import TwoLayerReLU, relu_for
from ..problem.norms import row_norms, unit_rows
from ..problem.quiet import quiet
from ..problem.value import Value
from .cones import TIGHT, Goal, Pool, Solution, Unsolved, conic, seeds, solvers
from .extremal import extremal_vectors
from .faces import checks
from .fans import span
from .field import in_range
from .kinks import kinks_of
from .opposite import interpolable, separable

ROUNDS = 200
"""Rounds of adding cells, at most. Each adds one or more; a few tens are usual."""
NONE = 1e-13
"""Multipliers below this part of the largest one are rounding of the solver, and zero."""
MET = 1e-12
"""Outputs that miss labels by this part of the largest one meet them."""
MISSED = 1e-11
"""Outputs that miss them by more are said to, and a value that they make cheaper is not certified:
of two points that are as close as that, the least norm knows that they are two."""
NEAR = 1.01
"""Potential of multipliers, over what is allowed, from which on networks are worth making exact."""
QUICK = 3e5
"""Faces of a complete search beyond which some starts are looked at first: while these show
directions to add, nobody needs to know that there are no others."""
STARTS = 2000
"""Directions from which they begin."""
WEAK = (1e-6, 1e-8, 1e-10)
"""Neurons below one of these parts of the largest one are what a solver leaves of none, if the
others can make up for them; the first of them that costs no more is taken."""


@dataclass(frozen=True, eq=False)
class ConvexOptimum(Value):
    r"""A global optimum over networks of any width, from `least_norm` or `max_margin`.

    Attributes
    ----------
    value : float
        What was optimised, of ``model`` itself: see there.
    bound : float
        What no network of any width passes: below ``value``, or above it for a margin.
    gap : float
        ``|value - bound|``: how far ``value`` may be from the optimum, at most.
    norm : float
        ``sum |a_i| |w_i|`` of ``model``, half of its squared weights.
    model : TwoLayerReLU
        The network, balanced: ``|a_i| = |w_i|``; with a bias if the data have one.
    activations : ndarray of int8, shape (m, n)
        Its pattern: 0 off, 1 on, 2 on the hyperplane of the point.
    multipliers : ndarray, shape (n,)
        Of the outputs at the points, scaled so that no network passes them: the proof of ``bound``.
    certified : bool
        Whether the search for a direction that passes them was complete, so that ``bound`` holds,
        and ``model`` meets its labels to 1e-11 of the largest.
    rounds : int
        Rounds of adding cells.
    message : str
        How it ended.
    """

    value: float
    bound: float
    norm: float
    model: TwoLayerReLU
    activations: np.ndarray
    multipliers: np.ndarray
    certified: bool
    rounds: int
    message: str = field(repr=False)

    @property
    def gap(self) -> float:
        """How far ``value`` may be from the optimum, at most."""
        return abs(self.value - self.bound)

    def __repr__(self) -> str:
        return (f"ConvexOptimum(value={self.value:.9g}, gap={self.gap:.1e}, m={self.model.m}"
                f"{'' if self.certified else ', not certified'})")


def _worst(X: np.ndarray, mu: np.ndarray, complete: bool) -> tuple[Any, float, str]:
    """Extremal vectors of multipliers, their largest potential, and why that may not be all."""
    mu = np.where(np.abs(mu) <= NONE * np.abs(mu).max(), 0.0, mu)
    data = Data(X, len(mu) * mu)
    doubt = f"directions were looked for from {STARTS} starts only"
    found = None
    if complete:
        try:
            found = extremal_vectors(data)
            doubt = "" if found.certified else "the search for directions was not complete: " \
                f"{found.message}"
        except ValueError as error:
            doubt += f", since {error}"
    if found is None:
        found = extremal_vectors(data, complete=False, starts=STARTS)
    return found, float(np.abs(found.value).max(initial=0.0)), doubt


def _looks(X: np.ndarray, complete: bool) -> tuple[bool, ...]:
    """Which looks at multipliers are worth it, one after the other: complete or not."""
    if not complete:
        return (False,)
    return (False, True) if checks(kinks_of(Data(X, np.ones(len(X))))) > QUICK else (True,)


@dataclass
class _Best:
    """The best network and the best proof so far: they need not be of one round."""

    cost: float = np.inf
    sign: np.ndarray = field(default_factory=lambda: np.ones(1))
    v: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))
    codes: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), dtype=np.int8))
    unmet: float = np.inf
    bound: float = -np.inf
    proof: np.ndarray = field(default_factory=lambda: np.zeros(1))
    doubt: str = ""

    def network(self, X: np.ndarray, goal: Goal, sign: np.ndarray, v: np.ndarray) -> None:
        """Keep these neurons if nothing better meets the labels."""
        for weak in WEAK:
            s, u, codes = _tidy(X, goal, sign, v, weak)
            h = outputs(X, s, u)
            unmet, cost = goal.unmet(h), goal.cost(float(row_norms(u).sum()), h)
            if (max(unmet, MET), cost) < (max(self.unmet, MET), self.cost * (1 - TIGHT / 10)):
                self.cost, self.sign, self.v, self.codes, self.unmet = cost, s, u, codes, unmet

    def multipliers(self, goal: Goal, mu: np.ndarray, M: float, doubt: str) -> None:
        """Keep these multipliers, of potential at most ``M``, if they prove more."""
        proof = mu / max(M, 1.0)
        bound, factor = goal.bound(proof)
        if bound > self.bound:
            self.bound, self.proof, self.doubt = bound, factor * proof, doubt

    def reaches(self, bound: float) -> bool:
        """Whether the network meets all and costs no more than that."""
        return self.unmet <= MET and self.cost - bound <= TIGHT * self.cost


def _look(pool: Pool, best: _Best, goal: Goal, found: Solution, cells: bool,
          looks: tuple[bool, ...], last: bool) -> tuple[bool, bool]:
    """Add directions that multipliers miss: whether there are new ones, and whether all looks were
    needed, after which it is known what the multipliers prove."""
    mu, sign, v = found
    new = False
    for look in looks:
        missed, M, doubt = _worst(pool.X, mu, look)
        new |= pool.add(missed, cells)
        if M < NEAR or not new or last:
            best.network(pool.X, goal, sign, v)
        if look != looks[-1] and new and not best.reaches(goal.bound(mu / max(M, 1.0))[0]):
            return new, False
    best.multipliers(goal, mu, M, doubt)
    return new, True


def _optimise(X: np.ndarray, goal: Goal, complete: bool) -> tuple[_Best, int, str]:
    """Solve on a few cells, look for directions that its multipliers miss, add them, again; and
    how many rounds it took, and how it ended.

    Whole cells come to an end within few rounds, where the conic solver may stand still at half of
    the digits; the simplex method on the rays found then has all of them.
    """
    pool, best, count, message = Pool(X, seeds(X)), _Best(), 0, ""
    looks, unproven = _looks(X, complete), None
    for solve in solvers(goal.decay):
        new = True
        while new and count < ROUNDS:
            count += 1
            try:
                mu, sign, v = solve(pool, goal)
            except Unsolved as error:
                message = f"the solver gave up: {error}"
                break
            new, proven = _look(pool, best, goal, (mu, sign, v), solve is conic,
                                looks[-1:] if count == ROUNDS else looks, count == ROUNDS)
            unproven = None if proven else mu
            if best.reaches(best.bound):
                return best, count, "optimal"
            message = "optimal, to the accuracy of the solver" if not new else \
                f"{ROUNDS} rounds did not close the gap"
        if np.isfinite(best.cost):
            pool.rays = np.concatenate([pool.rays, unit_rows(best.v)])
    if not np.isfinite(best.cost):
        raise ValueError("no network was found that meets these labels at these points, which may "
                         f"be almost on one ray ({message})")
    if unproven is not None:
        # The solver gave up before all faces were looked at.
        best.multipliers(goal, unproven, *_worst(X, unproven, complete)[1:])
    return best, count, message


def _tidy(X: np.ndarray, goal: Goal, sign: np.ndarray,
          v: np.ndarray, weak: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neurons of a solution that is good to ``weak``, made exact: those left over by the solver
    dropped, those near hyperplanes put there, those of one face put together, and what outputs
    lack then added where it costs little."""
    norm = row_norms(v)
    keep = norm > max(weak * norm.max(initial=0.0), NONE)
    if not keep.any():
        return np.ones(1), np.zeros((1, X.shape[1])), np.zeros((1, len(X)), dtype=np.int8)
    sign, v, norm = sign[keep], v[keep], norm[keep]
    z = v @ X.T / (norm[:, None] * np.maximum(row_norms(X), np.finfo(float).tiny))
    codes = np.where(np.abs(z) <= weak, 2, z > 0).astype(np.int8)
    _, of = np.unique(np.column_stack([sign, codes]), axis=0, return_inverse=True)
    of = of.ravel()
    first = np.array([np.flatnonzero(of == g)[0] for g in range(of.max() + 1)])
    v = np.array([v[of == g].sum(axis=0) for g in range(len(first))])
    sign, codes = sign[first], codes[first]
    faces = [span(X[c == 2])[0] for c in codes]
    v = np.concatenate([_off(one[None], rows) for one, rows in zip(v, faces)])
    if goal.margin:
        least = float((goal.y * outputs(X, sign, v)).min())
        return sign, v / least if least > 0 else v, codes
    if not goal.decay:
        J = np.concatenate([s * _off(np.where(c[:, None] == ON, X, 0.0), rows) for s, c, rows
                            in zip(sign, codes, faces)], axis=1)
        for _ in range(3):
            lack = goal.y - outputs(X, sign, v)
            v = v + np.linalg.lstsq(J, lack, rcond=None)[0].reshape(v.shape)
            v = np.concatenate([_off(one[None], rows) for one, rows in zip(v, faces)])
    return sign, v, codes


def _off(v: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Vectors (k, d) less their parts along orthonormal rows; twice, so that none is left."""
    for _ in range(2):
        v = v - (v @ rows.T) @ rows
    return v


class _Rays(NamedTuple):
    """Points of a problem in units of the largest, in coordinates of what they span.

    Attributes
    ----------
    X : ndarray, shape (k, r)
        One point for each that is kept.
    keep : ndarray of int, shape (k,)
        Which they are.
    basis : ndarray, shape (r, d)
    size : float
        The unit.
    """

    X: np.ndarray
    keep: np.ndarray
    basis: np.ndarray
    size: float


def _rays(data: Data, keep: np.ndarray) -> _Rays:
    size = float(row_norms(data.X[keep]).max(initial=0.0)) or 1.0
    X = data.X[keep] / size
    rows, _ = span(X)
    basis = np.eye(data.d) if len(rows) == data.d else rows
    return _Rays(X if len(rows) == data.d else X @ rows.T, keep, basis, size)


def _firsts(data: Data, labels: np.ndarray, ruled: str) -> np.ndarray:
    """The nearest point of each ray, if labels over norms, or the labels themselves, agree there.

    Raises
    ------
    ValueError
        If they do not, or a point is 0.
    """
    A = data.arrangement
    if (A.label < 0).any():
        k = int(np.argmax(A.label < 0))
        raise ValueError(f"point {k} is 0, where every network is 0: {ruled}")
    keep = []
    for c in range(len(A.normal)):
        for side in (1.0, -1.0):
            own = np.flatnonzero((A.label == c) & (side * A.length > 0))
            if own.size:
                first = own[np.argmin(np.abs(A.length[own]))]
                off = np.abs(labels[own] - labels[first])
                if off.max() > 1e-12 * np.abs(labels[own]).max():
                    k = int(own[np.argmax(off)])
                    raise ValueError(f"points {first} and {k} are on one ray, where every network "
                                     f"is linear, and their labels differ: {ruled}")
                keep.append(int(first))
    return np.array(sorted(keep))


def _told(data: Data, rays: _Rays, found: tuple[_Best, int, str], unit: float,
          of: Callable[[float], float], others: np.ndarray | None = None) -> ConvexOptimum:
    """The result in units of the data: ``|v|`` was in units ``unit``, and ``of`` makes what was
    asked for of a cost and of its bound; ``others`` are multipliers of points not kept."""
    best, rounds, message = found
    v = unit * best.v @ rays.basis
    norm = row_norms(v)
    root = np.sqrt(norm)
    W = v / np.where(root > 0, root, 1.0)[:, None]
    z = v @ data.X.T
    codes = np.where(z > 0, 1, 0).astype(np.int8)
    codes[np.abs(z) <= 1e-12 * norm[:, None] * row_norms(data.X)] = 2
    codes[:, rays.keep] = best.codes
    multipliers = np.zeros(data.n) if others is None else others
    multipliers[rays.keep] = best.proof / rays.size
    unmet = "" if best.unmet <= MISSED else f"the network misses labels by {best.unmet:.1e}"
    return ConvexOptimum(of(best.cost), of(best.bound), float(norm.sum()),
                         relu_for(data, best.sign * root, W), codes, multipliers,
                         not (best.doubt or unmet), rounds,
                         "; ".join(filter(None, (message, best.doubt, unmet))))


@quiet
def least_norm(data: DataLike, decay: float = 0.0, *, complete: bool = True) -> ConvexOptimum:
    r"""The network of least norm that interpolates, or the best one with weight decay.

    Over networks of any width. Without decay ``value`` is the least :math:`\sum_i |a_i| |w_i|`,
    half of the least squared norm, of networks with ``h(x_k) = y_k``. With decay it is the least
    value of

    .. math::

        \frac{1}{2n} \sum_k (h(x_k) - y_k)^2 + \lambda \sum_i |a_i| |w_i|
        = L + \frac{\lambda}{2} \sum_i (a_i^2 + |w_i|^2) \text{ at balance.}

    Parameters
    ----------
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    decay : float
        ``lambda``, not negative. Above 0 it takes the conic solver Clarabel (``gflow[convex]``);
        at 0 that is faster, and without it a linear program does.
    complete : bool
        If False, directions are looked for from some starts alone, as by `extremal_vectors`: for
        sizes at which it has too many faces to look at. The result is not certified.

    Returns
    -------
    ConvexOptimum
        ``.multipliers`` are :math:`\mu` of the dual: :math:`|\sum_k \mu_k \max(w \cdot x_k, 0)|
        \le |w|` proves ``bound``, the largest :math:`\mu \cdot y` (with decay less
        :math:`n \lambda |\mu|^2 / 2`, and times :math:`\lambda`).

    Raises
    ------
    TypeError, ValueError
        On bad input; without decay also if points on one ray, a point 0, or opposite points on more
        lines than dimensions have labels that no network has.
    ImportError
        With decay, without Clarabel.

    References
    ----------
    Pilanci and Ergen, "Neural networks are convex regularizers", ICML 2020 (the convex problem).
    Bach, "Breaking the curse of dimensionality with convex neural networks", JMLR 2017 (columns).
    That extremal vectors separate exactly, and hence the gap: derived here.

    Examples
    --------
    Two points of labels 1 and -1 on the axes, each fitted by a neuron of its own:

    >>> found = least_norm(([[1.0, 0.0], [0.0, 2.0]], [1.0, -1.0]))
    >>> round(found.value, 9), found.gap < 1e-9, found.model.m
    (1.5, True, 2)
    """
    data, decay = in_range(as_data(data)), non_negative(decay, "decay")
    complete = flag(complete, "complete")
    if decay:
        alive = np.flatnonzero(data.X.any(axis=1))
    else:
        lengths = row_norms(data.X)
        null = (lengths == 0) & (data.y == 0)
        own = Data(data.X[~null], data.y[~null]) if null.any() and not null.all() else data
        ratio = own.y / np.where(row_norms(own.X) > 0, row_norms(own.X), 1.0)
        alive = np.flatnonzero(~null)[_firsts(own, ratio, "no network interpolates")] \
            if not null.all() else np.empty(0, dtype=int)
        if alive.size:
            interpolable(data.X[alive], data.y[alive] / lengths[alive], alive)
    unit = float(np.abs(data.y[alive]).max(initial=0.0))
    if unit == 0.0:
        return _zero(data, float(data.y @ data.y) / (2 * data.n) if decay else 0.0,
                     _at_origin(data, alive, decay))
    rays = _rays(data, alive)
    y = data.y[alive] / unit
    # In units of labels and points; the mean is over all points, those at 0 too.
    inside = decay / (rays.size * unit) * data.n / len(alive)
    found = _optimise(rays.X, Goal(y, inside), complete)
    if not decay:
        scale = unit / rays.size
        return _told(data, rays, found, scale, lambda cost: scale * cost)
    lost = float(np.delete(data.y, alive) @ np.delete(data.y, alive)) / (2 * data.n)
    return _told(data, rays, found, unit / rays.size,
                 lambda cost: decay * unit / rays.size * cost + lost,
                 _at_origin(data, alive, decay))


def _at_origin(data: Data, alive: np.ndarray, decay: float) -> np.ndarray:
    """Multipliers (n,) of the points at 0, which no network reaches: with decay, what is lost there
    is part of the bound."""
    multipliers = np.zeros(data.n)
    if decay:
        dead = np.delete(np.arange(data.n), alive)
        multipliers[dead] = data.y[dead] / (data.n * decay)
    return multipliers


@quiet
def max_margin(data: DataLike, *, complete: bool = True) -> ConvexOptimum:
    r"""The largest margin per squared norm of networks of any width.

    ``value`` is the largest :math:`\min_k y_k h(x_k) / \sum_i (a_i^2 + |w_i|^2)`: what flows on
    logistic and exponential losses tend to a stationary point of. It is ``1 / (2 S)`` with the
    least :math:`S = \sum_i |a_i| |w_i|` of networks with ``y_k h(x_k) >= 1``, and ``model`` is
    such a network.

    Parameters
    ----------
    data : Data or (X, y)
        Inputs (n, d) and labels (n,), all of them -1 or 1, or 0 or 1.
    complete : bool
        As in `least_norm`.

    Returns
    -------
    ConvexOptimum

    Raises
    ------
    TypeError, ValueError
        On bad input; if a point is 0, or points on one ray have different labels, or opposite
        points on more lines than dimensions signs that no network has.

    References
    ----------
    Lyu and Li, "Gradient descent maximizes the margin of homogeneous neural networks", ICLR 2020
    (the limits). The convex problem and its columns: see `least_norm`.

    Examples
    --------
    >>> found = max_margin(([[1.0, 0.0], [0.0, 2.0]], [1, 0]))
    >>> round(found.value, 9), found.gap < 1e-9
    (0.333333333, True)
    """
    data = in_range(as_data(data))
    y = 2 * data.y - 1 if np.isin(data.y, (0.0, 1.0)).all() and (data.y == 0).any() else data.y
    if not np.isin(y, (-1.0, 1.0)).all():
        k = int(np.argmax(~np.isin(y, (-1.0, 1.0))))
        raise ValueError(f"label {k} is {data.y[k]:g}: margins need labels -1 and 1, or 0 and 1")
    rays = _rays(data, _firsts(data, y, "no network separates"))
    separable(data.X[rays.keep], y[rays.keep], rays.keep)
    found = _optimise(rays.X, Goal(y[rays.keep], margin=True), flag(complete, "complete"))
    return _told(data, rays, found, 1 / rays.size, lambda cost: rays.size / (2 * cost))


def _zero(data: Data, value: float, multipliers: np.ndarray) -> ConvexOptimum:
    """The network that is 0, where nothing has to be fitted, or nothing can be."""
    codes = np.zeros((1, data.n), dtype=np.int8)
    return ConvexOptimum(value, value, 0.0, relu_for(data, [0.0], np.zeros((1, data.d))),
                         codes, multipliers, True, 0, "optimal")
