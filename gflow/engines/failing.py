"""How a stepper that cannot go on says so: with the neuron, and the point, that are the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..problem.data import Arrangement
from ..problem.loss import undefined
from ..problem.norms import row_norms
from ..problem.words import cut, listed
from .run import Stop
from .standing import LOST, fastest
from .trajectory import by_neuron

if TYPE_CHECKING:
    from .stepping import Stepping

TINY = float(np.finfo(float).tiny)
AHEAD = (1e-3, 1e-2, 0.1, 1.0)
"""How far ahead of a step that failed a loss is tried, in units of the fastest time."""


def points(A: Arrangement, hyperplane: int) -> str:
    """The points of a hyperplane, in words."""
    found = A.member[A.start[hyperplane]:A.start[hyperplane + 1]]
    return f"point {found[0]}" if found.size == 1 else f"points {listed(found)}"


def stuck(engine: Stepping, neuron: int, plane: int) -> Stop:
    """A neuron has the same contact again and again."""
    what = (f"meets {points(engine.data.arrangement, plane)}" if plane >= 0 else
            "has an output weight that comes to 0")
    return Stop("sliding_unresolved", f"neuron {neuron} {what} again and again at "
                "t = {t}; loosen rtol or perturb the start", engine.t)


def failure(engine: Stepping, state: np.ndarray, message: str | None) -> Stop:
    """A step failed at a ``state``; ``message`` is what the stepper says."""
    A = engine.data.arrangement
    ahead = engine.velocity(engine.t, engine.state) / max(fastest(engine), TINY)
    for reached in (engine.state, state, *(engine.state + part * ahead for part in AHEAD)):
        if unknown := undefined(engine.field.loss, engine.outputs(reached), engine.data.y):
            return Stop("non_finite", unknown + "; the run ends at t = {t}", engine.t)
    a, W = engine.split(np.where(np.isfinite(state), state, np.inf))
    size = np.abs(np.column_stack([a, W])).max(axis=1)
    i = int(np.argmax(size))
    if not np.isfinite(size).all():
        return Stop("non_finite", f"the weights of neuron {i} became infinite or NaN after "
                    "t = {t}; rescale the data or start smaller", engine.t)
    v = engine.velocity(engine.t, state)
    if not np.isfinite(v).all():
        i = int(np.isfinite(by_neuron(np.abs(v), engine.m)).argmin())
        p = engine.pulls(state, engine.t)
        k = int(np.argmax(np.abs(p) * row_norms(engine.data.X)))
        return Stop("non_finite", f"the velocity of neuron {i} became infinite or NaN after "
                    f"t = {{t}}, most of all by point {k}; rescale the data or start smaller",
                    engine.t)
    size = size + np.where(size > 0, 0.0, np.inf)
    if size.min() < LOST:
        # The fast engine knows logarithms, but only one decay.
        instead = ("use method=\"waveform\"" if engine.field.setting.uniform is not None
                   else "end it before, or give all layers one decay")
        return Stop("step_too_small", f"neuron {int(size.argmin())} has shrunk below what "
                    f"{engine.method} can follow at t = {{t}}; {instead}", engine.t)
    near = ""
    if A.normal.size:
        z = np.abs(W @ A.normal.T) / np.maximum(row_norms(W), TINY)[:, None]
        i, h = divmod(int(np.argmin(z)), z.shape[1])
        near = f"; neuron {i} is nearest to a hyperplane, that of {points(A, h)}"
    return Stop("step_too_small", f"the step size fell below rounding at t = {{t}}{near} "
                f"({cut(str(message))})", engine.t)
