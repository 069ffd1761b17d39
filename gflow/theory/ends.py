r"""Whether a network is at an end of training, of which kind, and what would leave it.

Two questions that are often taken for one. Of the *landscape*: is the point where the pulls come to
rest a local minimum? Of *this run*: will any of its neurons leave? A neuron that shrinks for ever
ends at ``(a, w) = 0``, where the loss has directions of descent, and yet the run never takes them.

The exact test of a local minimum, for a convex loss (derived here; it agrees with Wu, Simsek and
Ged, "The loss landscape of shallow ReLU-like neural networks", ICLR 2025). With pulls p and their
potential :math:`G(w) = \frac1n \sum_k p_k \max(w \cdot x_k, 0)`,

.. math::

    L(\theta + \delta) - L(\theta) \ge -\sum_i (a_i + \delta a_i) G(w_i + \delta w_i)
        + \sum_i a_i G(w_i),

by convexity, with equality to second order. Where all :math:`a_i G(w_i)` are 0, as at every
stationary point, it is a local minimum if ``sgn(a_i) G <= 0`` near each ``w_i`` with ``a_i != 0``
and ``G = 0`` near those with ``a_i = 0``. And only then: otherwise a small move of that neuron
alone, of w along a direction in which ``G`` rises (falls, if ``a_i < 0``), and for ``a_i = 0`` of
``a_i`` with it, makes the first sum positive by more than the change of the outputs squared, if the
move is small enough. ``G`` is linear but for the kinks of the points that ``w_i`` is on, so both
conditions are decided by a few box problems of least squares.
"""

from __future__ import annotations

from dataclasses import dataclass, field as attribute

import numpy as np

from ..problem.field import Field
from ..problem.inputs import DataLike, ModelLike, model_and_data, with_loss
from ..problem.loss import LossLike, is_quadratic
from ..problem.norms import row_norms
from ..problem.quiet import quiet
from ..problem.value import Value
from .escapes import Escapes, escapes_of, goal_of
from .extremal import ExtremalVectors
from .field import in_range
from .fitted import REST, balanced, emptied, fit, there
from .least import least_loss
from .nearly import CLOSE, FLAT, flat_near
from .standstill import MOVES, Standstill, plain_only
from .waking import waking

KINDS = ("interpolation", "local minimum", "rest that no neuron leaves",
         "rest that neurons will leave", "on its way")
"""Kinds of a `Verdict`."""
LEAVING = np.dtype([("neuron", "i8"), ("sign", "i1"), ("rate", "f8"), ("time", "f8"),
                    ("escape", "i8")])
"""Neurons that will leave a rest, see `Verdict`."""


@dataclass(frozen=True, eq=False)
class Verdict(Value):
    """What the end of a run is, from `verdict` or `gflow.Flow.verdict`.

    Attributes
    ----------
    kind : str
        "interpolation": the loss vanishes to what is known of it (rounding, and the tolerance of a
        run), or is going to on this pattern. "local minimum": of the landscape. "rest that no
        neuron leaves": a saddle of the landscape, for the run an end. "rest that neurons will
        leave": a plateau. "on its way": not near any rest.
    spurious : bool or None
        Whether it is an end whose loss is above ``global_minimum``, by more than rounding; None if
        it is no end.
    loss, limit : float
        Loss now, and where the pulls come to rest if no neuron wakes: NaN if that is not foreseen,
        far from an end of a loss that is not quadratic.
    global_minimum : float
        Least loss over networks of any width: 0, or what labels of points on one ray leave, and
        those of opposite points on more lines than dimensions.
    escapes : Escapes
        Directions of growth at the limit.
    strongest : float
        Largest ``|G|`` on unit vectors at the limit, the rate of the fastest escape.
    leaving : structured ndarray
        Neurons of the network that will wake, the first one first: ``neuron``, ``sign`` of its
        output weight, growth ``rate`` of ``|a|``, ``time`` of waking (from now; of a flow, from its
        start), and ``escape``, where in ``escapes`` it goes (-1 if that list lacks it).
    shrinking : ndarray of int
        Neurons that shrink for ever, or have stopped where they are not a minimum.
    minimum : bool or None
        Whether the limit is a local minimum of the landscape; None if it is no rest.
    landscape, run : str
        The reasons: what holds at the limit for every network near it, and for this one.
    """

    kind: str
    spurious: bool | None
    loss: float
    limit: float
    global_minimum: float
    escapes: Escapes = attribute(repr=False)
    strongest: float
    leaving: np.ndarray = attribute(repr=False)
    shrinking: np.ndarray = attribute(repr=False)
    minimum: bool | None
    landscape: str = attribute(repr=False)
    run: str = attribute(repr=False)

    def __repr__(self) -> str:
        word = {True: ", spurious", False: "", None: ""}[self.spurious]
        return (f"Verdict: {self.kind}{word}; loss {self.loss:.6g}, limit {self.limit:.6g}, global "
                f"minimum {self.global_minimum:.6g}\n  landscape  {self.landscape}\n"
                f"  this run   {self.run}")


