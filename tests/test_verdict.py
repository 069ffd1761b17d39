"""Verdicts: known ends, an independent search for descent, and times of waking."""

import numpy as np
import pytest

import gflow
from gflow.problem.field import Field
from gflow.theory import verdict
from gflow.theory.ends import least_loss

POINTS = gflow.datasets.three_points()
FIT = np.linalg.lstsq(POINTS.X, POINTS.y, rcond=None)[0]
# A direction on which the first two points are on: there G > 0 at the residuals of the fit.
INSIDE = np.array([-1.0, -0.6]) / np.hypot(1.0, 0.6)


def descend(a, W, data, size, tries=24, steps=2000, step=0.1, rng=0):
    """Lowest loss that plain gradient descent reaches from perturbations of all neurons, or one."""
    rng, (m, d) = np.random.default_rng(rng), W.shape
    da, dW = rng.standard_normal((tries, m)), rng.standard_normal((tries, m, d))
    one = rng.integers(m, size=tries)[:, None] == np.arange(m)
    one[::3] = True
    da, dW = da * one, dW * one[:, :, None]
    length = np.sqrt((da**2).sum(axis=1) + (dW**2).sum(axis=(1, 2)))
    a = a + size * da / length[:, None]
    W = W + size * dW / length[:, None, None]
    for _ in range(steps):
        z = np.einsum("tid,kd->tik", W, data.X)
        H = np.maximum(z, 0.0)
        r = (np.einsum("ti,tik->tk", a, H) - data.y) / data.n
        ga = np.einsum("tik,tk->ti", H, r)
        gW = a[:, :, None] * np.einsum("tik,tk,kd->tid", z > 0, r, data.X)
        a, W = a - step * ga, W - step * gW
    h = np.einsum("ti,tik->tk", a, np.maximum(np.einsum("tid,kd->tik", W, data.X), 0.0))
    return float(((h - data.y)**2).sum(axis=1).min() / (2 * data.n))


def end_of(seed):
    """A run on a small random problem to its end."""
    rng = np.random.default_rng(seed)
    d, n, m = (int(rng.integers(*span)) for span in ((1, 4), (2, 7), (1, 6)))
    data = gflow.Data(rng.standard_normal((n, d)), rng.standard_normal(n))
    start = gflow.init.balanced(m, d, 0.3, rng=rng)
    if rng.random() < 0.5:
        start = gflow.TwoLayerReLU(start.a * (1 + rng.random(m)), start.W)
    return gflow.integrate(start, data, 1e5, rtol=1e-9, threads=1, t_eval=[0.0, 1e5], stop=[
        gflow.stop.converged(1e-6), gflow.stop.loss_below(1e-13)])


@pytest.mark.parametrize("seed", [0, 3, 7, 11])
def test_minima_against_a_search(seed):
    flow = end_of(seed)
    found, end = flow.verdict(), flow.model
    low = descend(end.a, end.W, flow.data, 1e-2)
    falls = low < found.loss * (1 - 1e-4) - 1e-9
    assert found.kind != "on its way"
    assert found.minimum is (not falls) or found.kind == "interpolation" and not falls


def test_points_on_which_training_gets_stuck():
    flow = gflow.integrate(gflow.init.balanced(30, 2, 1e-3, rng=1), POINTS, 4000.0, rtol=1e-10)
    found = flow.verdict()
    assert found.spurious and found.global_minimum == 0.0 and not found.leaving.size
    assert np.isclose(found.limit, 0.08752136752136752, rtol=1e-9)
    # With the kink at the second point: r_1 x_1.u / 3 on u = -(2, 1) / sqrt 5.
    exact = (POINTS.y[0] - POINTS.X[0] @ FIT) / 3 * 0.5 / np.sqrt(5)
    assert np.isclose(found.strongest, exact, rtol=1e-7)
    assert {tuple(p) for p in found.escapes.pattern.tolist()} == {(1, 2, 0), (0, 2, 1)}
    assert (found.escapes.sign == 1).all() and not found.escapes.heading.any()


LINE = gflow.Data([[1.0], [-1.0]], [1.0, 1.0])


