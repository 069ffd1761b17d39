"""What several test files share: references, random problems, comparisons, closed forms."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

import gflow

REFERENCES = Path(__file__).parent / "references"
NAMES = sorted(path.stem for path in REFERENCES.glob("*.json"))
KINDS = ("generic", "duplicates", "opposite", "collinear", "zero rows", "zero labels", "bias",
         "few points")
STARTS = ("balanced", "dominated", "unbalanced")
SCALES = (1.0, 0.1, 1e-3, 1e-6)


class Problem(NamedTuple):
    """A start, a data set and how far to go."""

    a: np.ndarray
    W: np.ndarray
    X: np.ndarray
    y: np.ndarray
    t_max: float


class Reference(NamedTuple):
    """A reference trajectory; events are (time, neuron, point, kind, to), as a run records them."""

    problem: Problem
    t: np.ndarray
    a: np.ndarray
    W: np.ndarray
    loss: np.ndarray
    events: list


def solve(problem, **options):
    """Run a problem; one that chatters fails instead of hanging."""
    a, W, X, y, t_max = problem
    return gflow.integrate((a, W), (X, y), t_max,
                           **{"max_events": 5000, "method": "DOP853", **options})


def reference(name):
    """The reference trajectory of that name."""
    raw = json.loads((REFERENCES / f"{name}.json").read_text())
    a, W, X, y, t = (np.array(raw[key], dtype=float) for key in ("a0", "W0", "X", "y", "t_eval"))
    kinds = {"slide-enter": "slide", "slide-exit": "release"}
    codes = {"off": 0, "on": 1, "slide": 2}
    events = [(float(e["time"]), e["neuron"], e["data"], kinds.get(e["kind"], e["kind"]),
               codes[e["to"]]) for e in raw["events"]]
    return Reference(Problem(a, W, X, y, t[-1]), t, np.array(raw["a"], dtype=float),
                     np.array(raw["W"], dtype=float), np.array(raw["loss"], dtype=float), events)


def balanced(rng, m, d, scale=0.4):
    """Output and hidden weights of balanced neurons."""
    W = scale * rng.standard_normal((m, d))
    return np.where(rng.random(m) < 0.5, -1.0, 1.0) * np.linalg.norm(W, axis=1), W


def drawn(seed, m=8, n=4, d=2):
    """Balanced weights and random data."""
    rng = np.random.default_rng(seed)
    return *balanced(rng, m, d), rng.standard_normal((n, d)), rng.standard_normal(n)


def logistic(start, end, rate, t):
    """What grows at a ``rate`` until it is at its ``end``."""
    return end / (1 + (end / start - 1) * np.exp(-rate * t))


def random_problem(seed, n, m, d, kind, start, scale):
    """A problem drawn from a seed, so that a failing one shrinks to few points and neurons."""
    rng = np.random.default_rng(seed)
    if kind == "few points":
        n = min(n, 2)
    X = rng.standard_normal((n, d))
    y = rng.standard_normal(n)
    if kind in ("duplicates", "opposite", "collinear"):
        X = X[rng.integers(0, n, n)]
        if kind == "opposite":
            X *= rng.choice([-1.0, 1.0], (n, 1))
        if kind == "collinear":
            X *= rng.uniform(-2.0, 2.0, (n, 1))
    elif kind == "zero rows":
        X[rng.random(n) < 0.4] = 0.0
    elif kind == "zero labels":
        y[rng.random(n) < 0.6] = 0.0
    elif kind == "bias":
        X[:, -1] = 1.0
    W = scale * rng.standard_normal((m, d))
    norms = np.sqrt((W**2).sum(axis=1))
    a = {"balanced": norms, "dominated": norms * rng.uniform(1.0, 2.0, m),
         "unbalanced": norms * rng.uniform(0.0, 2.0, m)}[start] * rng.choice([-1.0, 1.0], m)
    # Long enough to align and to grow to size one at the rate of the strongest field.
    rate = np.sqrt(np.mean((X * y[:, None])**2) * d) + 0.1
    return Problem(a, W, X, y, 3.0 * (1.0 - np.log(scale)) / rate)


def problems(kinds=KINDS, starts=STARTS, most=10, dims=5):
    """Random problems of n, m up to ``most``."""
    return st.builds(random_problem, seed=st.integers(0, 2**32 - 1), n=st.integers(1, most),
                     m=st.integers(1, most), d=st.integers(1, dims), kind=st.sampled_from(kinds),
                     start=st.sampled_from(starts), scale=st.sampled_from(SCALES))


def relative_errors(path, other, peak=False):
    """Differences of two paths (T, m), relative to each neuron; a neuron at zero counts as one.

    With ``peak`` relative to the largest that the neuron has been: one that shrinks forgets its
    relative accuracy by the square of that, if its start had any error at all.
    """
    size = np.sqrt(other.a**2 + (other.W**2).sum(axis=-1))
    if peak:
        size = np.maximum.accumulate(size)
    size[size == 0] = 1.0
    return np.maximum(np.abs(path.a - other.a), np.abs(path.W - other.W).max(axis=-1)) / size


def same_events(events, others, rtol):
    """Assert equal events at equal times; the order of simultaneous ones means nothing."""
    events, others = ([tuple(e) for e in table] for table in (events, others))
    assert len(events) == len(others)
    times, expected = (np.array([e[0] for e in table]) for table in (events, others))
    assert (np.diff(times) >= 0).all()
    np.testing.assert_allclose(times, expected, rtol=rtol)
    for first, last in runs_of_ties(expected, rtol):
        assert sorted(e[1:] for e in events[first:last]) == sorted(
            e[1:] for e in others[first:last])


def runs_of_ties(times, rtol):
    """Slices (first, last) of increasing times whose neighbours are closer than ``rtol``."""
    gaps = np.flatnonzero(np.diff(times) > 2 * rtol * times[1:]) + 1
    return zip([0, *gaps], [*gaps, len(times)])


def lattice_problem(seed, n, m, d, start, scale):
    """Small whole numbers: starts on hyperplanes and at zero, ties, orthogonal and equal points."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-2, 3, n).astype(float)
    W = scale * rng.integers(-2, 3, (m, d))
    norms, more = np.sqrt((W**2).sum(axis=1)), scale * rng.integers(0, 3, m)
    a = {"balanced": norms, "dominated": norms + more, "unbalanced": more}[start]
    return Problem(a * rng.choice([-1.0, 1.0], m), W, X, y, 3.0 * (1.0 - np.log(scale)))


def lattices():
    """Random problems on a lattice."""
    return st.builds(lattice_problem, seed=st.integers(0, 2**32 - 1), n=st.integers(1, 7),
                     m=st.integers(1, 6), d=st.integers(1, 4), start=st.sampled_from(STARTS),
                     scale=st.sampled_from(SCALES))
