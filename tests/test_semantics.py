"""What a neuron does on a hyperplane, at zero, and for ever after: small problems, exact answers.

Closed forms hold while neurons move along one axis e: with ``p = w.e`` a pair (a, p) is boosted by
one angle tau(t), and ``exp(2 tau)`` solves a Riccati equation (Boursier and Flammarion, "Early
alignment in two-layer networks training is a two-edged sword", JMLR 2025, Lemma 1, for the
invariant).
"""

import numpy as np
import pytest
from scipy.optimize import brentq, lsq_linear, minimize_scalar

from gflow.datasets import orthogonal
from gflow.init import balanced
from problems import Problem, random_problem, relative_errors, solve


class Axis:
    """Pairs (a, p) under ``d tau/dt = rate (b - mu sum a p)``."""

    def __init__(self, a, p, rate, b, mu):
        self.a, self.p = np.atleast_1d(a), np.atleast_1d(p)
        A = rate * mu * ((self.a + self.p) ** 2).sum() / 2
        B = 2 * rate * b
        C = rate * mu * ((self.a - self.p) ** 2).sum() / 2
        self.speed = np.sqrt(B**2 + 4 * A * C)
        self.low, self.high = (B - self.speed) / (2 * A), (B + self.speed) / (2 * A)

    def __call__(self, t):
        """Weights (a, p) at a time."""
        ratio = (1 - self.high) / (1 - self.low) * np.exp(-self.speed * t)
        return self.boosted(np.log((self.high - self.low * ratio) / (1 - ratio)) / 2)

    def boosted(self, tau):
        """Weights (a, p) after the boost."""
        grown, shrunk = (self.a + self.p) * np.exp(tau) / 2, (self.a - self.p) / np.exp(tau) / 2
        return grown + shrunk, grown - shrunk

    def time(self, tau):
        """When the boost is reached."""
        z = np.exp(2 * tau)
        ratio = (z - self.high) / (z - self.low) * (1 - self.low) / (1 - self.high)
        return -np.log(ratio) / self.speed


def unit(x):
    return np.asarray(x) / np.linalg.norm(x)


def off(w, x):
    """The part of ``w`` that is orthogonal to ``x``."""
    return w - (w @ unit(x)) * unit(x)


def run(a, W, X, y, t_max, **options):
    return solve(Problem(*(np.array(v, dtype=float) for v in (a, W, X, y)), t_max),
                 **{"rtol": 1e-11, **options})


def records(flow):
    """Events without their times."""
    return [(int(i), int(k), str(kind), int(to)) for _, i, k, kind, to in flow.events]


# Closed forms

def test_one_point_any_neurons():
    # Mixed signs, unbalanced; the first output weight passes through zero.
    a = np.array([-0.1, 0.5, 0.3, -0.2, 0.0])
    x, y = np.array([1.5, -0.5, 1.0]), 2.0
    W = np.array([[0.9, 0.1, 0.3], [0.2, 0.5, 0.4], [0.3, 0.3, 0.0], [0.5, 0.9, 1.3], [0.4, 0, 0]])
    size = np.linalg.norm(x)
    axis = Axis(a, W @ unit(x), size, y, size)
    flow = run(a, W, [x], [y], 2.0)
    assert len(flow.events) == 0 and flow.a[0, 0] < 0 < flow.a[-1, 0]
    for t, a_t, W_t in zip(flow.t, flow.a, flow.W):
        exact_a, exact_p = axis(t)
        np.testing.assert_allclose(a_t, exact_a, atol=1e-10)
        np.testing.assert_allclose(W_t, W + np.outer(exact_p - W @ unit(x), unit(x)), atol=1e-10)


def turning(v0, target, rate):
    """Path of ``v = a w`` for one balanced neuron (or an antipodal pair) on a linear network."""
    size = np.linalg.norm(target)
    across = unit(off(v0, target))
    phi = np.arctanh(unit(v0) @ unit(target))

    def path(t):
        tau = rate * size * t
        grown = tau + (np.sinh(2 * (tau + phi)) - np.sinh(2 * phi)) / 2
        length = np.cosh(tau + phi)**2 / (np.cosh(phi)**2 / np.linalg.norm(v0) + grown / size)
        return length * (np.tanh(tau + phi) * unit(target) + across / np.cosh(tau + phi))
    return path


