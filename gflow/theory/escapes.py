"""Directions on which a new small neuron would grow, where a network comes to rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem.checks import positive
from ..problem.data import Data, as_data
from ..problem.field import Field
from ..problem.inputs import DataLike, ModelLike, model_and_data, with_loss
from ..problem.loss import LossLike
from ..problem.network import TwoLayerReLU, relu_for
from ..problem.quiet import quiet
from ..problem.value import Value
from ..problem.words import counted
from .extremal import ExtremalVectors, extremal_vectors
from .faces import checks
from .fans import Undecided
from .field import in_range
from .fitted import comes, there
from .kinks import kinks_of
from .least import least_loss
from .standstill import NONE, Standstill, plain_only

FEW = 3e7
"""Faces that a search for all directions of escape looks at: some seconds."""
STARTS = 500
"""Directions from which escapes are looked for if there are more."""


@dataclass(frozen=True, eq=False)
class Escapes(Value):
    """Directions on which a new small neuron would grow, the fastest first.

    Attributes
    ----------
    rate : ndarray, shape (k,)
        ``|a|`` and ``|w|`` grow like ``exp(rate t)``.
    sign : ndarray of int8, shape (k,)
        Of the output weight that grows there.
    direction : ndarray, shape (k, d)
        Unit vectors.
    pattern : ndarray of int8, shape (k, n)
        0 off, 1 on, 2 on the hyperplane of the point.
    heading : ndarray of int, shape (k,)
        Neurons of the network that are on their way there.
    complete : bool
        Whether these are all.
    """

    rate: np.ndarray
    sign: np.ndarray
    direction: np.ndarray
    pattern: np.ndarray
    heading: np.ndarray
    complete: bool

    def __len__(self) -> int:
        return len(self.rate)

    def __repr__(self) -> str:
        fastest = f", the fastest at rate {self.rate[0]:.6g}" if len(self) else ""
        return f"Escapes({counted(len(self), 'direction')}{fastest}, " \
               f"{counted(int(self.heading.sum()), 'neuron')} on the way" \
               f"{'' if self.complete else '; not all were looked for'})"


def escapes_of(stand: Standstill) -> tuple[Escapes, ExtremalVectors]:
    """Directions of growth at the limit of a state, and all extremal vectors there."""
    seen = in_range(Data(stand.field.data.X, _clean(stand.pulls)))
    try:
        whole = checks(kinks_of(seen)) <= FEW
        found = extremal_vectors(seen, complete=whole, starts=STARTS)
    except Undecided:
        whole, found = False, extremal_vectors(seen, complete=False, starts=STARTS)
    E = np.sign(found.value).astype(np.int8)
    # On a line there is nothing beside a direction: it is both.
    both = seen.d == 1
    grow = ((E > 0) & (both | (found.kind == "max")) | (E < 0) & (both | (found.kind == "min"))) & (
        np.abs(found.value) > NONE * stand.scale)
    order = np.flatnonzero(grow)[np.argsort(-np.abs(found.value[grow]), kind="stable")]
    escapes = Escapes(np.abs(found.value[order]), E[order], found.w[order], found.pattern[order],
                      np.zeros(len(order), dtype=np.int64), whole)
    early, own = stand.early, stand.growing
    if early is not None and own.size:
        goal = goal_of(early.end_direction[own], early.sign[own], escapes)
        np.add.at(escapes.heading, goal[goal >= 0], 1)
    return escapes, found


def goal_of(directions: np.ndarray, signs: np.ndarray, escapes: Escapes) -> np.ndarray:
    """Where in ``escapes`` these directions are, or -1."""
    if not len(escapes):
        return np.full(len(signs), -1)
    cosine = directions @ escapes.direction.T
    cosine[signs[:, None] != escapes.sign] = -1.0
    return np.where(cosine.max(axis=1) > 1 - 1e-9, cosine.argmax(axis=1), -1)


@quiet
def escape(model: ModelLike | None, data: DataLike, size: float = 1e-3, *,
           loss: LossLike = "square") -> TwoLayerReLU:
    r"""The network with one more, small neuron on the direction in which it grows fastest.

    To go on from where training is stuck: integrate what this gives. A neuron of the mass
    ``size^2`` that grows at the rate ``|D|`` needs a time of about ``ln(1/size) / |D|``.

    Parameters
    ----------
    model : TwoLayerReLU or (a, W), or None
        A network at rest; None for the network that is 0.
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    size : float
        ``|a|`` and ``|w|`` of the neuron, positive.
    loss : str or object
        As in `gflow.integrate`.

    Returns
    -------
    TwoLayerReLU
        With the new neuron behind the others, and a bias if the data have one.

    Raises
    ------
    TypeError, ValueError
        On bad input, and if there is no direction of escape: at a global minimum, or where the
        network comes to one by itself.

    References
    ----------
    Where the loss falls at a spurious limit: Boursier and Flammarion, "Early alignment in
    two-layer networks training is a two-edged sword", JMLR 2025 (extremal vectors). Derived here.

    Examples
    --------
    >>> import gflow
    >>> data = gflow.datasets.orthogonal()
    >>> first = escape(None, data)
    >>> first, first.a, first.W
    (TwoLayerReLU(m=1, d=2), array([0.001]), array([[0.00089443, 0.00044721]]))
    """
    size = positive(size, "size")
    if model is None:
        data = as_data(data)
        model = TwoLayerReLU([0.0], np.zeros((1, data.d)))
        kept = np.empty(0, dtype=np.int64)
    else:
        model, data = model_and_data(model, data)
        kept = np.arange(model.m)
    data, chosen = with_loss(data, loss)
    field = Field(in_range(data), chosen, model.activation)
    plain_only(field, "an escape")
    stand = Standstill(model, field)
    best = least_loss(field)
    if there(stand, best):
        raise ValueError("this network is at the global minimum: there is nothing to escape from")
    if comes(stand, best):
        raise ValueError("this network comes to the global minimum by itself, if its pattern "
                         "stays: there is nothing to escape from, so integrate it as it is")
    escapes, _ = escapes_of(stand)
    if not len(escapes):
        raise ValueError("no direction was found on which a new neuron would grow where this "
                         "network comes to rest: any small neuron would shrink there")
    unit = np.exp(model.log_scale[kept])
    return relu_for(data, np.append(model.a[kept] * unit, escapes.sign[0] * size),
                    np.vstack([model.W[kept] * unit[:, None], size * escapes.direction[:1]]))


def _clean(p: np.ndarray) -> np.ndarray:
    """Pulls without those that are rounding."""
    return np.where(np.abs(p) <= 1e-13 * np.abs(p).max(initial=0.0), 0.0, p)
