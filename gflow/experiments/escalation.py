"""From saddle to saddle by construction: one neuron at a time, where it grows fastest."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import stop
from ..problem.checks import positive, whole
from ..problem.data import Data, as_data
from ..problem.field import Field, outputs
from ..problem.inputs import DataLike
from ..problem.network import TwoLayer, TwoLayerReLU
from ..problem.norms import row_norms, unit_rows
from ..problem.quiet import quiet
from ..problem.value import Value
from ..theory import Verdict, alignment_potential, escape
from .training import run


@dataclass(frozen=True, eq=False)
class Escalation(Value):
    """What `escalate` built, step by step.

    Attributes
    ----------
    losses : ndarray, shape (k + 1,)
        Loss of the network that is 0, and at rest after each step.
    rates : ndarray, shape (k,)
        Growth rate of the neuron added at each step, under what the others leave.
    times : ndarray, shape (k,)
        Flow time that each step took.
    models : list of TwoLayer, length k
        Networks at rest, of 1 ... k neurons.
    verdict : Verdict
        On the last one.
    message : str
        Why it ended.
    """

    losses: np.ndarray
    rates: np.ndarray
    times: np.ndarray
    models: list[TwoLayer] = field(repr=False)
    verdict: Verdict = field(repr=False)
    message: str


@quiet
def escalate(data: DataLike, neurons: int = 100, until: float = 1e-10, size: float = 1e-3,
             t_max: float = 1e7, rtol: float = 1e-8) -> Escalation:
    r"""Fit data with one neuron after the other, each put where it grows fastest.

    Start from the network that is 0. At every rest a small neuron is added on the best direction
    of escape (`gflow.theory.escape`: the extremal vector of the residuals of the largest ``|G|``),
    and all of them are trained to the next rest. The loss falls at each step, until it vanishes or
    has its least value over networks of any width.

    Parameters
    ----------
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    neurons : int
        Most neurons.
    until : float
        Part of the loss of the network that is 0 at which to end.
    size : float
        ``|a|`` and ``|w|`` of a new neuron, over ``sqrt`` of the largest label over the largest
        point, the size of those that fit.
    t_max : float
        Flow time after which to end a step.
    rtol : float
        Tolerance of the runs.

    Returns
    -------
    Escalation

    Raises
    ------
    TypeError, ValueError
        On bad input, or if all labels or all points are 0.
    IntegrationError
        If a run fails.
    KeyboardInterrupt
        On Ctrl-C.

    References
    ----------
    Saddle-to-saddle training: Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of
    shallow ReLU networks for square loss and orthogonal inputs", 2022. The algorithm: derived here.

    Examples
    --------
    Two orthogonal points of opposite labels take two neurons:

    >>> import gflow
    >>> built = escalate(gflow.datasets.orthogonal())
    >>> built.losses.round(5), built.rates.round(4), built.verdict.kind
    (array([0.5 , 0.25, 0.  ]), array([1.118, 0.559]), 'interpolation')
    """
    data = as_data(data)
    neurons, until = whole(neurons, "neurons"), positive(until, "until")
    size, rtol = positive(size, "size"), positive(rtol, "rtol")
    if until >= 1:
        raise ValueError(f"until = {until:g}: it is a part of the loss of the network that is 0, "
                         "so give less than 1")
    top, far = float(np.abs(data.y).max()), float(row_norms(data.X).max())
    if top == 0.0 or far == 0.0:
        raise ValueError(f"all {'labels' if far else 'points'} are 0: there is nothing to fit")
    size *= float(np.sqrt(top) / np.sqrt(far))
    losses, rates, times = [Field(data).value(np.zeros(data.n))], [], []
    models: list[TwoLayer] = []
    message = f"{neurons} neurons do not suffice"
    for _ in range(neurons):
        start = escape(models[-1] if models else None, data, size)
        flow = run(start, data, t_max, rtol=rtol, t_eval=[0.0, t_max],
                   stop=[stop.converged(), stop.loss_below(until * losses[0])])
        rates.append(_rate(start, data))
        times.append(flow.t_end)
        models.append(flow.model)
        losses.append(float(flow.loss[-1]))
        verdict = flow.verdict()
        if flow.status == "finished":
            message = f"no rest by t = {t_max:g}"
            break
        if losses[-1] <= until * losses[0]:
            message = "the data is fitted"
            break
        if not len(verdict.escapes):
            message = "no network of any width is better"
            break
    return Escalation(np.array(losses), np.array(rates), np.array(times), models, verdict, message)


def _rate(start: TwoLayerReLU, data: Data) -> float:
    """Growth rate of the last neuron of a network, as long as it is small, under what the others
    leave."""
    residual = data.y - outputs(data.X, start.a[:-1], start.W[:-1])
    return float(np.abs(alignment_potential(unit_rows(start.W[-1:]), (data.X, residual)))[0])