@pytest.mark.parametrize("a, w, kind", [
    (-1e-2, 1e-2 * INSIDE, "local minimum"),                     # moves to where there is no field
    (1e-3, 1e-3 * INSIDE, "rest that neurons will leave"),
    (0.0, 1e-3 * INSIDE, "rest that neurons will leave"),        # a starts to grow
    (0.0, INSIDE, "on its way"),                                 # and is large at once
    (0.0, -FIT, "local minimum"), (5.0, -FIT, "local minimum"),  # off at every point
    (0.0, [0.0, 0.0], "rest that no neuron leaves"),
    (-1.0, [0.0, 0.0], "local minimum"),
    (1e-2, 1e-2 * FIT, "local minimum"),                         # on at all: no field
    # On a line, with one of two points fitted, and a neuron at the other.
    (-1e-2, [-1e-2], "rest that no neuron leaves"),              # shrinks for ever, to (0, 0)
    (-2e-2, [-1e-2], "local minimum"),                           # to (-0.017, 0), where -G <= 0
    (1e-3, [-1e-3], "rest that neurons will leave"),
])
def test_one_more_neuron(a, w, kind):
    data, fit = (LINE, [1.0]) if len(w) == 1 else (POINTS, FIT)
    found = verdict(([1.0, a], [fit, w]), data)
    assert found.kind == kind
    if kind == "on its way":
        return
    assert found.minimum is (kind == "local minimum")
    # Where it ends, since the loss falls a little while it shrinks.
    end = gflow.integrate(([1.0, a], [fit, w]), data, 1e3 if a < 0 else 1e-3).model
    low = descend(end.a, end.W, data, 1e-3, tries=24, steps=4000, step=0.3)
    assert (low < end.loss(data) - 1e-7) is (kind != "local minimum")


def test_interpolation():
    data = gflow.datasets.orthogonal()
    flow = gflow.integrate(gflow.init.balanced(20, 2, 1e-3, rng=0), data, 1e3,
                           stop=gflow.stop.loss_below(1e-5))
    found = flow.verdict()
    assert found.kind == "interpolation" and found.spurious is False and found.minimum
    assert found.limit < 1e-12 < found.loss
    assert gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 1.0).verdict().kind == "on its way"


def test_waking_is_foreseen():
    """Between the two jumps on orthogonal data: when, which neuron, and where it goes."""
    data = gflow.datasets.orthogonal()
    flow = gflow.integrate(gflow.init.balanced(20, 2, 1e-8, rng=1), data, 120.0)
    passed = flow.plateaus()
    assert len(passed) == 2 and np.allclose(passed["predicted"], passed["left"], rtol=5e-3)
    found = gflow.integrate(gflow.init.balanced(20, 2, 1e-8, rng=1), data, 25.0).verdict()
    assert found.kind == "rest that neurons will leave" and found.spurious is None
    first = found.leaving[0]
    assert np.isclose(first["time"], passed["left"][1], rtol=5e-3)
    assert np.isclose(first["rate"], found.strongest, rtol=1e-6) and first["escape"] == 0
    assert found.escapes.heading[0] == len(found.leaving)
    assert first["sign"] == found.escapes.sign[0] == np.sign(flow.model.a[first["neuron"]])


@pytest.mark.parametrize("e", [1e-2, 1e-3])
@pytest.mark.parametrize("t", [1.0, 1e3])
def test_what_small_neurons_do_to_each_other_wakes_none(e, t):
    # The second point is out of reach. At the first one, of label 0, two neurons have yet to
    # cancel: a change of e^4 in a loss of 1/4, which is all that there will ever be.
    data = ([[1.0, 0.0], [0.0, 1.0]], [0.0, -1.0])
    start = gflow.TwoLayerReLU([e, -e], [[0.5 * e, -0.1 * e], [0.4 * e, -0.1 * e]])
    flow = gflow.integrate(start, data, t)
    found = flow.verdict()
    assert found.kind == "rest that no neuron leaves" and not found.leaving.size
    assert "no neuron grows, but for what small ones still do to each other" in str(found)
    assert not len(flow.plateaus())
    assert gflow.integrate(start, data, 1e12).loss[-1] > 0.25 * (1 - 1e-6)


@pytest.mark.parametrize("label", [1.0, 1e-3])
def test_a_neuron_wakes_however_little_there_is_to_gain(label):
    # Beside the loss of the point out of reach, 1e-6 for the smaller label.
    data = ([[1.0, 0.0], [0.0, 1.0]], [label, -1.0])
    start = gflow.TwoLayerReLU([1e-6], [[1e-6 / np.sqrt(2), -1e-6 / np.sqrt(2)]])
    found = verdict(start, data)
    assert found.kind == "rest that neurons will leave"
    flow = gflow.integrate(start, data, 2 * found.leaving["time"][0])
    plateau, = flow.plateaus()
    assert np.isclose(plateau["predicted"], plateau["left"], rtol=5e-3)
    a, W = flow.a[-1], flow.W[-1]
    assert np.isclose(a[0] * W[0, 0], label)


