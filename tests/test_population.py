"""Gaussian populations: kernels, field and loss against samples, the flow against finite data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import simpson

import gflow
from gflow.datasets import linear_teacher
from gflow.init import balanced, dominated, unbalanced
from gflow.theory import population
from gflow.theory.population import training
from gflow.theory.population.law import as_law, as_model
from gflow.theory.population.training import _Stepping

SAMPLES = 10**6


def covariance(rng, d):
    """A random covariance with eigenvalues from 0.3 to 3."""
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return Q * np.geomspace(0.3, 3.0, d) @ Q.T


def assert_within(samples, exact, errors=4.0):
    """Assert that means over the first axis are within standard errors of the exact values."""
    error = samples.std(axis=0) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - exact) <= errors * error + 1e-14).all()
    # And that this says something.
    assert (errors * error).max() <= 0.02 * (1 + np.abs(exact).max())


@pytest.mark.parametrize("given_covariance", [False, True])
def test_kernels_against_samples(given_covariance):
    rng = np.random.default_rng(5)
    d = 3
    Sigma = covariance(rng, d) if given_covariance else None
    W, V = rng.standard_normal((2, d)), rng.standard_normal((2, d))
    x = rng.multivariate_normal(np.zeros(d), np.eye(d) if Sigma is None else Sigma, SAMPLES)
    K = population.arc_cosine_kernel(W, V, Sigma)
    g = population.arc_cosine_field(W, V, Sigma)
    M = population.arc_cosine_moments(W, V, Sigma)
    for i in range(2):
        for j in range(2):
            zw, zv = x @ W[i], x @ V[j]
            both = np.maximum(zw, 0) * np.maximum(zv, 0)
            assert_within(both, K[i, j])
            on = zw > 0
            assert_within((on * np.maximum(zv, 0))[:, None] * x, g[i, j])
            on = on & (zv > 0)
            assert_within(on[:, None, None] * x[:, :, None] * x[:, None, :], M[i, j])


@pytest.mark.parametrize("teacher", ["linear", "relu"])
@pytest.mark.parametrize("given_covariance", [False, True])
def test_field_and_loss_against_samples(teacher, given_covariance):
    rng = np.random.default_rng(6)
    d, noise = 4, 0.5
    Sigma = covariance(rng, d) if given_covariance else None
    model = unbalanced(5, d, 1.5, rng=1)
    beta, network = rng.standard_normal(d), unbalanced(3, d, 2.0, rng=2)
    truth = beta if teacher == "linear" else network
    x = rng.multivariate_normal(np.zeros(d), np.eye(d) if Sigma is None else Sigma, SAMPLES)
    y = (x @ beta if teacher == "linear" else network(x)) + noise * rng.standard_normal(SAMPLES)
    r = y - model(x)
    D = population.field(model, truth, Sigma=Sigma)
    for w, exact in zip(model.W, D):
        assert_within((r * (x @ w > 0))[:, None] * x, exact)
    assert_within(r**2 / 2, population.test_loss(model, truth, noise=noise, Sigma=Sigma))
    # At zero output weights it is the field that aligns.
    flat = population.field((np.zeros(5), model.W), truth, Sigma=Sigma)
    if teacher == "linear":
        S = np.eye(d) if Sigma is None else Sigma
        np.testing.assert_allclose(flat, np.tile(S @ beta / 2, (5, 1)), rtol=1e-13)


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 4), d=st.integers(1, 5),
       relu=st.booleans(), plain=st.booleans())
def test_field_is_the_gradient_of_the_loss(seed, m, d, relu, plain):
    rng = np.random.default_rng(seed)
    a, W = rng.standard_normal(m), rng.standard_normal((m, d))
    teacher = (rng.standard_normal(2), rng.standard_normal((2, d))) if relu \
        else rng.standard_normal(d)
    Sigma = None if plain else covariance(rng, d)
    D = population.field((a, W), teacher, Sigma=Sigma)
    da, dW = rng.standard_normal(m), rng.standard_normal((m, d))
    h = 1e-5
    up, down = (population.test_loss((a + s * da, W + s * dW), teacher, Sigma=Sigma)
                for s in (h, -h))
    slope = -(da @ (W * D).sum(axis=1) + (dW * (a[:, None] * D)).sum())
    # One dimension has no angles: a kink at w = 0 is all there is.
    assert (up - down) / (2 * h) == pytest.approx(slope, abs=1e-6 * (1 + abs(slope)))


@given(seed=st.integers(0, 2**32 - 1), log_angle=st.floats(-14, 0.49))
def test_kernels_of_close_and_opposite_vectors(seed, log_angle):
    # K and its derivatives are related: K = w.g, g = M v.
    rng = np.random.default_rng(seed)
    w, u = np.linalg.qr(rng.standard_normal((3, 2)))[0].T
    angle = 10.0**log_angle
    for sign in (1.0, -1.0):
        v = 2.0 * sign * (np.cos(angle) * w + np.sin(angle) * u)
        K, g, M = (f([w], [v])[0, 0] for f in (population.arc_cosine_kernel,
                                               population.arc_cosine_field,
                                               population.arc_cosine_moments))
        np.testing.assert_allclose(M @ v, g, atol=1e-15)
        assert w @ g == pytest.approx(K, abs=1e-15)
        if sign < 0:
            series = angle**3 / 3 * (1 - angle**2 / 10 + angle**4 / 280 - angle**6 / 15120)
            if angle < 0.3:
                assert K == pytest.approx(2 * series / (2 * np.pi), rel=max(1e-15 / angle, 1e-9))


def test_kernels_at_zero():
    for f in (population.arc_cosine_kernel, population.arc_cosine_field,
              population.arc_cosine_moments):
        assert not f([[0.0, 0.0]], [[1.0, 2.0]]).any() and not f([[1.0, 2.0]], [[0.0, 0.0]]).any()
    assert not population.field(([1.0], [[0.0, 0.0]]), [1.0, 2.0]).any()


# The flow

def test_aligned_clusters_are_logistic():
    case = gflow.theory.exact.antipodal_clusters()
    beta = [1.0, 0.5, -0.3]
    run = population.flow(case.model, beta, case.horizon, rtol=1e-11)
    exact = case(run.t)
    assert run.success and run.status == "finished"
    np.testing.assert_allclose(run.a, exact.a, rtol=1e-9)
    size = np.abs(exact.W).max(axis=-1, keepdims=True)
    assert (np.abs(run.W - exact.W) <= 1e-9 * size).all()
    b = np.linalg.norm(beta)
    A0 = (case.model.a[:2]**2).sum()
    logistic = b / (1 + (b / A0 - 1) * np.exp(-b * run.t))
    np.testing.assert_allclose((run.a[:, :2]**2).sum(axis=1), logistic, rtol=1e-9)


@pytest.mark.parametrize("start", [balanced, dominated, unbalanced])
def test_invariants_of_the_flow(start):
    rng = np.random.default_rng(3)
    model, Sigma = start(6, 3, 1e-2, rng=4), covariance(rng, 3)
    teacher = unbalanced(2, 3, 1.0, rng=9)
    run = population.flow(model, teacher, 60.0, Sigma=Sigma, rtol=1e-10)
    drift = run.a**2 - run.norms**2 - (model.a**2 - model.norms**2)
    assert (np.abs(drift) <= 1e-8 * (run.a**2 + run.norms**2)).all()
    # Energy: the loss falls by the integral of the squared speed.
    t = np.linspace(0, 60, 2001)
    path = run(t)
    D = np.array([population.field(m, teacher, Sigma=Sigma) for m in path])
    speed = ((path.W * D).sum(axis=2)**2).sum(axis=1) + ((path.a[..., None] * D)**2).sum((1, 2))
    assert run.loss[0] - run.loss[-1] == pytest.approx(simpson(speed, x=t), rel=1e-6)
    assert run.loss[-1] < 0.9 * run.loss[0] and (np.diff(run.loss) <= 1e-15).all()
    assert run.loss[-1] == population.test_loss(run.model, teacher, Sigma=Sigma)


def test_linear_teacher_makes_two_clusters():
    # From a small balanced start all neurons end up along plus or minus the teacher.
    beta = np.array([1.0, 0.5])
    scale = 1e-3
    run = population.flow(balanced(8, 2, scale, rng=0), beta,
                          4 * np.log(1 / scale) / np.linalg.norm(beta) + 40, noise=0.3)
    model = run.model
    cosines = np.sign(model.a) * (run.directions[-1] @ beta) / np.linalg.norm(beta)
    assert (cosines > 1 - 1e-4).all()
    for sign in (1.0, -1.0):
        assert (model.a[model.a * sign > 0]**2).sum() == pytest.approx(np.linalg.norm(beta),
                                                                       rel=1e-4)
    assert run.loss[-1] == pytest.approx(0.3**2 / 2, abs=1e-6)


def test_loss_left_by_the_angles_of_bundles():
    # Angles are of the order of the initial scale, and kernels of opposite vectors cubic in them.
    losses = [population.flow(balanced(8, 3, scale, rng=0), [1.0, 0.0, 0.0],
                              4 * np.log(1 / scale) + 40, rtol=1e-10).loss[-1]
              for scale in (1e-3, 1e-4)]
    assert np.log10(losses[0] / losses[1]) == pytest.approx(3, abs=0.02)


def test_neuron_that_reaches_zero_stays_there():
    # Opposite to the teacher and dominated.
    run = population.flow(([-0.5], [[0.3, 0.0]]), [1.0, 0.0], 5.0, rtol=1e-10)
    late = run(np.linspace(4.0, 5.0, 5))
    assert run.W[0, 0, 0] == 0.3 and not late.W.any() and (late.a == late.a[0]).all()
    assert late.a[0, 0] == pytest.approx(-0.4, rel=1e-9)
    # A little off that axis it misses zero, and turns.
    miss = population.flow(([-0.5], [[0.3, 1e-3]]), [1.0, 0.0], 5.0, rtol=1e-10)
    assert miss.W[-1, 0, 0] < -0.3
    still = population.flow(([1.0, 0.1], [[0.0, 0.0], [0.1, 0.0]]), [1.0, 0.0], 5.0)
    assert not still.W[:, 0].any() and (still.a[:, 0] == 1.0).all()


@pytest.mark.parametrize("seed", range(4))
def test_derivatives_of_the_velocity_are_those_of_differences(seed):
    rng = np.random.default_rng(seed)
    m, d = 3, int(rng.integers(1, 4))
    model = as_model((rng.standard_normal(m), rng.standard_normal((m, d))))
    teacher = (rng.standard_normal(2), rng.standard_normal((2, d)))
    law = as_law(teacher if seed % 2 else teacher[1][0], covariance(rng, d), d)
    stepping = _Stepping(model, law, 1e-8)
    state, step = stepping.state, 1e-6
    differences = [(stepping.velocity(0.0, state + e) - stepping.velocity(0.0, state - e))
                   / (2 * step) for e in step * np.eye(state.size)]
    np.testing.assert_allclose(stepping.jacobian(0.0, state), np.transpose(differences),
                               rtol=0, atol=1e-7 * np.abs(differences).max())


@pytest.mark.parametrize("scale, t_max, steps", [(0.1, 3e4, 600), (10.0, 30.0, 600)])
def test_late_and_large_flows_take_few_steps(scale, t_max, steps):
    rng = np.random.default_rng(0)
    W = scale * rng.standard_normal((5, 3))
    a = np.sign(rng.standard_normal(5)) * np.linalg.norm(W, axis=1)
    run = population.flow((a, W), [1.0, 0.0, 0.0], t_max)
    assert run.success and run.stats["steps"] < steps
    exact = population.flow((a, W), [1.0, 0.0, 0.0], t_max, rtol=1e-12)
    assert run.loss[-1] == pytest.approx(exact.loss[-1], rel=1e-4)
    assert np.abs(run.a[-1] - exact.a[-1]).max() < 1e-6 * np.abs(exact.a[-1]).max()


def test_a_flow_that_cannot_get_to_its_end_says_so(monkeypatch):
    monkeypatch.setattr(training, "LOOK", 60)
    start = ([0.1, -0.1], [[0.1, 0.0], [-0.1, 0.0]])
    run = population.flow(start, [2.0, 0.0], 1e300)
    assert run.status == "stalled" and not run.success and "give a smaller t_max" in run.message
    assert run.t_end > 1e6 and run.t[-1] == run.t_end and run.loss[-1] < 1e-30


def test_times_and_bad_input():
    run = population.flow(([0.1], [[0.1, 0.0]]), [1.0, 0.0], 2.0, t_eval=[0.5, 2.0])
    assert run.t.tolist() == [0.5, 2.0] and run.W.shape == (2, 1, 2) and run.loss.shape == (2,)
    assert isinstance(run(1.0), gflow.TwoLayerReLU) and "finished" in repr(run)
    assert (run.W[1] == run.model.W).all()
    with pytest.raises(ValueError, match="outside"):
        run(2.1)
    good = ([1.0], [[1.0, 0.0]])
    for call, error, words in (
            (lambda: population.field(good, [1.0]), ValueError, "columns"),
            (lambda: population.field([1.0], [1.0]), TypeError, "pair"),
            (lambda: population.field(good, [1.0, 0.0], Sigma=np.ones(2)), ValueError, "Sigma"),
            (lambda: population.field(good, [1.0, 0.0], Sigma=np.eye(3)), ValueError, "Sigma"),
            (lambda: population.field(good, [1.0, 0.0], Sigma=[[1, 2], [0, 1]]), ValueError,
             "symmetric"),
            (lambda: population.field(good, [1.0, 0.0], Sigma=-np.eye(2)), ValueError,
             "eigenvalue"),
            (lambda: population.test_loss(good, [1.0, 0.0], noise=-1.0), ValueError, "noise"),
            (lambda: population.field(gflow.TwoLayerReLU(*good, -1000.0), [1.0, 0.0]), ValueError,
             "log_scale"),
            (lambda: population.field(gflow.TwoLayerReLU(*good, 1000.0), [1.0, 0.0]), ValueError,
             "log_scale"),
            (lambda: population.flow(good, [1.0, 0.0], 0.0), ValueError, "t_max"),
            (lambda: population.flow(good, [1.0, 0.0], 1.0, rtol=1e-15), ValueError, "rtol"),
            (lambda: population.flow(good, [1.0, 0.0], 1.0, t_eval=[2.0]), ValueError, "t_eval"),
            (lambda: population.arc_cosine_kernel([[1.0]], [[1.0, 2.0]]), ValueError, "columns")):
        with pytest.raises(error, match=words):
            call()


# Finite data

def differences(sizes, seeds, t_max=20.0):
    """Root mean square difference over time of finite runs and the population's, (sizes,)."""
    beta = np.array([1.0, 0.0, 0.0])
    model = balanced(6, 3, 0.3, rng=5)
    t = np.linspace(0, t_max, 60)
    limit = population.flow(model, beta, t_max, rtol=1e-9, t_eval=t)
    out = []
    for n, count in zip(sizes, seeds):
        squares = []
        for seed in range(count):
            data = linear_teacher(n, 3, noise=0.5, rng=seed, beta=beta)
            run = gflow.integrate(model, data, t_max, t_eval=t, rtol=1e-6)
            assert run.success
            squares.append(((run.a - limit.a)**2).sum(axis=1).mean()
                           + ((run.W - limit.W)**2).sum(axis=(1, 2)).mean())
        out.append(np.sqrt(np.mean(squares)))
    return np.array(out)


def test_finite_runs_come_closer():
    few, many = differences([100, 2500], [3, 3], t_max=10.0)
    assert few / 10 < many < few / 2.5


@pytest.mark.slow
def test_difference_shrinks_like_one_over_the_root_of_n():
    sizes = np.array([10**3, 10**4, 10**5])
    errors = differences(sizes, [8, 8, 2])
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
