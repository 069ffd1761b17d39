"""Slopes, speeds of layers, decay, biases: closed forms, invariants, engines against each other."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import gflow
from gflow import Data, TwoLayerReLU
from problems import balanced, drawn, logistic

ENGINES = ["DOP853", "waveform"]


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("ratio", [1e-4, 0.3, 1e4])
def test_speeds_of_layers_are_a_change_of_units(method, ratio, tmp_path):
    a, W, X, y = drawn(0)
    rates = 3 * np.sqrt(ratio), 3 / np.sqrt(ratio)
    q, times = ratio**-0.25, np.linspace(0.0, 4.0, 30)
    plain = gflow.integrate((a, W), (X, y), 4.0, method=method, rtol=1e-10, t_eval=times)
    flow = gflow.integrate((a / q, W * q), (X, y), 4.0 / 3, method=method, rtol=1e-10,
                           t_eval=times / 3, rates=rates)
    assert flow.t_end == 4.0 / 3 and flow.t.size == 30
    np.testing.assert_allclose(flow.a * q, plain.a, atol=1e-12)
    np.testing.assert_allclose(flow.W / q, plain.W, atol=1e-12)
    np.testing.assert_allclose(flow.loss, plain.loss, atol=1e-13)
    certificate = flow.certificate()
    assert certificate.ok and certificate.balance.max() < 1e-8
    # The velocity itself, by differences of the dense output.
    t, h = 0.4, 1e-5
    v = (flow(t + h).a - flow(t - h).a) / (2 * h)
    D = flow.field.fields(flow.pattern(t), flow.field.pulls(flow.field.outputs(
        flow(t).a, flow(t).W)))
    np.testing.assert_allclose(v, rates[0] * (flow(t).W * D).sum(axis=1), rtol=1e-5, atol=1e-7)
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert np.array_equal(again.a, flow.a) and again.certificate().ok
    assert again.settings["rates"] == flow.settings["rates"] == rates


def test_rules_see_weights_and_times_as_the_user_does():
    a, W, X, y = drawn(1)
    seen = []
    flow = gflow.integrate((a, W), (X, y), 2.0, rates=(4.0, 0.25), save=["a", "grad_norm"],
                           stop=lambda state: seen.append((state.t, state.a, state.grad_norm)))
    whole = gflow.integrate((a, W), (X, y), 2.0, rates=(4.0, 0.25))
    t, got, norm = seen[-2]
    np.testing.assert_allclose(got, whole(t).a, atol=1e-9)
    gradient = whole.field.gradient(whole(t).a, whole(t).W, whole.pattern(t))
    assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
    np.testing.assert_allclose(flow.saved["a"], whole.a, atol=1e-9)


def test_a_bias_is_a_constant_column_everywhere(tmp_path):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((5, 1)), rng.standard_normal(5)
    data = Data(X, y, bias=True)
    assert np.array_equal(data.X, np.column_stack([X, np.ones(5)]))
    model = balanced(rng, 6, 2)
    flow = gflow.integrate(model, data, 5.0)
    plain = gflow.integrate(model, (data.X, y), 5.0)
    assert np.array_equal(flow.a, plain.a)
    flow.save(tmp_path / "run.npz")
    for run in (flow, gflow.load(tmp_path / "run.npz"),
                gflow.descend(model, data, 0.1, 5)):
        for network in (run.model, run(1.0 if run.t_end > 1 else 0.1), run(run.t)[-1]):
            assert np.array_equal(network(X), network(data.X))
    with pytest.raises(ValueError, match="1 column but"):
        plain.model(X)


L3 = (TwoLayerReLU([0.3], [0.3 * np.array([0.3, -0.15]) / np.hypot(0.3, 0.15)], slope=0.1),
      Data([[1.0, 0.3], [0.4, 1.0]], [1.0, -1.2]))


@pytest.mark.parametrize("method", ["DOP853", "Radau", "waveform"])
def test_a_leaky_slide_ends_where_relu_slides_for_ever(method, tmp_path):
    # Slides like one point on projected data, and releases where r_1 x_1.x_2 = al |r_2| |x_2|^2.
    model, data = L3
    flow = gflow.integrate(model, data, 4000.0, method=method, rtol=1e-11)
    assert [tuple(e) for e in flow.events[["point", "kind"]]] == [(1, "slide"), (1, "release")]
    np.testing.assert_allclose(flow.events["time"], [0.333646681477, 4.814204209479], rtol=1e-9)
    np.testing.assert_allclose(flow.model(data.X), data.y, atol=1e-9)
    assert flow.certificate().ok
    relu = gflow.integrate((model.a, model.W), data, 4000.0, method=method)
    assert relu.loss[-1] == pytest.approx(0.36, abs=1e-9)
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert again.model.slope == 0.1 and np.array_equal(again.W, flow.W)


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("slope", [0.1, -1.0, 1.5, 3.0])
def test_an_antipodal_pair_on_symmetric_data_is_linear(method, slope):
    # Whitened points, opposite ones with opposite labels: q = a |w| is logistic with rate
    # (1 + slope) |beta|, up to |beta| / (1 + slope).
    rng = np.random.default_rng(1)
    X = rng.standard_normal((4, 2))
    X = np.concatenate([X, -X])
    X = X @ np.linalg.cholesky(np.linalg.inv(X.T @ X / 8))
    beta = np.array([1.0, -0.5])
    size, u = np.linalg.norm(beta), beta / np.linalg.norm(beta)
    s = np.sqrt(0.1)
    flow = gflow.integrate(TwoLayerReLU([s, -s], [s * u, -s * u], slope=slope), (X, X @ beta),
                           6.0, rtol=1e-11, method=method)
    q = flow.a[:, 0] * (flow.W[:, 0] @ u)
    exact = (np.full_like(q, 0.1) if slope == -1 else
             logistic(0.1, size / (1 + slope), (1 + slope) * size, flow.t))
    np.testing.assert_allclose(q, exact, atol=1e-10)


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("slope", [0.2, -0.7])
def test_one_point_from_behind(method, slope):
    # z = |x| |w| on the ray of x follows sinh-like growth; u = a + w and a - w decouple:
    # a' = kap w r ..., so that a|x| w = h obeys h' = (a^2 + w^2)|x|^2 s r / 1, s = slope then 1.
    flow = gflow.integrate(TwoLayerReLU([0.5], [[-0.2]], slope=slope), ([[2.0]], [1.0]), 30.0,
                           method=method, rtol=1e-11)
    assert flow.status == "finished" and flow.certificate().ok
    assert flow.model([[2.0]]) == pytest.approx([1.0], abs=1e-9)
    a, w = flow.a[:, 0], flow.W[:, 0, 0]
    np.testing.assert_allclose(a**2 - w**2, 0.21, atol=1e-9)
    # Time from the conserved quantity: with a = sqrt(c) cosh, w = sqrt(c) sinh, w' = a D.
    from scipy.integrate import quad
    c = np.sqrt(0.21)
    angle = np.arcsinh(w / c)
    k = slice(5, 60, 9)
    for start, end, t0, t1 in zip(angle[k], angle[k][1:], flow.t[k], flow.t[k][1:]):
        def rate(b):
            kink = 1.0 if b > 0 else slope
            return 1 / (2.0 * kink * (1 - kink * 2.0 * c * c * np.cosh(b) * np.sinh(b)))
        assert quad(rate, start, end, points=[0.0] if start < 0 < end else None,
                    epsabs=1e-12)[0] == pytest.approx(t1 - t0, rel=1e-8)


@pytest.mark.parametrize("method", ENGINES)
def test_a_leaky_neuron_at_zero_ends_the_run(method):
    # Both points push it back to their surfaces, which meet in w = 0: ways on are several.
    flow = gflow.integrate(TwoLayerReLU([-3.0], [[0.1, 0.2]], slope=-0.3), (np.eye(2), [1.0, 1.0]),
                           5.0, method=method)
    assert flow.status == "leaky_at_zero" and not flow.success and "neuron 0" in flow.message
    assert flow.norms[-1, 0] < 1e-9 and 0 < flow.t_end < 5
    assert (flow.events["kind"] == "slide").any()
    with pytest.raises(ValueError, match="start off 0"):
        gflow.integrate(TwoLayerReLU([1.0], [[0.0, 0.0]], slope=0.1), (np.eye(2), [1.0, 1.0]), 1.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, -0.3, -1.0, 0.6, 1.7]),
       st.sampled_from([1, 2, 3]), st.sampled_from([(1.0, 1.0), (9.0, 0.5)]),
       st.sampled_from([0.0, 0.15, 2.0]), st.booleans())
def test_engines_agree(seed, slope, d, rates, decay, degenerate):
    a, W, X, y = drawn(seed, 6, 4, d)
    if degenerate:
        X[1] = -2 * X[0]
        W[0] = X[2]
    runs = [gflow.integrate(TwoLayerReLU(a, W, slope=slope), (X, y), 3.0, method=method,
                            rtol=1e-10, rates=rates,
                            decay=(decay / rates[0], decay / rates[1])) for method in ENGINES]
    ends = {run.status for run in runs}
    assert ends in ({"finished"}, {"leaky_at_zero"})
    if ends == {"finished"} and not any(run.stats["ambiguous"] for run in runs):
        assert np.abs(runs[0].a - runs[1].a).max() < 1e-6
        assert np.abs(runs[0].W - runs[1].W).max() < 1e-6
    assert all(run.certificate().ok for run in runs)


class Smeared:
    """The flow by small explicit steps, with the subgradient of least norm left to chattering:
    nothing in common with an engine but the problem."""

    def __init__(self, slope, rates, decay, X, y):
        self.slope, self.rates, self.decay, self.X, self.y = slope, rates, decay, X, y

    def end(self, a, W, t, steps):
        a, W, h = a.copy(), W.copy(), t / steps
        for _ in range(steps):
            z = W @ self.X.T
            on = np.where(z > 0, 1.0, self.slope)
            r = self.y - (on * z).T @ a
            D = on * r @ self.X / len(self.y)
            da = self.rates[0] * ((W * D).sum(axis=1) - self.decay[0] * a)
            W = W + h * self.rates[1] * (a[:, None] * D - W * np.append(
                np.full(W.shape[1] - 1, self.decay[1]), self.decay[2]))
            a = a + h * da
        return a, W


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rates, decay", [
    ((1.0, 1.0), (0.3, 0.3, 0.0)), ((2.0, 0.5), (0.1, 0.4, 0.2)), ((0.0, 2.0), (0.0, 0.0, 0.0)),
    ((1.0, 0.0), (0.2, 0.0, 0.0)), ((0.0, 1.0), (0.0, 0.3, 0.0))])
def test_other_decays_and_fixed_layers_against_small_steps(seed, rates, decay):
    rng = np.random.default_rng(seed)
    slope = [0.0, 0.2, -0.5][seed % 3]
    a, W = balanced(rng, 5, 2, 0.8)
    data = Data(rng.standard_normal((4, 1)), rng.standard_normal(4), bias=True)
    flow = gflow.integrate(TwoLayerReLU(a, W, slope=slope), data, 2.0, rates=rates, decay=decay,
                           rtol=1e-10, t_eval=[2.0])
    steps = Smeared(slope, rates, decay, data.X, data.y)
    ends = [steps.end(a, W, 2.0, count) for count in (2000, 4000)]
    for exact, coarse, fine in zip((flow.a[-1], flow.W[-1]), *ends):
        # Halving the step halves the error: what is left is of the order of the difference.
        assert np.abs(fine - exact).max() <= 3 * np.abs(fine - coarse).max() + 2e-3
        np.testing.assert_allclose(2 * fine - coarse, exact, atol=4e-3)
    certificate = flow.certificate()
    assert certificate.ok and abs(certificate.energy) < 1e-8


def test_an_unpenalised_bias_slides_at_its_own_speed():
    # On the surface of a point z' = a D.x + lam b: a slide ends where the multiplier says so, and
    # objective and energy agree.
    seen = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a, W = balanced(rng, 4, 3, 0.5)
        data = Data(rng.standard_normal((5, 2)), rng.standard_normal(5), bias=True)
        flow = gflow.integrate((a, W), data, 8.0, decay=(0.4, 0.4, 0.0), rtol=1e-9)
        certificate = flow.certificate()
        assert flow.success and certificate.ok and certificate.multiplier < 1e-5
        seen += (flow.events["kind"] == "release").sum()
    assert seen > 5


def test_what_is_refused_at_the_door():
    start, data = ([1.0], [[1.0]]), ([[1.0]], [1.0])
    for options, words in [
            ({"rates": (0, 0)}, "nothing moves"), ({"rates": (1e60, 1)}, "1e50"),
            ({"rates": (-1, 1)}, "0 or more"), ({"decay": (1, 1, 0)}, "bias"),
            ({"decay": -1}, "0 or more"),
            ({"rates": (0, 1), "method": "waveform"}, "fixed layer"),
            ({"decay": (1, 2), "method": "waveform"}, "differ")]:
        with pytest.raises(ValueError, match=words):
            gflow.integrate(start, data, 1.0, **options)
    with pytest.raises(ValueError, match="start off 0"):
        gflow.integrate(([1.0], [[0.0]]), data, 1.0, rates=(0, 1))
    with pytest.raises(TypeError, match="pair"):
        gflow.integrate(start, data, 1.0, rates=2)
    with pytest.raises(ValueError, match="linear"):
        TwoLayerReLU(*start, slope=1)
    for slope in (1e300, -1e160):
        with pytest.raises(ValueError, match="either way: give one"):
            TwoLayerReLU(*start, slope=slope)


def test_theory_of_leaky_networks():
    rng = np.random.default_rng(5)
    for slope in (0.1, -1.0, 1.6):
        data = Data(rng.standard_normal((6, 2)), rng.standard_normal(6))
        W = rng.standard_normal((50, 2))
        z = W @ data.X.T
        eta = np.where(z > 0, 1.0, slope)
        D = gflow.theory.alignment_field(W, data, slope=slope)
        np.testing.assert_allclose(D, eta * data.y @ data.X / 6, atol=1e-14)
        G = gflow.theory.alignment_potential(W, data, slope=slope)
        np.testing.assert_allclose(G, (W * D).sum(axis=1), atol=1e-14)
        found = gflow.theory.extremal_vectors(data, slope=slope)
        # No direction is dead: the sum is that of the sphere.
        assert found.certified and found.morse_expected == 0 and found.pattern.shape[1] == 6
        for w, value in zip(found.w, found.value):
            own = gflow.theory.alignment_field([w], data, slope=slope)[0]
            np.testing.assert_allclose(own, value * w, atol=1e-10)
        # The flow of a small start follows the early flow, and ends there.
        scale = 1e-9
        model = TwoLayerReLU(scale * np.linalg.norm(W, axis=1) * np.sign(W[:, 0] + 0.1), scale * W,
                             slope=slope)
        early = gflow.theory.early_flow(model, data)
        assert not early.dead.any()
        flow = gflow.integrate(model, data, 8.0, t_eval=[2.0, 8.0], rtol=1e-9)
        np.testing.assert_allclose(early.directions([2.0, 8.0]), flow.directions, atol=1e-6)
        D = gflow.theory.alignment_field(early.end_direction, data, slope=slope)
        np.testing.assert_allclose(D, early.D, atol=1e-9)
    with pytest.raises(ValueError, match="ReLU only"):
        gflow.theory.jump_process(model, (np.eye(2), [1.0, 2.0]))


# Smooth activations -------------------------------------------------------------------------------

def cube(z):
    return z**3


def three_squares(z):
    return 3 * z**2


@pytest.mark.parametrize("activation", ["gelu", "tanh", "silu", ("softplus", 5.0),
                                        (cube, three_squares)])
def test_smooth_activations_follow_their_equation(activation, tmp_path):
    from scipy.integrate import solve_ivp
    rng = np.random.default_rng(7)
    a, W = balanced(rng, 4, 2, 0.5)
    data = Data(rng.standard_normal((5, 1)), rng.standard_normal(5), bias=True)
    model = gflow.TwoLayer(a, W, activation=activation)

    def loss(theta, lam=0.1):
        weights = theta[:4], theta[4:].reshape(4, 2)
        return model.like(*weights).loss(data) + lam / 2 * theta @ theta

    def slope(t, theta):
        # By differences: nothing of the formulas of an engine.
        h = 1e-6
        return [-(loss(theta + h * e) - loss(theta - h * e)) / (2 * h) for e in np.eye(12)]

    flow = gflow.integrate(model, data, 3.0, decay=0.1, rtol=1e-10, t_eval=[1.5, 3.0])
    exact = solve_ivp(slope, (0, 3.0), np.append(a, W), rtol=1e-9, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(np.append(flow.a[-1], flow.W[-1]), exact, atol=1e-7)
    certificate = flow.certificate()
    assert certificate.ok and abs(certificate.energy) < 1e-9 and not len(flow.events)
    assert certificate.gradient == pytest.approx(np.linalg.norm(slope(0, exact)), rel=1e-4)
    implicit = gflow.integrate(model, data, 3.0, decay=0.1, rtol=1e-7, method="LSODA")
    np.testing.assert_allclose(implicit.a[-1], flow.a[-1], atol=1e-5)
    assert pickle.loads(pickle.dumps(flow)).model(data.X[:, :1]) == pytest.approx(
        flow.model(data.X))
    if activation == (cube, three_squares):
        with pytest.raises(ValueError, match="cannot hold"):
            flow.save(tmp_path / "run.npz")
    else:
        flow.save(tmp_path / "run.npz")
        assert np.array_equal(gflow.load(tmp_path / "run.npz").model(data.X), flow.model(data.X))
    with pytest.raises(ValueError, match="ReLU and leaky"):
        gflow.theory.early_flow(model, data)
    with pytest.raises(ValueError, match="smooth activations"):
        gflow.integrate(model, data, 1.0, method="waveform")
    with pytest.raises(ValueError, match="not the derivative"):
        gflow.TwoLayer(a, W, activation=(np.sin, np.sin))


def in_place(z):
    z[z < 0] *= 0.5
    return z


@pytest.mark.parametrize("pair, words", [
    ((in_place, np.ones_like), "in_place changes the array"),
    ((np.sin, lambda z: np.cos(z, out=z)), "its derivative, changes the array"),
    ((math.tanh, lambda z: 1 - np.tanh(z)**2), "tanh fails on an array: write it with NumPy"),
    ((lambda z: np.ma.masked_less(z, 0), np.ones_like), "must give a finite number"),
    ((lambda z: z.sum(), np.ones_like), "must give a finite number"),
    ((lambda z: np.maximum(z, 0.0), lambda z: 1.0 * (z > 0)), "kink at 0 and is not smooth"),
    ((np.abs, np.sign), "absolute has a kink at 0"),
    ((lambda z: np.clip(z, -1, 1), lambda z: 1.0 * (np.abs(z) < 1)), "kink at -1"),
    ((np.sign, np.zeros_like), "sign jumps at 0")])
def test_activations_that_are_refused(pair, words):
    for _ in range(2):
        # The second time too: nothing that was tried has changed what comes next.
        with pytest.raises(ValueError, match=words):
            gflow.TwoLayer([1.0], [[1.0]], activation=pair)
    gflow.TwoLayer([1.0], [[1.0]], activation=(np.sin, np.cos))
    # Bends are none: the derivative is continuous.
    gflow.TwoLayer([1.0], [[1.0]], activation=(lambda z: np.maximum(z, 0)**2,
                                               lambda z: 2 * np.maximum(z, 0)))


def test_numbers_of_numpy_are_numbers_for_an_activation():
    for beta in (np.int64(3), np.float32(3), 3):
        assert str(gflow.TwoLayer([1.0], [[1.0]], activation=("softplus", beta)).activation) == \
            "softplus(3)"
    for beta in (True, -1.0, np.nan, "3", 10**400):
        with pytest.raises(TypeError, match="activation is"):
            gflow.TwoLayer([1.0], [[1.0]], activation=("softplus", beta))


def test_softplus_tends_to_relu_through_a_slide():
    # An independent check of Filippov's rule: in the boundary layer of a slide sigma(beta z) is the
    # multiplier, and the error falls like 1 / beta.
    model, data = L3
    relu = gflow.integrate((model.a, model.W), data, 3.0, rtol=1e-10)
    assert relu.events["kind"].tolist() == ["slide"]
    errors = []
    betas = np.array([100.0, 200.0, 400.0, 800.0])
    for beta in betas:
        network = gflow.TwoLayer(model.a, model.W, activation=("softplus", beta))
        soft = gflow.integrate(network, data, 3.0, rtol=1e-8, method="LSODA")
        errors.append(np.abs(soft.W[-1] - relu.W[-1]).max() + np.abs(soft.a[-1] - relu.a[-1]).max())
    slope = np.polyfit(np.log(betas), np.log(errors), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.08) and errors[-1] < 0.01


# Steps --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("made, options", [
    (dict(slope=0.3), dict(rates=(2.0, 0.5))), (dict(slope=-0.5), dict(decay=(0.3, 0.1, 0.0))),
    (dict(), dict(decay=0.2)), (dict(), dict(rates=(0.0, 1.0))),
    (dict(activation="gelu"), dict(decay=0.1)), (dict(activation=("softplus", 3.0)), dict())])
def test_small_steps_follow_the_flow_in_every_setting(made, options, tmp_path):
    rng = np.random.default_rng(11)
    a, W = balanced(rng, 4, 2, 0.5)
    data = Data(rng.standard_normal((5, 1)), rng.standard_normal(5), bias=True)
    model = (gflow.TwoLayer if "activation" in made else TwoLayerReLU)(a, W, **made)
    flow = gflow.integrate(model, data, 2.0, rtol=1e-9, **options)
    twins = [gflow.descend(model, data, lr, round(2.0 / lr), **options) for lr in (2e-3, 1e-3)]
    coarse, fine = (gflow.descent.distances(flow, twin)[-1] for twin in twins)
    # About 2: when in a step a neuron crosses is a matter of chance.
    assert fine < 1e-3 and 1.2 < coarse / fine < 3.0
    np.testing.assert_allclose(twins[1].objective[-1], flow.objective[-1], rtol=1e-2)
    twins[0].save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert np.array_equal(again.objective, twins[0].objective)


def test_schedules_add_up_and_noise_is_drawn():
    start, data = ([0.1], [[0.1]]), ([[1.0]], [1.0])
    flow = gflow.integrate(start, data, 10.0, rtol=1e-9)
    twin = gflow.descend(start, data, 2e-3, 10_000, schedule=lambda k: 0.5 if k % 2 else 0.25)
    assert twin.t_end == pytest.approx(7.5, rel=1e-12)
    assert gflow.descent.distances(flow, twin).max() < 2e-3
    plain, noisy, same = (gflow.descend(start, data, 0.01, 2000, noise=noise, rng=3)
                          for noise in (0.0, 0.5, 0.5))
    assert np.array_equal(noisy.a, same.a) and not np.array_equal(noisy.a, plain.a)
    assert 1e-6 < noisy.loss[-1] < 0.1 and plain.loss[-1] < 1e-12
    # Every label has noise of its own variance: one step from a network moves by lr noise.
    steps = [gflow.descend(([1.0], [[1.0]]), data, 0.1, 1, noise=0.5, rng=k).a[-1, 0] - 1
             for k in range(300)]
    assert np.std(steps) == pytest.approx(0.05, rel=0.15)
    with pytest.raises(TypeError, match="schedule"):
        gflow.descend(start, data, 0.1, 3, schedule=0.5)


@pytest.mark.parametrize("factor, steps", [(0.5, 100), (0.9, 400)])
def test_steps_of_a_schedule_below_rounding_take_no_time(factor, steps, tmp_path):
    """The last steps are at one time: what is there is the last of them, in a file as well."""
    twin = gflow.descend(([0.5], [[0.3]]), ([[1.0]], [1.0]), 0.1, steps,
                         schedule=lambda k: factor**k)
    passed = np.append(0.0, np.cumsum(factor ** np.arange(steps)))
    assert np.array_equal(twin.t, passed[twin.saved["step"]] * twin.settings["step_time"])
    assert (np.diff(twin.t) == 0).any()
    twin.save(tmp_path / "run.npz")
    for run in (twin, gflow.load(tmp_path / "run.npz")):
        assert np.array_equal(run.t, twin.t) and np.array_equal(run.path.locate(run.t)[-2:],
                                                                [len(run.path.pieces) - 1] * 2)
        for model in (run.model, run(run.t_end), run(run.t)[-1]):
            assert model.a[0] == twin.saved["a"][-1, 0] and model.W[0, 0] == twin.saved["W"][-1, 0]


def test_of_steps_at_one_time_the_last_is_there():
    # Two steps take no time.
    factors = [1.0, 1e-17, 1e-17, 1.0]
    twin = gflow.descend(([0.5], [[0.3]]), ([[1.0]], [1e3]), 0.1, 4, save_every=1,
                         schedule=factors.__getitem__)
    t, a = twin.t, twin.saved["a"][:, 0]
    assert t[1] == t[2] == t[3] < t[4]
    assert twin(t[1]).a[0] == a[3] and twin(t).a[2, 0] == a[3]
    assert twin((t[3] + t[4]) / 2).a[0] == pytest.approx((a[3] + a[4]) / 2)


def test_labels_with_noise_that_overflows_name_the_step():
    twin = gflow.descend(([0.5], [[0.3]]), ([[1.0]], [1.0]), 0.1, 5, noise=1e200)
    assert twin.status == "non_finite" and "diverged at step 1:" in twin.message
    assert twin.stats["steps"] == 0


# Two time scales ----------------------------------------------------------------------------------

def few_neurons(seed, m=3, n=8):
    rng = np.random.default_rng(seed)
    return *balanced(rng, m, 2, 0.7), Data(rng.standard_normal((n, 1)), rng.standard_normal(n),
                                           bias=True)


def test_two_time_scales_are_the_limit_of_fast_output_weights(tmp_path):
    # Through an activation and a slide.
    a, W, data = few_neurons(3)
    flow = gflow.integrate((a, W), data, 1.5, rates=("fast", 1), rtol=1e-10, t_eval=[0.75, 1.5])
    features = np.maximum(flow.W[-1] @ data.X.T, 0.0).T
    np.testing.assert_allclose(flow.a[-1], np.linalg.lstsq(features, data.y, rcond=None)[0],
                               atol=1e-8)
    np.testing.assert_allclose(flow.norms, np.tile(np.linalg.norm(W, axis=1), (2, 1)), rtol=1e-9)
    certificate = flow.certificate()
    assert certificate.ok and abs(certificate.energy) < 1e-9
    assert flow.events["kind"].tolist() == ["activate", "slide"]
    # Hidden weights four times as large turn 256 times as slowly beside their output weights.
    late = 256 * 1.5
    slow = gflow.integrate((a, 4 * W), data, late, rates=("fast", 1), rtol=1e-10,
                           t_eval=[late / 2, late])
    errors, ratios = [], 10.0 ** np.arange(2, 7)
    for ratio in ratios:
        # From the same hidden weights, and the optimal output ones.
        near = gflow.integrate((slow(0.0).a, 4 * W), data, late, rates=(ratio, 1), rtol=1e-9,
                               method="Radau", t_eval=[late / 2, late])
        errors.append(np.abs(near.W - slow.W).max())
    assert np.polyfit(np.log10(ratios), np.log10(errors), 1)[0] == pytest.approx(-1.0, abs=0.05)
    np.testing.assert_allclose(slow.W, 4 * flow.W, atol=1e-7)
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz")
    assert again.certificate().energy == certificate.energy and again.setting == flow.setting


@pytest.mark.parametrize("method", ["DOP853", "Radau"])
def test_two_time_scales_rest_however_long(method):
    # Three points are fitted at once, by output weights of 1e3: nothing is left to do.
    few = gflow.datasets.three_points()
    start = gflow.init.balanced(6, few.d, 1e-3, rng=0)
    flow = gflow.integrate(start, few, 1e12, rates=("fast", 1), method=method)
    assert flow.stats["steps"] < 3 and flow.loss[-1] < 1e-28
    np.testing.assert_array_equal(flow.W[-1], start.W)
    # More points than neurons: a rest that is reached, and kept. The last is stiff: W is small.
    for seed, size in [(0, 1.0), (5, 1.0), (7, 0.01)]:
        a, W, data = few_neurons(seed)
        flow = gflow.integrate((a, size * W), data, 1e9, rates=("fast", 1), method=method)
        assert flow.status == "finished" and flow.stats["steps"] < 1000
        early = flow.certificate()
        later = gflow.integrate((a, size * W), data, 1e15, rates=("fast", 1), method=method)
        np.testing.assert_allclose(later.W[-1], flow.W[-1], rtol=0, atol=1e-11)
        assert early.ok and later.certificate().ok


def test_two_time_scales_slide_cross_and_end_with_a_word():
    kinds, stati = [], []
    for seed in range(12):
        a, W, data = few_neurons(seed, m=4, n=6)
        try:
            flow = gflow.integrate((a, W), data, 20.0, rates=("fast", 2), rtol=1e-8)
        except ValueError as error:
            assert "dependent" in str(error)
            continue
        kinds += flow.events["kind"].tolist()
        stati.append(flow.status)
        certificate = flow.certificate()
        assert flow.status in ("finished", "dependent_features") and certificate.ok
        if flow.status == "dependent_features":
            assert "neurons" in flow.message
    assert {"activate", "deactivate", "slide"} <= set(kinds) and "finished" in stati
    with pytest.raises(ValueError, match="without decay"):
        gflow.integrate((a, W), data, 1.0, rates=("fast", 1), decay=0.1)


@pytest.mark.parametrize("rtol", [1e-6, 1e-11])
def test_a_leaky_neuron_held_at_zero_on_a_line_is_let_go(rtol):
    # Negative slope: pulls from both sides hold it at w = 0 until those of the other one turn.
    model = gflow.TwoLayerReLU([-0.2, -0.7], [[0.3], [0.4]], slope=-0.5)
    flows = [gflow.integrate(model, ([[1.0], [-1.0]], [1.9, 0.7]), 10.0, method=method, rtol=rtol)
             for method in ("DOP853", "waveform")]
    for flow in flows:
        assert flow.events["kind"].tolist() == ["slide", "slide", "release", "release"]
        # The fast engine leaves pulls as blurred as this where a slide ends (`kinks.BLUR`).
        assert flow.events["time"][-1] == pytest.approx(3.93912786, rel=max(30 * rtol, 1e-8))
    np.testing.assert_allclose(flows[0].model.W, flows[1].model.W, rtol=30 * rtol)


@pytest.mark.parametrize("seed", [0, 3, 6, 7, 13])
def test_leaky_neurons_pass_zero_on_a_line(seed):
    # They come to rest at D = 0, passing w = 0 by rounding again and again.
    rng = np.random.default_rng(seed)
    a, W = 0.3 * rng.standard_normal(3), 0.1 * rng.standard_normal((3, 1))
    data = Data(rng.standard_normal((2, 1)), rng.standard_normal(2))
    one, two = (gflow.integrate(TwoLayerReLU(a, W, slope=-0.5), data, 300.0, method=method)
                for method in ENGINES)
    assert one.success and two.success
    assert one.loss[-1] == pytest.approx(two.loss[-1], rel=1e-6, abs=1e-12)
