"""The front door: check what comes in, run an engine, hand back a `Flow`."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

from .checks import positive, real_array, whole
from .data import Data
from .errors import IntegrationError
from .flow import Flow
from .inputs import model_and_data, thread_count
from .model import TwoLayerReLU, row_norms
from .recorder import Recorder, as_quantities
from .stop import as_rules

STEPPERS = ("DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA")
METHODS = ("auto", "waveform", *STEPPERS)
MANY_PAIRS = 500
"""Neurons times points beyond which events are too many for a stepper."""
LOWEST = -300 * float(np.log(10.0))
"""Natural logarithm of the smallest scale that steppers follow."""
LONG = 1e3
"""Run times, in units of the time in which a neuron turns, that are too long for one."""
EPS = float(np.finfo(float).eps)


def integrate(model: TwoLayerReLU | tuple[Any, Any], data: Data | tuple[Any, Any], t_max: float, *,
              method: str = "auto", rtol: float = 1e-8, t_eval: Any = None, stop: Any = None,
              max_events: int | None = None, progress: bool = False,
              strict: bool = False, threads: int | None = None, save: Any = None) -> Flow:
    r"""Exact gradient flow of a two-layer ReLU network on the square loss.

    Follows :math:`d\theta/dt \in -\partial L(\theta)`, with
    :math:`L = \frac{1}{2n} \sum_k (h(x_k) - y_k)^2`, as a Filippov solution: every activation
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
        "grad_norm", or a function of a `gflow.stop.State` that returns an array or a mapping of
        arrays. Events are kept; ``flow(t)`` and the certificate are not to be had then.

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

    References
    ----------
    Boursier and Flammarion, "Simplicity bias and optimization threshold in two-layer ReLU
    networks", 2024. Filippov, "Differential Equations with Discontinuous Righthand Sides", 1988.

    Examples
    --------
    One balanced neuron on one point grows like a logistic curve:

    >>> import gflow
    >>> flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), t_max=10.0)
    >>> V = 1 / (1 + (1 / 0.01 - 1) * np.exp(-20.0))
    >>> bool(abs(flow.a[-1, 0] * flow.W[-1, 0, 0] - V) < 1e-7)
    True
    """
    model, data = model_and_data(model, data)
    t_max = positive(t_max, "t_max")
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    rtol = positive(rtol, "rtol")
    if rtol < 100 * EPS:
        raise ValueError(f"rtol = {rtol:g} is below 100 eps = {100 * EPS:.2g}: "
                         "double precision cannot keep it")
    if rtol >= 1:
        raise ValueError(f"rtol = {rtol:g} is no tolerance: give a number below 1")
    times = default_times(t_max) if t_eval is None else _times(t_eval, t_max)
    rules = as_rules(stop)
    if max_events is not None:
        max_events = whole(max_events, "max_events")
    engine, why = _choose(model, data, t_max) if method == "auto" else (method, "as asked")
    if engine != "waveform" and model.log_scale.min() < LOWEST:
        raise ValueError(f"log_scale = {model.log_scale.min():g} is below {LOWEST:g}, too small "
                         f"for method={engine!r}: use method=\"waveform\"")
    quantities = as_quantities(save)
    settings = {"t_max": t_max, "method": engine, "rtol": rtol, "max_events": max_events,
                "threads": thread_count(threads)}

    _compile(engine)
    recorder = None if quantities is None else Recorder(times, quantities)
    flow = _run(model, data, times, rules, settings, progress, recorder)
    flow.stats["choice"] = why
    flow.settings["method"] = method
    if strict and not flow.success:
        raise IntegrationError(flow)
    return flow


def _choose(model: TwoLayerReLU, data: Data, t_max: float) -> tuple[str, str]:
    """The engine for a problem, and why."""
    if model.log_scale.any():
        return "waveform", "the start has a log_scale"
    pairs = model.m * data.n
    if pairs > MANY_PAIRS:
        return "waveform", f"{pairs} pairs of a neuron and a point, more than {MANY_PAIRS}"
    turns = t_max * float(np.abs(data.y) @ row_norms(data.X)) / data.n
    if turns > LONG:
        return "waveform", f"t_max is {turns:.3g} turns of a neuron, more than {LONG:g}"
    return "DOP853", f"{pairs} pairs of a neuron and a point, {turns:.3g} turns of a neuron"


def default_times(t_max: float) -> np.ndarray:
    """About 200 times in [0, t_max], dense early, both ends included.

    Examples
    --------
    >>> t = default_times(50.0)
    >>> t.size, float(t[0]), float(t[-1]), bool(t[1] < 0.01)
    (200, 0.0, 50.0, True)
    """
    times = t_max * np.expm1(np.linspace(0.0, np.log(1e4), 200)) / (1e4 - 1)
    times[-1] = t_max
    return times


def _run(model: TwoLayerReLU, data: Data, times: np.ndarray, rules: Any,
         settings: dict[str, Any], progress: bool, recorder: Recorder | None = None) -> Flow:
    from .run import FAILURES, OUTCOMES, Run, Stop

    status = "finished"
    message = OUTCOMES[status]
    engine: Any
    # Overflow is found and named by the engines.
    with np.errstate(all="ignore"):
        if settings["method"] == "waveform":
            from .engines.waveform import Waveform
            engine = Waveform(data, model, settings["rtol"], settings["threads"])
        else:
            from .engines.stepping import Stepping
            scale = np.exp(model.log_scale)
            start = np.concatenate([model.a * scale, (model.W * scale[:, None]).ravel()])
            engine = Stepping(data, start, settings["method"], settings["rtol"])
        run = Run(engine.path, settings["t_max"], rules, settings["max_events"], progress,
                  recorder)
        with run.catching_interrupts():
            try:
                engine.integrate(run)
            except Stop as end:
                status, message = end.status, end.message
            except KeyboardInterrupt:
                status, message = "interrupted", OUTCOMES["interrupted"]
        if recorder:
            recorder.collect(engine.path, run.observer(engine.measure),
                             end=engine.path.t_end < settings["t_max"])
    if run.meter:
        run.meter.close()
    if engine.ambiguous:
        message += (f" ({engine.ambiguous} times the solution was not unique: "
                    "the branch with the fewest active points was taken)")
    events = run.event_table()
    kinds = {kind: int((events["kind"] == kind).sum())
             for kind in ("activate", "deactivate", "slide", "release")}
    stats = {"nfev": engine.nfev, "njev": engine.njev, "steps": engine.steps,
             "cut_steps": engine.cuts, "rejected_steps": engine.rejected,
             "reduced_steps": engine.reduced,
             "events": len(events), **kinds, "ambiguous": engine.ambiguous,
             "method": settings["method"], "wall_time": run.wall}
    return Flow(data=data, path=engine.path, times=times, events=events,
                initial_pattern=engine.initial_codes, status=status, message=message,
                success=status not in FAILURES, stats=stats, settings=settings,
                saved=None if recorder is None else recorder.arrays())


def _times(t_eval: Any, t_max: float) -> np.ndarray:
    times = real_array(t_eval, "t_eval", 1)
    if times.size == 0:
        raise ValueError("t_eval is empty: give at least one time, or None for the default")
    if (np.diff(times) <= 0).any():
        raise ValueError("t_eval is not increasing: sort it and drop repeated times")
    if times[0] < 0 or times[-1] > t_max:
        raise ValueError(f"t_eval reaches from {times[0]:g} to {times[-1]:g}: its times must lie "
                         f"in [0, t_max] = [0, {t_max:g}]")
    return times


_compiled: set[str] = set()


def _compile(method: str) -> None:
    """Load or compile the kernels on a tiny problem, once a process; say so if it takes long."""
    engine = "waveform" if method == "waveform" else "RK45"
    if engine in _compiled:
        return
    timer = threading.Timer(1.5, _say_compiling)
    timer.daemon = True
    timer.start()
    try:
        # Two points, one neuron that crosses, slides and is released, and a group: every kernel is
        # used.
        model = TwoLayerReLU([0.125] + 4 * [-0.25], [[0.125, -0.05]] + 4 * [[-2.0, 0.25]])
        data = Data([[1.0, 0.5], [0.0, 1.0]], [1.0, -1.0])
        _run(model, data, np.array([0.0]), (), {"t_max": 4.0, "method": engine, "rtol": 1e-4,
                                                "max_events": None, "threads": 1}, False)
    finally:
        timer.cancel()
    _compiled.add(engine)


def _say_compiling() -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        print("gflow: compiling, once per installation (some seconds) ...", file=sys.stderr)
