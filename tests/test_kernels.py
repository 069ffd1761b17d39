"""The compiled kernels against plain NumPy and SciPy."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.polynomial import chebyshev
from scipy.optimize import lsq_linear

from gflow.problem.data import Data
from gflow.kernels import field
from gflow.kernels.crossings import crossings, multiplier_errors, multipliers, tighten_all
from gflow.kernels.algebra import lower_root
from gflow.kernels.settling import settle
from gflow.kernels.filippov import box_least_squares, box_least_squares_from, choose_sides
from gflow.kernels.algebra import orthonormal_rows
from gflow.kernels.neurons import BALANCED, normalise, restore
from gflow.kernels.slides import margins_beside
from gflow.kernels.roots import first_exit
from gflow.kernels.chebyshev import halves, nodes, restrict, to_series

SHAPES = list(itertools.product(range(1, 5), repeat=3))
SEEDS = st.integers(0, 2**32 - 1)
SLACK = 1e-14
TOL = 1e-13


def frozen(seed, n, m, d):
    """A random state and pattern; about a third of the neurons slide, on random subspaces."""
    rng = np.random.default_rng(seed)
    slider = np.flatnonzero(rng.random(m) < 0.4)
    rank = rng.integers(1, d + 1, slider.size)
    basis = np.zeros((slider.size, d, d))
    for j in range(slider.size):
        basis[j, :rank[j]] = np.linalg.qr(rng.standard_normal((d, d)))[0][:rank[j]]
    on = (rng.random((m, n)) < 0.6).astype(float)
    return (rng.standard_normal(m * (d + 1)), m, on, rng.standard_normal((n, d)),
            rng.standard_normal(n), slider, rank, basis)


def plain_velocity(state, m, on, X, y, slider, rank, basis):
    n, d = X.shape
    a, W = state[:m], state[m:].reshape(m, d)
    r = np.array([y[k] - sum(on[i, k] * a[i] * (W[i] @ X[k]) for i in range(m)) for k in range(n)])
    D = np.array([sum(on[i, k] * r[k] * X[k] for k in range(n)) / n for i in range(m)])
    for j, i in enumerate(slider):
        Q = basis[j, :rank[j]]
        D[i] = D[i] - Q.T @ Q @ D[i]
    return r, D, np.concatenate([(W * D).sum(axis=1), (a[:, None] * D).ravel()])


def test_field_is_the_formula():
    for seed, shape in itertools.product(range(3), SHAPES):
        state, m, on, X, y, slider, rank, basis = args = frozen(seed, *shape)
        r, D, velocity = plain_velocity(*args)
        a, W = state[:m], state[m:].reshape(m, -1)
        np.testing.assert_allclose(field.residual(a, W, on, X, y), r, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(field.fields(r, on, X, slider, rank, basis), D,
                                   rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(field.velocity(*args), velocity, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_jacobian_is_the_derivative(seed):
    for shape in SHAPES:
        state, *rest = frozen(seed, *shape)

        def along(e, h):
            return (field.velocity(state + h * e, *rest)
                    - field.velocity(state - h * e, *rest)) / (2 * h)

        # The field is cubic in the state, so this five-point formula is exact at any step.
        expected = np.array([(4 * along(e, 0.5) - along(e, 1.0)) / 3 for e in np.eye(state.size)])
        np.testing.assert_allclose(field.jacobian(state, *rest), expected.T, rtol=1e-11, atol=1e-11)


def spanning(rng, s, d):
    """Rows of unit length; often dependent, and sometimes repeated."""
    V = rng.standard_normal((s, d))
    if rng.random() < 0.4:
        V[:, -1] = 0 if d > 1 else V[:, -1]
    if s > 1 and rng.random() < 0.3:
        V[-1] = V[0]
    return V / np.linalg.norm(V, axis=1, keepdims=True)


@given(SEEDS, st.integers(1, 6), st.integers(1, 4))
def test_box_least_squares_is_lsq_linear(seed, s, d):
    rng = np.random.default_rng(seed)
    V, D, J = spanning(rng, s, d), rng.standard_normal(d), rng.standard_normal(s)
    side, best = box_least_squares(D, V, J, SLACK)
    answer = lsq_linear((J[:, None] * V).T, -D, (0, 1), method="bvls", tol=1e-15)
    np.testing.assert_allclose(best, D + (answer.x * J) @ V, atol=1e-12)
    # The sides alone give the minimiser: bound multipliers at their bounds, free ones projected.
    rest = D + (J * (side == 1)) @ V
    basis, _ = orthonormal_rows(V[side == 0])
    np.testing.assert_allclose(best, rest - basis.T @ (basis @ rest), atol=1e-12)


@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_box_least_squares_is_the_same_from_wherever_it_begins(seed, s, d):
    rng = np.random.default_rng(seed)
    V, D, J = spanning(rng, s, d), rng.standard_normal(d), rng.standard_normal(s)
    expected, element = box_least_squares(D, V, J, SLACK)
    side = rng.integers(-1, 2, s).astype(np.int8)
    np.testing.assert_allclose(box_least_squares_from(side, D, V, J, SLACK), element, atol=1e-12)
    if np.linalg.matrix_rank(V) == s:
        np.testing.assert_array_equal(side, expected)


def stands(sign, D, V, J, side):
    """Whether the sides are Filippov's: KKT of the concave kinks, consistency of the convex."""
    free = side == 0
    rest = D + (J * (side == 1)) @ V
    mu, _, rank, _ = np.linalg.lstsq(V[free].T, -rest, rcond=None)
    best = rest + mu @ V[free]
    eta = mu / J[free]
    ok = rank == free.sum() and (sign * J[free] < 0).all() and ((0 < eta) & (eta < 1)).all()
    # Away from a convex kink the neuron moves to its side; towards a concave one it is pushed.
    return ok and (side * sign * (V @ best) >= -1e-12)[~free].all(), best


