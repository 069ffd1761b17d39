"""What a run leaves: a path, events, and how it ended."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NoReturn, Sequence, overload

import numpy as np
from numpy.typing import ArrayLike

from ..problem.activation import RELU, Activation
from ..problem.checks import one_or_more
from ..problem.data import Data
from ..problem.field import Field
from ..problem.inputs import within
from ..problem.loss import SQUARE, Loss
from ..problem.network import ModelPath, TwoLayer, blank
from ..problem.norms import row_norms, unit_rows
from ..problem.ragged import is_ragged
from ..problem.value import Fixed, fixed
from ..problem.words import listed
from .choices import CHOICE
from .events import CHANGE, KINDS, as_table
from .protocol import Path
from ..problem.quiet import quiet
from ..problem.setting import PLAIN, Setting
from ..problem.smooth import Smooth

MOST = 4_000_000
"""Numbers in the networks that are made at once, where they are not kept."""

FALSIFIED = ("data", "path", "events", "initial_pattern", "choices", "loss_function", "settings")
"""What tests of certificates put wrong on purpose, to see whether these notice."""


class Record:
    """What a run leaves: its path, its events, how it ended. See `gflow.Flow`.

    A value: nothing in it changes, its arrays cannot be written to, any number of threads may
    read it, and it can be pickled and copied. It holds no part of the engine that made it.

    Examples
    --------
    >>> from gflow.engines.solve import solve
    >>> from gflow import Data, TwoLayerReLU
    >>> solve(TwoLayerReLU([0.5], [[0.3]]), Data([[1.0]], [1.0]), 1.0, made=Record).status
    'finished'
    """

    def __init__(self, *, data: Data, path: Path, times: np.ndarray,
                 events: np.ndarray, initial_pattern: np.ndarray, status: str, message: str,
                 success: bool, stats: dict[str, Any], settings: dict[str, Any],
                 saved: dict[str, np.ndarray] | None = None, loss: Loss = SQUARE,
                 choices: np.ndarray = np.empty(0, dtype=CHOICE),
                 activation: Activation | Smooth = RELU, setting: Setting = PLAIN) -> None:
        path.freeze()
        self.data = data
        self.loss_function = loss
        self.activation, self.setting = activation, setting
        self.path = path
        # A table of millions of them is made once somebody asks for it.
        if events.dtype == CHANGE:
            self._changes = read_only(events)
        else:
            self.events = read_only(events)
        self.initial_pattern, self.choices = read_only(initial_pattern), read_only(choices)
        self.status, self.message, self.success = status, message, success
        self.stats, self.settings = fixed(stats), fixed(settings)
        self.saved: dict[str, np.ndarray] | None = (
            None if saved is None else Fixed({k: read_only(v) for k, v in saved.items()}))
        reached = times[times <= path.t_end]
        # Where only something was kept, the times are those of its rows.
        short = saved is None and path.t_end < settings["t_max"]
        if short and (reached.size == 0 or reached[-1] < path.t_end):
            reached = np.append(reached, path.t_end)
        self.t = read_only(reached)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what is not there yet, in ``__init__``."""
        if name not in FALSIFIED and (name in self.__dict__ or hasattr(type(self), name)):
            raise AttributeError(f"{name} is part of a result and cannot be changed: keep what you "
                                 "make of it under a name of your own")
        if name == "events":
            self.__dict__.pop("_changes", None)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> NoReturn:
        """Never."""
        raise AttributeError(f"{name} is part of a result and cannot be deleted: a run stays whole")

    def __getstate__(self) -> dict[str, Any]:
        """What cannot be computed again: pickles and copies are small."""
        # Of a copy: other threads may find something out meanwhile.
        state = self.__dict__.copy()
        cached = {name for name in state
                  if isinstance(getattr(type(self), name, None), cached_property)}
        if "_changes" not in state:
            cached.discard("events")
        return {name: value for name, value in state.items() if name not in cached}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrays that come out of a pickle can be written to."""
        self.__dict__.update(state)
        self.path.freeze()
        events = state["_changes" if "_changes" in state else "events"]
        for array in (events, self.initial_pattern, self.choices, self.t,
                      *(self.saved or {}).values()):
            read_only(array)

    @cached_property
    def events(self) -> np.ndarray:
        """All events in time order, of dtype `gflow.engines.events.EVENT`."""
        return read_only(as_table(self._changes))

    @cached_property
    @quiet
    def _states(self) -> ModelPath:
        self._whole("the weights", ", or name \"a\" and \"W\" there")
        models = self._models(self.t)
        return ModelPath(read_only(models.a), read_only(models.W), models.one)

    def _whole(self, what: str, instead: str = "") -> None:
        """Refuse what needs the dense output if only some quantities were kept, and say what helps
        besides."""
        if self.saved is not None:
            raise ValueError(f"this run kept only {listed(self.saved) or 'nothing'}, not "
                             f"{what}: leave save= away{instead}")

    def _kept(self, name: str) -> np.ndarray | None:
        kept = None if self.saved is None else self.saved.get(name)
        # A function that gives it at some times only has none for the others.
        return None if kept is None or is_ragged(kept) else kept

    @property
    def a(self) -> np.ndarray:
        """Output weights at the reported times, shape (T, m)."""
        kept = self._kept("a")
        return self._states.a if kept is None else kept

    @property
    def W(self) -> np.ndarray:
        """Hidden weights at the reported times, shape (T, m, d)."""
        kept = self._kept("W")
        return self._states.W if kept is None else kept

    @property
    def field(self) -> Field:
        """The field that the run followed: data, loss and activation."""
        return Field(self.data, self.loss_function, self.activation, self.setting)

    @property
    def t_end(self) -> float:
        """Time reached."""
        return self.path.t_end

    @property
    def model(self) -> TwoLayer:
        """The network at the time reached."""
        return self._models(np.array([self.t_end]))[0]

    @cached_property
    @quiet
    def loss(self) -> np.ndarray:
        """Loss at the reported times, shape (T,)."""
        kept = self._kept("loss")
        if kept is not None:
            return kept
        if self.saved is None and self.t.size * self.path.m * (self.path.d + 1) > MOST:
            return read_only(losses(self, self.t))
        field = self.field
        return read_only(np.array([field.value(field.outputs(a, W))
                                   for a, W in zip(self.a, self.W)]))

    @cached_property
    @quiet
    def objective(self) -> np.ndarray:
        """What the flow descends, at the reported times, shape (T,): the loss, and weight decay."""
        if not self.setting.decays:
            return self.loss
        penalty = [self.setting.penalty(a, W) for a, W in zip(self.a, self.W)]
        return read_only(self.loss + np.array(penalty))

    @cached_property
    @quiet
    def log_loss(self) -> np.ndarray:
        """Natural logarithm of the loss at the reported times, shape (T,)."""
        field = self.field
        return read_only(np.array([field.log_value(field.outputs(a, W))
                                   for a, W in zip(self.a, self.W)]))

    @property
    def log_t(self) -> np.ndarray:
        """Natural logarithms of the reported times, shape (T,); -inf at 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.t))

    @cached_property
    @quiet
    def norms(self) -> np.ndarray:
        """Norms ``|w_i|`` at the reported times, shape (T, m)."""
        kept = self._kept("norms")
        return read_only(row_norms(self.W)) if kept is None else kept

    @cached_property
    @quiet
    def directions(self) -> np.ndarray:
        """Unit vectors ``w_i/|w_i|`` at the reported times, shape (T, m, d)."""
        kept = self._kept("directions")
        if kept is not None:
            return kept
        return read_only(unit_rows(self._scaled[0]))

    @cached_property
    @quiet
    def log_norms(self) -> np.ndarray:
        """``log |w_i|`` at the reported times, shape (T, m): also below the range of ``norms``."""
        W, power = self._scaled
        with np.errstate(divide="ignore"):
            return read_only(np.log(row_norms(W)) + power * np.log(2.0))

    @cached_property
    @quiet
    def _scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """``W`` in units of 2 to the power (T, m), and that."""
        if self.saved is None:
            neurons, power = self.path.scaled(self.t)
            return neurons[:, :, 1:], power
        return self.W, np.zeros(self.W.shape[:2], dtype=np.int64)

    @overload
    def __call__(self, t: float) -> TwoLayer: ...

    @overload
    def __call__(self, t: Sequence[float] | np.ndarray) -> ModelPath: ...

    def __call__(self, t: ArrayLike) -> TwoLayer | ModelPath:
        """The network at any time reached (dense output).

        Parameters
        ----------
        t : float or array_like, shape (T,)
            Times in [0, t_end].

        Returns
        -------
        TwoLayer or ModelPath
            One network, or for an array of times the path with ``a`` (T, m) and ``W`` (T, m, d).

        Raises
        ------
        ValueError
            If a time was not reached.
        """
        times = self._reached(t)
        if times.size and times.min() < self.path.breaks[0]:
            self._whole("the network at every time")
        models = self._models(times)
        return models[0] if np.ndim(t) == 0 else models

    @quiet
    def _models(self, times: np.ndarray) -> ModelPath:
        states = self.path(times)
        m = self.path.m
        return ModelPath(states[:, :m], states[:, m:].reshape(times.size, m, self.path.d),
                         self._one)

    @property
    def _one(self) -> TwoLayer:
        """What the networks of the run are like."""
        return blank(self.activation, self.path.m, self.data)

    def pattern(self, t: float) -> np.ndarray:
        """Ternary activation pattern at time ``t``, just after any event there.

        Returns
        -------
        ndarray of int8, shape (m, n)
            0 off, 1 on, 2 sliding.
        """
        if np.ndim(t) != 0:
            raise ValueError("pattern takes one time: call it once for each")
        self._reached(t)
        codes = self.initial_pattern.copy()
        past = self.events[:np.searchsorted(self.events["time"], t, side="right")]
        # In time order, so that the last change of a pair is what remains.
        codes[past["neuron"], past["point"]] = past["to"]
        return codes

    def _reached(self, t: ArrayLike) -> np.ndarray:
        times = one_or_more(t, "t")
        wrong = times[(times < 0) | (times > self.t_end)].tolist()
        return within(times, self.t_end, getattr(t, "dtype", None), f"t = {wrong and wrong[0]} is "
                      f"outside [0, {self.t_end!r}], the times reached")

    def __repr__(self) -> str:
        kinds = ", ".join(f"{self.stats[k]} {k}"
                          for k in KINDS)
        stiff = self.stats.get("stiff_steps", 0)
        lines = [f"{type(self).__name__}: {self.status} ({self.message})",
                 f"  network   m={self.path.m}, d={self.path.d}; data n={self.data.n}",
                 f"  time      0 to {self.t_end:g} of {self.settings['t_max']:g}, "
                 f"{self.t.size} reported",
                 f"  events    {self.stats['events']}: {kinds}",
                 f"  cost      {self.stats['nfev']} right-hand sides, {self.stats['steps']} steps"
                 f"{f' ({stiff} of Radau)' if stiff else ''}, "
                 f"{self.stats['wall_time']:.3g} s ({self.stats['method']})"]
        if self.t.size and (self.saved is None or self._kept("loss") is not None):
            lines.insert(3, f"  loss      {self.loss[0]:.6g} to {self.loss[-1]:.6g}")
        return "\n".join(lines)


def losses(record: Record, t: np.ndarray) -> np.ndarray:
    """The loss of a run at times (T,) that it has reached; few networks are held at a time."""
    field, some = record.field, max(1, MOST // (record.path.m * (record.path.d + 1)))
    parts = (record(t[k:k + some]) for k in range(0, t.size, some))
    return np.array([field.value(field.outputs(a, W))
                     for models in parts for a, W in zip(models.a, models.W)])


def read_only(array: np.ndarray) -> np.ndarray:
    """The same array, which cannot be written to any more.

    Examples
    --------
    >>> read_only(np.ones(1))[0] = 2
    Traceback (most recent call last):
    ...
    ValueError: assignment destination is read-only
    """
    array.flags.writeable = False
    return array
