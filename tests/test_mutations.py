"""A solver that is broken on purpose does not pass validation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.integrate

import gflow
from gflow import pattern as patterns
from gflow.engines import stepping
from validation.check import Check, Verdict, all_checks

CHECKS = all_checks()
QUICK = {"A": 3, "B": 3}


def verdict(check: Check, cases: list[dict[str, Any]]) -> Verdict:
    """Measured and judged in this process, where the solver is broken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return check.judge(cases, [check.measure(rng=np.random.default_rng([7, i]), **case)
                                   for i, case in enumerate(cases)])
