"""The early flow of vanishing scale: against integration, closed forms, and its own end points."""

import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import lsq_linear

import gflow
from gflow.init import balanced
from gflow.theory import early_flow
from problems import KINDS, STARTS, lattice_problem, problems, random_problem, same_events

TINY = -400.0
"""At exp(TINY) the network is nothing to its residuals for as long as the tests run."""


def rate(problem):
    """About the rate of the strongest field."""
    return np.sqrt(np.mean((problem.X * problem.y[:, None])**2) * problem.X.shape[1]) + 0.1


def tiny_run(problem, t):
    """The same start at a scale so small that the flow is the early flow."""
    model = gflow.TwoLayerReLU(problem.a, problem.W, TINY)
    return gflow.integrate(model, (problem.X, problem.y), t[-1], method="waveform", rtol=1e-12,
                           t_eval=t, max_events=5000)


def agree(early, flow):
    """Directions and norms of both at the reported times."""
    directions = early.directions(flow.t)
    assert np.abs(directions - flow.directions).max() < 1e-8
    assert np.isclose(early.log_norms(flow.t) + TINY, flow.log_norms, rtol=0, atol=1e-7).all()


@given(problems(kinds=KINDS, starts=STARTS))
def test_is_the_flow_of_a_tiny_start(problem):
    size = np.abs(problem.W).max()
    problem = problem._replace(a=problem.a / size, W=problem.W / size)
    flow = tiny_run(problem, np.linspace(0.0, 12 / rate(problem), 7))
    early = early_flow((problem.a, problem.W), flow.data)
    assert early.settled.all() and flow.success
    agree(early, flow)
    past = early.events[early.events["time"] <= flow.t_end]
    same_events(past, flow.events, 1e-9)
    later = early.arrival.max() > flow.t_end
    assert early.ambiguous == flow.stats["ambiguous"] or later
    assert (early.initial_pattern == flow.pattern(0.0)).all()


@pytest.mark.parametrize("kind", ["generic", "duplicates"])
def test_with_more_hyperplanes_than_a_neuron_watches(kind):
    problem = random_problem(3, 120, 6, 4, kind, "unbalanced", 1.0)
    flow = tiny_run(problem, np.linspace(0.0, 12 / rate(problem), 5))
    early = early_flow((problem.a, problem.W), flow.data)
    agree(early, flow)
    same_events(early.events[early.events["time"] <= flow.t_end], flow.events, 1e-9)
    assert early.crossings.sum() > 100


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("seed", range(4))
def test_starts_on_hyperplanes(seed, start):
    # Whole numbers: ties, starts on hyperplanes and at zero, orthogonal points.
    problem = lattice_problem(seed, 5, 6, 3, start, 1.0)
    flow = tiny_run(problem, np.linspace(0.0, 4 / rate(problem), 5))
    early = early_flow((problem.a, problem.W), flow.data)
    directions = early.directions(flow.t)
    assert np.abs(directions - flow.directions).max() < 1e-10


def chain(a, w, X, y):
    """Crossing times of one neuron that never slides, in extended precision, by the root z of
    ((a + q)/2) z^2 - (q + s |D|) z - (a - q)/2 = 0 at each hyperplane."""
    a, w, X, y = (np.asarray(v, dtype=np.longdouble) for v in (a, w, X, y))
    on, t, times = X @ w > 0, np.longdouble(0), []
    while on.any():
        D = (y * on) @ X / len(y)
        delta = np.sqrt(D @ D)
        q = D @ w / delta
        s = -(X @ w) / (X @ D)
        s[(np.sign(X @ D) * np.sign(a) > 0) == on] = np.inf * np.sign(a)
        k = np.argmin(np.abs(s))
        if np.isinf(s[k]):
            break
        b = q + s[k] * delta
        z = (b + np.sign(a) * np.sqrt(b**2 + a**2 - q**2)) / (a + q)
        w, a = w + s[k] * D, (z * (a + q) + (a - q) / z) / 2
        w -= (w @ X[k]) / (X[k] @ X[k]) * X[k]
        t += np.log(z) / delta
        on[k] = not on[k]
        times.append(t)
    return np.array(times, dtype=float)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs extended precision")
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("ratio", [1.0, 1.01, 5.0])
def test_crossing_times_are_exact(ratio, sign):
    # Labels of the sign of a: every kink is convex, and neurons cross.
    rng = np.random.default_rng(4)
    X, W = rng.standard_normal((60, 4)), rng.standard_normal((10, 4))
    y, a = sign * rng.uniform(0.5, 2.0, 60), sign * ratio * np.linalg.norm(W, axis=1)
    early = early_flow((a, W), (X, y))
    for i in range(10):
        np.testing.assert_allclose(early.crossing_times(i), chain(a[i], W[i], X, y),
                                   rtol=2e-14, atol=1e-15)
    assert early.crossings.max() > 15


