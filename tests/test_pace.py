"""The fast engine: what is guessed, how long windows are, and how many rounds a run takes."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gflow
from gflow.engines.waveform.guess import DEGREE, Guess
from gflow.engines.waveform.kinks import first_bend
from gflow.engines.waveform.marcher import Marcher
from gflow.engines.waveform.pace import next_length
from gflow.engines.waveform.rounds import Outcome, relax
from gflow.engines.waveform.tangent import Tangent, product
from gflow.kernels.chebyshev import nodes, resolution
from gflow.kernels.pace import LENGTHS

POSITIVE = st.floats(1e-12, 1e3)


def outcome(error=0.0, change=1e-9, contraction=1e-2, growth=1.0, diverged=False, careful=False):
    empty = np.zeros((1, 1))
    return Outcome(empty, empty, empty, error, 2, Tangent(1.0, empty), None, diverged, change,
                   contraction, growth, empty, careful)


@given(POSITIVE, POSITIVE, st.floats(1e-6, 0.99), st.floats(1.0, 1e6), st.booleans(),
       st.integers(0, 1000), st.integers(0, 10**6))
def test_lengths_change_by_a_factor(error, change, contraction, growth, careful, m, events):
    x = next_length(outcome(error, change, contraction, growth, careful=careful), 1.0, 1e-8, 50, m,
                    events)
    assert LENGTHS[0] <= x <= LENGTHS[-1]
    if error > 1e-8:
        assert x < 1.0
    # What changes faster and faster is given less time.
    assert x >= next_length(outcome(error, change, contraction, 10 * growth, careful=careful), 1.0,
                            1e-8, 50, m, events) or error > 1e-8


def test_many_events_are_worth_a_single_round():
    # At this length a guess misses by 15 rtol, and one more round takes that away.
    late = outcome(change=15e-8, contraction=1e-6)
    assert next_length(late, 1.0, 1e-8, 100, 100, events=100_000) < 1.0
    assert next_length(late, 1.0, 1e-8, 100, 100, events=0) > 1.0
    assert next_length(outcome(diverged=True), 1.0, 1e-8, 100, 100, 0) < 0.5


@pytest.mark.parametrize("kinked", [True, False])
def test_a_window_that_a_kink_makes_too_long_costs_one_round(kinked):
    # Outputs with a kink at s = 0.3, and what a round misses of the pulls, halved by every round.
    s, left = nodes(DEGREE), [1e-3]

    def run(used):
        left.append(left[-1] / 2)
        return (np.abs(s - 0.3) + left[-1] * s)[:, None]

    empty = np.zeros((1, 0))
    frame = SimpleNamespace(run=run, kinked=kinked, tangent=lambda: Tangent(1.0, empty))
    response = SimpleNamespace(growth=1e6, pulls=lambda h: h, curvature=lambda h: None)
    ended = relax(frame, Guess(np.ones(1)), 1.0, response, lambda p: np.abs(p).sum(axis=1), 1.0,
                  1e-6, SimpleNamespace(interrupted=False))
    assert ended.error > 1e-3 and not ended.diverged
    # Without one it might be the guess that no polynomial follows.
    assert ended.rounds == 1 if kinked else ended.rounds > 1
    # What the next attempt begins with is what the round made of the guess.
    np.testing.assert_allclose(ended.known, resolution(DEGREE, "smooth") @ ended.values
                               if kinked else ended.used)


def test_kinks_at_the_end_of_a_window_do_not_bend_it():
    data = gflow.datasets.three_points()
    log = np.zeros((2, 6))
    log[:, 1], log[:, 5] = [0.2, 0.4], 1.0
    A, size = data.arrangement, np.ones(3)
    assert first_bend(log, A, size, 1e-6) == pytest.approx(0.2)
    # A jump of the slope at s is one of sqrt(1 - s^2) times that in arccos(s).
    log[:, 1] = 1 - 1e-14, 1 - 1e-15
    assert first_bend(log, A, size, 1e-6) == 1.0


@pytest.mark.parametrize("name, r", [
    ("cubic", lambda t: np.array([3 - t + 0.1 * t**3, 2 - 0.3 * t**2])),
    ("exponential", lambda t: np.array([3 - np.exp(0.7 * t), np.exp(-1.3 * t)])),
])
def test_guesses_know_their_own_kind(name, r):
    s = (nodes(DEGREE) + 1) / 2
    guess = Guess(r(0.0))
    known = np.array([r(t) for t in s])
    guess.accept(known[-1], known, 1.0, None, 1e-2)
    ahead = np.array([r(1 + 0.8 * t) for t in s])
    guess.residuals(0.8, None, False, np.inf)
    guess.judge(ahead, lambda x: np.abs(x).sum(axis=1))
    assert min(guess.missed, key=guess.missed.get) == name and guess.missed[name] < 1e-5
    # It is taken on the next window, and what came before a failure is not.
    np.testing.assert_allclose(guess.residuals(0.8, None, False, np.inf), ahead, atol=1e-5)
    guess.forget()
    guess.residuals(0.8, None, False, np.inf)
    assert list(guess.candidates) == ["linear"]
    # Nothing that raises the loss is tried.
    np.testing.assert_array_equal(guess.residuals(0.8, None, False, 0.0), np.tile(guess.r, (9, 1)))


@pytest.mark.parametrize("n, d", [(30, 3), (6, 8)])
def test_few_patterns_stand_for_the_others(n, d):
    # Neurons around two directions differ on few points; in high dimension the kernel is dense.
    rng = np.random.default_rng(0)
    data = gflow.datasets.linear_teacher(n, d, noise=0.5, rng=0)
    W = np.where(np.arange(60) % 2, -1.0, 1.0)[:, None] * np.eye(d)[0]
    W = W + 0.1 * rng.standard_normal((60, d))
    U = np.column_stack([np.linalg.norm(W, axis=1), W])
    side = np.where(W @ data.arrangement.normal.T > 0, 1, -1).astype(np.int8)
    moments = U[:, :, None] * U[:, None, :]
    geometry = Marcher(data, 1e-8).geometry
    kernel = Tangent.of_patterns(geometry, moments, side, 2.0 * n).dense()
    on = W @ data.X.T > 0
    features = [U[:, :1] * on * data.X[:, c] for c in range(d)] + [on * (W @ data.X.T)]
    exact = sum(part.T @ part for part in features)
    assert len(np.unique(side, axis=0)) > 8
    np.testing.assert_allclose(kernel, exact, atol=0.1 * np.abs(exact).max())


def test_kernel_of_neurons_is_that_of_patterns():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 25))
    X[7] = 0.0
    X[9] = -2 * X[8]
    data = gflow.Data(X, np.ones(40))
    marcher = Marcher(data, 1e-8)
    U = rng.normal(size=(6, 26))
    side = np.where(U[:, 1:] @ data.arrangement.normal.T > 0, 1, -1).astype(np.int8)
    side[1], side[3, [2, 8]], side[4, 5] = side[0], 0, 0
    _, first, of = np.unique(marcher.keys(side), return_index=True, return_inverse=True)
    moments = np.zeros((first.size, 26, 26))
    np.add.at(moments, of, U[:, :, None] * U[:, None, :])
    kernel = Tangent.of_patterns(marcher.geometry, moments, side[first], 0.1)
    other = Tangent.of_neurons(marcher.geometry, marcher.square, U, of, side[first], 0.1)
    assert other.features is None and kernel.dtype == other.dtype == np.float32
    np.testing.assert_allclose(other.dense(), kernel.dense(), atol=1e-5)
    assert other.strength() == pytest.approx(kernel.strength(), rel=1e-5)
    # Strong ones are known to double precision.
    kernel = Tangent.of_patterns(marcher.geometry, moments, side[first], 1e4)
    other = Tangent.of_neurons(marcher.geometry, marcher.square, U, of, side[first], 1e4)
    assert kernel.dtype == other.dtype == np.float64
    np.testing.assert_allclose(other.dense(), kernel.dense(), rtol=0, atol=1e-9)
    faint = Tangent.of_neurons(marcher.geometry, marcher.square, 1e-9 * U, of, side[first], 0.1)
    assert faint.strength() == 0.0
    # Products in parts.
    A = rng.normal(size=(60, 500))
    np.testing.assert_allclose(product(A[:, :150].T, A), A[:, :150].T @ A, atol=1e-12)


def test_a_strong_kernel_has_every_pattern():
    """Two percent of a strong kernel, where it should be nothing, would have rounds diverge."""
    data = gflow.datasets.linear_teacher(200, 2, noise=0.5, rng=1)
    marcher, n = Marcher(data, 1e-8), data.n
    angle = np.linspace(0.0, 0.3, 20)
    U = np.column_stack([np.ones(20), np.cos(angle), np.sin(angle)])
    side = np.where(U[:, 1:] @ data.arrangement.normal.T > 0, 1, -1).astype(np.int8)
    _, first, of = np.unique(marcher.keys(side), return_index=True, return_inverse=True)
    moments = np.zeros((first.size, 3, 3))
    np.add.at(moments, of, U[:, :, None] * U[:, None, :])
    h = data.X @ U[:, 1:].T
    on = (h > 0).astype(float)
    exact = (on @ on.T) * (data.X @ data.X.T) + (on * h) @ (on * h).T
    wrong = [np.abs(Tangent.of_patterns(marcher.geometry, moments, side[first], length).dense()
                    * 2 * n / length - exact).max() / exact.max() for length in (1e-3, 1e2)]
    assert first.size > 8 and 1e-3 < wrong[0] and wrong[1] < 1e-12


def test_rounds_of_a_small_run():
    data = gflow.datasets.linear_teacher(20, 2, noise=0.5, rng=0)
    start = gflow.init.balanced(50, 2, 1e-3, rng=1)
    few, many = (gflow.integrate(start, data, 50.0, method="waveform", rtol=rtol).stats
                 for rtol in (1e-3, 1e-9))
    assert few["nfev"] <= 45 and many["nfev"] <= 290 and few["events"] == many["events"]


def test_windows_at_rest_are_long():
    data = gflow.datasets.linear_teacher(3, 4, noise=0.5, rng=1)
    start = gflow.init.balanced(20, 4, 1e-2, rng=2)
    flow = gflow.integrate(start, data, 1e6, method="waveform", save=["loss"])
    assert flow.success and flow.stats["nfev"] <= 250 and flow.saved["loss"][-1] < 1e-12


@pytest.mark.parametrize("lam", [1e-6, 1e-8, 1e-10])
def test_little_decay_is_no_reason_for_short_windows(lam):
    # At rest but for what decay does in 3/lam: pulls stay, to the rounding of outputs.
    data, start = gflow.datasets.three_points(), gflow.init.balanced(10, 2, 1e-2, rng=1)
    flow = gflow.integrate(start, data, 3 / lam, decay=lam, method="waveform", save=["W", "a"])
    assert flow.success and flow.stats["nfev"] <= 400
    model, dead = flow.model, ~(start.W @ data.X.T > 0).any(axis=1)
    np.testing.assert_allclose(model.W[dead], np.exp(-3.0) * start.W[dead], rtol=1e-8)
    # The others are where the pulls make up for decay: lam |a| = |D| |w|.
    own = np.flatnonzero(np.abs(model.a) > 1e-2)
    D = flow.field.fields(flow.pattern(flow.t_end)[own], data.y - model(data.X))
    np.testing.assert_allclose((model.W[own] * D).sum(axis=1), lam * model.a[own], rtol=1e-4,
                               atol=1e-9)
    assert own.size >= 2 and dead.any()


def test_orthogonal_points_hold_their_neurons():
    # Neurons stay on every hyperplane that they have come to.
    data = gflow.datasets.orthogonal(48, rng=0)
    start = gflow.init.balanced(12, 48, 1e-2, rng=1)
    flow = gflow.integrate(start, data, 60.0, method="waveform", rtol=1e-8)
    exact = gflow.integrate(start, data, 60.0, method="DOP853", rtol=1e-10)
    assert flow.success and flow.stats["nfev"] <= 200 and len(flow.events) == len(exact.events)
    np.testing.assert_allclose(flow.model.W, exact.model.W, atol=1e-6)


@pytest.mark.parametrize("rtol", [1e-2, 1e-4])
def test_loose_tolerances_end_well(rtol):
    data = gflow.datasets.linear_teacher(146, 5, noise=0.5, rng=np.random.default_rng(1))
    flow = gflow.integrate(gflow.init.balanced(60, 5, 1e-3, rng=2), data, 3000.0,
                           method="waveform", rtol=rtol)
    assert flow.success
    # However small a sliding neuron has become, it is on its hyperplane.
    i, k = np.nonzero(flow.pattern(3000.0) == 2)
    z = (flow.model.W[i] * data.X[k]).sum(axis=1) / np.linalg.norm(data.X[k], axis=1)
    assert i.size and (np.abs(z) <= 1e-9 * flow.norms[-1, i]).all()
