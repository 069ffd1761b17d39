"""The jump process on orthogonal data: against integration at very small scales, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

import gflow
from gflow.init import balanced
from gflow.theory import jump_process


def test_two_points():
    # Boursier, Pillaud-Vivien and Flammarion: jumps at 1/|D_+| and 1/|D_-|.
    data = gflow.datasets.orthogonal()
    process = jump_process(balanced(60, 2, 1.0), data)
    pull = np.abs(data.y) * np.linalg.norm(data.X, axis=1) / 2
    np.testing.assert_allclose(process.times, np.sort(1 / pull), rtol=1e-14)
    each = np.abs(data.y) / np.linalg.norm(data.X, axis=1)
    np.testing.assert_allclose(process.squares, [0, each[1], each.sum()], rtol=1e-14)
    assert process.points[0].tolist() == [1] and process.losses.tolist() == [0.5, 0.25, 0.0]
    active = balanced(60, 2, 1.0)
    assert set(process.neurons[0]) == set(np.flatnonzero((active.a > 0)
                                                         & (active.W @ data.X[1] > 0)))


def last_of_runs(data, model, powers=(8, 16, 32, 64), squares=1e-8, loss=1e-9, least=0.0):
    """Assert that runs of scales 10^-powers tend to the process; the last one, and the process.

    ``squares`` and ``loss`` are what their ends may be off, relatively, ``least`` of the loss.
    """
    process = jump_process(model, data)
    half = (process.losses[1:] + process.losses[:-1]) / 2
    inverse, measured = [], []
    for power in powers:
        log = power * np.log(10)
        flow = gflow.integrate(gflow.TwoLayerReLU(model.a, model.W, -log), data,
                               process.times[-1] * log + 400, method="waveform", rtol=1e-9,
                               t_eval=[0.0])
        measured.append([brentq(lambda t: flow(t).loss(data) - level, 0, flow.t_end, xtol=1e-6)
                         / log for level in half])
        inverse.append(1 / log)
    limit = np.polyfit(inverse, measured, 1)[1]
    np.testing.assert_allclose(limit, process.times, rtol=0.01)
    assert (flow.model.a**2).sum() == pytest.approx(process.squares[-1], rel=squares)
    assert flow.model.loss(data) == pytest.approx(process.losses[-1], rel=loss, abs=least)
    return flow, process


def test_saddle_to_saddle_limit_of_integration():
    data, model = gflow.datasets.orthogonal(8, rng=3), balanced(5, 8, 1.0, rng=3)
    flow, process = last_of_runs(data, model)
    assert process.times.size == 3 and process.ambiguous == 0
    log = 64 * np.log(10)
    plateau = flow([(process.times[0] + process.times[1]) / 2 * log])
    assert plateau[0].loss(data) == pytest.approx(process.losses[1], rel=1e-6)
    assert (plateau.a[0]**2).sum() == pytest.approx(process.squares[1], rel=1e-6)
    # Dormant neurons have the exponents of the process, up to 1 / ln(1/lambda).
    growth = 1 + np.log(np.abs(flow(process.times[0] * log - 30.0).a)) / log
    shrunk = process.exponents[1] * (1 - 30 / (process.times[0] * log))
    assert np.abs(growth - shrunk).max() < 5 / log


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_limit_of_twenty_seeds(seed):
    data, model = gflow.datasets.orthogonal(8, rng=seed), balanced(5, 8, 1.0, rng=100 + seed)
    process = jump_process(model, data)
    least = min(1 - c[(c < 1) & process.active[:, points].any(axis=1)].max(initial=0.0)
                for c, points in zip(process.exponents[1:], process.points))
    share = 1e-256 ** (2 * least)
    if share > 1e-6:
        pytest.skip("a neuron comes so little late to a point that it keeps a share at all scales")
    # Seed 11 loses narrowly and keeps 1e-7 or so, times a constant that is not small.
    last_of_runs(data, model, (32, 64, 128, 256), squares=1e-5 if share < 1e-9 else 1e-4,
                 loss=1e-5, least=1e-9)


def test_what_is_fitted_no_longer_pulls():
    # Neuron 0 on points 0 and 1, neuron 1 on points 1 and 2 with a weaker pull.
    y = np.array([2.0, 1.0, 1.5])
    process = jump_process(([1.0, 1.0], [[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]]), (np.eye(3), y))
    first = 3 / np.hypot(2.0, 1.0)
    grown = np.hypot(1.0, 1.5) / 3 * first
    np.testing.assert_allclose(process.times, [first, first + (1 - grown) * 3 / 1.5], rtol=1e-14)
    assert [p.tolist() for p in process.points] == [[0, 1], [2]]
    np.testing.assert_allclose(process.exponents, [[0, 0], [1, grown], [1, 1]], rtol=1e-14)
    np.testing.assert_allclose(process.losses * 6, [7.25, 2.25, 0.0], rtol=1e-14)
    np.testing.assert_allclose(process.squares, [0, np.hypot(2, 1), np.hypot(2, 1) + 1.5])
    assert process.loss([0.0, first, 10.0]) == pytest.approx(process.losses)


def test_units_do_not_matter():
    data, model = gflow.datasets.orthogonal(8, rng=3), balanced(5, 8, 1.0, rng=3)
    process = jump_process(model, data)
    large = jump_process(model, (2.0**800 * data.X, data.y))
    np.testing.assert_allclose(large.times * 2.0**800, process.times, rtol=1e-14)
    np.testing.assert_allclose(large.squares * 2.0**800, process.squares, rtol=1e-14)
    np.testing.assert_allclose(large.losses, process.losses, rtol=1e-14)


def test_signs():
    # The output weight of the first neuron is smaller than its hidden one and turns positive.
    process = jump_process(([-0.1, -1.0], [[1.0, 0.0], [1.0, 1.0]]), (np.eye(2), [1.0, -2.0]))
    assert process.active.tolist() == [[True, False], [False, True]]
    np.testing.assert_allclose(process.times, [1.0, 2.0], rtol=1e-14)


def test_ties():
    same = jump_process(([1.0, 2.0], [[1.0, 1.0], [1.0, 2.0]]), (np.eye(2), [1.0, 1.0]))
    assert same.neurons[0].tolist() == [0, 1] and same.times.size == 1 and same.ambiguous == 0
    W = np.array([[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]])
    over = jump_process(([1.0, 1.0], W), (np.eye(3), np.ones(3)))
    assert over.ambiguous == 1 and over.times[0] == over.times[1]
    assert [p.tolist() for p in over.points] == [[0, 1], [2]]
    apart = jump_process(([1.0, 1.0], [[1.0, -1.0], [-1.0, 1.0]]), (np.eye(2), np.ones(2)))
    assert apart.ambiguous == 0 and apart.times[0] == apart.times[1] and apart.losses[-1] == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 20))
def test_every_point_is_fitted_once_at_most(seed, n, m):
    rng = np.random.default_rng(seed)
    data, model = gflow.datasets.orthogonal(n, rng=rng), balanced(m, n, 1.0, rng=rng)
    process = jump_process(model, data)
    assert (np.diff(process.times) >= 0).all() and (np.diff(process.losses) < 0).all()
    fitted = np.concatenate([np.empty(0, dtype=int), *process.points])
    assert np.unique(fitted).size == fitted.size
    assert set(fitted) == set(np.flatnonzero(process.active.any(axis=0)))
    assert (np.diff(process.exponents, axis=0) >= 0).all() and process.exponents.max() <= 1
    for neurons, points, c in zip(process.neurons, process.points, process.exponents[1:]):
        assert (c[neurons] == 1).all() and process.active[np.ix_(neurons, points)].all()
    # The least sum of squares that fits as much is one jump for each sign.
    each = np.abs(data.y) / np.linalg.norm(data.X, axis=1)
    least = sum(np.linalg.norm(each[fitted[data.y[fitted] * sign > 0]]) for sign in (1, -1))
    assert process.squares[-1] >= least * (1 - 1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="^squares of labels"):
        jump_process(balanced(3, 2, 1.0), (np.eye(2), [1e200, 1.0]))
    with pytest.raises(ValueError, match="^labels times points reach 1e300"):
        jump_process(balanced(3, 2, 1.0), (1e200 * np.eye(2), [1e100, 1.0]))
    with pytest.raises(ValueError, match="^points 0 and 1 are not orthogonal .cosine 0.98"):
        jump_process(balanced(3, 2, 1.0), gflow.datasets.three_points())
    nothing = jump_process(([1.0], [[1.0, 1.0]]), (np.eye(2), [-1.0, 0.0]))
    assert nothing.times.size == 0 and nothing.losses.tolist() == [0.25]
    assert nothing.loss(3.0) == 0.25


@pytest.mark.parametrize("t", [np.nan, np.inf, "x", None, 1j, -1.0, np.ma.masked, [[1.0]]])
def test_a_loss_at_no_time_is_refused(t):
    process = jump_process(([1.0, 1.0], [[1.0, 0.0], [1.0, 1.0]]), (np.eye(2), [1.0, 2.0]))
    with pytest.raises((TypeError, ValueError), match="^t "):
        process.loss(t)


def test_jumps_cannot_be_changed():
    process = jump_process(([1.0, 1.0], [[1.0, 0.0], [1.0, 1.0]]), (np.eye(2), [1.0, 2.0]))
    for held in (process.neurons, process.points):
        assert isinstance(held, tuple) and not any(part.flags.writeable for part in held)
