"""Which stepper a run is on: the one that was asked for, or an implicit one where that is stiff.

Late in a run labels that are fitted fast stand beside directions that move ever more slowly. An
explicit stepper then takes steps of some 6 over the fastest rate for ever, its stages swing, and
neurons near hyperplanes swing over them: thousands of events that are not there. It can see that:
where two of its stages are at one time, their velocities differ by the Jacobian times the
difference of their states, which is along the fastest direction there (Hairer and Wanner, "Solving
Ordinary Differential Equations II", 1996, IV.2). The quotient never exceeds the fastest rate, since
a gradient flow has a symmetric Jacobian.

Radau takes over while its steps are longer by more than they cost, and hands back where they are
not. That is a matter of cost alone: both work at the same tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STABLE = {"DOP853": 6.39, "RK45": 3.31, "RK23": 2.51}
"""Steps of explicit steppers are stable up to this over a rate of decline."""
NEAR = 0.8
"""From this part of it on a step is at the limit. Larger: neurons that swing, and shorten steps by
their contacts, hide it / smaller: more trials of the other stepper that come to nothing."""
ENOUGH, MOST, FORGIVEN = 15.0, 120.0, 0.5
"""So many steps at the limit, each of the others taking back this part of one, are a stiff stretch;
twice as many after one that was none, up to the second."""
PRICE, SMALL = 3.0, 200
"""A step of the implicit stepper costs as much as so many, and twice that for so many weights, its
linear algebra growing with their cube."""
WORTH = 100.0
"""So many implicit steps at the least have to be saved."""
SELDOM = 10
"""Steps between looks where a look costs a right-hand side."""
NOISE = 1e3 * float(np.finfo(float).eps)
"""Stages that differ by less tell nothing, relative to a weight: beside a layer that is far larger
the one that is fast is nothing."""


class Gear:
    """The stepper in use, and what speaks for another.

    Parameters
    ----------
    asked : str
        The method asked for; nothing but an explicit one is ever changed.
    size : int
        Number of weights.

    Attributes
    ----------
    method : str
        What to step with.

    Examples
    --------
    >>> round(Gear("DOP853", 30).price, 2), round(Gear("DOP853", 400).price)
    (3.01, 27)
    """

    def __init__(self, asked: str, size: int) -> None:
        self.asked = self.method = asked
        self.price = PRICE * (1.0 + (size / SMALL) ** 3)
        self.enough, self.count, self.looks, self.limit = ENOUGH, 0.0, 0, 0.0

    @property
    def stiff(self) -> bool:
        """Whether the implicit stepper is in use instead."""
        return self.method != self.asked

    def first(self, h: float) -> float:
        """The first step of the stepper now in use where the other one would go on with ``h``:
        beyond its limit an explicit one blows errors up, which it tells at the end of its steps
        and not within them."""
        return h if self.stiff else min(h, self.limit)

    def shift(self, stepper: Any, left: float) -> bool:
        """Look at a step that was just made, with so much time ``left``; whether `method` is
        another one from now on."""
        if self.asked not in STABLE:
            return False
        h = float(stepper.step_size)
        if self.stiff:
            self.count = self.count + 1.0 if h < self.price * self.limit else 0.0
            if self.count >= ENOUGH:
                self.method, self.count = self.asked, 0.0
                self.enough = min(2.0 * self.enough, MOST)
            return not self.stiff
        self.looks += 1
        each = 1 if stepper.C[-1] == 1.0 else SELDOM
        if self.looks % each:
            return False
        at_limit = strength(stepper) > NEAR * STABLE[self.asked]
        self.count = max(0.0, self.count + each * (1.0 if at_limit else -FORGIVEN))
        if at_limit and self.count >= self.enough and left > WORTH * self.price * h:
            self.method, self.count, self.limit = "Radau", 0.0, h
        return self.stiff


def strength(stepper: Any) -> float:
    """The length of the last step of an explicit SciPy stepper, times the rate at which two of its
    states at one time answer their difference; 0 if that is rounding.

    Examples
    --------
    >>> from scipy.integrate import DOP853
    >>> stepper = DOP853(lambda t, y: -100.0 * y, 0.0, np.ones(2), 1.0, first_step=0.02)
    >>> stepper.step() or round(strength(stepper), 6)
    2.0
    """
    K, h, last = stepper.K, stepper.h_previous, stepper.n_stages - 1
    stage = stepper.y_old + h * (K[:last].T @ stepper.A[last, :last])
    if stepper.C[last] == 1.0:
        state, velocity = stepper.y, stepper.f
    else:
        t = stepper.t_old + stepper.C[last] * h
        state = stepper.dense_output()(t)
        velocity = stepper.fun(t, state)
    apart = state - stage
    if not (np.abs(apart) > NOISE * np.abs(state)).any():
        return 0.0
    # Rates of 1e-200 or 1e200 have no square.
    size = np.abs(apart).max()
    answer = h * (velocity - K[last]) / size
    return float(np.sqrt(answer @ answer) / np.sqrt((apart / size) @ (apart / size)))
