"""Predictions for classification: early flow, and limits on orthogonally separable data."""

import numpy as np
import pytest

import gflow
from problems import random_problem
from test_endless import DIRECTION, LOSSES, MARGIN


def orthogonal_classes(seed, n, d):
    """Points of two classes in opposite cones."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.1, 1.0, (n, d))
    y = rng.choice([-1.0, 1.0], n)
    y[:2] = -1.0, 1.0
    return y[:, None] * X, y


@pytest.mark.parametrize("loss", LOSSES)
def test_the_early_flow_of_other_losses(loss):
    a, W, X, y, _ = random_problem(3, 8, 8, 3, "generic", "balanced", 1.0)
    y = np.sign(y)
    early = gflow.theory.early_flow((a, W), (X, y), loss=loss)
    flow = gflow.integrate((1e-9 * a, 1e-9 * W), (X, y), 12.0, loss=loss, rtol=1e-10)
    before = early.events[early.events["time"] < 12.0]
    assert len(before) > 4 and len(before) == len(flow.events)
    np.testing.assert_allclose(flow.events["time"], before["time"], rtol=1e-6)
    pulls = gflow.theory.at_output_zero((X, y), loss)
    assert (pulls.y == (y / 2 if loss == "logistic" else y)).all()
    assert (gflow.theory.early_flow((a, W), pulls).D == early.D).all()


def test_class_margins_of_three_points():
    found = gflow.theory.class_margins(DIRECTION)
    assert found.margin == pytest.approx(MARGIN, rel=1e-9) and found.support.all()
    for v, own in ((found.positive, [0, 1]), (found.negative, [2])):
        np.testing.assert_allclose(DIRECTION[0][own] @ v, 1.0, rtol=1e-12)
    with pytest.raises(ValueError, match="no half-space has all points of label 1 inside"):
        gflow.theory.class_margins(([[1.0, 0.0], [-1.0, 0.0]], [1, 1]))


@pytest.mark.parametrize("seed", range(5))
def test_class_margins_are_the_shortest(seed):
    X, y = orthogonal_classes(seed, 12, 4)
    found = gflow.theory.class_margins((X, y))
    assert found.orthogonal
    for v, own in ((found.positive, y > 0), (found.negative, y < 0)):
        z = X[own] @ v
        held = found.support[own]
        # Feasible, and a non-negative combination of points where it is tight.
        assert z.min() > 1 - 1e-9 and np.abs(z[held] - 1).max() < 1e-9
        weights = np.linalg.lstsq(X[own][held].T, v, rcond=None)[0]
        np.testing.assert_allclose(X[own][held].T @ weights, v, atol=1e-9)
        assert weights.min() > 0


@pytest.mark.parametrize("long, short", [(1.0, 1e-6), (1.0, 1e-10), (1e150, 1e140),
                                         (1e-190, 1e-200)])
def test_class_margins_of_points_of_any_length(long, short):
    # v.x = 1 on both points of label 1: v = (1/long, 1/short).
    found = gflow.theory.class_margins(([[long, 0.0], [0.0, short], [-long, 0.0]], [1, 1, -1]))
    np.testing.assert_allclose(found.positive, [1 / long, 1 / short], rtol=1e-5)
    np.testing.assert_allclose(found.negative, [-1 / long, 0.0], rtol=1e-12)
    assert found.support.all() and not found.orthogonal
    assert found.share == pytest.approx(1 / (1 + short / long), rel=1e-9)
    close = [[0.0, long], [1e-5 * long, long], [0.0, -short]]
    assert gflow.theory.class_margins((close, [1, 1, -1])).orthogonal


def test_class_margins_that_double_precision_does_not_tell():
    with pytest.raises(ValueError, match="differ so much"):
        gflow.theory.class_margins(([[1.0, 0.0], [0.0, 1e-310]], [1, 1]))
    for X in ([[1.0, 0.0], [-1e-12, 0.0]], [[1.0, 0.0], [0.0, 0.0]]):
        with pytest.raises(ValueError, match="no half-space"):
            gflow.theory.class_margins((X, [1, 1]))


@pytest.mark.parametrize("loss", LOSSES)
def test_flows_on_orthogonally_separable_data_end_there(loss):
    X, y = orthogonal_classes(1, 10, 3)
    model = gflow.init.balanced(12, 3, 1e-3, rng=2)
    flow = gflow.integrate(model, (X, y), 1e300, loss=loss)
    limit, net = gflow.theory.class_margins((X, y)), flow.model
    assert flow.status == "finished"
    for sign, v in ((1, limit.positive), (-1, limit.negative)):
        total = (np.abs(net.a)[:, None] * net.W)[sign * net.a > 0].sum(axis=0)
        assert total @ v / np.sqrt((total @ total) * (v @ v)) > 1 - 1e-4
    up = net.a > 0
    assert (net.a[up]**2).sum() / (net.a**2).sum() == pytest.approx(limit.share, abs=0.01)
    assert flow.margin().hard[-1] == pytest.approx(limit.margin, rel=3e-3)
    log = flow.log_loss[-1]
    found = np.exp(np.log(1e300) + log + np.log(-log))
    assert found == pytest.approx(limit.loss_constant, rel=0.01)


@pytest.mark.parametrize("angle", np.linspace(0.0, 6.0, 21))
def test_orthogonal_classes_stay_so_when_they_are_turned(angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    X = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]) @ turn.T
    assert gflow.theory.class_margins((X, [1, 1, -1, -1])).orthogonal
    # Inner products of 0 are not positive.
    assert not gflow.theory.class_margins((X, [1, 1, 1, 1])).orthogonal


def test_a_margin_is_told_only_where_it_is_one():
    # The neuron of either class is on at the point of the other: no margin, and no limit, is known.
    X, y = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, -1.0])
    found = gflow.theory.class_margins((X, y))
    assert not found.orthogonal
    assert np.isnan([found.margin, found.share, found.loss_constant]).all()
    # Without another class it is one; what the flow tends to is not known there.
    found = gflow.theory.class_margins((X * [1.0, -1.0], [1, 1]))
    best = min(row @ found.positive for row in X * [1.0, -1.0]) / np.linalg.norm(found.positive)
    assert found.margin == pytest.approx(best / 2, rel=1e-9)


def test_copies_of_a_point_hold_a_vector_alike():
    for X in ([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0], [-1.0, -1.0]],
              [[2.0, 2.0], [-1.0, -1.0], [1.0, 1.0], [1.0, 1.0]]):
        found = gflow.theory.class_margins((X, [1 if x[0] > 0 else -1 for x in X]))
        assert found.support.tolist() == [x != [2.0, 2.0] for x in X]


def test_pulls_are_labels_of_the_same_table():
    # With its bias, so that networks that know theirs take its inputs.
    data = gflow.Data([[1.0], [2.0]], [0, 1], bias=True)
    pulls = gflow.theory.at_output_zero(data, "logistic")
    assert pulls.bias and pulls.X.tolist() == data.X.tolist() and pulls.y.tolist() == [-0.5, 0.5]
    start = gflow.TwoLayerReLU([0.1], [[0.1, 0.2]], bias=True)
    flow = gflow.integrate(start, data, 1.0, loss="logistic")
    for early in (flow.alignment().early, gflow.theory.early_flow(start, data, loss="logistic")):
        assert early.data.bias and early.data.y.tolist() == [-0.5, 0.5]