@quiet
def verdict(model: ModelLike, data: DataLike, *, loss: LossLike = "square") -> Verdict:
    """What kind of an end of training a network is at, with reasons.

    Pulls are taken where they come to rest on the pattern of now, and every neuron too small to
    matter is followed from there in closed form: see `Verdict` and the notes of this module. It is
    meant for a network near a rest; elsewhere the kind is "on its way".

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        The network, its output weights (m,) and hidden weights (m, d).
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    loss : str or object
        As in `gflow.integrate`.

    Returns
    -------
    Verdict

    Raises
    ------
    TypeError, ValueError
        On bad input, and if the loss of the network overflows.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024 (spurious ends). Test of minima: Wu, Simsek and Ged, "The loss landscape of
    shallow ReLU-like neural networks", ICLR 2025; in this form derived here. Times of waking:
    derived here.

    Examples
    --------
    The least squares fit of three points, and a neuron that is off everywhere. It cannot go on,
    though a neuron with its kink at the second point could:

    >>> import gflow
    >>> data = gflow.datasets.three_points()
    >>> beta = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
    >>> found = verdict(([1.0, 1.0], [beta, [0.0, -1.0]]), data)
    >>> found.kind, found.spurious, found.global_minimum, round(found.strongest, 9)
    ('local minimum', True, 0.0, 0.030578707)
    >>> found.escapes.pattern, found.escapes.sign
    (array([[0, 2, 1],
           [1, 2, 0]], dtype=int8), array([1, 1], dtype=int8))
    """
    model, data = model_and_data(model, data)
    data, chosen = with_loss(data, loss)
    field = Field(in_range(data), chosen, model.activation)
    plain_only(field, "a verdict")
    return judge_state(Standstill(model, field))


def judge_state(stand: Standstill, since: float = 0.0, rtol: float = 0.0) -> Verdict:
    """The verdict on a state, with times that count from ``-since``, of a run with this relative
    tolerance."""
    field = stand.field
    # What is reached can be reached: the bound has rounding of its own.
    best = min(least_loss(field), stand.loss)
    if (end := fit(stand, best, rtol)) is not None:
        return _fitted(stand, end, best, rtol)
    vague, rests, end = emptied(stand)
    if end is None:
        end = stand
    elif (fitted := fit(end, best, rtol)) is not None:
        return _fitted(stand, fitted, best, rtol)
    limit = max(end.limit, best) if end.foreseen else np.nan
    escapes, found = escapes_of(end)
    strongest = float(np.abs(found.value).max(initial=0.0))
    leaving = _leaving(stand, escapes, since)
    table = (stand.loss, limit, best, escapes, strongest, leaving)
    if not rests:
        return Verdict("on its way", None, *table, np.empty(0, dtype=np.int64), None,
                       "not a rest, so nothing about minima",
                       _moving(stand, vague))
    failing, why = failures(stand, found, leaving["neuron"])
    if leaving.size:
        kind, spurious = "rest that neurons will leave", None
    else:
        kind = "local minimum" if not failing.size else "rest that no neuron leaves"
        # The value says little where labels differ by far, and pulls say all.
        spurious = not balanced(end, end.pulls, rtol) or (
            is_quadratic(field.loss) and bool(limit - best > end.known(rtol)))
    return Verdict(kind, spurious, *table, failing, not failing.size, why,
                   _fate(stand, leaving, failing))


def _fitted(stand: Standstill, end: Standstill, best: float, rtol: float) -> Verdict:
    """Of a network that reaches the global minimum, at ``end``."""
    n, d = stand.field.data.n, stand.field.data.d
    none = Escapes(np.empty(0), np.empty(0, dtype=np.int8), np.empty((0, d)),
                   np.empty((0, n), dtype=np.int8), np.empty(0, dtype=np.int64), True)
    where = "it is there" if there(stand, best, rtol) else "its neurons relax to there"
    kind = "interpolation" if best == 0.0 else "local minimum"
    limit = max(min(end.limit, end.loss), best) if end.foreseen else best
    return Verdict(kind, False, stand.loss, limit, best, none, 0.0,
                   np.empty(0, dtype=LEAVING), np.empty(0, dtype=np.int64), True,
                   "there the loss has its least value over networks of any width", where)


def _moving(stand: Standstill, vague: bool) -> str:
    """Why a state is not at rest."""
    reasons = []
    if not stand.foreseen:
        # Rates and amounts of a linear flow say nothing here.
        reasons.append("the loss is not near enough to quadratic, or neurons to an end, for what "
                       "those that carry the output do to be foreseen")
    elif stand.fall > REST * stand.loss:
        reasons.append(f"neurons that carry the output still take {stand.fall / stand.loss:.2%} "
                       f"off the loss{_slowest(stand)}")
    if not stand.stable:
        reasons.append("a neuron that carries the output is about to change its pattern")
    if stand.move > MOVES and stand.foreseen:
        reasons.append(f"a neuron still moves by {stand.move:.2g} of its size")
    if stand.gain > REST * stand.loss:
        reasons.append("neurons that are waking, or have not died yet, matter already")
    if vague:
        reasons.append("small neurons still fit what they put out themselves")
    return "; ".join(reasons)