def test_orthogonal_points_one_neuron():
    X = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0][:2]
    y, v0 = np.array([1.0, 2.0]), np.array([0.3, 0.02])
    a = np.sqrt(np.linalg.norm(v0))
    path = turning(v0, y, 1 / 2)
    flow = run([a], [v0 @ X / a], X, y, 8.0)
    for t in flow.t:
        model = flow(t)
        np.testing.assert_allclose(model.a[0] * X @ model.W[0], path(t), atol=1e-10)


def test_symmetric_data_are_a_linear_network():
    # An antipodal pair passes the hyperplanes of opposite points, with no trace in the output.
    X = np.sqrt(2) * np.array([[np.cos(t), np.sin(t)] for t in np.arange(6) * np.pi / 3])
    beta, v0 = np.array([1.0, 0.2]), 1e-3 * unit([-1.0, 0.1])
    a = np.sqrt(np.linalg.norm(v0))
    flow = run([a, -a], [v0 / a, -v0 / a], X, X @ beta, 40.0)
    path = turning(v0, beta, 1 / 2)
    for t in flow.t:
        model = flow(t)
        np.testing.assert_allclose(model.a[:1] @ model.W[:1], path(t), atol=1e-10)
    # Three hyperplanes, two neurons, two points: the points of a pair change places together.
    assert len(flow.events) == 12 and set(flow.events["kind"]) == {"activate", "deactivate"}
    for four in flow.events.reshape(3, 4):
        assert np.ptp(four["time"]) <= 1e-11 * four["time"][0]
        assert sorted(zip(four["neuron"], four["to"])) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert np.unique(four["point"] % 3).size == 1


def test_group_on_one_axis():
    # Active inputs are white along beta; an inactive neuron stays where it is.
    X, beta = np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([0.7, 0.0])
    a, p = np.array([0.2, 0.1, -0.1, 0.3]), np.array([0.1, 0.2, 0.4, -0.2])
    flow = run(a, np.outer(p, [1.0, 0.0]), X, X @ beta, 10.0)
    axis = Axis(a[:3], p[:3], 1.0, 0.7, 1.0)
    for t, a_t, W_t in zip(flow.t, flow.a, flow.W):
        np.testing.assert_allclose((a_t[:3], W_t[:3, 0]), axis(t), atol=1e-10)
    assert (flow.a[:, 3] == 0.3).all() and (flow.W[:, 3] == [-0.2, 0.0]).all()


def test_dying_neuron():
    # Alone and of the wrong sign: it leaves its last point in finite time and never moves again.
    x, y, a, w = np.array([1.2, 0.5]), 1.0, -0.6, np.array([0.3, 0.4])
    size, p = np.linalg.norm(x), w @ unit(x)
    axis = Axis(a, p, size, y, size)
    flow = run([a], [w], [x], [y], 9.0)
    assert records(flow) == [(0, 0, "deactivate", 0)]
    death = flow.events["time"][0]
    assert death == pytest.approx(axis.time(np.arctanh(p / -a)), rel=1e-10)
    after = flow(np.linspace(death, 9.0, 50)[1:])
    assert (after.a == after.a[0]).all() and (after.W == after.W[0]).all()
    assert after.a[0, 0] == pytest.approx(-np.sqrt(a**2 - p**2), rel=1e-10)
    np.testing.assert_allclose(after.W[0, 0], off(w, x), rtol=1e-10)
    assert flow.loss[-1] == y**2 / 2 and flow.stats["steps"] < 30


def test_arrives_and_slides_for_ever():
    x1, x2, y = np.array([1.0, 0.3]), np.array([0.4, 1.0]), [1.0, -1.2]
    a, w = 0.3, np.array([0.3, -0.2])
    e = unit(x1)
    size, p = np.linalg.norm(x1), w @ e
    before = Axis(a, p, size / 2, y[0], size)
    at = p - (w @ x2) / (e @ x2)
    tau = brentq(lambda tau: before.boosted(tau)[1][0] - at, 0, 5)
    flow = run([a], [w], [x1, x2], y, 20.0)
    assert records(flow) == [(0, 1, "slide", 2)]
    hit = flow.events["time"][0]
    assert hit == pytest.approx(before.time(tau), rel=1e-9)
    tangent = off(x1, x2)
    w_hit = w + (at - p) * e
    after = Axis(before.boosted(tau)[0], w_hit @ unit(tangent), np.linalg.norm(tangent) / 2, y[0],
                 np.linalg.norm(tangent))
    for t in flow.t:
        model = flow(t)
        a_t, p_t = (v[0] for v in (before(t) if t <= hit else after(t - hit)))
        assert model.a[0] == pytest.approx(a_t, abs=1e-9)
        exact = w + (p_t - p) * e if t <= hit else p_t * unit(tangent)
        np.testing.assert_allclose(model.W[0], exact, atol=1e-9)
    assert flow.pattern(20.0).tolist() == [[1, 2]]
    assert flow.loss[-1] == pytest.approx(y[1]**2 / 4, rel=1e-9)


