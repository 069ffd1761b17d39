"""The result of a run."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Sequence, overload

import numpy as np

from .data import Data
from .checks import real_array
from .model import ModelPath, TwoLayerReLU, row_norms
from .trajectory import Trajectory
from .windows import Windows

if TYPE_CHECKING:  # pragma: no cover
    from .alignment import Alignment
    from .certificate import Certificate


class Flow:
    """A gradient flow from 0 to the time reached.

    Made by `gflow.integrate` and `gflow.load`.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Reported times: those of ``t_eval`` that were reached, and the end if the run stopped
        before ``t_max``.
    a : ndarray, shape (T, m)
        Output weights.
    W : ndarray, shape (T, m, d)
        Hidden weights.
    loss : ndarray, shape (T,)
        Loss ``1/(2n) sum (h(x_k) - y_k)^2``.
    norms : ndarray, shape (T, m)
        ``|w_i|``.
    directions : ndarray, shape (T, m, d)
        ``w_i / |w_i|``; zero for a neuron at ``w_i = 0``.
    log_norms : ndarray, shape (T, m)
        ``log |w_i|``, also where ``|w_i|`` is below the range of double precision.
    events : structured ndarray
        In time order: ``time``, ``neuron``, ``point``, ``kind`` ("activate", "deactivate",
        "slide", "release") and ``to``, the state after (0 off, 1 on, 2 sliding). Points that share
        a hyperplane each have a record, at the same time.
    status : str
        "finished", the status of a stopping rule, or what went wrong.
    message : str
        The same as a sentence.
    success : bool
        Whether the run reached ``t_max`` or a stopping rule.
    stats : dict
        ``nfev``, ``njev``, ``steps``, ``events``, events by kind, ``ambiguous`` (times at which
        the solution was not unique), ``wall_time`` in seconds, ...
    settings : dict
        What `integrate` was called with.
    saved : dict of ndarray, or None
        With ``save=``: what was kept, a row for each of the times ``t``. Other attributes that need
        more raise a ValueError.
    data : Data
        The data.

    Examples
    --------
    >>> import gflow
    >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), t_max=1.0, t_eval=[0, 1])
    >>> flow.W.shape, flow.status
    ((2, 1, 1), 'finished')
    >>> flow(0.5)
    TwoLayerReLU(m=1, d=1)
    """

    def __init__(self, *, data: Data, path: Trajectory | Windows, times: np.ndarray,
                 events: np.ndarray, initial_pattern: np.ndarray, status: str, message: str,
                 success: bool, stats: dict[str, Any], settings: dict[str, Any],
                 saved: dict[str, np.ndarray] | None = None) -> None:
        self.data = data
        self.path = path
        self.events = events
        self.initial_pattern = initial_pattern
        self.status, self.message, self.success = status, message, success
        self.stats, self.settings, self.saved = stats, settings, saved
        reached = times[times <= path.t_end]
        if path.t_end < settings["t_max"] and (reached.size == 0 or reached[-1] < path.t_end):
            reached = np.append(reached, path.t_end)
        self.t = reached

    @cached_property
    def _states(self) -> ModelPath:
        self._whole("the weights")
        return self._models(self.t)

    def _whole(self, what: str) -> None:
        """Refuse what needs the dense output if only some quantities were kept."""
        if self.saved is not None:
            raise ValueError(f"this run kept only {', '.join(self.saved) or 'nothing'}, not "
                             f"{what}: leave save= away, or add it there")

    def _kept(self, name: str) -> np.ndarray | None:
        return self.saved[name] if self.saved is not None and name in self.saved else None

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
    def t_end(self) -> float:
        """Time reached."""
        return self.path.t_end

    @property
    def model(self) -> TwoLayerReLU:
        """The network at the time reached."""
        return self._models(np.array([self.t_end]))[0]

    @cached_property
    def loss(self) -> np.ndarray:
        """Loss at the reported times, shape (T,)."""
        kept = self._kept("loss")
        if kept is not None:
            return kept
        return np.array([np.mean((np.maximum(self.data.X @ W.T, 0.0) @ a - self.data.y) ** 2) / 2
                         for a, W in zip(self.a, self.W)])

    @cached_property
    def norms(self) -> np.ndarray:
        """Norms ``|w_i|`` at the reported times, shape (T, m)."""
        kept = self._kept("norms")
        return row_norms(self.W) if kept is None else kept

    @cached_property
    def directions(self) -> np.ndarray:
        """Unit vectors ``w_i/|w_i|`` at the reported times, shape (T, m, d)."""
        kept = self._kept("directions")
        if kept is not None:
            return kept
        W, norms = self._scaled[0], row_norms(self._scaled[0])[..., None]
        return np.divide(W, norms, out=np.zeros_like(W), where=norms > 0)

    @cached_property
    def log_norms(self) -> np.ndarray:
        """``log |w_i|`` at the reported times, shape (T, m): also below the range of ``norms``."""
        W, power = self._scaled
        with np.errstate(divide="ignore"):
            return np.log(row_norms(W)) + power * np.log(2.0)

    @cached_property
    def _scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """``W`` in units of 2 to the power (T, m), and that."""
        if isinstance(self.path, Windows) and self.saved is None:
            neurons, power = self.path.scaled(self.t)
            return neurons[:, :, 1:], power
        return self.W, np.zeros(self.W.shape[:2], dtype=np.int64)

    @overload
    def __call__(self, t: float) -> TwoLayerReLU: ...

    @overload
    def __call__(self, t: Sequence[float] | np.ndarray) -> ModelPath: ...

    def __call__(self, t: Any) -> TwoLayerReLU | ModelPath:
        """The network at any time reached (dense output).

        Parameters
        ----------
        t : float or array_like, shape (T,)
            Times in [0, t_end].

        Returns
        -------
        TwoLayerReLU or ModelPath
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

    def _models(self, times: np.ndarray) -> ModelPath:
        states = self.path(times)
        m = self.path.m
        return ModelPath(states[:, :m], states[:, m:].reshape(times.size, m, self.path.d))

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

    def certificate(self, most: int | None = None) -> Certificate:
        """Evidence that the run can be trusted, recomputed from the trajectory.

        Parameters
        ----------
        most : int, optional
            Look at no more than so many pieces of it (two at least), for the energy identity too:
            cheap for sweeps of long runs. Default: everything, for what is costly up to 500 pieces.

        Raises
        ------
        TypeError, ValueError
            If ``most`` is not a positive whole number.
        """
        self._whole("what a certificate checks")
        from .certificate import certify
        return certify(self, most)

    def alignment(self) -> Alignment:
        """How neurons align: with their fields, with extremal vectors, in groups, and when."""
        self._whole("what an alignment needs")
        from .alignment import Alignment
        return Alignment(self)

    def save(self, path: Any) -> None:
        """Write everything to one ``.npz`` file, without pickle.

        The file appears whole or not at all; an existing one is replaced only at the end.
        """
        from .storage import save
        save(self, path)

    def _reached(self, t: Any) -> np.ndarray:
        times = real_array(np.atleast_1d(t), "t", 1)
        if times.size and (times.min() < 0 or times.max() > self.t_end):
            wrong = times[(times < 0) | (times > self.t_end)][0]
            raise ValueError(f"t = {wrong:g} is outside [0, {self.t_end:g}], the times reached")
        return times

    def __repr__(self) -> str:
        kinds = ", ".join(f"{self.stats[k]} {k}"
                          for k in ("activate", "deactivate", "slide", "release"))
        lines = [f"Flow: {self.status} ({self.message})",
                 f"  network   m={self.path.m}, d={self.path.d}; data n={self.data.n}",
                 f"  time      0 to {self.t_end:g} of {self.settings['t_max']:g}, "
                 f"{self.t.size} reported",
                 f"  events    {len(self.events)}: {kinds}",
                 f"  cost      {self.stats['nfev']} right-hand sides, {self.stats['steps']} steps, "
                 f"{self.stats['wall_time']:.3g} s ({self.stats['method']})"]
        if self.t.size and (self.saved is None or "loss" in self.saved):
            lines.insert(3, f"  loss      {self.loss[0]:.6g} to {self.loss[-1]:.6g}")
        return "\n".join(lines)
