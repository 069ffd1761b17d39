"""The limit of saddle-to-saddle training on orthogonal data: which neurons fire, and when."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..engines.events import ON
from ..problem.checks import one_or_more
from ..problem.data import Data
from ..problem.field import mean_loss
from ..problem.inputs import DataLike, ModelLike, model_and_data, relu_only
from ..problem.loss import SQUARE
from ..problem.network import TwoLayer
from ..problem.norms import row_norms
from ..problem.tables import Table, indices
from .classes import ORTHOGONAL
from .early import early_flow
from .field import in_range
from ..problem.quiet import quiet
from ..problem.value import Value

TIE = 1e-12
"""Relative difference of two jump times that counts as none."""


@quiet
def jump_process(model: ModelLike,
                 data: DataLike) -> JumpProcess:
    r"""The saddle-to-saddle limit of the flow on orthogonal data, in the time ``t / ln(1/lambda)``.

    From a start of scale ``lambda -> 0`` neurons align at once, in this time; each then grows like
    ``|a_j| ~ lambda^(1 - c_j)``. The first with ``c_j = 1`` fits all points it is active on that
    are not fitted yet; the loss jumps to its next plateau, and what others grow on gets less:

    - ``S_j``: points with ``w_j.x_k > 0`` and ``a_j y_k > 0`` at the end of the early flow. It
      never changes.
    - ``dc_j/dt' = (1/n) sqrt(sum of y_k^2 |x_k|^2 over the points of S_j that are not fitted)``.
    - A jump adds ``sqrt(sum of y_k^2 / |x_k|^2 over the points it fits)`` to ``sum a_j^2``.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Start; only its shape counts, not its scale (nor its ``log_scale``).
    data : Data or (X, y)
        Inputs (n, d), orthogonal to each other, and labels (n,).

    Returns
    -------
    JumpProcess

    Raises
    ------
    TypeError
        If an entry is not a real number.
    ValueError
        If two points are not orthogonal, or on other bad input.

    References
    ----------
    The algorithm is derived here and agrees with integration at scales down to 1e-64. Convergence
    of the flow on orthogonal data to such a process: announced in arXiv:2605.27097 (its full text
    was not at hand). Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow
    ReLU networks for square loss and orthogonal inputs", 2022, arXiv:2206.00939: two jumps, where
    some neuron of each sign is active on all points of that sign (proved there).

    Examples
    --------
    Two orthogonal points of opposite labels, with ``|D_+| = 1.118`` and ``|D_-| = 0.559``:

    >>> import gflow
    >>> data = gflow.datasets.orthogonal()
    >>> process = jump_process(gflow.init.balanced(60, 2, scale=1.0), data)
    >>> process.times.round(4), process.losses
    (array([0.8944, 1.7889]), array([0.5 , 0.25, 0.  ]))
    >>> process.squares.round(4)
    array([0.    , 0.4472, 1.3416])
    """
    model, data = model_and_data(model, data)
    relu_only(model, "the jump process")
    if data.y.any() and not 1e-145 < np.abs(in_range(data).y).max() < 1e145:
        raise ValueError("squares of labels leave the range of double precision: rescale y")
    lengths = row_norms(data.X)
    unit = data.X / np.where(lengths > 0, lengths, 1.0)[:, None]
    cosines = np.abs(unit @ unit.T)
    np.fill_diagonal(cosines, 0.0)
    i, j = np.unravel_index(int(cosines.argmax()), cosines.shape)
    if cosines[i, j] > ORTHOGONAL:
        raise ValueError(f"points {i} and {j} are not orthogonal (cosine {cosines[i, j]:.3g} up to "
                         "sign): the jump process is known for orthogonal points only, so use "
                         "gflow.integrate at several scales")
    return JumpProcess(model, data)


class JumpProcess(Value):
    """Jumps between saddles, from `jump_process`.

    Attributes
    ----------
    times : ndarray, shape (J,)
        Times of the jumps, in units of ``ln(1/lambda)``.
    neurons : tuple of ndarray, length J
        Neurons that fire at each jump: those of one sign that grow on the same points, which share
        the fit.
    points : tuple of ndarray, length J
        Points fitted by each jump.
    losses : ndarray, shape (J + 1,)
        Loss before the first jump and after each.
    squares : ndarray, shape (J + 1,)
        ``sum a_i^2`` (and ``sum |w_i|^2``) on the same plateaus.
    exponents : ndarray, shape (J + 1, m)
        ``c_i`` at time 0 and at each jump: ``|a_i|`` is about ``lambda^(1 - c_i)``.
    active : ndarray of bool, shape (m, n)
        The sets ``S_i``.
    ambiguous : int
        Jumps at which neurons of different, overlapping sets came at the same time: what they fit
        is then settled by more than exponents. The neuron of lowest number was taken first.

    Examples
    --------
    >>> process = jump_process(([1.0, 1.0], [[1.0, 0.0], [1.0, 1.0]]), (np.eye(2), [1.0, 2.0]))
    >>> process
    JumpProcess(1 jumps, loss 1.25 to 0)
          time  neurons  points  loss after
      0.894427        1    0, 1           0
    >>> process.neurons, process.points, process.times
    ((array([1]),), (array([0, 1]),), array([0.89442719]))
    >>> process.loss([0.5, 1.5])
    array([1.25, 0.  ])
    """

    def __init__(self, model: TwoLayer, data: Data) -> None:
        y, n = data.y, data.n
        lengths = row_norms(data.X)
        early = early_flow(model, data)
        grows = ~early.dead & (early.rate > 0)
        self.active = (early.pattern == ON) & (early.sign[:, None] * y > 0) & grows[:, None]
        # In units of the strongest, since squares leave the range of double precision first.
        strength = np.abs(y) * lengths
        unit = max(float(strength.max()), np.finfo(float).tiny)
        pull = (strength / unit) ** 2
        safe = np.where(lengths > 0, lengths, 1.0)
        left = np.ones(n, dtype=bool)
        c = np.zeros(model.m)
        now, self.ambiguous = 0.0, 0
        times, exponents = [], [c]
        losses, squares = [float(mean_loss(SQUARE, np.zeros(n), y))], [0.0]
        fire: list[np.ndarray] = []
        fitted: list[np.ndarray] = []
        while True:
            sets = self.active & left
            rate = np.sqrt(sets @ pull) * (unit / n)
            wait = np.divide(1 - c, rate, out=np.full(model.m, np.inf), where=rate > 0)
            first = float(wait.min())
            if np.isinf(first):
                break
            together = np.flatnonzero(wait <= first + TIE * (now + first))
            i = int(together[0])
            same = (sets[together] == sets[i]).all(axis=1)
            self.ambiguous += bool((sets[together[~same]] & sets[i]).any())
            now += first
            c = np.minimum(c + rate * first, 1.0)
            c[together] = 1.0
            left = left & ~sets[i]
            times.append(now)
            exponents.append(c)
            fire.append(together[same])
            fitted.append(np.flatnonzero(sets[i]))
            losses.append(float(mean_loss(SQUARE, np.where(left, 0.0, y), y)))
            squares.append(squares[-1] + float(row_norms((y / safe)[sets[i]])))
        self.times, self.exponents = np.array(times), np.array(exponents)
        self.losses, self.squares = np.array(losses), np.array(squares)
        self.neurons, self.points = tuple(fire), tuple(fitted)
        self.lock()

    def loss(self, t: ArrayLike) -> np.ndarray:
        """Loss of the limit at times ``t`` (T,) in units of ``ln(1/lambda)``; shape (T,)."""
        times = one_or_more(t, "t")
        if times.size and times.min() < 0:
            raise ValueError(f"t = {times.min():g} is negative: the jump process starts at 0")
        losses = self.losses[np.searchsorted(self.times, times, side="right")]
        return np.asarray(losses if np.ndim(t) else losses[0])

    def _table(self) -> Table:
        rows = [(f"{t:.6g}", indices(neurons), indices(points), f"{loss:.6g}")
                for t, neurons, points, loss in zip(self.times, self.neurons, self.points,
                                                    self.losses[1:])]
        return Table(f"JumpProcess({self.times.size} jumps, loss {self.losses[0]:.6g} to "
                     f"{self.losses[-1]:.6g})", ("time", "neurons", "points", "loss after"), rows)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()