def test_slides_from_the_start_and_is_released():
    # The last neuron fits the second point until that no longer holds the first two back.
    x1, x2, y = np.array([1.0, 0.3]), np.array([0.4, 1.0]), [0.6, -1.0]
    tangent, w2 = off(x1, x2), np.array([-1.2, 0.9])
    along = np.linalg.norm(tangent)
    sizes = np.array([0.03, 0.04])
    first = Axis(sizes, sizes, along / 2, y[0], along)
    second = Axis(-0.4, w2 @ unit(x2), np.linalg.norm(x2) / 2, y[1], np.linalg.norm(x2))

    def excess(t):
        (a1, p1), (a2, p2) = first(t), second(t)
        r1, r2 = y[0] - a1 @ p1 * along, y[1] - a2 @ p2 * np.linalg.norm(x2)
        return r1 * (x1 @ x2) + r2 * (x2 @ x2)

    exact = brentq(excess, 0.1, 10, xtol=1e-14)
    assert exact == pytest.approx(2.02444767, abs=1e-8)
    flow = run([*sizes, -0.4], [*np.outer(sizes, unit(tangent)), w2], [x1, x2], y, 6.0)
    assert flow.pattern(0)[:2].tolist() == [[1, 2], [1, 2]] and flow.stats["ambiguous"] == 0
    # Neurons on one ray share their multiplier: they leave together, and stay parallel.
    assert sorted(records(flow)[:2]) == [(0, 1, "release", 1), (1, 1, "release", 1)]
    assert flow.events["time"][0] == flow.events["time"][1] == pytest.approx(exact, rel=1e-9)
    assert (flow.pattern(0.99 * exact)[:2, 1] == 2).all()
    late = flow(1.01 * exact)
    assert (late.W[:2] @ x2 > 0).all() and (flow.pattern(1.01 * exact)[:2, 1] == 1).all()
    np.testing.assert_allclose(late.W[0] / 3, late.W[1] / 4, rtol=1e-10)


# Several points on one hyperplane

@pytest.mark.parametrize("stretch", [1.0, 2.5, 0.4])
def test_parallel_points_are_one_point(stretch):
    # The sum of their squares is one square: half the points, longer, with a mean label.
    one = random_problem(3, 5, 6, 2, "generic", "balanced", 0.1)
    spread = np.random.default_rng(0).standard_normal(5)
    grown = np.sqrt((1 + stretch**2) / 2)
    X = one.X / grown
    labels = one.y / grown + stretch * spread, stretch * one.y / grown - spread
    two = one._replace(X=np.concatenate([X, stretch * X]), y=np.concatenate(labels))
    t = np.linspace(0, one.t_max, 30)
    flow, other = (solve(p, rtol=1e-11, t_eval=t) for p in (one, two))
    assert relative_errors(other, flow).max() < 1e-9
    assert flow.stats["slide"] > 0 and flow.stats["activate"] > 0
    assert len(other.events) == 2 * len(flow.events)
    twice = np.repeat(flow.events, 2)
    twice["point"][1::2] += 5
    np.testing.assert_allclose(other.events["time"], twice["time"], rtol=1e-8)
    assert records(other) == [tuple(e)[1:] for e in twice.tolist()]


def test_opposite_points_slide_on_one_multiplier():
    # Off is the first point alone, on the second: the mean of both fields holds it on the line.
    x, z = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    flow = run([1.0], [[1.0, 0.0]], [x, -x, z], [-1.0, -0.5, 1.0], 3.0)
    assert flow.pattern(0).tolist() == [[2, 2, 1]] and len(flow.events) == 0
    assert (flow.W[:, 0, 1] == 0).all() and flow.stats["ambiguous"] == 0
    axis = Axis(1.0, 1.0, 1 / 3, 1.0, 1.0)
    np.testing.assert_allclose(flow.a[-1, 0], axis(3.0)[0], rtol=1e-10)


