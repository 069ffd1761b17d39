"""The least loss over networks of any width, for losses of users."""

import numpy as np
import pytest
from scipy.optimize import minimize

import gflow
from gflow.problem.field import Field
from gflow.theory import verdict
from gflow.theory.least import least_loss, least_over
from gflow.theory.opposite import ties_of

from flat_losses import Huber, PseudoHuber, Quartic
from losses import LogCosh, SquaredHinge, Tube

ALL = [Quartic(), PseudoHuber(), Huber(), Tube(0.1), SquaredHinge(), LogCosh()]


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_points_on_rays_of_their_own_are_fitted(loss):
    rng = np.random.default_rng(0)
    for _ in range(20):
        X, y = rng.standard_normal((4, 3)), rng.uniform(0.4, 5, 4) * rng.choice([-1, 1], 4)
        assert least_loss(Field(gflow.Data(X, y), loss)) == 0.0


@pytest.mark.parametrize("seed", range(12))
def test_a_run_that_interpolates_is_one(seed):
    """A search by values is off by 1e-8, and the value there by a rounding of its terms: that is
    more than the loss of the run."""
    y = np.random.default_rng(seed).uniform(0.5, 5, 2)
    found = verdict((np.sqrt(y), np.diag(np.sqrt(y))), (np.eye(2), y), loss=PseudoHuber())
    assert found.kind == "interpolation" and found.global_minimum == 0.0 == found.loss


@pytest.mark.parametrize("loss", [x for x in ALL if not isinstance(x, SquaredHinge)],
                         ids=lambda loss: type(loss).__name__)
def test_labels_that_disagree_meet_in_the_middle(loss):
    field = Field(gflow.Data([[1.0], [1.0]], [1.25, 0.75]), loss)
    assert np.isclose(least_loss(field), float(field.value(np.ones(2))), rtol=1e-14)


def test_at_different_lengths_the_net_pull_vanishes():
    # (1 - s)^3 = 8 s^3 for outputs s and 2 s at labels 1 and 0: s = 1 / (1 + 2^(4/3)).
    s = 1 / (1 + 2**(4 / 3))
    exact = ((1 - s)**4 + (2 * s)**4) / 8
    found = least_loss(Field(gflow.Data([[1.0], [2.0]], [1.0, 0.0]), Quartic()))
    assert np.isclose(found, exact, rtol=1e-14)


def test_it_is_never_above_what_is_reached():
    rng = np.random.default_rng(1)
    for _ in range(20):
        y = rng.uniform(-2, 2, 3)
        field = Field(gflow.Data([[1.0], [0.7], [0.2]], y), PseudoHuber())
        best = least_loss(field)
        s = np.linspace(-4, 4, 2001)[:, None] * [1.0, 0.7, 0.2]
        assert best <= field.value(s).min()
        assert verdict(([1.0], [[0.5]]), field.data, loss=PseudoHuber()).global_minimum == best


def test_where_outputs_and_labels_are_0_there_is_a_unit():
    """The search for the turn began with steps of 0, and went on for ever."""
    class Ahead(Quartic):
        def value(self, h, y):
            return super().value(h, y + 1.0)

        def pull(self, h, y):
            return super().pull(h, y + 1.0)

        def curvature(self, h, y):
            return super().curvature(h, y + 1.0)

    field = Field(gflow.Data([[1.0]], [0.0]), Ahead())
    assert least_over(field, np.zeros(1), np.ones((1, 1))).change == pytest.approx(1.0, abs=1e-3)


# Opposite points ----------------------------------------------------------------------------------

def opposite(seed):
    """Points on both sides of some lines, and what networks can put out there, by many neurons."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 4))
    X = rng.standard_normal((d + int(rng.integers(0, 3)), d))
    both = rng.random(len(X)) < 0.8
    X = np.concatenate([X, -X[both] * rng.uniform(0.5, 2.0, (both.sum(), 1)), 2.0 * X[:1]])
    F = np.maximum(X @ rng.standard_normal((d, 4000)), 0.0)
    U, s, _ = np.linalg.svd(F, full_matrices=False)
    return X, rng.standard_normal(len(X)), U[:, s > 1e-9 * s[0]]


@pytest.mark.parametrize("long, large", [(1.0, 1.0), (1e120, 1e-90), (1e-120, 1e90)])
def test_at_opposite_points_outputs_are_tied(long, large):
    tied = 0
    for seed in range(40):
        X, y, U = opposite(seed)
        left = y - U @ (U.T @ y)
        data = gflow.Data(long * X, large * y)
        found = least_loss(Field(data)) / large**2
        assert np.isclose(found, left @ left / (2 * len(y)), rtol=1e-9, atol=1e-25)
        tied += ties_of(data.arrangement) is not None
    assert 10 < tied < 35


def test_at_opposite_points_other_losses_are_tied_too():
    for seed in range(20):
        X, y, U = opposite(seed)
        field = Field(gflow.Data(X, y), PseudoHuber())
        best = minimize(lambda c: (field.value(U @ c), -U.T @ field.pulls(U @ c) / len(y)),
                        np.zeros(U.shape[1]), jac=True, options={"gtol": 1e-12}).fun
        assert np.isclose(least_loss(field), best, rtol=1e-8, atol=1e-12)


def test_the_best_network_at_opposite_points_is_no_spurious_end():
    angle = np.deg2rad([0.0, 60.0, 120.0])
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    data = gflow.Data(np.concatenate([X, -X]), [1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    # Their best linear function is 0, and no even one is of use.
    nothing = verdict(([0.0], [[0.0, 0.0]]), data)
    assert nothing.kind == "local minimum" and nothing.spurious is False
    assert nothing.global_minimum == pytest.approx(0.5, rel=1e-12)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 2))
    data = gflow.Data(np.concatenate([X, -X]), rng.standard_normal(8))
    built = gflow.experiments.escalate(data)
    assert built.verdict.spurious is False and built.losses[-1] < 1.001 * least_loss(Field(data))
    assert built.message == "no network of any width is better"
