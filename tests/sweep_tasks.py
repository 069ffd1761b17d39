"""Functions that the tests of sweeps run in workers, and a sweep to be killed."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

import gflow
from gflow.experiments import threshold  # noqa: F401 (for main)

GRID = {"n": [1, 2, 3, 4, 5], "kind": ["a", "b"]}
SEEDS = 8


def draw(n, kind, rng):
    """Everything that a store holds: scalars, strings, special values, arrays, failures."""
    if os.environ.get("SWEEP_PIDS"):
        Path(os.environ["SWEEP_PIDS"], str(os.getpid())).touch()
    time.sleep(float(os.environ.get("SWEEP_NAP", 0.02)))
    if n == 3 and kind == "b":
        raise ValueError("three b")
    return {"mean": rng.normal(size=10 ** min(n, 4)).mean(), "count": n, "label": kind * n,
            "special": [np.inf, -np.inf, np.nan][n % 3], "flag": n > 2, "none": None,
            "vector": rng.normal(size=3), "matrix": np.arange(6, dtype=np.int16).reshape(2, 3)}


def flow(n, rng):
    """A small run of gflow itself."""
    data = gflow.datasets.linear_teacher(n, 2, rng=rng)
    run = gflow.integrate(gflow.init.balanced(10, 2, 1e-2, rng), data, 10.0, rtol=1e-6)
    return {"loss": run.loss[-1], "W": run.model.W, "threads": run.settings["threads"]}


def deadly(n, rng):
    """Task 2 kills its worker, always; task 3 the first time."""
    flag = Path(os.environ["SWEEP_FLAG"])
    if n == 2 or n == 3 and not flag.exists():
        if n == 3:
            flag.touch()
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return {"n2": n * n}


def nap(n, rng):
    """A task to be interrupted."""
    time.sleep(0.2 if n < 4 else 60)
    return {"n2": n * n}


def stuck(n, rng):
    """Keeps the interpreter for longer than any test."""
    Path(os.environ["SWEEP_PIDS"], str(os.getpid())).touch()
    return {"x": re.match("(a+)+$", "a" * 60 + "b") is None}


def starts(n, rng):
    """Starts a program, and then takes its time."""
    child = subprocess.Popen(["sleep", "1000"])
    Path(os.environ["SWEEP_PIDS"], str(child.pid)).touch()
    return nap(n, rng)


def thread(n, rng, seconds):
    """Leaves a thread for which Python waits at its end."""
    threading.Thread(target=time.sleep, args=(seconds,)).start()
    return {"x": n}


def forks(n, rng):
    """Forks and forgets that the child returns too."""
    return {"parent": os.fork() > 0}


def scale(scale, n, rng):
    """Draws that should not depend on the scale."""
    return {"x": scale * rng.normal()}


def main(name, grid, store, seeds=SEEDS, progress=""):
    """A sweep on two processes."""
    gflow.sweep(globals()[name], json.loads(grid), seeds=int(seeds), store=store, workers=2,
                progress=bool(progress))


def bulky(n, rng):
    return {"x": rng.normal(size=1000)}


def environment(**more):
    """For processes that import what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), os.getcwd()]),
            **more}


class Recorder(ThreadPoolExecutor):
    """Runs tasks at once and notes them."""

    def __init__(self, ran):
        super().__init__(1)
        self.ran = ran

    def submit(self, fn, *args):
        if fn.__name__ == "perform":
            self.ran.append(args[1].params)
        future = Future()
        future.set_result(fn(*args))
        return future