def test_sharing_points_have_a_record_each_at_one_time():
    x, z = np.array([1.0, -0.5]), np.array([0.0, 1.0])
    flow = run([0.1], [[0.1, 0.15]], [x, 2 * x, -x, z], [0.0, 0.0, 0.0, 1.0], 4.0)
    assert flow.pattern(0).tolist() == [[1, 1, 0, 1]]
    assert records(flow) == [(0, 0, "deactivate", 0), (0, 1, "deactivate", 0),
                             (0, 2, "activate", 1)]
    assert np.ptp(flow.events["time"]) == 0 < flow.events["time"][0]


# Sliding on several hyperplanes

def least_velocity(flow, t):
    """Right-hand side at a time from the state alone: SciPy's bounded least squares."""
    model, (X, y) = flow(t), (flow.data.X, flow.data.y)
    z = model.W @ X.T / (np.linalg.norm(X, axis=1) * model.norms[:, None])
    r = y - model(X)
    out = []
    for a, w, near, above in zip(model.a, model.W, np.abs(z) < 1e-9, z > 0):
        D = (r * (above & ~near)) @ X / len(y)
        if near.any():
            pull = (r[near, None] * X[near]).T / len(y)
            D = D + pull @ lsq_linear(pull, -D, (0, 1), method="bvls", tol=1e-15).x
        out.append([w @ D, *(a * D)])
    return np.array(out)


SEVERAL = {
    "slides on two": (
        [[1.9, 1.4, 0.4], [-0.2, 1.5, 0.6], [0.2, 1.5, -0.7]], [-1.2, -1.3, 1.8], [-0.1, 0.5, 0.6],
        [(0, "slide"), (0, "release"), (1, "slide"), (0, "slide")]),
    "arrival on one expels from another": (
        [[1.8, -1.2, 2.5], [-1.7, 0.4, -0.9], [-1.4, -0.8, -2.8], [1.2, 0.5, -0.3]],
        [-0.5, 1.6, -1.6, 0.8], [-0.2, -0.2, -0.1],
        [(0, "slide"), (0, "release"), (2, "slide")]),
    "crossing one expels from another": (
        [[-0.3, 0.9, 1.6], [-0.9, 2.3, 0.9], [-0.8, -0.9, -0.1]], [-0.6, -1.5, -2.0],
        [0.7, -1.0, 1.6], [(2, "slide"), (0, "deactivate"), (2, "release")]),
    "starts on three with two normals": (
        [[0.4, 1.0, 0.0], [0.3, 0.2, 1.0], [0.5, 1.0, 0.8], [1.0, 0.5, 0.6]],
        [-1.0, -2.0, -1.5, 1.5], None, []),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_velocity_is_the_element_of_least_norm(name):
    X, y, w, kinds = SEVERAL[name]
    if w is None:
        w = np.array([0.5, 0.0, 0.0])
        X = np.array(X) * ([[0.0, 1.0, 1.0]] * 3 + [[1.0, 1.0, 1.0]])
    flow = run([np.linalg.norm(w)], [w], X, y, 6.0)
    assert flow.stats["ambiguous"] == 0
    assert [(int(k), str(kind)) for k, kind in flow.events[["point", "kind"]]] == kinds
    if "expels" in name:
        assert flow.events["time"][-1] == flow.events["time"][-2]
    else:
        assert (flow.pattern(6.0) == 2).sum() == 2
    # Central differences in the middle of every piece, where the pattern does not change.
    for t0, t1 in zip(flow.path.breaks, flow.path.breaks[1:]):
        t, h = (t0 + t1) / 2, min(1e-4, (t1 - t0) / 4)
        later, sooner = flow(t + h), flow(t - h)
        slope = np.column_stack([later.a - sooner.a, later.W - sooner.W]) / (2 * h)
        np.testing.assert_allclose(slope, least_velocity(flow, t), atol=2e-7)


# Out and back, grazing

@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6, -1e-6, -1e-4])
def test_out_and_back_in_one_step(gap):
    # A tiny neuron turns towards the first point until a large one has fitted it, then turns back.
    # The third point, with no label, does not act on it; its hyperplane is `gap` before the turn.
    X, y = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([2.0, 1.0])
    W = np.array([[0.6, -0.3], [0.7e-9, 0.7e-9]])
    a = np.linalg.norm(W, axis=1)
    free = run(a, W, X, y, 1.0, rtol=1e-10)

    def angle(t):
        return np.arctan2(*free(t).W[1, ::-1])

    turn = minimize_scalar(angle, (0.1, 0.3, 0.8), tol=1e-12)
    across = turn.fun + gap + np.pi / 2
    more = np.sqrt(1.5)                         # the mean is over three points instead of two
    flow = run(a, W, np.vstack([more * X, [np.cos(across), np.sin(across)]]), [*(more * y), 0.0],
               1.0, rtol=1e-10)
    if gap < 0:
        assert len(flow.events) == 0
        return
    assert records(flow) == [(1, 2, "deactivate", 0), (1, 2, "activate", 1)]
    exact = [brentq(lambda t: angle(t) - turn.fun - gap, *ends)
             for ends in ((0, turn.x), (turn.x, 1))]
    np.testing.assert_allclose(flow.events["time"], exact, atol=1e-9 / np.sqrt(gap))
    if gap < 1e-2:
        # Both within one step of the run that does not see the hyperplane.
        assert np.unique(np.searchsorted(free.path.breaks, exact)).size == 1


