"""The problems: most a linear teacher with noise, and a balanced start of scale 1e-3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np

import gflow

Problem = tuple[gflow.TwoLayerReLU, gflow.Data]


@dataclass(frozen=True)
class Workload:
    """A problem and the tolerance it is run at.

    Attributes
    ----------
    name : str
    n, d, m : int
        Points, dimension, neurons.
    t_max : float
        Flow time.
    rtol : float
        Tolerance of the gflow engine for wide networks.
    reference : float
        Tolerance of the run that errors are measured against.
    make : callable, optional
        Gives start and data; the linear teacher if there is none.
    """

    name: str
    n: int
    d: int
    m: int
    t_max: float
    rtol: float
    reference: float
    make: Callable[[Workload], Problem] | None = None

    def problem(self) -> Problem:
        """Start and data, the same every time."""
        if self.make is not None:
            return self.make(self)
        data = gflow.datasets.linear_teacher(n=self.n, d=self.d, noise=0.5, rng=0)
        return gflow.init.balanced(self.m, self.d, scale=1e-3, rng=1), data

    @property
    def times(self) -> tuple[float, float, float]:
        """When outputs are compared."""
        return self.t_max / 4, self.t_max / 2, self.t_max


def few_pictures(case: Workload) -> Problem:
    """Points of so many columns as a small picture has pixels, on the unit sphere, labels -1, 1."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.n, case.d))
    data = gflow.Data(X / np.linalg.norm(X, axis=1)[:, None], rng.choice([-1.0, 1.0], case.n))
    return gflow.init.balanced(case.m, case.d, scale=1e-3, rng=1), data


def weakly_interacting(case: Workload) -> Problem:
    """Directions uniform on the sphere, norms and sizes of labels in [1, 2].

    Dana, Bach and Pillaud-Vivien, "Convergence of shallow ReLU networks on weakly interacting
    data", 2025, whose outputs are divided by the width and whose loss is multiplied by it.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.n, case.d))
    X *= (rng.uniform(1, 2, case.n) / np.linalg.norm(X, axis=1))[:, None]
    y = rng.uniform(1, 2, case.n) * rng.choice([-1.0, 1.0], case.n)
    model = gflow.init.exponential(case.m, case.d, scale=1.0, rng=1)
    # Outputs (1/m) sum a relu(w.x): both layers over sqrt(m) are a network of ours.
    return gflow.TwoLayerReLU(model.a / case.m**0.5, model.W / case.m**0.5), gflow.Data(X, y)


def published(case: Workload) -> Problem:
    """The published setting of this name, in full."""
    setting = gflow.experiments.published[case.name]
    rng = np.random.default_rng(0)
    data = setting.data(rng)
    return setting.start(case.m, rng), data


WORKLOADS = {w.name: w for w in (
    Workload("S", 20, 2, 50, 50.0, 1e-9, 1e-12),
    Workload("M", 100, 5, 200, 100.0, 1e-8, 1e-12),
    Workload("L", 400, 5, 1000, 100.0, 1e-7, 1e-10),
    Workload("XL", 1000, 5, 5000, 200.0, 1e-6, 1e-7),
    Workload("H1", 300, 100, 30, 200.0, 1e-6, 1e-10),
    Workload("H2", 10, 784, 1000, 100.0, 1e-6, 1e-10, few_pictures),
    Workload("H3", 1300, 100, 36, 200.0, 1e-4, 1e-6, weakly_interacting),
    Workload("W3", 75, 150, 200, 400.0, 1e-6, 1e-9, published),
)}
