"""Global optima over networks of any width, against linear programs on many rays."""

import sys

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

import gflow
from gflow.theory import least_norm, max_margin

DIRECTION = ([[1.0, 0.0, 0.5], [0.0, 2.0, 0.3], [-1.0, -0.2, 0.4]], [1.0, 1.0, -1.0])


def objective(found, data, decay=0.0):
    """What `found.model` really costs."""
    a, W = found.model.a, found.model.W
    norm = float(np.abs(a) @ np.linalg.norm(W, axis=1))
    assert np.isclose(found.norm, norm, rtol=1e-12)
    return decay * norm + found.model.loss(data) if decay else norm


@pytest.mark.parametrize("linear", [False, True])
def test_numbers_known_from_elsewhere(linear, monkeypatch):
    if linear:
        monkeypatch.setitem(sys.modules, "clarabel", None)
    points = gflow.datasets.three_points()
    found = least_norm(points)
    assert found.certified and found.gap < 1e-8 and abs(found.value - 5.813776741) < 2e-9
    assert np.abs(found.model(points.X) - points.y).max() < 1e-13
    # Two of the three neurons have their kink at the point x = -0.5.
    assert (found.activations[:, 1] == 2).sum() == 2
    found = max_margin(DIRECTION)
    assert found.gap < 1e-9 and abs(found.value - 0.2620617571) < 1e-9
    h = found.model(DIRECTION[0])
    assert np.isclose((h * DIRECTION[1]).min() / (2 * found.norm), found.value, rtol=1e-12)
    # Orthogonal points: sqrt of the sum of (y / |x|)^2 over either sign.
    data = gflow.datasets.orthogonal()
    ratio = data.y / np.linalg.norm(data.X, axis=1)
    exact = np.linalg.norm(ratio[ratio > 0]) + np.linalg.norm(ratio[ratio < 0])
    found = least_norm(data)
    assert found.gap < 1e-8 and abs(found.value - exact) < 1e-9


def test_decay_against_its_published_optimum():
    pytest.importorskip("clarabel")
    X = np.array([[9.0, 0.0, 0.0], [8.0, -4.0, 1.0], [8.0, 4.0, 1.0]]) / 9
    data = gflow.Data(X, np.maximum(X @ [0.8, 0.0, 0.6], 0.0))
    found = least_norm(data, decay=1e-5)
    # In units of twice ours.
    assert found.gap < 1e-10 and abs(2 * found.value - 1.980687931e-5) < 1e-12
    assert np.isclose(objective(found, data, 1e-5), found.value, rtol=1e-9)