# Starts on a hyperplane

def start_on(y_other, y_own, a=0.5):
    """A neuron on the line of the second point, which the first one pushes to its positive side."""
    return run([a], [[0.5, 0.0]], [[1.0, 0.3], [0.0, 1.0]], [y_other, y_own], 1.0)


def test_start_crosses():
    flow = start_on(1.0, 1.0)
    assert flow.pattern(0).tolist() == [[1, 1]] and flow.W[-1, 0, 1] > 0
    assert flow.stats["ambiguous"] == 0 == len(flow.events)
    flow = start_on(-1.0, -1.0)
    assert flow.pattern(0).tolist() == [[1, 0]] and flow.W[-1, 0, 1] < 0
    assert flow.stats["ambiguous"] == 0 == len(flow.events)


def test_start_slides():
    flow = start_on(1.0, -1.0)
    assert flow.pattern(0).tolist() == [[1, 2]] == flow.pattern(1.0).tolist()
    assert (flow.W[:, 0, 1] == 0).all() and flow.stats["ambiguous"] == 0 == len(flow.events)


def test_start_on_a_repelling_hyperplane_takes_the_fewest_active_points():
    flow = start_on(-1.0, 1.0)
    assert flow.pattern(0).tolist() == [[1, 0]] and flow.W[-1, 0, 1] < 0
    assert flow.success and flow.stats["ambiguous"] == 1
    assert "not unique" in flow.message and "fewest active points" in flow.message
    assert "1 time the solution" in flow.message and flow.certificate().ok


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_start_with_zero_output_weight_takes_the_sign_it_is_pushed_to(sign):
    # Whatever that is, the second point then pulls the neuron to its positive side.
    flow = start_on(sign, sign, a=0.0)
    assert flow.pattern(0).tolist() == [[1, 1]] and flow.stats["ambiguous"] == 0
    assert np.sign(flow.a[-1, 0]) == sign and flow.W[-1, 0, 1] > 0


# Output weights through zero, neurons at zero, neurons at rest

def test_slider_is_thrown_off_when_its_output_weight_changes_sign():
    # |a| < |w|: the hyperplane that attracted it repels from then on, to either side.
    axis = Axis(0.1, 0.5, 1 / 2, -1.0, 1.0)
    exact = axis.time(-np.arctanh(0.1 / 0.5))
    flow = run([0.1], [[0.5, 0.0]], [[1.0, -0.3], [0.0, 1.0]], [-1.0, -1.0], 1.0)
    assert flow.pattern(0).tolist() == [[1, 2]]
    assert records(flow)[0] == (0, 1, "release", 0)
    assert flow.events["time"][0] == pytest.approx(exact, rel=1e-9)
    assert flow(exact).a[0] == pytest.approx(0, abs=1e-11) and flow.a[-1, 0] < 0
    assert flow.stats["ambiguous"] == 1 and flow.W[-1, 0, 1] < 0


