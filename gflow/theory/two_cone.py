"""The least squares pair that a network of small initial scale converges to on many points."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import lsq_linear

from ..problem.data import Data, as_data
from ..problem.field import mean_loss
from ..problem.inputs import DataLike, ModelLike, TeacherLike, model_and_data, relu_only
from ..problem.loss import SQUARE
from ..engines.record import Record
from ..engines.rules import Rule, State
from ..engines.solve import solve
from ..problem.network import TwoLayer, TwoLayerReLU, relu_for
from ..problem.norms import row_norms
from ..problem.tables import Table, indices, vector
from ..engines.events import ON, SLIDING
from . import population
from .early import early_flow
from .field import LARGEST_POWER
from .standstill import Standstill
from ..problem.quiet import quiet
from ..problem.value import Value

START = 1e-5
"""Weights of the two neurons at the start, relative to what they grow to."""
STATIONARY = 1e-3
"""They are followed until the gradient is this part of the one at the start."""
TURNS = 1e6
"""And for so many times in which they turn."""
RTOL = 1e-10
CONSISTENT = 1e-8
"""Relative accuracy of signs and of stationarity."""


@dataclass(frozen=True, eq=False)
class TwoCone(Value):
    """Predicted end state ``h(x) = max(x.beta_plus, 0) - max(-x.beta_minus, 0)``.

    Attributes
    ----------
    beta_plus, beta_minus : ndarray, shape (d,)
        The pair; zero where no point needs a neuron of that sign.
    plus, minus : ndarray of int8, shape (n,)
        Cone of each: 1 where ``x_k.beta_plus > 0`` (``x_k.beta_minus < 0``), 0 where not, 2 on the
        boundary, where neurons slide.
    residual : ndarray, shape (n,)
        ``y_k - h(x_k)``.
    converged : bool
        Whether the pair is stationary and agrees with its cones.
    full_rank : bool
        Whether the points in the cones determine the pair. If not, it depends on the start.
    groups : tuple of two int, or None
        Extremal vectors to which neurons of the start go in the early flow, those with a > 0 and
        those with a < 0. Only where there is one for each part of the pair is this the end to
        expect. None if no start was given.
    message : str
        What these mean, as a sentence.
    model : TwoLayerReLU
        The same as a network of two balanced neurons, with a bias if the data have one.
    """

    beta_plus: np.ndarray
    beta_minus: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    residual: np.ndarray
    converged: bool
    full_rank: bool
    groups: tuple[int, int] | None
    message: str
    model: TwoLayerReLU = field(repr=False)

    def __call__(self, X: ArrayLike) -> np.ndarray:
        """Predictions for the rows of ``X`` (n, d); shape (n,)."""
        return self.model(X)

    @property
    def loss(self) -> float:
        """Training loss ``1/(2n) sum r_k^2``."""
        return float(mean_loss(SQUARE, np.zeros_like(self.residual), self.residual))

    def test_risk(self, teacher: TeacherLike, *, noise: float = 0.0,
                  Sigma: ArrayLike | None = None) -> float:
        """Mean squared error ``E (h(x) - y)^2`` on fresh Gaussian points, exactly.

        Parameters
        ----------
        teacher : array_like, shape (d,), or TwoLayerReLU or (a, V)
            What labels are the values of: a linear function ``x.beta``, or a ReLU network.
        noise : float
            Standard deviation of the label noise; without it this is the excess risk.
        Sigma : array_like, shape (d, d), optional
            Covariance of x. Default: the identity.

        Raises
        ------
        TypeError, ValueError
            On bad input, and if the data have a bias: a column of ones is not Gaussian.

        References
        ----------
        Derived here; see `gflow.theory.population.test_loss`.
        """
        return 2 * population.test_loss(self.model, teacher, noise=noise, Sigma=Sigma)

    def _table(self) -> Table:
        title = (f"TwoCone: loss {self.loss:.6g}, {(self.plus == ON).sum()} + "
                 f"{(self.minus == ON).sum()} of {self.residual.size} points ({self.message})")
        rows = [(name, vector(beta), f"{float(row_norms(beta)):.6g}",
                 indices(np.flatnonzero(codes == ON)), indices(np.flatnonzero(codes == SLIDING)))
                for name, beta, codes in (("+", self.beta_plus, self.plus),
                                          ("-", self.beta_minus, self.minus))]
        return Table(title, ("cone", "beta", "norm", "points", "boundary"), rows)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


@quiet
def two_cone_least_squares(data: DataLike,
                           model: ModelLike | None = None) -> TwoCone:
    r"""Self-consistent least squares pair: the end state of training from a small scale.

    On many points of a nearly linear teacher, neurons of either sign align with one direction each
    and stay parallel. The end is a pair that solves least squares on its own cones,
    ``{x.beta_plus > 0}`` and ``{x.beta_minus < 0}``: two separate fits if no point is in both, a
    joint one otherwise, restricted to the boundary of a cone at points where neurons slide. Such
    pairs are not unique. This is the one that two neurons reach, one of each sign, that start along
    plus and minus ``sum y_k x_k`` from a vanishing scale; least squares then makes it exact.

    Parameters
    ----------
    data : Data or (X, y)
        Points (n, d) and labels (n,).
    model : TwoLayerReLU or (a, W), optional
        Start of a network, to see into how many groups its neurons go. The pair does not depend on
        it.

    Returns
    -------
    TwoCone
        With ``converged`` false if the pair was not found, ``full_rank`` false if the points in
        its cones do not determine it.

    Raises
    ------
    TypeError, ValueError
        On bad input, or if ``sum y_k x_k = 0``, where no direction leads.

    Notes
    -----
    A network can make more than two groups, and then ends elsewhere. Its neurons have to go to
    several maxima or minima of the alignment potential for that (``groups``), at a scale small
    enough; often their groups join later on all the same. At a larger scale, a neuron that is not
    aligned yet when the others grow can stay apart. With d = 3, noise 0.5, margin 0.4 and starts of
    scale 1e-4, 329 of 340 runs with 40 points ended at the pair (8 of the others did at scale 1e-6;
    3 had several ends of one sign and did not at 1e-8 either), and all of 280 with 100 or 250
    points. Without a margin 12 of 40 did with 40 points, 23 of 40 with 100.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024, arXiv:2410.02348, Theorem 4.1 (as quoted in reviews): the cones are those of
    the teacher, proved there for many points with ``|x . beta| >= c |x| / sqrt(d)``.
    Self-consistent, joint and sliding versions are derived here; that they are the end state is
    conjectured, and tested against `gflow.integrate`.

    Examples
    --------
    >>> import gflow
    >>> data = gflow.datasets.linear_teacher(100, 3, margin=0.4)
    >>> pair = two_cone_least_squares(data)
    >>> model = gflow.init.balanced(30, 3, scale=1e-4)
    >>> flow = gflow.integrate(model, data, 200.0)
    >>> bool(np.abs(flow.model(data.X) - pair(data.X)).max() < 1e-6)
    True
    """
    if model is None:
        given, groups = as_data(data), None
    else:
        start, given = model_and_data(model, data)
        groups = _groups(start, given)
    # In units of powers of two, which are exact: squares stay in range.
    x_unit, y_unit = _power(given.X), _power(given.y)
    data = Data(np.ldexp(given.X, -x_unit), np.ldexp(given.y, -y_unit))
    D = data.y @ data.X / data.n
    pull = float(row_norms(D))
    if pull <= CONSISTENT * float(np.abs(data.y) @ row_norms(data.X)) / data.n:
        raise ValueError("sum y_k x_k is zero: no direction leads, and two cones are no prediction")
    codes, betas, settled = _two_neurons(data, D / pull, pull)
    (plus, minus), residual, full_rank = _least_squares(data, codes, betas)
    consistent = (_consistent(data, codes[0], plus, residual)
                  and _consistent(data, codes[1], -minus, residual))
    if abs(_power([plus, minus]) + y_unit - x_unit) > LARGEST_POWER:
        raise ValueError("the pair leaves the range of double precision: rescale X or y")
    plus, minus = np.ldexp([plus, minus], y_unit - x_unit)
    size = np.sqrt(row_norms(np.array([plus, minus])))
    W = np.array([plus, -minus]) / np.where(size > 0, size, 1.0)[:, None]
    return TwoCone(plus, minus, codes[0], codes[1], np.ldexp(residual, y_unit),
                   settled and consistent, full_rank, groups,
                   _sentence(data, codes, settled, consistent, full_rank, groups),
                   relu_for(given, size * [1.0, -1.0], W))


def _power(what: ArrayLike) -> int:
    """Power of two above the largest number."""
    return int(np.frexp(np.abs(what).max())[1])


def _groups(model: TwoLayer, data: Data) -> tuple[int, int]:
    """Numbers of ends of the early flow, for positive and for negative output weights."""
    relu_only(model, "the least squares pair")
    early = early_flow(model, data)
    ends = np.column_stack([early.sign, early.pattern])[~early.dead]
    signs = np.unique(ends, axis=0)[:, 0]
    return int((signs > 0).sum()), int((signs < 0).sum())


def _two_neurons(data: Data, e: np.ndarray, pull: float
                 ) -> tuple[np.ndarray, np.ndarray, bool]:
    """Cones (2, n) and pair (2, d) that two opposite neurons reach, and whether they came to rest.
    """
    size = START * np.sqrt(pull / float(np.mean(row_norms(data.X)**2)))
    # A stepper's gradient would not fall below its tolerance.
    slow = STATIONARY * size * pull

    def rests(state: State) -> bool:
        # One of the two may be waiting still, small, for the other to have fitted what it can.
        return state.grad_norm < slow and not (state.field is not None and Standstill(
            TwoLayerReLU(state.a, state.W), state.field).growing.size)

    rest = Rule(rests, "at_rest", "the gradient vanished", locate=True)
    flow = solve(TwoLayerReLU([size, -size], [size * e, -size * e]), data, TURNS / pull,
                 times=np.zeros(1), method="waveform", rtol=RTOL, rules=(rest,), made=Record)
    model = flow.model
    betas = model.a[:, None] * model.W
    grown = row_norms(betas) > size**2 / START
    codes = np.where(grown[:, None], flow.pattern(flow.t_end), 0).astype(np.int8)
    return codes, np.where(grown[:, None], betas, 0.0), flow.status == "at_rest"


def _least_squares(data: Data, codes: np.ndarray, betas: np.ndarray
                   ) -> tuple[np.ndarray, np.ndarray, bool]:
    """The pair (2, d) of least squares on given cones, nearest to another; residuals; full rank."""
    bases = []
    for code in codes:
        sliding = data.X[code == SLIDING]
        _, sizes, rows = np.linalg.svd(sliding / row_norms(sliding)[:, None], full_matrices=True) \
            if sliding.size else (0, np.empty(0), np.eye(data.d))
        rank = int((sizes > CONSISTENT).sum())
        bases.append(rows[rank:] if (code == ON).any() else np.empty((0, data.d)))
    betas = np.array([beta @ basis.T @ basis for beta, basis in zip(betas, bases)])
    design = np.concatenate([(code == ON)[:, None] * (data.X @ basis.T)
                             for code, basis in zip(codes, bases)], axis=1)

    def residual(betas: np.ndarray) -> np.ndarray:
        return np.asarray(data.y - sum((code == ON) * (data.X @ beta)
                                       for code, beta in zip(codes, betas)))

    step, _, rank, _ = np.linalg.lstsq(design, residual(betas), rcond=None)
    cut = len(bases[0])
    betas = betas + np.array([step[:cut] @ bases[0], step[cut:] @ bases[1]])
    return betas, residual(betas), bool(rank == design.shape[1])


def _consistent(data: Data, code: np.ndarray, w: np.ndarray, r: np.ndarray) -> bool:
    """Whether a neuron ``w`` has the pattern ``code`` and rests there."""
    if not w.any():
        return not code.any()
    lengths = row_norms(data.X)
    z = data.X @ w / (float(row_norms(w)) * np.where(lengths > 0, lengths, 1.0))
    right = np.where(code == ON, z > 0, np.where(code == SLIDING, np.abs(z) < CONSISTENT, z <= 0))
    on, edge = code == ON, code == SLIDING
    D = r[on] @ data.X[on]
    if edge.any():
        pulls = (r[edge, None] * data.X[edge]).T
        D = D + pulls @ lsq_linear(pulls, -D, (0, 1), method="bvls", tol=1e-15).x
    return bool(right.all() and row_norms(D) <= CONSISTENT * (np.abs(data.y) @ lengths))


def _sentence(data: Data, codes: np.ndarray, settled: bool, consistent: bool,
              full_rank: bool, groups: tuple[int, int] | None) -> str:
    if not settled:
        return "the pair did not settle: the points may be too close to dependent"
    if not consistent:
        return "the pair leaves its cones: they change again later"
    if not full_rank:
        counts = " and ".join(str(int((code == ON).sum())) for code in codes)
        return f"{counts} points in the cones do not determine {data.d} coefficients each"
    wanted = tuple(int((code != 0).any()) for code in codes)
    if groups is not None and groups != wanted:
        return (f"self-consistent, but neurons of the start go to {groups[0]} + {groups[1]} "
                "extremal vectors: they may end elsewhere")
    return "self-consistent"
