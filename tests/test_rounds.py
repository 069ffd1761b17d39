"""A round of the fast engine: neurons given the residuals, alone or with their group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gflow
from gflow.engines.waveform.calm import Calm
from gflow.engines.waveform.crew import Crew
from gflow.engines.waveform.marcher import Marcher, from_unit
from gflow.engines.waveform.tangent import ALONE, integration, product, solve
from gflow.engines.waveform.guess import DEGREE
from gflow.engines.waveform.rounds import ALLOWANCE
from gflow.kernels.chebyshev import halves, nodes
from gflow.kernels.roots import first_exit, taylor_exit
from gflow.kernels.taylor import ORDER, at, expand
from newton import answer

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(1, ORDER), st.sampled_from([0.3, 0.7, 1.0]))
def test_taylor_exit_is_the_first_exit(seed, K, decay):
    rng = np.random.default_rng(seed)
    z = np.zeros(ORDER + 1)
    z[:K + 1] = rng.standard_normal(K + 1) * decay ** np.arange(K + 1)
    z[0] = abs(z[0])
    expected = first_exit(from_unit(ORDER) @ z, halves(ORDER), 1e-13, 1.0)
    found = taylor_exit(z, K, 1e-13, 1.0, from_unit(ORDER), halves(ORDER), np.empty(ORDER + 1))
    if expected > 1.0:
        assert found > 1.0
    else:
        assert abs(found - (expected + 1) / 2) < 1e-9


@given(SEEDS, st.integers(1, 5))
def test_series_of_a_constant_field_is_hyperbolic(seed, d):
    rng = np.random.default_rng(seed)
    u, D = rng.standard_normal(d + 1), rng.standard_normal((1, d))
    U, end = np.empty((ORDER + 1, d + 1)), np.empty(d + 1)
    K, x = expand(u, D, 0.3, 1e-12, U)
    at(U, K, x, end)
    size = np.linalg.norm(D)
    along = D[0] / size
    c, s = np.cosh(size * x), np.sinh(size * x)
    a, w = u[0], u[1:]
    np.testing.assert_allclose(end[0], a * c + (w @ along) * s, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(end[1:], w + along * (a * s + (w @ along) * (c - 1)), rtol=1e-10,
                               atol=1e-11)


@pytest.fixture(scope="module", params=[3.0, 30.0])
def window(request):
    """A window of a run with groups, before and after alignment: marcher, window, sides."""
    data = gflow.datasets.linear_teacher(25, 3, rng=3)
    model = gflow.init.balanced(60, 3, 1e-2, rng=4)
    flow = gflow.integrate(model, data, 40.0, method="waveform", rtol=1e-8)
    p = int(np.searchsorted(flow.path.breaks, request.param)) - 1
    return Marcher(data, 1e-8), flow.path.pieces[p], flow.path.side_at(p).copy(), data


def frame_of(window, wanted=False, alone=False):
    marcher, piece, side, _ = window
    return marcher.begin(piece, side, marcher.patterns(side), nodes(DEGREE), Crew(1), wanted, alone)


def test_outputs_are_those_of_the_states(window):
    _, piece, _, data = window
    states = frame_of(window, wanted=True)
    states.run(piece.values)
    u = np.ldexp(states.states, piece.power[:, None, None])
    expected = np.einsum("ij,ijk->jk", u[:, :, 0], np.maximum(u[:, :, 1:] @ data.X.T, 0.0))
    np.testing.assert_allclose(frame_of(window).run(piece.values), expected, rtol=1e-9, atol=1e-11)


def test_groups_change_nothing(window):
    piece = window[1]
    one, other = frame_of(window), frame_of(window, alone=True)
    one.run(piece.values)
    other.run(piece.values)
    first, second = (log[np.lexsort((log[:, 1], log[:, 2], log[:, 0]))]
                     for log in (one.log, other.log))
    assert (first[:, [0, 2, 3, 4]] == second[:, [0, 2, 3, 4]]).all()
    np.testing.assert_allclose(first[:, 1], second[:, 1], atol=1e-9)
    np.testing.assert_allclose(one.ends.U, other.ends.U, rtol=1e-8, atol=1e-10)
    assert (one.ends.side == other.ends.side).all()


def test_residuals_of_a_window_are_a_fixed_point(window):
    _, piece, _, data = window
    change = data.y - frame_of(window).run(piece.values) - piece.values
    weight = np.linalg.norm(data.X, axis=1) / data.n * (piece.t1 - piece.t0)
    assert (np.abs(change) @ weight).max() < (ALLOWANCE + 1) * 1e-8


def test_the_tangent_kernel_is_the_derivative():
    data = gflow.datasets.linear_teacher(25, 3, rng=3)
    flow = gflow.integrate(gflow.init.balanced(60, 3, 1e-2, rng=4), data, 40.0, method="waveform",
                           rtol=1e-8)
    push = 1e-6 * np.random.default_rng(0).standard_normal(data.n)
    early, late = [], []
    for p, piece in enumerate(flow.path.pieces):
        if isinstance(piece, Calm):
            continue
        side = flow.path.side_at(p).copy()
        frame = frame_of((Marcher(data, 1e-8), piece, side, data))
        base = frame.run(piece.values)
        change = frame.run(piece.values + push) - base
        tile = np.tile(push, (DEGREE + 1, 1))
        expected = answer(tile, frame.tangent(), frame.tangent_after())
        off = np.abs(change - expected).max() / np.abs(expected).max()
        (early if piece.t0 < 10 else late).append(off)
    # While neurons grow, what they gain grows with them: the kernel knows that in part only.
    assert len(early) > 5 and len(late) > 20
    # An event that the push moves is in neither, so that a few windows are worse than the others.
    assert np.median(early) < 0.25 and np.quantile(late, 0.9) < 0.05 and np.median(late) < 0.01


@pytest.mark.parametrize("p, k, q", [(1, 3, 2), (9, 50, 7), (9, 500, 401), (9, 30_000, 3)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_product_in_pieces(p, k, q, kind):
    rng = np.random.default_rng(q)
    r, A = rng.standard_normal((p, k)).astype(kind), rng.standard_normal((k, q)).astype(kind)
    found = product(r, A)
    assert found.dtype == kind and (p * k * q > ALONE) == (q in (401, 3))
    np.testing.assert_allclose(found, r @ A, atol=1e-6 * k if kind == np.float32 else 1e-12 * k)


def test_solve_undoes_the_answer(window):
    frame = frame_of(window)
    frame.run(window[1].values)
    first, last = frame.tangent(), frame.tangent_after()
    r = np.random.default_rng(1).standard_normal((DEGREE + 1, window[3].n))
    for long in (1.0, 300.0):
        one, two = (part.scaled(long * part.length) for part in (first, last))
        defect = r + answer(r, one, two)
        np.testing.assert_allclose(solve(defect, one, two), r, atol=0.05 * np.abs(defect).max())


def test_integration_is_exact_for_polynomials():
    s = nodes(DEGREE)
    for power in range(DEGREE - 2):
        np.testing.assert_allclose(integration(DEGREE) @ s**power,
                                   (s**(power + 1) - (-1.0)**(power + 1)) / (power + 1), atol=1e-13)