def on_the_plane(a):
    """A neuron that slides on the second point, antiparallel to its field (-1/2, 0)."""
    return early_flow(([a], [[0.1, 0.0]]), ([[1.0, -0.3], [0.0, 1.0]], [-1.0, -1.0]))


def test_balanced_neuron_shrinks_for_ever_on_a_ray():
    early = on_the_plane(0.1)
    assert not early.dead[0] and early.rate[0] == -0.5 and early.pattern.tolist() == [[1, 2]]
    assert early.end_direction.tolist() == [[1.0, 0.0]] and early.D.tolist() == [[-0.5, 0.0]]
    assert early.log_norms(2000.0)[0] == pytest.approx(np.log(0.1) - 1000, rel=1e-15)


@pytest.mark.parametrize("tilt", [1e-1, 1e-4, 1e-8])
def test_ray_between_points_that_are_almost_opposite(tilt):
    # The field along the ray is what a large field leaves of itself: its direction is rounding.
    for angle in np.linspace(0.1, 6.2, 20):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        w = np.array([-0.3, 1.0]) @ turn
        early = early_flow(([np.hypot(*w)], [w]), ([[1.0, 0.0], [-1.0, tilt]] @ turn, [-2.0, -1.0]))
        assert not early.dead[0] and early.pattern.tolist() == [[2, 1]]
        assert early.rate[0] == pytest.approx(-tilt / 2, rel=1e-7)
        assert np.allclose(early.end_direction[0], turn[1], rtol=0, atol=1e-15)


def test_dominated_neuron_dies_at_zero():
    early = on_the_plane(0.2)
    assert early.dead[0] and np.isnan(early.end_direction).all() and not early.D.any()
    assert early.arrival[0] == pytest.approx(2 * np.arctanh(0.5), rel=1e-14)
    late = early(50.0)
    assert not late.W.any() and not early.pattern.any()
    assert late.a[0] * np.exp(late.log_scale[0]) == pytest.approx(np.sqrt(0.03), rel=1e-14)
    assert early.events[["point", "kind"]].tolist() == [(0, "deactivate"), (1, "release")]


def test_output_weight_changes_sign_and_throws_the_neuron_off():
    early = on_the_plane(0.05)
    turn = 2 * np.arctanh(0.5)
    assert early.sign[0] == -1 and early.ambiguous == 1 and early.events["kind"][0] == "release"
    assert early.events["time"][0] == pytest.approx(turn, rel=1e-14)
    assert abs(early(turn).a[0]) < 1e-15