def test_zero_rows_and_neurons_at_rest():
    # A zero row has no hyperplane and adds a constant to the loss; 2 of 4 rows halve the field.
    X, y = np.array([[1.0, 0.5], [-0.3, 1.0]]), np.array([1.0, -0.5])
    a, W = np.array([0.4, 0.0, 0.7, 0.0]), np.array([[0.4, 0.1], [0, 0], [0, 0], [-0.2, 0.3]])
    t = np.linspace(0, 3, 9)
    flow = run(a, W, X, y, 3.0, t_eval=t)
    padded = run(a, W, [*X, [0, 0], [0, 0]], [*y, 5.0, -2.0], 6.0, t_eval=2 * t)
    assert relative_errors(padded, flow).max() < 1e-9
    assert not padded.pattern(0)[:, 2:].any() and not (padded.events["point"] >= 2).any()
    for path in (flow, padded):
        assert (path.a[:, 1:3] == a[1:3]).all() and not path.W[:, 1:3].any()
        assert not path.pattern(3.0)[1:3].any() and (path.a[1:, 3] < 0).all()
    nothing = run(a, W, np.zeros((2, 2)), y, 3.0)
    assert nothing.success and (nothing.a == a).all() and (nothing.W == W).all()
    assert nothing.certificate().ok


@pytest.mark.parametrize("a", [-1.0, -0.51, 0.8])
def test_hidden_weight_that_reaches_zero_stays_there(a):
    # d = 1: its only hyperplane is w = 0, and relu'(0) = 0 there.
    y = -np.sign(a)
    axis = Axis(a, 0.5, 1.0, y, 1.0)
    flow = run([a], [[0.5]], [[1.0]], [y], 20.0)
    assert records(flow) == [(0, 0, "deactivate", 0)]
    exact = axis.time(np.sign(y) * np.arctanh(0.5 / abs(a)))
    assert flow.events["time"][0] == pytest.approx(exact, rel=1e-9)
    late = flow(np.linspace(1.01 * exact, 20.0, 20))
    assert (np.abs(late.W) <= 1e-11 * abs(a)).all() and (late.W == late.W[0]).all()
    np.testing.assert_allclose(late.a, np.copysign(np.sqrt(a**2 - 0.25), a), rtol=1e-9)
    assert np.isfinite(flow.directions).all() and flow.certificate().ok


def test_rests_off_on_orthogonal_data():
    data = orthogonal(5, rng=3)
    model = balanced(8, 5, 0.1, 4)
    flow = run(model.a, model.W, data.X, data.y, 60.0, rtol=1e-10)
    # With orthogonal points nothing but the point itself moves w off its hyperplane.
    left = flow.events[flow.events["kind"] == "deactivate"]
    assert left.size > 5 and len(flow.events) == left.size
    for time, i, k, _, _ in left:
        z = flow(np.linspace(time, 60.0, 20)).W[:, i] @ data.X[k]
        assert (np.abs(z) < 1e-9 * flow(time).norms[i]).all()
        assert flow.pattern(60.0)[i, k] == 0


def test_balanced_slider_shrinks_for_ever_and_keeps_its_sign():
    # Antiparallel to its field: rounding off the invariant would grow as fast as it shrinks.
    axis = Axis(0.1, 0.1, 1 / 2, -1.0, 1.0)
    flow = run([0.1], [[0.1, 0.0]], [[1.0, -0.3], [0.0, 1.0]], [-1.0, -1.0], 100.0, rtol=1e-9)
    assert flow.a[-1, 0] < 1e-12 * flow.a[0, 0]
    assert (flow.a > 0).all() and len(flow.events) == 0
    np.testing.assert_allclose(flow.a, flow.norms, rtol=1e-9)
    np.testing.assert_allclose(flow.a[:, 0], [axis(t)[0][0] for t in flow.t], rtol=1e-6)


def test_dead_neuron_never_moves_and_costs_nothing():
    problem = random_problem(11, 8, 4, 2, "generic", "balanced", 0.1)
    problem.X[:, 0] = np.abs(problem.X[:, 0]) + np.abs(problem.X[:, 1])
    dead = np.array([-1.0, 0.0])
    more = problem._replace(a=np.append(problem.a, 2.0), W=np.vstack([problem.W, dead]))
    flow, other = solve(problem), solve(more)
    assert (other.a[:, -1] == 2.0).all() and (other.W[:, -1] == dead).all()
    assert not other.pattern(more.t_max)[-1].any() and not (other.events["neuron"] == 4).any()
    assert len(other.events) == len(flow.events) > 0