def test_a_group_slows_itself_down():
    """By what the live neuron, which relaxes four times as fast, lags behind."""
    X = [[1.0, 0.0], [1.0, 0.2], [1.0, -0.2]]
    beta = np.linalg.lstsq(X, [0.8, 1.1, 1.15], rcond=None)[0]
    start = ([1.0, 1e-4], [beta, [0.0, 1e-4]])
    flow = gflow.integrate(start, (X, [0.8, 1.1, 1.15]), 1500.0, rtol=1e-9)
    passed = flow.plateaus()
    assert np.allclose(passed["predicted"], passed["left"], rtol=1e-5) and passed.size == 1


@pytest.mark.parametrize("w, grows", [(-1e-9, True), (-5e-9, False)])
def test_pulls_that_still_relax_lead_a_neuron_to_growth(w, grows):
    """The first point gives way slowly, by 0.3% of the label, and pushes a small neuron to where
    the second point is on, or not so far."""
    data = gflow.Data([[0.05, 0.0], [0.1, 1.0]], [0.053, 1.0])
    start = ([1.0, 1e-6], [[1.0, -0.5], [1e-9, w]])
    found = verdict(start, data)
    flow = gflow.integrate(start, data, 1e4, rtol=1e-9, stop=[
        gflow.stop.converged(), gflow.stop.loss_below(1e-5)])
    if grows:
        assert found.kind == "rest that neurons will leave" and found.minimum is False
        assert flow.status == "loss_below"
        assert np.isclose(found.leaving["time"][0], flow.plateaus()["left"][0], rtol=0.02)
    else:
        assert found.kind == "local minimum" and flow.status == "converged"
        assert gflow.integrate(start, data, 1e4, rtol=1e-9).loss[-1] > 0.2499


def test_labels_that_no_network_fits():
    """Two points on one ray: the mean of their labels is the best that there is."""
    found = verdict(([1.0], [[0.75, 0.0]]), ([[1.0, 0.0], [1.0, 0.0]], [1.0, 0.5]))
    assert found.kind == "local minimum" and not found.spurious
    assert np.isclose(found.global_minimum, 0.03125, rtol=1e-12)


def test_other_losses():
    class Huber:
        def value(self, h, y):
            return np.sqrt(1 + (h - y)**2) - 1

        def pull(self, h, y):
            return (y - h) / np.sqrt(1 + (h - y)**2)

        def curvature(self, h, y):
            return (1 + (h - y)**2)**-1.5

    flow = gflow.integrate(gflow.init.balanced(20, 2, 1e-3, rng=1), POINTS, 3000.0, loss=Huber(),
                           rtol=1e-9, stop=gflow.stop.converged())
    found = flow.verdict()
    assert flow.status == "converged" and found.spurious and found.global_minimum == 0.0
    assert descend(flow.model.a, flow.model.W, POINTS, 1e-12, steps=1) > 0.08
    again = gflow.integrate(flow.model, POINTS, 1e4, loss=Huber(), rtol=1e-9)
    assert again.loss[-1] > flow.loss[-1] * 0.999


def test_escapes_on_a_line():
    """Both directions of a line can be ways out, for either sign of the output weight."""
    data = gflow.Data([[1.0], [-1.0]], [-1.0, 0.5])
    found = verdict(([0.0], [[0.0]]), data)
    assert found.escapes.direction.tolist() == [[1.0], [-1.0]]
    assert found.escapes.sign.tolist() == [-1, 1] and found.escapes.rate.tolist() == [0.5, 0.25]
    assert gflow.theory.escape(None, ([[1.0]], [-2.0])).a[0] < 0


def test_a_verdict_cannot_be_changed():
    found = verdict(([1.0, 1e-3], [FIT, 1e-3 * INSIDE]), POINTS)
    for array in (found.leaving, found.escapes.rate, found.shrinking):
        with pytest.raises(ValueError):
            array[...] = 0
    assert "rest that neurons will leave" in repr(found)