@pytest.mark.parametrize("a", [-0.6, -0.5, -0.1, 0.0, 0.4])
def test_one_point(a):
    # T1 and T4 with r = y: (a, q) is boosted, what is orthogonal to x stays.
    x, y, w = np.array([0.6, 0.8]), 1.5, np.array([0.5, -0.1])
    early = early_flow(([a], [w]), ([x], [y]))
    q = w @ x
    grows = a + q > 0
    for t in (0.1, 0.2) if not grows else (0.1, 0.5, 3.0, 30.0):
        model = early(t)
        size = np.exp(model.log_scale[0])
        new_a, new_q = (a * np.cosh(y * t) + q * np.sinh(y * t),
                        a * np.sinh(y * t) + q * np.cosh(y * t))
        assert model.a[0] * size == pytest.approx(new_a, rel=1e-13)
        assert np.allclose(model.W[0] * size, w + (new_q - q) * x, rtol=1e-13, atol=1e-15)
    assert early.dead[0] != grows
    if not grows:
        assert early.arrival[0] == pytest.approx(np.arctanh(-q / a) / y, rel=1e-14)
        assert early.sign[0] == -1 and early.rate[0] == 0


def test_growth_on_the_last_ray():
    problem = random_problem(5, 20, 12, 3, "generic", "unbalanced", 1.0)
    early = early_flow((problem.a, problem.W), (problem.X, problem.y))
    alive = ~early.dead
    t = early.arrival.max() + 40 / np.linalg.norm(early.D[alive], axis=1).min()
    expected = early.rate * t + early.offset
    assert np.isclose(early.log_norms(t), expected, rtol=0, atol=1e-9).all()
    assert np.isclose(early.log_outputs(t)[alive], expected[alive], rtol=0, atol=1e-9).all()
    assert np.abs(early.directions(t) - early.end_direction)[alive].max() < 1e-12
    assert (early(t).a[alive] * early.sign[alive] > 0).all()