@given(SEEDS, st.integers(1, 4), st.integers(1, 4), st.sampled_from([-1.0, 1.0]))
def test_choose_sides_takes_the_fewest_active_of_all_that_stand(seed, s, d, sign):
    rng = np.random.default_rng(seed)
    V, D, J = spanning(rng, s, d), rng.standard_normal(d), rng.standard_normal(s)
    below, above = rng.integers(0, 3, (2, s))
    none = np.full(s, -1, dtype=np.int8)
    side, choices, other = choose_sides(sign, D, V, J, below, above, 1.0, none)
    assert stands(sign, D, V, J, side)[0]
    if np.linalg.matrix_rank(V) == s:
        standing = [(np.array(c), stands(sign, D, V, J, np.array(c)))
                    for c in itertools.product((-1, 0, 1), repeat=s)]
        standing = [c for c, (ok, _) in standing if ok]
        active = [above[c == 1].sum() + below[c == -1].sum() for c in standing]
        assert choices == len(standing)
        assert above[side == 1].sum() + below[side == -1].sum() == min(active)
        assert stands(sign, D, V, J, other)[0] and (choices > 1) == (other != side).any()


def series_of(roots, scale=1.0):
    """Chebyshev series of ``scale`` times the product of ``s - root``."""
    return scale * chebyshev.chebfromroots(roots)


def exit_of(series, tol=TOL, until=1.0):
    series = np.atleast_1d(np.asarray(series, dtype=float))
    return first_exit(series, halves(series.size - 1), tol, until)


@given(SEEDS, st.integers(1, 12))
def test_first_exit_is_the_first_odd_root(seed, degree):
    rng = np.random.default_rng(seed)
    series = rng.standard_normal(degree + 1) / (1 + np.arange(degree + 1))
    series *= np.sign(chebyshev.chebval(-1.0, series))
    real = chebyshev.chebroots(series)
    real = np.sort(real[np.abs(real.imag) < 1e-7].real)
    inside = real[(real > -1) & (real < 1)]
    found = exit_of(series)
    if found <= 1:
        assert abs(chebyshev.chebval(found, series)) < 1e-12
        assert np.abs(inside - found).min() < 1e-6
    # No grid point before is below, and the next few after are.
    grid = np.linspace(-1, 1, 4001)
    values = chebyshev.chebval(grid, series)
    assert (values[grid < found] > -1e-12).all()
    assert found <= 1 or (values > -1e-12).all()
    for until in (-0.5, 0.0):
        early = exit_of(series, until=until)
        assert early == found if found <= until else early > until


