"""The result of training with a finite step, and how far it is from the flow."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np

from ..problem.network import ModelPath
from ..problem.norms import row_norms
from ..theory.ends import Verdict
from .flow import Flow
from .margins import Margins
from ..problem.quiet import quiet
from ..problem.words import kind_of


class Descent(Flow):
    """Training with a finite step, as a path in flow time. Made by `gflow.descend`.

    A `Flow` whose weights are those of the saved steps. In between, ``flow(t)`` is on a straight
    line, which is no step of the training unless every step was saved. Events are changes of the
    pattern from one saved step to the next, at the time of the latter, so that ``pattern(t)`` is
    that of the last saved step; a step has no sliding, and never a code 2. There is no
    certificate, no conditioning, and no `extend`.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Flow times of the saved steps, ``saved["step"] * settings["step_time"]``; with a schedule
        its factors for the steps so far add up in place of their number. Where these fall below
        rounding times repeat, and ``flow(t)`` is the last of the steps at one time.
    a, W, loss, norms, directions : ndarray
        At the saved steps, as trained.
    saved : dict of ndarray
        ``step`` (T,), number of each saved step, and ``a``, ``W``, ``loss``.
    events : structured ndarray
        As of a `Flow`; the kinds are "activate" and "deactivate".
    stats : dict
        As of a `Flow`; ``switches`` counts changes of the pattern from every step to the next
        (None with small batches), and ``nfev`` gradients.
    settings : dict
        What `descend` was called with; ``rng`` is the seed, or the state of the generator at the
        start; ``step_time`` the flow time of a step.
    """

    def certificate(self, most: int | None = None, *, progress: bool = False) -> NoReturn:
        """Not there: a certificate is evidence that a path is the flow.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("a descent with a finite step has no certificate, which is evidence that "
                         "a path is the gradient flow: compare it with gflow.integrate from the "
                         "same start (gflow.descent.distances)")

    def conditioning(self, most: int = 50, *, progress: bool = False) -> NoReturn:
        """Not there: it is found from the equations that neurons of a flow obey between events.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("a descent with a finite step has no conditioning, which is that of the "
                         "equations of the flow: ask gflow.integrate from the same start for it")

    def verdict(self) -> Verdict:
        """As of a flow; Adam follows another one, whose times and ways these are not.

        Raises
        ------
        ValueError
            As of a flow, and of training by Adam.
        """
        self._follows("a verdict on a run")
        return super().verdict()

    def plateaus(self) -> np.ndarray:
        """As of a flow; see `verdict`.

        Raises
        ------
        ValueError
            As of a flow, and of training by Adam.
        """
        self._follows("plateaus")
        return super().plateaus()

    def _follows(self, what: str) -> None:
        """Refuse what is foreseen of the gradient flow, if training does not follow it."""
        if self.settings["optimizer"] == "adam":
            raise ValueError(f"{what} foresees the gradient flow, and Adam follows another one: "
                             "gflow.theory.verdict(flow.model, data) says what that would do next")

    def margin(self) -> Margins:
        """As of a flow, but that smoothed margins may fall at any time: ``since`` is infinite. That
        they cannot is proved for steps that vanish."""
        return replace(super().margin(), since=np.inf)

    def extend(self, t_max: float, **options: object) -> NoReturn:
        """Not there: steps of a descent are not what a flow goes on with.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("a descent with a finite step cannot be extended: call gflow.descend from "
                         "flow.model, or with more steps")

    def _whole(self, what: str, instead: str = "") -> None:
        """Nothing is refused: what was saved and straight lines between are all there is."""

    @quiet
    def _models(self, times: np.ndarray) -> ModelPath:
        """Straight lines between saved steps, and these exactly."""
        assert self.saved is not None
        k = np.searchsorted(self.t, times, side="left")
        there = self.t[k] == times
        k[there] = np.searchsorted(self.t, times[there], side="right") - 1
        before = np.maximum(k - 1, 0)
        s = np.divide(times - self.t[before], self.t[k] - self.t[before], where=~there,
                      out=np.ones_like(times))
        a, W = self.saved["a"], self.saved["W"]
        return ModelPath((1 - s)[:, None] * a[before] + s[:, None] * a[k],
                         (1 - s)[:, None, None] * W[before] + s[:, None, None] * W[k], self._one)


@quiet
def distances(flow: Flow, twin: Flow) -> np.ndarray:
    r"""How far a twin is from the flow, at its saved steps.

    Parameters
    ----------
    flow : Flow
        From `gflow.integrate`.
    twin : Flow
        From `gflow.descend`, with the same start.

    Returns
    -------
    ndarray, shape (T,)
        :math:`|\theta_{twin}(t) - \theta(t)|` at the times ``twin.t`` that the flow reached,
        relative to the largest :math:`|\theta|` among these.

    Raises
    ------
    TypeError
        If one is no run.
    ValueError
        If the networks differ in shape or at the start.

    Examples
    --------
    >>> import gflow
    >>> start, data = ([0.1], [[0.1]]), ([[1.0]], [1.0])
    >>> flow = gflow.integrate(start, data, t_max=1.0)
    >>> distances(flow, gflow.descend(start, data, 0.5, 2, save_every=1)).round(4)
    array([0.    , 0.053 , 0.1554])
    """
    for name, run in (("flow", flow), ("twin", twin)):
        if not isinstance(run, Flow):
            raise TypeError(f"{name} is {kind_of(run)}: give a run, from gflow.integrate "
                            "or gflow.descend")
    # A product of steps and a step size may pass t_max by rounding.
    times = np.minimum(twin.t[twin.t <= flow.t_end * (1 + 1e-12)], flow.t_end)
    path = flow(times)
    exact = np.concatenate([path.a[:, :, None], path.W], axis=2)
    if twin.W.shape[1:] != exact[0, :, 1:].shape:
        raise ValueError(f"the flow has neurons of shape {exact[0, :, 1:].shape} and the twin "
                         f"{twin.W.shape[1:]}: give runs of one network")
    trained = np.concatenate([twin.a[:, :, None], twin.W], axis=2)[:times.size]
    apart, size = (row_norms(part.reshape(times.size, -1)) for part in (trained - exact, exact))
    if apart[0] > 1e-12 * size[0]:
        raise ValueError("the flow and the twin start from different weights: give runs of one "
                         "start")
    return np.asarray(apart / (size.max() or 1.0))