def ends(seed):
    """Data and end points of many neurons; dimension and labels vary with the seed."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 25)), int(rng.integers(1, 6))
    data = gflow.Data(rng.standard_normal((n, d)), rng.standard_normal(n))
    model = balanced(60, d, 1.0, rng=seed)
    early = early_flow(model, data)
    assert early.settled.all() and early.ambiguous == 0
    live = np.flatnonzero(~early.dead)
    # One neuron of each kind of end.
    codes = np.column_stack([early.pattern, early.sign])[live]
    return data, early, live[np.unique(codes, axis=0, return_index=True)[1]]


@pytest.mark.parametrize("seed", range(40))
def test_ends_are_attractors(seed):
    # Independent of the kernels: at each end the field of least norm, by another solver, is
    # parallel to w, with multipliers inside (0, 1), on concave kinks only.
    data, early, some = ends(seed)
    for i in some:
        u, sign = early.end_direction[i], early.sign[i]
        z = data.X @ u
        Z = np.abs(z) <= 1e-9 * np.linalg.norm(data.X, axis=1)
        assert (early.pattern[i] == np.where(Z, 2, z > 0)).all()
        pull = data.y[:, None] * data.X / data.n
        D = pull[(z > 0) & ~Z].sum(axis=0)
        if Z.any():
            box = lsq_linear(pull[Z].T, -D, (0, 1), method="bvls", tol=1e-14)
            assert (box.x > 0).all() and (box.x < 1).all()
            D = D + box.x @ pull[Z]
        assert np.allclose(D, early.D[i], rtol=0, atol=1e-13)
        assert np.allclose(D, (D @ u) * u, rtol=0, atol=1e-13) and (sign * data.y[Z] < 0).all()
        if sign * (D @ u) < 0:
            # NumPy 1 knows no rank of an empty array.
            rank = np.linalg.matrix_rank(data.X[Z]) if Z.any() else 0
            assert rank == data.d - 1


@pytest.mark.parametrize("seed", range(40))
def test_ends_are_extremal_vectors_of_the_right_kind(seed):
    pytest.importorskip("gflow.theory.extremal")
    data, early, some = ends(seed)
    listed = gflow.theory.extremal_vectors(data)
    assert listed.complete
    for i in some:
        same = (np.sign(listed.D @ early.D[i]) > 0) & (listed.pattern == early.pattern[i]).all(1)
        same &= listed.orientation == np.sign(early.D[i] @ early.end_direction[i])
        (k,) = np.flatnonzero(same)
        assert np.allclose(listed.D[k], early.D[i], rtol=0, atol=1e-13)
        # In dimension 1 the sphere is two points: both are maxima and minima.
        assert data.d == 1 or listed.kind[k] == ("max" if early.sign[i] > 0 else "min")


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 5.0])
def test_ten_thousand_neurons(noise):
    data = gflow.datasets.linear_teacher(1000, 5, noise=noise, rng=3)
    early = early_flow(balanced(10_000, 5, 1e-3, rng=3), data)
    assert early.settled.all() and early.ambiguous == 0 and early.crossings.sum() > 3_000_000
    alive = np.flatnonzero(~early.dead)
    some = alive[np.unique(early.pattern[alive], axis=0, return_index=True)[1]]
    pull = data.y[:, None] * data.X / data.n
    for i in some:
        on, slides = early.pattern[i] == 1, early.pattern[i] == 2
        z = data.X @ early.end_direction[i]
        assert z[~slides].all() and (on == (z > 0))[~slides].all()
        D = pull[on].sum(axis=0)
        if slides.any():
            D += lsq_linear(pull[slides].T, -D, (0, 1), method="bvls", tol=1e-15).x @ pull[slides]
        np.testing.assert_allclose(early.D[i], D, rtol=0, atol=1e-13)


LAMBDAS = np.array([1e-4, 1e-6, 1e-8])


def slope(values):
    return np.polyfit(np.log(LAMBDAS), np.log(values), 1)[0]


def scaled(model, lam):
    return gflow.TwoLayerReLU(lam * model.a, lam * model.W)


def test_crossing_times_of_small_starts_have_errors_of_second_order():
    data = gflow.datasets.linear_teacher(12, 3, rng=2)
    model = balanced(6, 3, 3.0, rng=2)
    early = early_flow(model, data)
    order = ["neuron", "point", "time"]
    exact = np.sort(early.events, order=order)
    errors = []
    for lam in LAMBDAS:
        flow = gflow.integrate(scaled(model, lam), data, early.arrival.max() + 0.01,
                               method="waveform", rtol=3e-14)
        events = np.sort(flow.events, order=order)
        assert (events["point"] == exact["point"]).all()
        errors.append(np.abs(events["time"] - exact["time"]).max())
    assert slope(errors) == pytest.approx(2, rel=0.02)


def test_misalignment_of_small_starts():
    # At tau = eps ln(1/lambda) / Dmax: |D| - <D, w/a> of slope 2 eps |D| / Dmax.
    data = gflow.datasets.linear_teacher(12, 3, rng=2)
    model = balanced(12, 3, 1.0, rng=5)
    early = early_flow(model, data)
    norms, eps = np.linalg.norm(early.D, axis=1), 0.3
    ready = early.arrival < 0.5 * eps * np.log(1 / LAMBDAS[0]) / norms.max()
    off = []
    for lam in LAMBDAS:
        tau = eps * np.log(1 / lam) / norms.max()
        flow = gflow.integrate(scaled(model, lam), data, tau, rtol=1e-12, method="waveform")
        cosine = (flow.directions[-1] - early.end_direction) / np.sqrt(2)
        off.append(norms * (cosine**2).sum(axis=1))
        close = (early.directions(tau) - early.end_direction) / np.sqrt(2)
        assert np.allclose(off[-1][ready], (norms * (close**2).sum(axis=1))[ready], rtol=0.02)
    assert ready.sum() >= 3 and np.ptp(norms[ready]) > 0
    for i in np.flatnonzero(ready):
        expected = 2 * eps * norms[i] / norms.max()
        assert slope(np.array(off)[:, i]) == pytest.approx(expected, rel=0.02)


def test_bundles_of_small_starts():
    # (1 - cos) |a_i a_j| of two neurons stays once they share a pattern, so that the early flow
    # knows the angles at the end of training: they are of first order.
    data = gflow.datasets.three_points()
    model = balanced(16, 2, 1.0, rng=3)
    early = early_flow(model, data)
    live = np.flatnonzero(~early.dead)
    angles = []
    for lam in LAMBDAS:
        flow = gflow.integrate(scaled(model, lam), data, 60.0, rtol=1e-12, method="waveform")
        ends = flow.model
        u = flow.directions[-1, live]
        angles.append(np.linalg.norm(u[:, None] - u[None], axis=-1).max())
        settled = early(early.arrival.max() + 1.0)
        W, a = (settled.W * np.exp(settled.log_scale)[:, None])[live], \
            (settled.a * np.exp(settled.log_scale))[live]
        kept = lam**2 * (np.outer(a, a) - W @ W.T) / np.outer(ends.a[live], ends.a[live])
        assert angles[-1] == pytest.approx(np.sqrt(2 * kept.max()), rel=0.01)
    assert live.size > 2 and slope(angles) == pytest.approx(1, rel=0.02)


def test_scale_threads_and_order_do_not_matter():
    data = gflow.datasets.linear_teacher(40, 3, rng=1)
    model = balanced(600, 3, 1.0, rng=1)
    early, alone = early_flow(model, data), early_flow(model, data, threads=1)
    assert (early.D == alone.D).all() and (early.events == alone.events).all()
    small = early_flow(gflow.TwoLayerReLU(2.0**-900 * model.a, 2.0**-900 * model.W, -1e5), data)
    assert (small.D == early.D).all() and (small.arrival == early.arrival).all()
    assert np.allclose(small.offset - early.offset, -1e5 - 900 * np.log(2), rtol=1e-12)
    back = early_flow((model.a[::-1], model.W[::-1]), data)
    assert (back.D[::-1] == early.D).all()


def test_nothing_to_follow():
    early = early_flow(([1.0, 0.0], [[0.0, 0.0], [1.0, 1.0]]), ([[0.0, 0.0]], [1.0]))
    assert early.dead.all() and early.events.size == 0 and not early.pattern.any()
    assert (early(3.0).W == [[0, 0], [1, 1]]).all() or early(3.0).log_scale.any()
    assert np.isneginf(early.log_norms(1.0)[0]) and np.isneginf(early.log_outputs(1.0)[1])


def test_bad_input():
    model, data = balanced(3, 2, 1.0), gflow.datasets.three_points()
    for loss in (np.array([1.0, 2.0]), None, ["square"]):
        with pytest.raises(TypeError, match="^loss is an? .* without value and pull"):
            early_flow(([0.1], [[0.1]]), ([[1.0]], [1.0]), loss=loss)
    with pytest.raises(ValueError, match="^X has 2 columns but W has 3"):
        early_flow(balanced(3, 3, 1.0), data)
    early = early_flow(model, data)
    with pytest.raises(ValueError, match="^t = -1 is negative"):
        early.directions([-1.0, 2.0])
    with pytest.raises(ValueError, match="^t has NaN"):
        early.log_norms(np.nan)
    with pytest.raises(ValueError, match="^labels times points reach 1e400"):
        early_flow(model, (1e200 * data.X, 1e200 * data.y))
    with pytest.raises(ValueError, match="^neuron = 3"):
        early.crossing_times(3)
    with pytest.raises(ValueError, match="one time"):
        early([0.0, 1.0])


@pytest.mark.parametrize("neuron", ["x", 0.5, [0], None, True, 2, -1, 10**400])
def test_crossing_times_of_no_neuron(neuron):
    model = ([1.0, 0.5], [[1.0, 0.2], [0.3, -0.4]])
    early = early_flow(model, ([[1.0, 0.5], [-0.5, 1.0]], [1.0, -1.0]))
    with pytest.raises((TypeError, ValueError), match="^neuron .*0 to 1$"):
        early.crossing_times(neuron)
    assert np.array_equal(early.crossing_times(np.int64(1)), early.crossing_times(1))
