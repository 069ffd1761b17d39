"""The front door: check what comes in, run an engine, hand back a `Flow`."""

from __future__ import annotations

from os import PathLike
from typing import Callable

import numpy as np
from numpy.typing import ArrayLike

from ..engines.recorder import SaveLike, as_quantities
from ..engines.rules import Rule, StopLike, as_rules
from ..engines.solve import METHODS, Method, choose, lacking, solve, with_flow
from ..engines.twotime import optimum
from ..problem.checks import flag, positive, whole
from ..problem.field import Field
from ..problem.inputs import (EPS, LOWEST, DataLike, ModelLike, model_and_data, reported_times,
                              thread_count, with_loss)
from ..problem.data import Data
from ..problem.loss import SQUARE, Loss, LossLike
from ..problem.network import TwoLayer
from ..problem.rates import Rates, RatesLike, as_rates
from ..problem.setting import DecayLike, Setting, as_decay
from ..theory.standstill import plain_only
from .checking import FINER, compare
from .checkpoint import EVERY, keeper
from .errors import IntegrationError
from .flow import Flow
from ..problem.words import short


def _at_optimum(model: TwoLayer, data: Data, setting: Setting, loss: Loss) -> TwoLayer:
    """The start of two time scales: with the output weights that are best."""
    if setting.decays or loss != SQUARE or model.log_scale.any():
        raise ValueError("rates = (\"fast\", ...) is there for the square loss, without decay and "
                         "log_scale: leave these away")
    a, sound = optimum(model.activation(data.X @ model.W.T), data.y)
    if not sound:
        raise ValueError("features are close to dependent at the start, so that optimal output "
                         "weights are not determined: start with other neurons, or fewer")
    return model.like(a, model.W)