def test_lengths_whose_squares_leave_double_precision():
    # Each ray can be fitted, however short.
    data = gflow.Data([[1e-200, 5e-201], [0.3, -1.0], [-5e199, 2e199]], [1.0, 0.5, -1.0])
    start = gflow.init.balanced(5, 2, 1e-2, rng=0)
    assert verdict(start.like(1e-98 * start.a, 1e-98 * start.W), data).kind
    with pytest.raises(ValueError, match="the loss of this network overflows"):
        verdict(start, data)
    assert least_loss(Field(data)) == 0
    one = gflow.Data([[1e-200], [1e-200], [-1e200], [0.0]], [1.0, 2.0, 5.0, 0.5])
    assert least_loss(Field(one)) == 0.09375


@pytest.mark.parametrize("noise", [1e-3, 1e-6, 1e-9])
def test_a_spurious_minimum_is_one_however_small_its_loss(noise):
    """Two neurons, each the least squares fit of its points, on labels linear but for noise."""
    rng = np.random.default_rng(0)
    X, noise = rng.standard_normal((30, 2)), noise * rng.standard_normal(30)
    cones = [X[:, 0] > 0, X[:, 0] < 0]
    parts = [np.linalg.lstsq(X[on], noise[on], rcond=None)[0] for on in cones]
    rest = sum(np.sum((noise[on] - X[on] @ part)**2) for on, part in zip(cones, parts)) / 60
    W = np.array([parts[0] + [1.0, 0.0], -parts[1] - [1.0, 0.0]])
    for unit in (1.0, 1e6):
        y = unit * (X[:, 0] + noise)
        found = verdict(([unit, -unit], W), (X, y))
        assert found.kind == "local minimum" and found.spurious and found.global_minimum == 0.0
        assert found.limit == pytest.approx(unit**2 * rest, rel=1e-6)
    # Two points are fitted by one neuron, to rounding.
    both = np.flatnonzero(cones[0])[:2]
    few = verdict(([1.0], [np.linalg.solve(X[both], y[both])]), (X[both], y[both]))
    assert few.kind == "interpolation" and few.spurious is False


def test_the_end_of_a_run_on_nearly_linear_labels():
    data = gflow.datasets.linear_teacher(n=12, d=2, noise=1e-3, rng=0)
    flow = gflow.integrate(gflow.init.balanced(10, 2, 1e-3, rng=0), data, 1e4)
    found = flow.verdict()
    assert found.kind == "local minimum" and found.spurious
    assert found.limit == pytest.approx(flow.loss[-1], rel=1e-6)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e8])
def test_the_limit_of_a_network_far_from_it(size):
    """The two labels at one point leave 1/2, whatever is put out now; of labels 0 nothing is."""
    found = verdict(([size], [[size]]), ([[1.0], [1.0]], [1.0, -1.0]))
    assert found.kind == "on its way" and found.limit == found.global_minimum == 0.5
    # Of two points that are on, of labels 1 and 0 and at 1 and 2: the slope is 1/5.
    found = verdict(([size], [[size, size]]), ([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]],
                                               [1.0, 0.0, 0.0]))
    assert found.limit == pytest.approx(1 / 18, rel=1e-9) and found.global_minimum == 0.0
    model = gflow.init.balanced(3, 2, size, rng=1)
    assert verdict(model, ([[1.0, 2.0], [2.0, 0.0]], [0.0, 0.0])).limit == 0.0


def test_a_loss_that_overflows_is_refused():
    data = ([[1.0], [1.0]], [1.0, -1.0])
    for ask in (verdict, gflow.theory.escape):
        for model in (([1e200], [[1e200]]), ([1e200], [[0.0]])):
            with pytest.raises(ValueError, match="the loss of this network overflows"):
                ask(model, data)
    flow = gflow.integrate(([1e200], [[1e200]]), data, 1.0)
    with pytest.raises(ValueError, match="overflow"):
        flow.verdict()


