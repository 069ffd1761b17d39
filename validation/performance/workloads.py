"""The problems: a linear teacher with noise, and a balanced start of scale 1e-3."""

from __future__ import annotations

from dataclasses import dataclass

import gflow


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
    """

    name: str
    n: int
    d: int
    m: int
    t_max: float
    rtol: float
    reference: float

    def problem(self) -> tuple[gflow.TwoLayerReLU, gflow.Data]:
        """Start and data, the same every time."""
        data = gflow.datasets.linear_teacher(n=self.n, d=self.d, noise=0.5, rng=0)
        return gflow.init.balanced(self.m, self.d, scale=1e-3, rng=1), data

    @property
    def times(self) -> tuple[float, float, float]:
        """When outputs are compared."""
        return self.t_max / 4, self.t_max / 2, self.t_max


WORKLOADS = {w.name: w for w in (
    Workload("S", 20, 2, 50, 50.0, 1e-9, 1e-12),
    Workload("M", 100, 5, 200, 100.0, 1e-8, 1e-12),
    Workload("L", 400, 5, 1000, 100.0, 1e-7, 1e-10),
    Workload("XL", 1000, 5, 5000, 200.0, 1e-6, 1e-7),
)}