def _slowest(stand: Standstill) -> str:
    """The rate at the end, in words, if there are rates."""
    if not stand.linear:
        return ", at no one rate: the loss is not quadratic on the way"
    slow = stand.rates[stand.amounts > REST / 10 * stand.loss].min(initial=np.inf)
    return f", the slowest at rate {slow:.3g}"


def _fate(stand: Standstill, leaving: np.ndarray, failing: np.ndarray) -> str:
    """What becomes of the neurons of a network at rest."""
    # Where pulls are the same for all outputs, neurons may put out much that the loss does not see.
    seen = "the output" if is_quadratic(stand.field.loss) else "output that the loss depends on"
    words = [f"{int(stand.live.sum())} of {stand.live.size} neurons carry {seen}, at rest"]
    if leaving.size:
        words.append(f"{leaving.size} grow, first neuron {leaving['neuron'][0]} at rate "
                     f"{leaving['rate'][0]:.4g}, awake at t = {leaving['time'][0]:.6g}")
    else:
        words.append("no neuron grows, but for what small ones still do to each other"
                     if stand.fitting else "no neuron grows")
    if failing.size and not leaving.size:
        edge = _on_edge(stand, failing).size
        fates = [f"{failing.size - edge} shrink for ever, or stay where they have stopped at w = 0"
                 ] if failing.size > edge else []
        if edge:
            fates.append(f"{edge} stay on hyperplanes of points, beside which the loss falls (to "
                         "leave is a solution, too)")
        words.append(f"{' and '.join(fates)}: the run does not leave")
    if not stand.decided:
        words.append("rounding, or what has not relaxed yet, leaves doubt about some")
    return "; ".join(words)


def _leaving(stand: Standstill, escapes: Escapes, since: float) -> np.ndarray:
    """Table of the neurons that will wake."""
    found = waking(stand)
    table = np.empty(found.neuron.size, dtype=LEAVING)
    table["neuron"], table["sign"] = found.neuron, found.sign
    table["rate"], table["time"] = found.rate, since + found.time
    table["escape"] = goal_of(found.direction, found.sign, escapes)
    return table[np.argsort(table["time"], kind="stable")]


def failures(stand: Standstill, found: ExtremalVectors,
             leaving: np.ndarray) -> tuple[np.ndarray, str]:
    """Neurons near whose limits there is descent, and the reason, in words.

    Parameters
    ----------
    stand : Standstill
        At rest.
    found : ExtremalVectors
        At its limit.
    leaving : ndarray of int
        Neurons that will wake.
    """
    model, early = stand.model, stand.early
    a, W = model.a, stand.W
    up = float(found.value.max(initial=0.0)) > FLAT * stand.scale
    down = float(found.value.min(initial=0.0)) < -FLAT * stand.scale
    failing = []
    spent = {} if early is None else dict(zip(stand.mobile.tolist(), range(stand.mobile.size)))
    for i in range(model.m):
        width = float(row_norms(W[i]))
        if i in leaving:
            failing.append(i)
            continue
        if i in spent:
            assert early is not None
            j = spent[i]
            if early.dead[j] and not np.isneginf(early.offset[j]):
                continue
            if early.rate[j] > 0:
                failing.append(i)
                continue
            # It shrinks to w = 0; what is left of a is its balance.
            left = np.sign(a[i]) if abs(a[i]) > width * (1 + CLOSE) else 0.0
        elif width > 0:
            if not flat_near(stand.field.data, stand.pulls, a[i], W[i]):
                failing.append(i)
            continue
        else:
            left = np.sign(a[i])
        if up and left >= 0 or down and left <= 0:
            failing.append(i)
    partly = "" if found.complete else " (of those that were looked at)"
    strongest = float(np.abs(found.value).max(initial=0.0))
    if not failing:
        grows = f"a new neuron could grow at rates up to {strongest:.6g}" if strongest else \
            "no new neuron could grow"
        return np.empty(0, dtype=np.int64), (
            f"a local minimum: near every neuron sgn(a) G <= 0, and G = 0 where a = 0; {grows}"
            f"{partly}")
    edge = _on_edge(stand, np.array(failing)).size
    reasons = []
    if len(failing) > edge:
        reasons.append(f"beside {len(failing) - edge} neurons that are 0 in the limit, or grow, "
                       f"the loss falls, at rates up to {strongest:.6g}{partly}")
    if edge:
        reasons.append(f"it falls to a side of hyperplanes of points on which {edge} neurons are")
    return np.array(failing), f"a saddle: {'; '.join(reasons)}"


def _on_edge(stand: Standstill, failing: np.ndarray) -> np.ndarray:
    """Those of the ``failing`` neurons that stay at hyperplanes, on a side of which the loss
    falls."""
    edge = stand.W[failing].any(axis=1) & ~np.isin(failing, stand.mobile)
    return np.asarray(failing[edge])