@pytest.mark.parametrize("gap", [0.3, 1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("degree", [2, 7, 12])
def test_first_exit_sees_out_and_back(gap, degree):
    # Both ends are positive: only the bends tell.
    others = np.linspace(2, 3, degree - 2)
    s = exit_of(series_of([0.3, 0.3 + gap, *others], (-1.0) ** degree), tol=gap**2 / 100)
    assert abs(s - 0.3) < gap / 30
    assert exit_of(series_of([0.3, 0.3 + gap, *others], (-1.0) ** degree), tol=1e3 * gap**2) == 2


@pytest.mark.parametrize("series, expected", [
    (series_of([0.3, 0.3]), 2),                         # touches
    (series_of([0.3, 0.3, -0.2, -0.2]), 2),             # touches twice
    (series_of([0.3, 0.3, 0.6], -1), 0.6),              # touches, leaves later
    (series_of([0.25, 0.25, 0.25], -1), 0.25),          # leaves with an inflection
    (series_of([-1.0, 0.5], -1), 0.5),                  # starts at zero, inwards
    (series_of([-1.0]), 2),
    (series_of([-1.0], -1), -1),                        # starts at zero, outwards
    (series_of([-1.0, -1.0], -1), -1),                  # ... tangentially
    (series_of([1.0], -1), 2),                          # is zero at the end only
    ([0.5 * TOL], 2), ([0.0], 2), ([-2 * TOL], -1),     # constants
    ([1.0], 2), ([-1.0], -1),
])
def test_first_exit_at_special_points(series, expected):
    # A root within the band is known to the band: its third root where the slope is zero too.
    assert exit_of(series) == pytest.approx(expected, abs=2e-4 if expected == 0.25 else 1e-6)


def test_first_exit_from_within_the_band_is_where_the_band_ends():
    # Up to 1e-4 the polynomial is on the surface; the root at -0.99999 means nothing.
    series = series_of([-0.99999], -1.0)
    assert exit_of(series, tol=1e-4) == pytest.approx(-0.99989, abs=1e-12)
    assert exit_of(series, tol=1e-6) == pytest.approx(-0.99999, abs=1e-12)


@given(SEEDS, st.integers(0, 12), st.floats(-0.9, 1.0))
def test_series_are_cut_exactly(seed, degree, end):
    series = np.random.default_rng(seed).standard_normal(degree + 1)
    s = np.linspace(-1, 1, 7)
    values = chebyshev.chebval(nodes(degree), series)
    np.testing.assert_allclose(to_series(degree) @ values, series, atol=1e-12)
    left, right = halves(degree) @ series
    np.testing.assert_allclose(chebyshev.chebval(s, left),
                               chebyshev.chebval((s - 1) / 2, series), atol=1e-11)
    np.testing.assert_allclose(chebyshev.chebval(s, right),
                               chebyshev.chebval((s + 1) / 2, series), atol=1e-11)
    inside = (s + 1) * (end + 1) / 2 - 1
    np.testing.assert_allclose(chebyshev.chebval(s, restrict(degree, end) @ series),
                               chebyshev.chebval(inside, series), atol=1e-11)


@given(SEEDS, st.integers(1, 6), st.integers(1, 4))
def test_orthonormal_rows(seed, s, d):
    V = spanning(np.random.default_rng(seed), s, d)
    basis, rank = orthonormal_rows(V)
    assert basis.shape == (rank, d) and rank == np.linalg.matrix_rank(V)
    np.testing.assert_allclose(basis @ basis.T, np.eye(rank), atol=1e-14)
    np.testing.assert_allclose(V @ basis.T @ basis, V, atol=1e-12)


@given(SEEDS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 5),
       st.sampled_from([1.0, 1e-300]))
@example(0, 2, 2, 3, 1e-300)
def test_crossings_are_the_first_exits(seed, m, d, C, scale):
    rng = np.random.default_rng(seed)
    degree = 5
    series = scale * rng.standard_normal((degree + 1, m, d)) / (1 + np.arange(6.0))[:, None, None]
    normal = spanning(rng, C, d)
    z = np.einsum("jic,hc->jih", series, normal) / scale
    side = np.where(chebyshev.chebval(-1.0, z) > 0, 1, -1).astype(np.int8)
    side[rng.random(side.shape) < 0.2] = 0
    who, what, when = crossings(series, side, np.zeros((m, C), bool), np.full(m, TOL), normal,
                                halves(degree), 1e-9)
    exits = {(i, h): exit_of(side[i, h] * z[:, i, h]) for i in range(m) for h in range(C)
             if side[i, h]}
    first = min(exits.values(), default=2.0)
    expected = {pair for pair, s in exits.items() if s <= min(1.0, first + 1e-9)}
    assert set(zip(who, what)) == expected
    np.testing.assert_allclose(when, first, atol=2e-9)


def test_neurons_have_left_hyperplanes_that_errors_cannot_take_them_to():
    """By more than the band, or, on a slide, by more than what the band moves along it."""
    near = np.array([1e-9, 0.0, 1.0]) / np.hypot(1e-9, 1.0)
    normal = np.array([[0.0, 0.0, 1.0], near, [0.0, 1.0, 0.0]])
    W = np.array([[0.8, 0.6, 0.0]] * 3 + [[1.0, 1e-9, 0.0]])
    side = np.array([[0, 1, 1], [1, 1, 1], [0, 1, 1], [0, 1, 1]], dtype=np.int8)
    loose = np.array([[False, True, True], [False, True, False], [False, False, True],
                      [False, True, True]])
    W[1, 2] = 1e-9
    tighten_all(W, side, loose, normal, 1e-6)
    assert loose.tolist() == [[False, False, False], [False, True, False], [False] * 3,
                              [False, False, True]]


def test_crossings_forgive_a_loose_pair_up_to_the_band():
    # w = (1, s - 1e-7): 1e-7 below the first axis it has just left, so not a new contact.
    series = np.array([[[1.0, -1e-7]], [[0.0, 1e-8]]])
    args = (series, np.array([[1]], np.int8))
    rest = (np.array([1e-6]), np.array([[0.0, 1.0]]), halves(1), 1e-9)
    assert crossings(*args, np.array([[False]]), *rest)[2].tolist() == [-1.0]
    assert crossings(*args, np.array([[True]]), *rest)[2].size == 0


def test_a_loose_pair_that_leaves_and_comes_back_does_so_at_the_root():
    # z = (1 + s) (1/2 - s) / 8 goes from 0 far beyond the band, and is 0 again at s = 1/2.
    z = chebyshev.poly2cheb([1 / 16, -1 / 16, -1 / 8])
    series = np.stack([[[1.0, z[0]]], [[0.0, z[1]]], [[0.0, z[2]]]])
    *_, when = crossings(series, np.array([[1]], np.int8), np.array([[True]]), np.array([1e-4]),
                         np.array([[0.0, 1.0]]), halves(2), 1e-9)
    np.testing.assert_allclose(when, [0.5], atol=1e-12)


@given(SEEDS, st.integers(1, 3), st.sampled_from([-1.0, 1.0]))
def test_multipliers_solve_the_normal_equations(seed, s, sign):
    rng = np.random.default_rng(seed)
    d, n = 3, 8
    X = rng.standard_normal((n, d))
    X[6] = -0.5 * X[0]                                  # shares the first hyperplane
    X[7] = 0.0
    A = Data(X, np.zeros(n)).arrangement
    side = rng.choice([-1, 1], (1, A.normal.shape[0])).astype(np.int8)
    sliding = np.arange(s)
    side[0, :s] = 0
    V = A.normal[:s]
    r = rng.standard_normal((4, n))
    below, above = multipliers(r, 0, sign, side, X, A.label, A.length, sliding,
                               np.linalg.pinv(V @ V.T) @ V)
    for j in range(4):
        on = [k for k in range(7) if side[0, A.label[k]] * A.length[k] > 0]
        D = r[j, on] @ X[on] / n
        lam = np.linalg.lstsq(V.T, -D, rcond=None)[0]
        pull = r[j] * A.length / n
        minus = np.array([pull[(A.label == c) & (A.length < 0)].sum() for c in range(s)])
        plus = np.array([pull[(A.label == c) & (A.length > 0)].sum() for c in range(s)])
        np.testing.assert_allclose(below[j], sign * (minus - lam), atol=1e-11)
        np.testing.assert_allclose(above[j], sign * (lam - plus), atol=1e-11)


@given(SEEDS, st.integers(1, 4), st.sampled_from([-1, 1]))
def test_margins_beside_a_hyperplane_are_those_of_a_slide_on_it(seed, s, now):
    # On s hyperplanes in three dimensions: it slides on the others, and not on the last. Four are
    # dependent.
    rng = np.random.default_rng(seed)
    d, n = 3, 9
    X, p, error = rng.standard_normal((n, d)), rng.standard_normal((5, n)), rng.random(n)
    A = Data(X, np.zeros(n)).arrangement
    side = rng.choice([-1, 1], (2, n)).astype(np.int8)
    on = rng.choice(n, s, replace=False)
    side[1, on] = 0
    side[1, on[-1]] = now
    own, across, wrong = margins_beside(p, error, side, np.array([0, on[-1]]), np.ones(2), A.normal,
                                        X, A.label, A.length)
    assert np.isfinite(wrong[0]) and np.isfinite(wrong[1]) == (s <= d)
    if s <= d:
        V = A.normal[np.sort(on)]
        slid = side.copy()
        slid[1, on[-1]] = 0
        around = (1, 1.0, slid, X, A.label, A.length, np.sort(on), np.linalg.pinv(V @ V.T) @ V)
        j = int(np.searchsorted(np.sort(on), on[-1]))
        below, above = multipliers(p, *around)
        pair = (above, below) if now > 0 else (below, above)
        size = np.abs(np.linalg.pinv(V)).max() * 1e-9
        np.testing.assert_allclose(own[1], pair[0][:, j], atol=size)
        np.testing.assert_allclose(across[1], pair[1][:, j], atol=size)
        assert wrong[1] == pytest.approx(multiplier_errors(error, 1, *around[2:])[j], rel=1e-6)


def test_planes_almost_in_line_do_not_move_a_neuron_far():
    # A slider on the first plane meets the second, which almost coincides, and goes through it: it
    # stays on the first, but 1e-4 from where the two intersect.
    angle = 1e-4
    normal = np.array([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
    u = np.array([1.0, 0.0, angle, 1.0])
    field, side = np.array([[0.5, 1.0, 0.0]]), np.array([0, -1], dtype=np.int8)
    plus, minus = np.array([[-1.0], [1e-9]]), np.array([[0.0], [1e-9]])
    new = np.empty(2, dtype=np.int8)
    _, solutions = settle(u, 0.0, 2, np.array([0, 1]), field, side, normal, np.zeros(2, np.int64),
                          np.ones(2, np.int64), plus, minus, 1.0, 0.0, new, np.empty(3),
                          np.empty(3), np.empty(2))
    assert new.tolist() == [0, 1] and solutions == 1
    assert abs(normal[0] @ u[1:]) < 1e-15
    np.testing.assert_allclose(u[1:], [0.0, angle, 1.0], atol=10 * angle**2)


@pytest.mark.parametrize("m, d", list(itertools.product((1, 2, 5), (1, 2, 3, 6))))
def test_restore_puts_neurons_on_their_invariant(m, d):
    rng = np.random.default_rng(100 * m + d)
    a, W = rng.standard_normal(m), rng.standard_normal((m, d))
    sign = rng.integers(-1, 2, m).astype(float)
    # Every other neuron is so small that its squares are zero.
    scale = np.where(np.arange(m) % 2, 1e-200, 1.0)
    a, W = a * scale, W * scale[:, None]
    offset = np.where(sign == 0, 0.0, rng.random(m) * scale)
    before = a.copy(), W.copy()
    off = restore(a, W, sign, offset)
    np.testing.assert_allclose((a / scale)**2 - ((W / scale[:, None])**2).sum(axis=1),
                               sign * (offset / scale)**2, atol=1e-14)
    assert (np.sign(a) == np.sign(before[0])).all()
    # Only one of the two has changed, by what it says; a second call changes nothing.
    outer = sign >= 0
    assert (W[outer] == before[1][outer]).all() and (a[~outer] == before[0][~outer]).all()
    change = np.hypot(a - before[0], np.linalg.norm((W - before[1]) / scale[:, None], axis=1)
                      * scale) / np.hypot(before[0], np.linalg.norm(before[1] / scale[:, None],
                                                                    axis=1) * scale)
    assert off == pytest.approx(change.max(), rel=1e-12)
    again = a.copy(), W.copy()
    assert restore(a, W, sign, offset) < BALANCED
    assert (a == again[0]).all() and (W == again[1]).all()
    assert np.isnan(restore(np.array([np.nan, 1.0]), np.ones((2, d)), np.zeros(2), np.zeros(2)))


@pytest.mark.parametrize("e", [2, 3, 7])
def test_normalise_keeps_neurons(e):
    U = np.random.default_rng(e).standard_normal((9, e)) * 10.0 ** np.arange(-280, 260, 60)[:, None]
    U[4] = 0.0
    power = np.arange(9)
    V, units = U.copy(), power.copy()
    normalise(V, units)
    size = np.delete(np.abs(V).max(axis=1), 4)
    assert (size >= 0.5).all() and (size < 1.0).all() and not V[4].any()
    assert (np.ldexp(V, (units - power)[:, None]) == U).all()


@pytest.mark.parametrize("d, rank", [(d, rank) for d in range(1, 7) for rank in range(d + 1)])
def test_lower_root(d, rank):
    root = np.random.default_rng(d).standard_normal((d, rank))
    K = root @ root.T
    L = K.copy()
    lower_root(L)
    np.testing.assert_allclose(np.tril(L) @ np.tril(L).T, K, atol=1e-6 * max(1.0, np.trace(K)))
