"""What the fast engine computes on every window beside its neurons, against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gflow.engines.waveform.guess import DEGREE
from gflow.engines.waveform.marcher import NEGLIGIBLE, Marcher
from gflow.engines.waveform.tangent import Modes, Tangent, solve
from gflow.engines.waveform.window import Window
from gflow.engines.run import Stop
from gflow.kernels import logs, neumann, pace
from gflow.kernels.chebyshev import integration, monomials, to_series
from gflow.kernels.crossings import RESIDUAL_ERROR, SUM_ROUNDING
from gflow.problem.activation import Activation
from gflow.problem.data import Data
from newton import answer

SEEDS = st.integers(0, 2**32 - 1)
J = DEGREE + 1


def points(rng, n, d):
    """Points with a few that are parallel, opposite, equal or 0."""
    X = rng.standard_normal((n, d))
    X[rng.integers(n)] = -2.0 * X[0]
    X[rng.integers(n)] = X[0]
    if n > 3:
        X[rng.integers(1, n)] = 0.0
    return Data(X, rng.standard_normal(n))


@given(SEEDS, st.integers(1, 12), st.integers(1, 4), st.sampled_from([0.0, 0.1, -0.5]))
def test_fields_along_normals(seed, n, d, slope):
    rng = np.random.default_rng(seed)
    data = points(rng, n, d)
    marcher, error = Marcher(data, 1e-6, Activation(slope)), rng.random(n)
    values = rng.standard_normal((J, n)) * 0.05 ** np.arange(J)[:, None]
    force = marcher.force(values, 0.3, error)
    A, factor = data.arrangement, 0.3 / n
    series = to_series(DEGREE) @ values
    # What is left out moves no neuron by more than that.
    p = force.plus.shape[1]
    left = (np.abs(series[p:]) * np.abs(A.length) * factor).sum()
    assert left <= NEGLIGIBLE * 1e-6 * (1 + 1e-9) and 1 <= p <= J
    pull = monomials(p - 1) @ series[:p] * A.length * factor
    highest = np.abs(values).max(axis=0)
    size = np.array([highest, SUM_ROUNDING * highest + RESIDUAL_ERROR * error])
    size *= np.abs(A.length) * factor
    for side, field, wrong in ((1, force.plus, (force.plus_size, force.plus_error)),
                               (-1, force.minus, (force.minus_size, force.minus_error))):
        for h in range(len(A.normal)):
            on = np.where(A.label != h, 0.0, np.where(A.length * side > 0, 1.0, slope))
            np.testing.assert_allclose(field[h], pull @ on, atol=1e-13)
            np.testing.assert_allclose([part[h] for part in wrong], size @ np.abs(on), rtol=1e-12)


@given(SEEDS, st.integers(1, 12), st.sampled_from([3, 300]), st.sampled_from([0.0, 0.1, -0.5]))
def test_what_errors_of_neurons_do_to_pulls(seed, n, m, slope):
    rng = np.random.default_rng(seed)
    data = points(rng, n, 3)
    marcher, C = Marcher(data, 1e-6, Activation(slope)), len(data.arrangement.normal)
    side = rng.integers(-1, 2, (m, C)).astype(np.int8)
    U, power = rng.standard_normal((m, 4)), rng.integers(-3, 3, m)
    sizes = np.abs(U[:, 0]) * np.linalg.norm(U[:, 1:], axis=1) * 4.0**power
    window = Window(0.0, 1.0, U, power, *[np.empty(0)] * 3, 2.0 * sizes.sum())
    wanted = 2e-6 * np.linalg.norm(data.X, axis=1) * (sizes @ np.abs(marcher.active(side)))
    np.testing.assert_allclose(marcher.errors(window, np.arange(m), side), wanted, rtol=1e-12)
    if slope == 0:
        moves = marcher.active(side).any(axis=1) | (side == 0).any(axis=1)
        assert (marcher.moves(side) == moves).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pull_that_is_not_finite_is_named(value):
    data = points(np.random.default_rng(0), 5, 2)
    values = np.ones((J, 5))
    values[3, 2] = value
    with pytest.raises(Stop) as end:
        Marcher(data, 1e-6).force(values, 0.3, np.zeros(5))
    assert "pull of point 2" in str(end.value.message)


@given(SEEDS)
def test_keys_and_sides_after_events(seed):
    rng = np.random.default_rng(seed)
    m, C = 6, 9
    data = Data(rng.standard_normal((C, 3)), np.zeros(C))
    marcher, side = Marcher(data, 1e-6), rng.integers(-1, 2, (m, C)).astype(np.int8)
    log, now = [], side.copy()
    for s in np.sort(rng.uniform(-1, 1, 12)):
        i, h = rng.integers(m), rng.integers(C)
        log.append([i, s, h, now[i, h], rng.choice([-1, 0, 1]), 0.0])
        now[i, h] = log[-1][4]
    if rng.random() < 0.3:
        # A neuron comes to rest at w = 0.
        log.append([2.0, 1.0, -1.0, 1.0, -1.0, 0.0])
        now[2] = -1
    log = np.array(log, dtype=float)
    np.testing.assert_array_equal(marcher.keys_after(marcher.keys(side), log, now),
                                  marcher.keys(now))
    rows = np.flatnonzero(log[:, 2] >= 0)
    for row, after, times in zip(rows, *logs.sides_after(log, rows, side)):
        i, own = int(log[row, 0]), side[int(log[row, 0])].copy()
        mine, s = log[log[:, 0] == i, 1], log[row, 1]
        assert times[0] == mine[mine < s].max(initial=-1.0)
        assert times[1] == mine[mine > s].min(initial=1.0)
        for other in log[:row + 1]:
            if other[0] == i:
                own[int(other[2])] = other[4]
        np.testing.assert_array_equal(after, own)
    U = rng.standard_normal((m, 4))
    U[4, 1:] *= 1e-9
    assert logs.any_small(U, log, 1e-6) == (log[:, 0] == 4).any()


@given(SEEDS, st.integers(1, 20), st.integers(1, 12), st.booleans(), st.booleans(),
       st.sampled_from(["smooth", "damped", "full"]), st.sampled_from([1e-150, 1.0, 1e150]))
def test_the_series_undoes_the_answer(seed, n, q, single, both, kind, unit):
    rng = np.random.default_rng(seed)
    F, G = rng.standard_normal((2, n, q)) / np.sqrt(q * n)
    dtype = np.float32 if single else np.float64
    first = Tangent(1.0, F.astype(dtype))
    last = Tangent(1.0, (F + 0.2 * G).astype(dtype)) if both else None
    weight = [None, rng.random(n), rng.random((J, n))][rng.integers(3)]
    r = unit * rng.standard_normal((J, n))
    amount = 1.0 if weight is None else weight
    defect = r + amount * answer(r, first, last, kind)
    np.testing.assert_allclose(solve(defect, first, last, kind, weight), r,
                               atol=0.03 * np.abs(defect).max())


@pytest.mark.parametrize("dtype, accuracy", [(np.float32, 1e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("weighted", [False, True])
def test_modes_are_the_inverse(dtype, accuracy, weighted):
    rng = np.random.default_rng(3)
    n, length = 12, 50.0
    kernel = Tangent(length, rng.standard_normal((n, 5)).astype(dtype))
    weight = rng.uniform(0.5, 2.0, n) if weighted else None
    factors = Modes.of(kernel, weight).inverse(DEGREE, length, "smooth", dtype)
    defect = rng.standard_normal((J, n))
    empty = np.empty((0, 0), dtype)
    scale = empty if weight is None else weight[None].astype(dtype)
    first = (*kernel.factors(dtype), np.ascontiguousarray(integration(DEGREE), dtype))
    found, end, terms = neumann.series(defect, first, (empty, empty, empty), scale, factors)
    A = np.kron(integration(DEGREE), (1.0 if weight is None else weight[:, None]) * kernel.dense())
    exact = np.linalg.solve(np.eye(len(A)) + A, defect.ravel()).reshape(J, n)
    assert end == neumann.FOUND and terms == 1
    np.testing.assert_allclose(found, exact, atol=accuracy * 100 * np.abs(exact).max())


def test_nothing_to_undo():
    first = Tangent(1.0, np.ones((2, 1)))
    for defect in (np.zeros((J, 2)), np.full((J, 2), np.inf)):
        np.testing.assert_array_equal(solve(defect, first), defect)


@given(st.floats(1e-9, 1.0), st.floats(1.0, 1e3), st.floats(0.0, 1e6), st.floats(1e-6, 2.0),
       st.booleans())
def test_the_cheapest_length(error, growth, missed, contraction, careful):
    x = pace.LENGTHS
    found = pace.cheapest(error, growth, careful, missed, contraction, 12, 20, 50, 30)
    ahead = x * np.log(growth)
    fits = pace.POWER * np.log(x) + ahead <= np.log(pace.TARGET / error)
    fits &= (x <= pace.AFTER_FAILURE) | (not careful)
    if not fits.any():
        assert found == x[0]
        return
    shrinks = np.minimum(np.log(contraction) + pace.TIGHTER * np.log(x) + ahead,
                         np.log(pace.MOST_CONTRACTION))
    off = np.log(max(pace.CAUTION * missed, pace.LEAST)) + pace.MISSED * np.log(x) + ahead
    rounds = np.minimum(1 + np.ceil(np.maximum(off / -shrinks, 0.0)), 12)
    cost = (pace.WINDOW + 40 + rounds * (pace.ROUND + 40 + 25 + 30 * x)) / x
    assert cost[x == found][0] <= cost[fits].min() * (1 + 1e-9) and fits[x == found].all()
