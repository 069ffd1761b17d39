"""Choose an engine, run it, and make a value of what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from time import perf_counter
from typing import Callable, Literal, TypeVar, get_args

import numpy as np

from ..problem.clock import Clock
from ..problem.data import Data
from ..problem.field import Field
from ..problem.inputs import default_times, thread_count
from ..problem.loss import SQUARE, Loss, loss_label
from ..problem.lopsided import Lopsided
from ..problem.network import TwoLayer, TwoLayerReLU
from ..problem.norms import row_norms
from ..problem.quiet import quiet
from ..problem.rates import Rates
from ..problem.setting import PLAIN, Setting
from ..problem.span import Span
from ..problem.units import Units, mantissas
from ..problem.words import cut, said
from .choices import choice_table, instants, told
from .events import count_kinds
from .interrupts import Press, catching, leaving
from .layered import Layered
from .pattern import overflow
from .protocol import Engine, Path
from .record import Record
from .recorder import Quantities, Recorder
from .rescaled import Rescaled
from .resume import joined, later, take_up, taken
from .rules import Rule
from .run import FAILURES, OUTCOMES, Foreign, Run, Stop
from .spanned import Spanned
from .timed import Timed

Method = Literal["auto", "waveform", "DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA"]
METHODS: tuple[str, ...] = get_args(Method)
MANY_PAIRS = 500
"""Neurons times points beyond which events are too many for a stepper."""
LONG = 1e3
"""Run times, in units of the time in which a neuron turns, that are too long for one."""
FADED = 500.0
"""Logarithm of what decay may leave of weights on a stepper: doubles end below exp of -745."""
SMALLEST = -1000
"""Exponent of the smallest hidden weights that a stepper holds."""

FINEST = 1e-13
"""Tolerance of the fast engine, at least."""
SHARPER = 1e3
"""Where it would have to be so much less than what was asked for, a stepper is chosen."""

RIGHT = 1e-8
"""Outputs of neurons with layers that are unlike may err by so much in any case."""

UNDER_WAY = "a checkpoint of a run under way: gflow.resume goes on with it"

_R = TypeVar("_R", bound=Record)


def lacking(setting: Setting, model: TwoLayer) -> str:
    """What the fast engine cannot do, or nothing.

    Examples
    --------
    >>> lacking(Setting(rates=(0.0, 1.0)), TwoLayerReLU([1.0], [[1.0]]))
    'a fixed layer'
    """
    if model.smooth:
        return "smooth activations"
    if setting.two_times:
        return "two time scales"
    if not all(setting.moves):
        return "a fixed layer"
    if model.slope and (model.a.astype(bool) & ~model.W.any(axis=1)).any():
        return "a leaky neuron that leaves w = 0"
    if setting.uniform is None:
        return "decays that differ"
    return ""


def choose(model: TwoLayer, data: Data, t_max: float,
           loss: Loss = SQUARE, setting: Setting = PLAIN) -> tuple[str, str]:
    """The engine for a problem, and why.

    Examples
    --------
    >>> choose(TwoLayerReLU([0.1], [[0.1]]), Data([[1.0]], [1.0]), 10.0)
    ('DOP853', '1 pairs of a neuron and a point, 10 turns of a neuron')
    """
    if lacking(setting, model):
        return "DOP853", f"the fast engine has no {lacking(setting, model).removeprefix('a ')}"
    if model.log_scale.any():
        return "waveform", "the start has a log_scale"
    alike = _lopsided(model, data, loss)
    if alike.sharper > SHARPER:
        return "DOP853", (f"the layers of neuron {int(np.argmax(alike.log_excess))} are too unlike "
                          "for the fast engine")
    shrinks = (setting.inside(Rates(*setting.rates).pace).uniform or 0.0) * t_max
    if shrinks > FADED:
        return "waveform", f"decay leaves exp(-{shrinks:.3g}) of what does not grow"
    pairs = model.m * data.n
    if pairs > MANY_PAIRS:
        return "waveform", f"{pairs} pairs of a neuron and a point, more than {MANY_PAIRS}"
    with np.errstate(over="ignore", under="ignore"):
        pulls = np.abs(Field(data, loss).first_pulls)
        turns = t_max * float(pulls @ row_norms(data.X)) / data.n
    if turns > LONG:
        return "waveform", f"t_max is {turns:.3g} turns of a neuron, more than {LONG:g}"
    if _underflow(model, _units(model, data, t_max, loss, setting, None)[0], "DOP853"):
        return "waveform", "weights are too small for steppers, beside the data"
    return "DOP853", f"{pairs} pairs of a neuron and a point, {turns:.3g} turns of a neuron"


def solve(model: TwoLayer, data: Data, t_max: float, *, method: str = "auto",
          made: type[_R], rtol: float = 1e-8, times: np.ndarray | None = None,
          rules: Sequence[Rule] = (), max_events: int | None = None, progress: bool = False,
          threads: int | None = None, quantities: Quantities | None = None,
          loss: Loss = SQUARE, setting: Setting = PLAIN, after: Record | None = None,
          keep: Callable[[_R], None] | None = None, every: float = np.inf,
          t_eval: list[float] | None = None) -> _R:
    """`gflow.integrate` behind the door: what comes in has been checked.

    Parameters
    ----------
    model, data, t_max, method, rtol, max_events, progress, threads
        As there.
    made : type
        `Record`, or a class that is made like it.
    times : ndarray, shape (T,), optional
        Times to report.
    rules : sequence of Rule
        Stopping rules.
    quantities : callable, optional
        From `gflow.engines.recorder.as_quantities`.
    loss : Loss
    setting : Setting
    after : Record, optional
        A run of this problem with its dense output, to go on with; its engine and tolerance count,
        and what comes back is one run from 0.
    keep, every : callable and float, optional
        What is given the run as it is every so many seconds, and at the end.
    t_eval : list of float, optional
        The times as they were asked for, to be among the settings of a run that is kept.

    Returns
    -------
    Record
        Of the class ``made``.

    Raises
    ------
    Exception
        What a rule or ``quantities`` raise, with what was reached as its attribute ``flow``; see
        `with_flow`.

    Examples
    --------
    >>> record = solve(TwoLayerReLU([0.5], [[0.3]]), Data([[1.0]], [1.0]), 1.0, made=Record)
    >>> record.t_end, record.status
    (1.0, 'finished')
    """
    layers = Rates(*setting.rates, t_max=t_max)
    model, until = layers.model(model), layers.inside(t_max)
    name, why = (choose(model, data, until, loss, setting) if method == "auto"
                 else (method, "as asked"))
    if after is not None:
        name, why = after.stats["method"], after.stats["choice"]
    times = default_times(t_max) if times is None else times
    threads = thread_count(threads)
    recorder = None if quantities is None else Recorder(times, quantities)
    _warm("waveform" if name == "waveform" else "RK45")
    units, clock = _units(model, data, until, loss, setting, after)
    engine, seen = _engine(name, model, data, rtol, threads, units, loss,
                           setting.slower(units.time), clock)
    kept, chosen = take_up(engine, after)
    path = seen(engine.path)
    if layers:
        path = Layered(path, layers)
    run = Run(path, t_max, tuple(rules), max_events, progress, recorder,
              Field(data, loss, model.activation, setting))
    run.count = len(kept)
    run.since = 0.0 if after is None else after.t_end

    def outcome(path: Path, status: str, message: str) -> _R:
        """The run, as far as ``path`` goes."""
        choices = later(chosen, choice_table(data.arrangement, engine.choices, run.outside,
                                             path.t_end))
        events = joined(kept, run.events())
        stats = {"nfev": engine.nfev, "njev": engine.njev, "steps": engine.steps,
                 "cut_steps": engine.cuts, "rejected_steps": engine.rejected,
                 "reduced_steps": engine.reduced, "stiff_steps": getattr(engine, "stiff", 0),
                 "events": len(events), **count_kinds(events),
                 "ambiguous": len(instants(choices)), "method": name, "choice": why,
                 "wall_time": run.wall + (0.0 if after is None else after.stats["wall_time"])}
        settings = {"t_max": t_max, "method": method, "rtol": rtol, "max_events": max_events,
                    "threads": threads, "loss": loss_label(loss), "rates": _told(setting.rates),
                    "decay": list(setting.decay)}
        if t_eval is not None:
            settings["t_eval"] = t_eval
        # A function that failed, or was interrupted, has kept less than the run has reached.
        reached = times if recorder is None else np.array(recorder.reached)
        return made(data=data, path=path, times=reached, events=events,
                    initial_pattern=engine.initial_codes, status=status,
                    message=message + told(choices), success=status not in FAILURES, stats=stats,
                    settings=settings, loss=loss, activation=model.activation, setting=setting,
                    choices=choices, saved=None if recorder is None else recorder.arrays())

    if keep is not None:
        run.every = run.next = every
        run.snapshot = lambda: keep(outcome(path.snapshot(), "interrupted", UNDER_WAY))
    begins = not (len(kept) or engine.steps)
    status, message, raised = _carry(
        engine, run, _refusal(model, data, loss, units, name, rtol) if begins else None)
    record = outcome(path, status, message)
    if keep is not None and record.t_end >= run.since:
        keep(record)
    if raised is not None:
        raise with_flow(raised, record, run.started)
    return record


def _told(rates: tuple[float, float]) -> list[float | str]:
    return ["fast" if rate == np.inf else rate for rate in rates]


@quiet
def _units(model: TwoLayer, data: Data, until: float, loss: Loss, setting: Setting,
           after: Record | None) -> tuple[Units, Clock]:
    """Units and clock of the engine; those of the run that is gone on with."""
    if after is not None:
        return taken(after, until)
    # The flow of a smooth activation has no units of its own.
    units = Units() if model.smooth else Units.of(model, data, until, loss)
    # Under decay there is a rest, even if the loss alone has none.
    plain = model.smooth or setting.decays
    return units, Clock() if plain else Clock.of(model, data, until, loss, units)


@quiet
def _engine(name: str, model: TwoLayer, data: Data, rtol: float, threads: int,
            units: Units = Units(), loss: Loss = SQUARE, setting: Setting = PLAIN,
            clock: Clock = Clock()) -> tuple[Engine, Callable[[Path], Path]]:
    """An engine that works in ``units``, by a ``clock`` and in the span of the points, and how its
    path is seen from outside, but for speeds of layers."""
    engine: Engine
    # Overflow is found and named by the engines.
    with np.errstate(all="ignore"):
        U, power = mantissas(model)
        power -= units.weights
        data = units.data(data)
        # A decay of one input alone is no decay in other coordinates.
        span = Span.of(data, U[:, 1:]) if setting.isotropic else None
        if span is not None:
            data, U = span.data(data), np.column_stack([U[:, 0], span.V])
        field = Field(data, loss, model.activation, setting)
        if name == "waveform":
            from .waveform.engine import Waveform
            sharper = Lopsided(field, U[:, 0], U[:, 1:], power).sharper
            sharp = min(rtol, max(rtol / sharper, FINEST))
            engine = Waveform(field, U, power, sharp, threads, clock)
        else:
            from .smooth import SmoothStepping
            from .stepping import Stepping
            from .twotime import TwoTimeStepping
            start = np.ldexp(U, power[:, None])
            stepping = (SmoothStepping if model.smooth else TwoTimeStepping if setting.two_times
                        else Stepping)
            engine = stepping(field, np.append(start[:, 0], start[:, 1:]), name, rtol, clock)

    def seen(path: Path) -> Path:
        if span is not None:
            path = Spanned(path, span, power)
        if clock.parts is not None:
            path = Timed(path, clock)
        return Rescaled(path, units) if any(units) else path

    return engine, seen


def _refusal(model: TwoLayer, data: Data, loss: Loss, units: Units, name: str,
             rtol: float) -> Stop | None:
    """Why a start is not to be followed, by this method or by any; None if it is."""
    if too_large := overflow(model, data, loss):
        return Stop("non_finite", too_large)
    if beyond := _underflow(model, units, name) or _unlike(model, data, loss, name, rtol):
        return Stop("refused", beyond)
    return None


def _underflow(model: TwoLayer, units: Units, name: str) -> str:
    """A sentence if a stepper cannot hold the weights of a start in its units, or nothing."""
    U, power = mantissas(model)
    size = np.frexp(np.abs(U[:, 1:]).max(axis=1))[1] + power - units.weights
    lost = model.W.any(axis=1) & (size < SMALLEST)
    if name == "waveform" or not lost.any():
        return ""
    return (f"the weights of neuron {int(np.argmax(lost))} are too small for {name}, beside the "
            "data: use method=\"waveform\"")


def _lopsided(model: TwoLayer, data: Data, loss: Loss) -> Lopsided:
    return Lopsided(Field(data, loss, model.activation), model.a, model.W,
                    model.log_scale / np.log(2.0))


def _unlike(model: TwoLayer, data: Data, loss: Loss, name: str, rtol: float) -> str:
    """A sentence if the fast engine cannot be as accurate as the layers of a neuron need, or
    nothing."""
    if name != "waveform":
        return ""
    found = _lopsided(model, data, loss)
    # Sharper runs are as sharp as can be.
    if max(rtol, RIGHT) >= FINEST * found.sharper:
        return ""
    i = int(np.argmax(found.log_excess))
    return (f"the layers of neuron {i} are so unlike that rtol of its norm is more than it puts "
            f"out: use a SciPy stepper, as method=\"auto\" does")


@cache
def _warm(name: str) -> None:
    """Load or compile the kernels, once a process, so that no run pays for it: on two points, with
    one neuron that crosses, slides and is released, and a group. That uses every kernel."""
    model = TwoLayerReLU([0.125] + 4 * [-0.25], [[0.125, -0.05]] + 4 * [[-2.0, 0.25]])
    data = Data([[1.0, 0.5], [0.0, 1.0]], [1.0, -1.0])
    engine, seen = _engine(name, model, data, 1e-4, 1)
    # Ctrl-C is not for this run: it goes to whoever waits for it.
    with np.errstate(all="ignore"):
        engine.integrate(Run(seen(engine.path), 4.0, (), None, False))


def _carry(engine: Engine, run: Run, refusal: Stop | None
           ) -> tuple[str, str, BaseException | None]:
    """Run to the end, unless there is a ``refusal``; how it ended, as a status and a sentence, and
    what a function that was handed in raised."""
    status = "finished"
    message = OUTCOMES[status]
    raised: BaseException | None = None
    with np.errstate(all="ignore"), catching(run):
        try:
            try:
                if refusal:
                    raise refusal
                engine.integrate(run)
            except Stop as end:
                end = run.first(end, engine.measure)
                status, message = end.status, end.told(run.outside)
            except Press as press:
                raised, run.interrupted = leaving(press), True
            if run.recorder:
                run.collect(engine.measure, end=engine.path.t_end < run.t_max)
        except Press as press:
            raised, run.interrupted = leaving(press), True
        except BaseException as error:
            raised = _own(error)
            status = "exception"
            message = cut(f"{type(raised).__name__} was raised after t = {run.path.t_end:.6g}: "
                          f"{said(raised, 200)}", 200)
    if run.interrupted and status in ("finished", "interrupted"):
        status, message = "interrupted", OUTCOMES["interrupted"]
    if run.meter:
        run.meter.close()
    return status, message, raised


def _own(error: BaseException) -> BaseException:
    """What was raised, without what it was wrapped in on its way."""
    if isinstance(error, SystemError) and error.__cause__ is not None:
        # Of a signal handler that was called within compiled code.
        return error.__cause__
    return error.error if isinstance(error, Foreign) else error


def with_flow(error: BaseException, record: Record, since: float = -np.inf) -> BaseException:
    """An exception that goes through a run, with what was reached.

    If another run, made by a rule of this one, has put its own there, that stays, and this one is
    added to ``outer_flows``. ``since`` is when this run began, by `time.perf_counter`: what was put
    there before is of an earlier run that raised the same exception, and is replaced.
    """
    with suppress(Exception):
        inner, known = getattr(error, "flow", None), getattr(error, "outer_flows", ())
        # What has no time has been made with its flow.
        if isinstance(inner, Record) and getattr(error, "_flow_put", np.inf) > since:
            error.outer_flows = (*known, record)  # type: ignore[attr-defined]
            what = f"What a run around that one has reached, up to t = {record.t_end:.6g}"
            where = f"outer_flows[{len(known)}]"
        else:
            error.flow, error.outer_flows = record, ()  # type: ignore[attr-defined]
            error._flow_put = perf_counter()  # type: ignore[attr-defined]
            what = f"What the run has reached, up to t = {record.t_end:.6g}"
            where = "flow"
        error.add_note(f"{what}, is in the attribute {where} of this exception.")
    return error
