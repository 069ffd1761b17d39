"""Verdicts for losses of users: little curvature, or none, where a run ends or goes."""

import re

import numpy as np
import pytest

import gflow
from gflow.problem.field import Field
from gflow.theory import verdict
from gflow.theory.least import least_over
from gflow.theory.standstill import Standstill
from flat_losses import Huber, PseudoHuber, Quartic
from losses import LogCosh, SquaredHinge, Tube

ALL = [Quartic(), PseudoHuber(), Huber(), Tube(0.1), SquaredHinge(), LogCosh()]
OPPOSITE = gflow.Data([[1.0], [-1.0]], [5.0, -5.0])


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_one_point_fitted_and_the_other_out_of_reach(loss):
    """By hand: the only neuron is inside a cell, where the loss is at its least, or nearly."""
    y = 1.3 if isinstance(loss, SquaredHinge) else 5.0
    fit = {"Quartic": 4.984, "Tube": 4.95, "SquaredHinge": 0.9}.get(type(loss).__name__, y)
    root = np.sqrt(fit)
    found = verdict(([root], [[root]]), ([[1.0], [-1.0]], [y, -y]), loss=loss)
    assert found.kind == "local minimum" and found.spurious and found.minimum
    assert "1 of 1 neurons carry output" in found.run and not found.shrinking.size
    assert found.limit == pytest.approx(found.loss, rel=1e-6)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_a_neuron_that_is_0_is_a_saddle(loss):
    found = verdict(([0.0], [[0.0]]), OPPOSITE, loss=loss)
    assert found.kind == "rest that no neuron leaves" and "0 of 1 neurons carry" in found.run


@pytest.mark.parametrize("h", [0.1, 1.0, 3.0])
def test_a_pull_that_is_the_same_everywhere_is_no_rest(h):
    """Huber far from the label: the loss falls like a line, and one of two points is fitted."""
    data = gflow.Data(np.eye(2), [1.0, 5.0])
    root = np.sqrt([1.0, h])
    found = verdict((root, np.diag(root)), data, loss=Huber())
    assert found.kind == "on its way" and found.minimum is None


def test_pulls_that_cancel_where_there_is_no_curvature():
    """Any output from -4.5 to 4.5 is as good."""
    found = verdict(([1.0], [[1.0]]), ([[1.0], [1.0]], [5.0, -5.0]), loss=Huber())
    assert found.kind == "local minimum" and found.spurious is False
    assert found.loss == found.limit == found.global_minimum == 2.375


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("t", [1.0, 4.0, 16.0])
def test_no_more_is_taken_than_there_is(loss, t):
    data = gflow.Data([[1.0], [-1.0]], [1.3, -1.3]) if isinstance(loss, SquaredHinge) else OPPOSITE
    found = gflow.integrate(([0.1], [[0.1]]), data, t, loss=loss).verdict()
    assert all(float(part) <= 50.001 for part in re.findall(r"take ([\d.]+)%", found.run))
    assert not found.limit < found.loss * 0.499
    if "to be foreseen" in found.run:
        assert found.kind == "on its way" and np.isnan(found.limit) and "%" not in found.run


def test_a_label_is_not_fitted_because_its_loss_is_small():
    # That of the second point, which is off, is 1e-10 of what there was to lose.
    root = np.sqrt(5.0)
    found = verdict(([root], [[root, -0.01]]), (np.eye(2), [5.0, 0.015]), loss=Quartic())
    assert found.kind == "local minimum" and found.spurious


@pytest.mark.parametrize("label, output, far", [(0.015, 0.01, True), (0.015, 0.0145, False),
                                                (0.5, 0.49, False)])
def test_a_label_is_not_fitted_because_another_one_is_large(label, output, far):
    # What is left of the second pull is 1e-14 of the first one at the start, or less. Its neuron
    # goes on, on its own pattern: the loss vanishes in the end, and is not there.
    root = np.sqrt([500.0, output])
    found = verdict((root, np.diag(root)), (np.eye(2), [500.0, label]), loss=Quartic())
    assert "it is there" not in found.run and (found.limit < 1e-20 * found.loss or far)
    assert found.kind == ("on its way" if far else "interpolation")


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_least_over_features(loss):
    """Against the condition of a least value, and random moves."""
    rng = np.random.default_rng(2)
    y = np.where(rng.random(5) < 0.5, 1.3, -1.3) if isinstance(loss, SquaredHinge) else (
        rng.uniform(-3, 3, 5))
    field = Field(gflow.Data(rng.standard_normal((5, 2)), y), loss)
    F, h = rng.standard_normal((5, 3)), rng.standard_normal(5)
    found = least_over(field, h, F)
    low = float(field.value(h + found.change))
    assert np.abs(F.T @ found.pulls).max() < 1e-13
    assert np.allclose(F @ (F.T @ found.effort) / 5, found.change, rtol=1e-9, atol=1e-12)
    moves = rng.standard_normal((200, 3)) * 10.0**rng.uniform(-3, 1, (200, 1))
    assert field.value(h + found.change + moves @ F.T).min() >= low * (1 - 1e-12)


def test_a_loss_that_falls_for_ever_has_none():
    class Line(PseudoHuber):
        def pull(self, h, y):
            return np.ones_like(h)

    field = Field(gflow.Data([[1.0]], [1.0]), Line())
    assert least_over(field, np.zeros(1), np.ones((1, 1))) is None


def test_the_square_loss_is_judged_alike_if_it_is_not_known_for_one():
    class Plain(gflow.problem.loss.Square):
        quadratic = False

    data = gflow.datasets.three_points()
    model = gflow.integrate(gflow.init.balanced(10, 2, 1e-2, rng=1), data, 300.0).model
    own, plain = Standstill(model, Field(data, Plain())), Standstill(model, Field(data))
    assert own.linear and np.array_equal(own.live, plain.live)
    assert np.array_equal(own.pulls, plain.pulls) and np.array_equal(own.rates, plain.rates)
