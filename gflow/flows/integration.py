"""The front door: check what comes in, run an engine, hand back a `Flow`."""

from __future__ import annotations

from os import PathLike

from numpy.typing import ArrayLike

from ..engines.recorder import SaveLike, as_quantities
from ..engines.rules import StopLike, as_rules
from ..engines.solve import METHODS, Method, choose, solve
from ..problem.checks import positive, whole
from ..problem.inputs import (EPS, LOWEST, DataLike, ModelLike, model_and_data, reported_times,
                              thread_count)
from ..problem.loss import LossLike, as_loss
from .checkpoint import EVERY, keeper
from .errors import IntegrationError
from .flow import Flow
from ..problem.words import short


def integrate(model: ModelLike, data: DataLike, t_max: float, *,
              method: Method = "auto", rtol: float = 1e-8, t_eval: ArrayLike | None = None,
              stop: StopLike = None,
              max_events: int | None = None, progress: bool = False,
              strict: bool = False, threads: int | None = None, save: SaveLike = None,
              loss: LossLike = "square",
              checkpoint: str | PathLike[str] | bytes | None = None,
              every: float = EVERY) -> Flow:
    r"""Exact gradient flow of a two-layer ReLU network, on the square loss or one of your own.

    Follows :math:`d\theta/dt \in -\partial L(\theta)`, with
    :math:`L = \frac{1}{2n} \sum_k (h(x_k) - y_k)^2`, or in general
    :math:`L = \frac{1}{n} \sum_k \ell(h(x_k), y_k)`, as a Filippov solution: every activation
    event is located, and neurons slide along activation boundaries where both sides push them
    there. (PyTorch's ``MSELoss`` has no 1/2: its step ``lr`` is a flow time of ``2 lr``.)

    Parameters
    ----------
    model : TwoLayerReLU or (a, W)
        Start. Output weights (m,), hidden weights (m, d).
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    t_max : float
        End of the run in flow time, positive.
    method : {"auto", "waveform", "DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA"}
        A SciPy stepper, run on the frozen activation pattern between located events; or
        "waveform", the engine for wide networks and long runs, which integrates neurons one by one
        and in parallel (`gflow.engines`). "auto" takes DOP853 for small problems and "waveform"
        for the others; ``flow.stats["method"]`` and ``flow.stats["choice"]`` say what and why.
    rtol : float
        Error allowed per step, relative to the norm of each neuron; at least 100 eps.
    t_eval : array_like, shape (T,), optional
        Increasing times in [0, t_max] to report. Default: 200, dense early, both ends included.
    stop : rule or list of rules, optional
        From `gflow.stop`, or any callable of a `gflow.stop.State` that returns True to stop.
    max_events : int, optional
        Stop after this many event records.
    progress : bool
        Draw a text meter on standard error.
    strict : bool
        Raise on a run that does not end well, instead of returning what was reached.
    threads : int, optional
        Threads of ``method="waveform"``; if None ``OMP_NUM_THREADS``, or as many as there are
        processors. Results do not depend on it.
    save : list of str or callable, optional
        What to keep at the times ``t_eval`` in ``flow.saved``, instead of the dense output, so that
        long and wide runs stay small: names among "a", "W", "norms", "directions", "loss" and
        "grad_norm", or a function of a `gflow.stop.State` that returns an array of numbers or a
        mapping of arrays. One whose shape changes, or that is not there at every time, is kept as
        an array of arrays, (T,), with an empty one where it is missing. Events are kept;
        ``flow(t)`` and the certificate are not to be had then.
    loss : str or object
        "square", :math:`\ell = (h - y)^2 / 2`; or an object with the methods ``value(h, y)``,
        ``pull(h, y)`` :math:`= -\partial \ell / \partial h` and ``curvature(h, y)``
        :math:`= \partial^2 \ell / \partial h^2`, for arrays, of a convex loss
        (`gflow.problem.loss.Loss`). It is tried on a few outputs first; a wrong derivative is
        refused.
    checkpoint : str, bytes or path-like, optional
        A ``.npz`` file in which the run is kept while it is under way, and at its end, so that no
        more than ``every`` seconds are lost if the program is killed: `gflow.resume` goes on. Not
        with ``save=``.
    every : float
        Seconds between checkpoints; more if writing one takes longer than a tenth of that.

    Returns
    -------
    Flow
        Trajectory, events, status. A run that stopped early has the times up to there and its end.

    Raises
    ------
    TypeError, ValueError
        On bad input, in one sentence.
    IntegrationError
        With ``strict=True``, if the run fails; its attribute ``flow`` is what was reached.
    Exception
        What a function handed in as ``stop`` or ``save`` raises; what was reached is then its
        attribute ``flow``.

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024. Filippov, "Differential Equations with Discontinuous Righthand Sides", 1988.

    Examples
    --------
    One balanced neuron on one point grows like a logistic curve:

    >>> import gflow
    >>> import numpy as np
    >>> flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), t_max=10.0)
    >>> V = 1 / (1 + (1 / 0.01 - 1) * np.exp(-20.0))
    >>> bool(abs(flow.a[-1, 0] * flow.W[-1, 0, 0] - V) < 1e-7)
    True
    """
    model, data = model_and_data(model, data)
    t_max = positive(t_max, "t_max")
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"unknown method {short(method)}: choose one of {', '.join(METHODS)}")
    rtol = positive(rtol, "rtol")
    if rtol < 100 * EPS:
        raise ValueError(f"rtol = {rtol:g} is below 100 eps = {100 * EPS:.2g}: "
                         "double precision cannot keep it")
    if rtol >= 1:
        raise ValueError(f"rtol = {rtol:g} is no tolerance: give a number below 1")
    times = reported_times(t_eval, t_max)
    rules = as_rules(stop)
    loss = as_loss(loss, data.y)
    if max_events is not None:
        max_events = whole(max_events, "max_events")
    if checkpoint is not None and save is not None:
        raise ValueError("a checkpoint is what a run goes on from, and needs its dense output: "
                         "leave save= or checkpoint= away")
    keep, every = keeper(checkpoint, every)
    engine = choose(model, data, t_max, loss)[0] if method == "auto" else method
    if engine != "waveform" and model.log_scale.min() < LOWEST:
        raise ValueError(f"log_scale = {model.log_scale.min():g} is below {LOWEST:g}, too small "
                         f"for method={engine!r}: use method=\"waveform\"")
    flow = solve(model, data, t_max, method=method, rtol=rtol, times=times, rules=rules,
                 max_events=max_events, progress=progress, threads=thread_count(threads),
                 quantities=as_quantities(save), made=Flow, loss=loss,
                 keep=keep, every=every,
                 t_eval=None if t_eval is None or keep is None else times.tolist())
    if strict and not flow.success:
        raise IntegrationError(flow)
    return flow