def test_beside_large_labels_of_others_what_a_ray_leaves_counts():
    data = gflow.Data([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [1e15, 1.0, -1.0])
    assert least_loss(Field(data)) == 1 / 3


@pytest.mark.parametrize("size", [1.0, 1e2, 1e6])
def test_a_dead_neuron_changes_no_verdict(size):
    # However large: it is off at every point, moves nowhere and puts out nothing.
    start, data = ([1.0], [[1.1, 0.0]]), ([[1.0, 0.1], [1.0, -0.1]], [1.0, 1.2])
    wider = (start[0] + [size], start[1] + [[-size, 0.0]])
    alone, beside = verdict(start, data), verdict(wider, data)
    assert alone.kind == beside.kind == "on its way"
    assert alone.run.split(",")[0] == beside.run.split(",")[0]
    flow = gflow.integrate(wider, data, 1e5, stop=gflow.stop.converged())
    assert flow.loss[-1] < 1e-20 and flow.verdict().kind == "interpolation"


def test_neurons_that_put_out_much_carry_the_output_however_small():
    # Beside points of length 3000 a neuron is small that fits them.
    q = np.sqrt(1.1 / 3000)
    data = ([[-1.0, 0.0], [3000.0, 300.0], [3000.0, -300.0]], [1.0, 1.0, 1.2])
    found = verdict(([1.0, q], [[-1.0, 0.0], [q, 0.0]]), data)
    assert found.kind == "on its way" and found.limit < 1e-20
    # Beside one that is lopsided, one of usual size is.
    data = ([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 0.5, 1.5])
    found = verdict(([100.0, 1.0], [[0.01, 0.0], [0.0, 1.0001]]), data)
    assert found.spurious is False and found.limit == pytest.approx(1 / 12, rel=1e-12)


@pytest.mark.parametrize("rtol, label", [(1e-3, 1e3), (1e-4, 1e4), (1e-8, 1e9)])
def test_a_label_that_nobody_sees_is_not_fitted_beside_a_large_one(rtol, label):
    flow = gflow.integrate(([1.0], [[1.0, -1.0]]), (np.eye(2), [label, 1.0]), 200.0, rtol=rtol)
    found = flow.verdict()
    assert found.kind == "local minimum" and found.spurious and found.limit == 0.25
    assert found.kind == verdict(flow.model, flow.data).kind


@pytest.mark.parametrize("a, w", [(-0.01, -0.005), (0.005, 0.005), (0.005, -0.005),
                                  (0.005, 0.01), (0.005, -0.01)])
def test_what_small_neurons_still_put_out_makes_no_end_spurious(a, w):
    # Labels 0 and 2 on one ray, 0 on the other, where the second neuron shrinks to nothing.
    data = ([[1.0], [1.0], [-1.0]], [0.0, 2.0, 0.0])
    found = gflow.integrate(([1.0, a], [[1.0], [w]]), data, 100.0).verdict()
    assert found.spurious is False and found.limit == pytest.approx(1 / 3, rel=1e-12)
    assert found.strongest == 0.0 and found.minimum


def test_the_limit_is_that_without_neurons_that_shrink_for_ever():
    # The only neuron dies: 0 is left.
    found = gflow.integrate(([0.022], [[0.022]]), ([[1.0]], [-1.0]), 1e-3).verdict()
    assert found.limit == 0.5 and found.strongest == 1.0 and found.loss > 0.5004


def test_a_neuron_on_a_repelling_hyperplane_neither_grows_nor_shrinks():
    found = verdict(([1.0], [[1.0, 0.0]]), (np.eye(2), [1.0, 1.0]))
    assert found.shrinking.tolist() == [0] and found.kind == "rest that no neuron leaves"
    assert "1 stay on hyperplanes of points" in found.run and "shrink" not in found.run
    assert "hyperplanes of points on which 1 neurons are" in found.landscape


def test_where_the_loss_vanishes_nothing_escapes():
    rng = np.random.default_rng(5)
    a, W = rng.standard_normal(6), rng.standard_normal((6, 2))
    small = 1e-6 * rng.standard_normal((6, 2))
    X = np.random.default_rng(2).standard_normal((4, 2))
    y = np.random.default_rng(3).standard_normal(4)
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        found = verdict((np.append(a, 6 * [1e-6]), np.vstack([W, small])), (X[order], y[order]))
        assert found.limit == 0.0 and len(found.escapes) == 0 and found.leaving.size == 0


def test_labels_whose_squares_vanish_are_not_fitted():
    with pytest.raises(ValueError, match="below the range of double precision"):
        verdict(([0.0], [[0.0, 0.0]]), (POINTS.X, 1e-163 * POINTS.y))
    assert verdict(([0.0], [[0.0, 0.0]]), (POINTS.X, 1e-155 * POINTS.y)).spurious
    start = gflow.init.balanced(6, 2, 1e-90, rng=0)
    rules = [gflow.stop.settled(), gflow.stop.converged()]
    flow = gflow.integrate(start, (POINTS.X, 1e-163 * POINTS.y), 1e160, stop=rules)
    assert flow.status == "finished"
