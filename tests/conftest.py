"""Profiles of Hypothesis ("ci" repeats the same few examples, "explore" finds new ones); Ctrl-C."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, settings

import gflow
from validation import faults

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=25, database=None)
settings.register_profile("explore", deadline=None, max_examples=500,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session", autouse=True)
def interrupts():
    """A background job of a script ignores Ctrl-C, and so would the runs of the tests."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def patience():
    """No test fails because kernels are compiled in it, or because the machine is busy."""
    faults.STOP = 600.0


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def sweep(tmp_path, threads):
    """`gflow.sweep` on threads, to a store of this test."""
    def call(run, grid, **options):
        return gflow.sweep(run, grid, **{"store": tmp_path / "s.db", "executor": threads,
                                         "progress": False, **options})
    return call
