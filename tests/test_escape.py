"""Going on from where training is stuck."""

import numpy as np
import pytest

import gflow
from gflow.experiments import escalate
from gflow.theory import escape, verdict

POINTS = gflow.datasets.three_points()


def test_the_new_neuron_grows_as_foreseen():
    start = gflow.integrate(gflow.init.balanced(20, 2, 1e-3, rng=1), POINTS, 1e3, rtol=1e-10).model
    model = escape(start, POINTS, 1e-6)
    assert model.m == 21 and np.array_equal(model.W[:20], start.W)
    found = verdict(model, POINTS)
    assert found.kind == "rest that neurons will leave" and found.leaving["neuron"].tolist() == [20]
    flow = gflow.integrate(model, POINTS, 2e3, rtol=1e-10)
    rate = np.log(np.abs(flow(200.0).a[20] / flow(100.0).a[20])) / 100
    assert np.isclose(rate, found.strongest, rtol=1e-4)
    left = flow.plateaus()["left"][0]
    assert np.isclose(found.leaving["time"][0], left, rtol=0.01) and flow.loss[-1] < 1e-9


def test_a_log_scale_counts():
    W = np.array([[0.0, 1.0]])
    one, other = (escape(model, POINTS) for model in (
        gflow.TwoLayerReLU([2.0], 2.0 * W), gflow.TwoLayerReLU([1.0], W, np.log(2.0))))
    assert np.allclose(one.W, other.W, rtol=1e-14) and np.allclose(one.a, other.a, rtol=1e-14)


def test_nowhere_to_go():
    with pytest.raises(ValueError, match="global minimum"):
        escape(([1.0], [[1.0]]), ([[1.0]], [1.0]))
    # It has a loss yet, and nothing in its way.
    with pytest.raises(ValueError, match="comes to the global minimum by itself"):
        escape(([0.5], [[0.3]]), ([[1.0]], [1.0]))
    # What keeps it from there are small neurons, which shrink for ever.
    small, twice = gflow.init.balanced(6, 1, 1e-3, rng=0), ([[1.0], [1.0]], [1.0, -1.0])
    assert verdict(small, twice).spurious is False
    with pytest.raises(ValueError, match="comes to the global minimum by itself"):
        escape(small, twice)
    # Two labels at one point: the mean is the best there is.
    with pytest.raises(ValueError, match="global minimum|least loss"):
        escape(([1.0], [[0.75]]), ([[1.0], [1.0]], [1.0, 0.5]))


def test_saddle_to_saddle_by_construction():
    built = escalate(POINTS)
    assert built.losses.size == 3 and built.verdict.kind == "interpolation"
    assert np.isclose(built.losses[1], 0.08752136752, rtol=1e-3) and built.losses[2] < 1e-10
    assert np.isclose(built.rates[0], 0.714969, rtol=1e-5)
    assert np.isclose(built.rates[1], 0.030578707, rtol=1e-2)
    assert (np.diff(built.losses) < 0).all() and [model.m for model in built.models] == [1, 2]
    # No network of this norm or less fits: the least norm is below.
    a, W = built.models[-1].a, built.models[-1].W
    assert np.abs(a) @ np.linalg.norm(W, axis=1) > gflow.theory.least_norm(POINTS).bound
    # However large the new neuron is, the first rate is that of the largest extremal vector.
    first = escalate(POINTS, neurons=1, size=1.0).rates[0]
    assert first == pytest.approx(gflow.theory.extremal_vectors(POINTS).value[0], rel=1e-12)
    few = escalate(POINTS, neurons=1)
    assert few.message == "1 neurons do not suffice" and few.verdict.spurious
    both = escalate(([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 3.0]))
    assert "no network of any width is better" in both.message
    with pytest.raises(ValueError, match="all labels are 0"):
        escalate((POINTS.X, np.zeros(3)))
    with pytest.raises(ValueError, match="all points are 0"):
        escalate((np.zeros((2, 2)), [1.0, 2.0]))
    with pytest.raises(ValueError, match="until = 1: it is a part"):
        escalate(POINTS, until=1.0)


@pytest.mark.parametrize("long, large", [(1.0, 1e150), (1e150, 1.0), (1e149, 1e-149)])
def test_building_up_takes_data_in_any_units(long, large):
    plain = escalate(POINTS)
    built = escalate((long * POINTS.X, large * POINTS.y), t_max=1e7 / long / large)
    assert built.message == plain.message and built.verdict.kind == plain.verdict.kind
    np.testing.assert_allclose(built.losses / large / large, plain.losses, rtol=1e-3)
    np.testing.assert_allclose(built.rates / long / large, plain.rates, rtol=2e-2)