def integrate(model: ModelLike, data: DataLike, t_max: float, *,
              method: Method = "auto", rtol: float = 1e-8, t_eval: ArrayLike | None = None,
              stop: StopLike = None,
              max_events: int | None = None, progress: bool = False,
              strict: bool = False, threads: int | None = None, save: SaveLike = None,
              loss: LossLike = "square", rates: RatesLike = (1.0, 1.0),
              decay: DecayLike = 0.0, check: bool = False,
              checkpoint: str | PathLike[str] | bytes | None = None,
              every: float = EVERY) -> Flow:
    r"""Exact gradient flow of a two-layer ReLU network, on any convex loss.

    Follows :math:`d\theta/dt \in -\partial L(\theta)`, with
    :math:`L = \frac{1}{2n} \sum_k (h(x_k) - y_k)^2`, or in general
    :math:`L = \frac{1}{n} \sum_k \ell(h(x_k), y_k)`, as a Filippov solution: every activation
    event is located, and neurons slide along activation boundaries where both sides push them
    there. (PyTorch's ``MSELoss`` has no 1/2: its step ``lr`` is a flow time of ``2 lr``.)

    Parameters
    ----------
    model : TwoLayerReLU, TwoLayer or (a, W)
        Start. Output weights (m,), hidden weights (m, d). A `gflow.TwoLayer` has a smooth
        activation, and no events.
    data : Data or (X, y)
        Inputs (n, d) and labels (n,).
    t_max : float
        End of the run in flow time, positive.
    method : {"auto", "waveform", "DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA"}
        A SciPy stepper, run on the frozen activation pattern between located events; or
        "waveform", the engine for wide networks and long runs, which integrates neurons one by one
        and in parallel (`gflow.engines`). "auto" takes DOP853 for small problems and "waveform"
        for the others; ``flow.stats["method"]`` and ``flow.stats["choice"]`` say what and why.
        Where a run is stiff explicit steppers hand over to Radau (``flow.stats["stiff_steps"]``).
    rtol : float
        Error allowed per step, relative to the norm of each neuron; at least 100 eps. What the
        run makes of the errors of its steps is another matter, see ``check``.
    t_eval : array_like, shape (T,), optional
        Increasing times in [0, t_max] to report. Default: 200, dense early, both ends included; of
        long runs on the logistic and the exponential loss 0 and as many in every decade.
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
        mapping of arrays, whose names are not these unless they mean the same. One whose shape
        changes, or that is not there at every time, is kept as an array of arrays, (T,), with an
        empty one where it is missing. Events are kept; ``flow(t)`` and the certificate are not to
        be had then.
    loss : str or object
        "square", :math:`\ell = (h - y)^2 / 2`; "logistic", :math:`\log(1 + e^{-y h})`, or
        "exponential", :math:`e^{-y h}`, with labels -1 and 1 (0 and 1 become these), on which runs
        go on in the logarithm of time, so that ``t_max=1e300`` costs little; or an object with the
        methods ``value(h, y)``, ``pull(h, y)`` :math:`= -\partial \ell / \partial h` and
        ``curvature(h, y)`` :math:`= \partial^2 \ell / \partial h^2`, for arrays, of a convex loss
        (`gflow.problem.loss.Loss`). It is tried on a few outputs first; a wrong derivative is
        refused.
    rates : (float, float)
        Speeds of the output and of the hidden weights:
        :math:`\dot a = \epsilon_a w \cdot D`, :math:`\dot w = \epsilon_w a D`. What is conserved
        then is :math:`a^2/\epsilon_a - |w|^2/\epsilon_w`. It costs nothing: the flow is that with
        both speeds 1 in other units (`gflow.problem.rates`). With (0, 1) the output weights are
        fixed, with (1, 0) the hidden ones (random features); with ("fast", 1) output weights are
        optimal at every time, of least norm, whatever those of ``model`` are, and a run ends where
        features become dependent: all on SciPy steppers.
    decay : float or tuple of float
        Weight decay, per unit of time: the flow descends ``flow.objective``, the loss and
        :math:`\frac{\lambda}{2} \sum_i (a_i^2 + |w_i|^2)`. A pair has one for output and one for
        hidden weights, and a third number is that of the bias of `gflow.Data`, 0 to leave it alone.
        `flow.loss` and rules on the loss are without it, rules on the gradient with it.
    check : bool
        Run once more at ``rtol / 10``, and keep the differences at the reported times as
        ``flow.checked`` (`gflow.flows.checking.Checked`): an error bar of the whole run, at some
        twice its cost. It is not saved to files.
    checkpoint : str, bytes or path-like, optional
        A ``.npz`` file in which the run is kept while it is under way, and at its end, so that no
        more than ``every`` seconds are lost if the program is killed: `gflow.resume` goes on. Not
        with ``save=``.
    every : float
        Seconds between checkpoints; more if writing one takes longer than a tenth of that. Not
        without ``checkpoint``.

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
        attribute ``flow``, or if it comes out of another run, inside that function, the last of its
        ``outer_flows``. So is the run itself if the second one of ``check=True`` raises.

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
    progress, strict, check = (flag(value, name) for value, name in (
        (progress, "progress"), (strict, "strict"), (check, "check")))
    if check and (rtol * FINER < 100 * EPS or save is not None):
        raise ValueError(f"check=True compares weights with those at rtol = {rtol * FINER:.3g}: "
                         "leave save= away" if save is not None else
                         f"check=True needs a run at rtol = {rtol * FINER:.3g}, below 100 eps: "
                         "give a larger rtol")
    data, loss = with_loss(data, loss)
    times = reported_times(t_eval, t_max, data, loss)
    rules = as_rules(stop)
    setting = Setting(as_rates(rates), as_decay(decay, data.bias))
    if max_events is not None:
        max_events = whole(max_events, "max_events")
    if setting.two_times:
        model = _at_optimum(model, data, setting, loss)
    _fits(method, model, Field(data, loss, model.activation, setting), t_max, rules)

    if checkpoint is not None and save is not None:
        raise ValueError("a checkpoint is what a run goes on from, and needs its dense output: "
                         "leave save= or checkpoint= away")
    keep, every = keeper(checkpoint, every)
    asked = None if t_eval is None or keep is None else times.tolist()

    def run(rtol: float, keep: Callable[[Flow], None] | None = None) -> Flow:
        return solve(model, data, t_max, method=method, rtol=rtol, times=times, rules=rules,
                     max_events=max_events, progress=progress, threads=thread_count(threads),
                     quantities=as_quantities(save), made=Flow, loss=loss, setting=setting,
                     keep=keep, every=every, t_eval=asked)

    flow = run(rtol, keep)
    if check:
        vars(flow)["checked"] = compare(flow, _again(flow, lambda: run(FINER * rtol)))
    if strict and not flow.success:
        raise IntegrationError(flow)
    return flow


def _again(flow: Flow, run: Callable[[], Flow]) -> Flow:
    """A second run; what it raises takes the first one along."""
    try:
        return run()
    except BaseException as error:
        raise with_flow(error, flow)


def _fits(method: str, model: TwoLayer, field: Field, t_max: float,
          rules: tuple[Rule, ...]) -> None:
    """Refuse a problem that its method or its rules are not made for.

    Raises
    ------
    ValueError
        In one sentence.
    """
    setting = field.setting
    for rule in rules:
        if rule.plain:
            plain_only(field, f"stop={rule.plain}")
    layers = Rates(*setting.rates)
    engine = (choose(layers.model(model), field.data, layers.inside(t_max), field.loss,
                     setting)[0] if method == "auto" else method)
    if model.smooth and not set(setting.rates) <= {0.0, 1.0}:
        raise ValueError(f"rates = {setting.rates} with a smooth activation: give speeds 0 or 1, "
                         "for other ones are a change of units of ReLU networks only")
    lacks = lacking(setting, model).removeprefix("a ")
    if engine == "waveform" and lacks:
        raise ValueError(f"method=\"waveform\" has no {lacks}: use a SciPy stepper, as "
                         "method=\"auto\" does")
    at_zero = model.a.astype(bool) & ~model.W.any(axis=1)
    leaky = not model.smooth and model.slope != 0 and model.d > 1
    if (leaky or not setting.moves[0]) and not model.smooth and at_zero.any():
        i = int(np.argmax(at_zero))
        raise ValueError(f"neuron {i} starts at w = 0, leaky or with its output weight fixed, and "
                         "could leave in several directions: start off 0")
    if engine != "waveform" and model.log_scale.min() < LOWEST:
        raise ValueError(f"log_scale = {model.log_scale.min():g} is below {LOWEST:g}, too small "
                         f"for method={engine!r}: use method=\"waveform\"")