def test_decay_without_a_conic_solver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "clarabel", None)
    with pytest.raises(ImportError, match=r"gflow\[convex\]"):
        least_norm(DIRECTION, decay=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_random_plane_problems(seed):
    """Rays at many angles give an upper bound that is close; multipliers a lower one."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 8))
    X, y = rng.standard_normal((n, 2)), rng.standard_normal(n)
    # And those along hyperplanes, where optimal neurons have their kinks.
    kinks = np.arctan2(X[:, 1], X[:, 0]) + np.pi / 2
    angle = np.concatenate([np.linspace(0, 2 * np.pi, 4001), kinks, kinks + np.pi])
    rays = np.column_stack([np.cos(angle), np.sin(angle)])
    F = np.maximum(X @ rays.T, 0.0)
    F = np.concatenate([F, -F], axis=1)
    found = least_norm((X, y))
    fine = linprog(np.ones(F.shape[1]), A_eq=F, b_eq=y).fun
    assert found.certified and found.gap <= 1e-8 * found.value
    assert found.bound <= found.value * (1 + 1e-9)
    assert found.value <= fine * (1 + 1e-8) <= found.value * (1 + 1e-4)
    assert np.abs(F.T @ found.multipliers).max() <= 1 + 1e-9
    assert np.isclose(found.multipliers @ y, found.bound, rtol=1e-12)
    s = np.sign(y)
    margin = max_margin((X, s))
    fine = linprog(np.ones(F.shape[1]), A_ub=-s[:, None] * F, b_ub=-np.ones(n)).fun
    assert margin.gap <= 1e-8 * margin.value and np.isclose(margin.value, 1 / (2 * fine), rtol=1e-4)
    assert margin.value >= 1 / (2 * fine) - 1e-9 and (margin.multipliers * s >= -1e-12).all()


def test_decay_is_below_what_training_finds():
    pytest.importorskip("clarabel")
    rng = np.random.default_rng(3)
    X, y, decay = rng.standard_normal((8, 3)), rng.standard_normal(8), 0.02
    data = gflow.Data(X, y)
    found = least_norm(data, decay)
    assert found.gap < 1e-9 and np.isclose(objective(found, data, decay), found.value, rtol=1e-9)

    def cost(theta):
        a, W = theta[:30], theta[30:].reshape(30, 3)
        h = np.maximum(X @ W.T, 0.0) @ a
        on = X @ W.T > 0
        g = (h - y) / 8
        gradient = np.append((np.maximum(X @ W.T, 0).T @ g),
                             ((on * a).T * g @ X).ravel()) + decay * theta
        return ((h - y)**2).sum() / 16 + decay / 2 * theta @ theta, gradient

    trained = min(minimize(cost, rng.standard_normal(120), jac=True).fun for _ in range(5))
    assert found.value - 1e-9 <= trained <= found.value * 1.02


def test_points_on_one_ray():
    X = [[1.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    found = least_norm((X, [1.0, 2.0, 0.0, 3.0]))
    assert np.isclose(found.value, np.hypot(1.0, 3.0), rtol=1e-9) and found.gap < 1e-9
    with pytest.raises(ValueError, match="points 0 and 1 are on one ray"):
        least_norm((X, [1.0, 1.0, 0.0, 3.0]))
    with pytest.raises(ValueError, match="point 2 is 0"):
        least_norm((X, [1.0, 2.0, 1.0, 3.0]))
    with pytest.raises(ValueError, match="points 0 and 1 are on one ray"):
        max_margin((X[:2], [1.0, -1.0]))
    with pytest.raises(ValueError, match="label 1 is 3: margins need"):
        max_margin((X[:2], [1.0, 3.0]))
    assert least_norm((X, np.zeros(4))).value == 0.0


def test_units_do_not_matter():
    X, y = np.array(DIRECTION[0]), np.array([1.0, -2.0, 0.5])
    one, other = least_norm((X, y)), least_norm((1e-30 * X, 1e20 * y))
    assert np.isclose(other.value, 1e50 * one.value, rtol=1e-9)
    assert np.isclose(max_margin((1e-30 * X, y > 0)).value, 1e-30 * max_margin((X, y > 0)).value,
                      rtol=1e-9)


def test_results_cannot_be_changed():
    found = least_norm(DIRECTION)
    for array in (found.multipliers, found.activations, found.model.W):
        with pytest.raises(ValueError):
            array[:] = 0
    with pytest.raises(AttributeError):
        found.value = 0.0


@pytest.mark.parametrize("X, y", [
    ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [1.0, -1.0, 2.0]),
    ([[30.0, 0.0], [0.0, 0.1], [0.0, 0.0], [0.0, 0.0]], [7.0, 0.0, 2.0, -5.0]),
    ([[0.0, 0.0], [0.0, 0.0]], [1.0, 3.0]), ([[1.0, 0.0], [0.0, 0.0]], [0.0, 3.0])])
def test_multipliers_prove_the_bound_with_points_at_0(X, y):
    if any(np.any(row) for row in X) and np.any(np.array(y)[np.any(X, axis=1)]):
        pytest.importorskip("clarabel")
    decay, n = 0.1, len(y)
    found = least_norm((X, y), decay)
    mu = found.multipliers
    proved = decay * (mu @ y - n * decay * (mu @ mu) / 2)
    assert proved == pytest.approx(found.bound, rel=1e-12)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("search", [least_norm, max_margin])
def test_points_almost_on_one_ray_are_refused_in_words(search, linear, monkeypatch):
    if linear:
        monkeypatch.setitem(sys.modules, "clarabel", None)
    with pytest.raises(ValueError, match="no network was found .* almost on one ray"):
        search(([[1.0, 2.0], [1.0, 2.0 + 1e-12], [3.0, 1.0]], [1.0, -1.0, 1.0]))


def test_a_value_that_misses_labels_is_not_certified():
    # The third label bends a network that has one value at two points, however close these are:
    # 0.447 is the norm of one that takes them for one.
    points = np.array([[1.0, 2.0], [1.0, 2.0 + 2e-10], [3.0, 1.0]])
    found = least_norm((points, [1.0, 1.0, 1.0]))
    missed = np.abs(found.model(points) - 1.0).max()
    assert found.value > 1.3 or missed > 1e-11 and not found.certified
    assert found.certified == ("misses labels" not in found.message)


def test_all_faces_are_looked_at_only_where_starts_show_nothing_more(monkeypatch):
    from gflow.theory import convex
    data, looks = gflow.datasets.linear_teacher(16, 5, rng=1), []
    search = convex.extremal_vectors
    monkeypatch.setattr(convex, "extremal_vectors", lambda *args, **options: looks.append(
        options.get("complete", True)) or search(*args, **options))
    found = least_norm(data)
    assert found.certified and found.gap < 1e-8 * found.value
    assert 1 <= sum(looks) <= 4 < found.rounds
    looks.clear()
    quick = least_norm(data, complete=False)
    assert not any(looks) and not quick.certified and "starts only" in quick.message
    assert np.isclose(quick.value, found.value, rtol=1e-8)
    solve, rounds = convex.solvers(0.0)[-1], []

    def tired(pool, goal):
        rounds.append(goal)
        if len(rounds) > 12:
            raise convex.Unsolved("enough")
        return solve(pool, goal)
    monkeypatch.setattr(convex, "solvers", lambda decay: [tired])
    early = least_norm(data)
    assert early.certified and early.bound <= found.value < early.value < np.inf
    with pytest.raises(TypeError, match="complete is 'no'"):
        max_margin(DIRECTION, complete="no")


def test_labels_that_no_network_has_at_opposite_points():
    angle = np.deg2rad([0.0, 60.0, 120.0])
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    X = np.concatenate([X, -X])
    odd = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    with pytest.raises(ValueError, match="on 3 lines that span 2 dimensions.*no network interpol"):
        least_norm((X, odd))
    with pytest.raises(ValueError, match="points .* such as 0 and 3, .*no network separates"):
        max_margin((X, odd))
    # Even labels, and those of linear functions, can be had.
    even, linear = np.array([1.0, -1.0, 1.0] * 2), X @ [2.0, -1.0]
    for y in (even, linear, even + linear):
        found = least_norm((X, y))
        assert found.certified and np.abs(found.model(X) - y).max() < 1e-10
    assert max_margin((X, even)).certified and max_margin((X, np.sign(linear))).certified
    rng = np.random.default_rng(7)
    X = rng.standard_normal((6, 2))
    with pytest.raises(ValueError, match="6 lines"):
        least_norm((np.concatenate([X, -X]), rng.standard_normal(12)))
