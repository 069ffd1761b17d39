"""Limits of leaky networks on losses that never rest, and margins of a part of the weights."""

import numpy as np
import pytest

import gflow
from gflow.theory import linear_margin, max_margin, nearly_orthogonal
from test_endless import LOSSES

POINTS = np.array([[2.0, 1.0], [1.0, 3.0], [0.5, 0.2]])
MIRRORED = (np.concatenate([POINTS, -POINTS]), [1, 1, 1, -1, -1, -1])


def orthogonal(n=4, d=6, noise=3e-3, seed=0):
    rng = np.random.default_rng(seed)
    X = np.linalg.qr(rng.standard_normal((d, n)))[0].T + noise * rng.standard_normal((n, d))
    return gflow.Data(X, np.array([1.0, -1.0] * (n // 2)))


def test_linear_margin_on_symmetric_data():
    # (0.5, 0.2) alone holds the vector: it is along it, and 1/0.29 long of it.
    found = linear_margin(MIRRORED, 0.5)
    np.testing.assert_allclose(found.direction, np.array([0.5, 0.2]) / 0.29, rtol=1e-12)
    # Of the two opposite points the multiplier may be shared in any way.
    assert found.symmetric and set(np.flatnonzero(found.support)) <= {2, 5}
    assert found.margin == pytest.approx(1.5 / 4 * 0.29**0.5, rel=1e-12)
    assert not linear_margin((POINTS, [1, 1, 1]), 0.5).symmetric
    zeros = np.array([[1.0, 0.0], [-1.0, -0.0]])
    assert linear_margin((zeros, [0, 1]), 0.5).symmetric
    # Two neurons along it have that margin; without a leak it is that of all networks.
    v = found.direction / np.sqrt(found.direction @ found.direction)
    net = gflow.TwoLayerReLU([1.0, -1.0], [v, -v], slope=0.5)
    assert (net(MIRRORED[0]) * MIRRORED[1]).min() / 4 == pytest.approx(found.margin)
    assert linear_margin(MIRRORED, 1e-12).margin == pytest.approx(max_margin(MIRRORED).value)


@pytest.mark.parametrize("loss", LOSSES)
def test_symmetric_data_end_at_the_linear_margin(loss):
    start = gflow.init.balanced(6, 2, 1e-4, rng=3)
    flow = gflow.integrate(gflow.TwoLayerReLU(start.a, start.W, slope=0.3), MIRRORED, 1e300,
                           loss=loss)
    limit = linear_margin(MIRRORED, 0.3)
    assert flow.margin().hard[-1] == pytest.approx(limit.margin, rel=2e-3)
    assert flow.margin().hard[-1] < limit.margin and flow.kkt().residual < 0.03


def test_nearly_orthogonal_meets_the_conditions():
    data, a, slope = orthogonal(), np.array([0.5, -1.0, 2.0, -0.1, 0.3]), 0.4
    found = nearly_orthogonal(data, a, slope)
    W = np.abs(a)[:, None] * np.where(a[:, None] > 0, found.positive, found.negative)
    net = gflow.TwoLayerReLU(a, W, slope=slope)
    np.testing.assert_allclose(net(data.X) * data.y, 1.0, rtol=1e-12)
    # W = sum lambda_k y_k dh(x_k)/dW, and the margin is that of W alone.
    gates = np.where(W @ data.X.T > 0, 1.0, slope)
    np.testing.assert_allclose((gates * a[:, None] * data.y * found.multipliers) @ data.X, W,
                               rtol=1e-10, atol=1e-13)
    assert found.margin == pytest.approx(1 / np.sqrt((W**2).sum())) and found.multipliers.min() > 0
    gram = data.X @ data.X.T
    inner = np.abs(gram - np.diag(gram.diagonal())).max()
    assert found.near == pytest.approx(gram.diagonal().min()**2 / gram.diagonal().max()
                                       / (3 / slope**3 * 4 * inner))


@pytest.mark.parametrize("loss", LOSSES)
def test_fixed_output_weights_end_at_rank_two(loss):
    data, slope = orthogonal(noise=1e-3), 0.5
    a = np.array([1.0, -1.0, 0.5, -2.0])
    W = 1e-3 * np.random.default_rng(1).standard_normal((4, 6))
    flow = gflow.integrate(gflow.TwoLayerReLU(a, W, slope=slope), data, 1e100, loss=loss,
                           rates=(0, 1))
    limit, margin = nearly_orthogonal(data, a, slope), flow.margin()
    values = np.linalg.svd(flow.model.W, compute_uv=False)
    assert values[2] < 1e-4 * values[0] and margin.degree == 1
    assert margin.hard[-1] == pytest.approx(limit.margin, rel=2e-3)
    np.testing.assert_allclose(margin.squares, (flow.W**2).sum(axis=(1, 2)), rtol=1e-12)
    late = flow.t >= margin.since
    assert (np.diff(margin.smoothed[late]) > 0).all() and late.sum() > 50
    # Of the fixed layer there is no condition: the direction of W meets them.
    kkt = flow.kkt()
    assert kkt.residual < 1e-3 and kkt.support.all()
    assert kkt.multipliers.sum() == pytest.approx(1 / kkt.margin, rel=3e-3)
    assert kkt.margin == pytest.approx(margin.hard[-1])


def test_margins_of_other_speeds_are_those_of_the_flow_inside():
    start = gflow.init.balanced(6, 2, 0.3, rng=3)
    data, rates = (POINTS, [1, 1, -1]), (16.0, 1.0)
    flow = gflow.integrate(start, data, 1e20, loss="logistic", rates=rates, t_eval=[1.0, 1e20])
    inside = gflow.integrate((start.a / 2, start.W * 2), data, 4e20, loss="logistic",
                             t_eval=[4.0, 4e20])
    ours, theirs = flow.margin(), inside.margin()
    np.testing.assert_allclose(ours.squares, theirs.squares, rtol=1e-6)
    np.testing.assert_allclose(ours.points, theirs.points, rtol=1e-6)
    np.testing.assert_allclose(ours.smoothed, theirs.smoothed, rtol=1e-6)
    assert flow.kkt().residual == pytest.approx(inside.kkt().residual, rel=1e-5)


def test_nothing_is_said_to_be_proved_under_decay():
    start = gflow.init.balanced(6, 2, 0.3, rng=3)
    flow = gflow.integrate(start, MIRRORED, 100.0, loss="logistic", decay=1e-3)
    margin = flow.margin()
    assert margin.since == np.inf and "cannot fall" not in repr(margin)
    # It is drawn all the same.
    from matplotlib.figure import Figure
    assert len(gflow.plot.margins(flow, ax=Figure().subplots()).lines) == 2


@pytest.mark.parametrize("call, words", [
    (lambda: linear_margin(MIRRORED, 0.0), "slope"),
    (lambda: linear_margin(MIRRORED, 1.0), "above 0 and below 1"),
    (lambda: linear_margin((POINTS, [1, 2, 1]), 0.5), "label"),
    (lambda: linear_margin((POINTS[:1] * [[1], [2]], [1, -1]), 0.5), "^no hyperplane through 0"),
    (lambda: nearly_orthogonal(orthogonal(), [1.0, 2.0], 0.5), "some of either"),
    (lambda: nearly_orthogonal(orthogonal(), [[1.0]], 0.5), "^a "),
    (lambda: nearly_orthogonal((POINTS[[0, 0, 1]], [1, 1, -1]), [1.0, -1.0], 0.5),
     "some points are equal"),
    (lambda: nearly_orthogonal(orthogonal(noise=0.5), [1.0, -1.0], 0.1), "too far from orthogonal"),
])
def test_what_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("size", [1e-60, 9.0, 1e60])
@pytest.mark.parametrize("unit", [1e-60, 1.0, 1e60])
def test_nearly_orthogonal_in_any_units(size, unit):
    plain = nearly_orthogonal((np.eye(2), [1, -1]), [1.0, -1.0], 0.5)
    found = nearly_orthogonal((size * np.eye(2), [1, -1]), [unit, -unit], 0.5)
    assert found.margin == pytest.approx(plain.margin * size * unit, rel=1e-12)
    np.testing.assert_allclose(found.positive, plain.positive / size / unit / unit, rtol=1e-12)
    np.testing.assert_allclose(found.multipliers, plain.multipliers / size**2 / unit**2, rtol=1e-12)


def test_nearly_orthogonal_points_of_unlike_length():
    # h = 1 at both: of the short point a thousand million times as much.
    X = [[1.0, 0.0], [0.0, 1e-9]]
    found = nearly_orthogonal((X, [1, -1]), [1.0, -1.0], 0.5)
    np.testing.assert_allclose(found.multipliers, [0.8, 0.8e18], rtol=1e-12)
    outputs = [found.positive @ np.transpose(X), found.negative @ np.transpose(X)]
    h = np.subtract(*(np.where(z > 0, z, 0.5 * z) for z in outputs))
    np.testing.assert_allclose(h, [1.0, -1.0], rtol=1e-12)
    # Beyond double precision it says so: 1e-402.
    for X, a in ((9e199, 1.0), (9e-170, 1.0), (9.0, 1e200), (9.0, 1e-170)):
        with pytest.raises(ValueError, match="range of double precision"):
            nearly_orthogonal((X * np.eye(2), [1, -1]), [a, -a], 0.5)


def test_slopes_whose_cube_underflows_are_near_nothing():
    data = ([[9.0, 0.0, 1.0], [0.0, 9.0, -1.0], [1.0, 0.2, 8.0]], [1, -1, 1])
    for slope in (1e-320, 1e-120):
        assert gflow.theory.nearly_orthogonal(data, [1.0, -1.0], slope).near == 0.0


@pytest.mark.parametrize("method", ["DOP853", "RK45", "Radau", "waveform"])
def test_one_that_is_held_at_zero_is_let_go_of_after_a_pause(method):
    """Both sides are solutions: the one with the fewest active points is taken, told once."""
    start = gflow.TwoLayerReLU([-1.0, -0.76], [[-0.3], [-0.73]], slope=-1.0)
    data, options = ([[1.7]], [-0.05]), {"decay": 0.3, "method": method}
    whole = gflow.integrate(start, data, 6.0, **options)
    parts = gflow.integrate(start, data, 2.0, **options).extend(6.0)
    assert whole.W[-1, 0] < -0.02
    np.testing.assert_allclose(parts.W[-1], whole.W[-1], atol=1e-7)
    assert len(whole.choices) == len(parts.choices) == 1
    assert whole.choices["to"][0] == 0 and len(parts.events) == len(whole.events)
