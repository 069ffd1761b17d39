"""What every exact flow keeps, on random problems: invariants, identities, equivariances."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gflow import ModelPath
from problems import lattices, problems, relative_errors, solve

RTOL = 1e-10
BOUND = 1000 * RTOL


def middles(flow):
    """Times inside every piece of the dense output, where steppers put no effort of their own."""
    breaks = np.array(flow.path.breaks)
    return np.sort(np.concatenate([breaks, (breaks[1:] + 2 * breaks[:-1]) / 3]))


def losses(path, data):
    outputs = np.einsum("tmk,tm->tk", np.maximum(path.W @ data.X.T, 0), path.a)
    return ((outputs - data.y) ** 2).mean(axis=1) / 2


@given(st.one_of(problems(), lattices()))
def test_invariants_loss_and_energy(problem):
    flow = solve(problem, rtol=RTOL)
    assert flow.success
    path = flow(middles(flow))
    squares = (path.W**2).sum(axis=-1)
    drift = path.a**2 - squares - (path.a**2 - squares)[0]
    assert (np.abs(drift) <= BOUND * (path.a**2 + squares).max(axis=0)).all()
    loss = losses(path, flow.data)
    assert (np.diff(loss) <= BOUND * loss[0]).all()
    assert flow.certificate().ok and abs(flow.certificate().energy) <= BOUND


@given(problems(starts=("balanced", "dominated")))
def test_dominated_output_weights_keep_their_sign(problem):
    flow = solve(problem, rtol=RTOL)
    path = flow(middles(flow))
    assert (np.sign(path.a) == np.sign(problem.a)).all()
    assert (np.abs(path.a) >= (1 - BOUND) * np.linalg.norm(path.W, axis=-1)).all()


@given(problems(dims=3))
def test_pairs_of_one_pattern_keep_their_product(problem):
    # A group of neurons with one pattern moves by one Lorentz transformation.
    flow = solve(problem, rtol=RTOL)
    edges = np.unique([0.0, *flow.events["time"], flow.t_end])
    for t0, t1 in zip(edges, edges[1:]):
        codes = flow.pattern(t0)
        ends = flow([t0, t1])
        u = np.concatenate([ends.a[..., None], ends.W], axis=-1)
        metric = np.array([1.0, *-np.ones(u.shape[-1] - 1)])
        products = (u * metric) @ u.transpose(0, 2, 1)
        size = np.linalg.norm(u, axis=-1).max(axis=0)
        alike = (codes[:, None] == codes).all(axis=-1)
        change = np.abs(products[1] - products[0]) * alike
        assert (change <= BOUND * np.outer(size, size)).all()


@given(st.one_of(problems(), lattices()))
def test_euler_identity(problem):
    # d/dt sum a^2 = (2/n) sum r h, through kinks and slides: Gauss quadrature of both sides.
    flow = solve(problem, rtol=RTOL)
    X, y = flow.data.X, flow.data.y
    nodes, weights = np.polynomial.legendre.leggauss(16)
    total, size = 0.0, 0.0
    for t0, t1 in zip(flow.path.breaks, flow.path.breaks[1:]):
        path = flow((t0 + t1 + (t1 - t0) * nodes) / 2)
        h = np.einsum("tmk,tm->tk", np.maximum(path.W @ X.T, 0), path.a)
        total += (t1 - t0) * weights @ ((y - h) * h).mean(axis=1)
        size += (t1 - t0) * weights @ np.abs((y - h) * h).mean(axis=1)
    start, end = flow(0.0), flow.model
    reference = (start.a**2).sum() + (start.W**2).sum() + size
    for rise in ((end.a**2).sum() - (start.a**2).sum(), (end.W**2).sum() - (start.W**2).sum()):
        assert abs(rise - total) <= BOUND * reference


# Each returns the changed problem and the way back from its path to that of the first.

def permute_neurons(p, rng):
    order = rng.permutation(p.a.size)
    back = np.argsort(order)
    return (p._replace(a=p.a[order], W=p.W[order]),
            lambda flow: ModelPath(flow.a[:, back], flow.W[:, back]))


def permute_points(p, rng):
    order = rng.permutation(p.y.size)
    return p._replace(X=p.X[order], y=p.y[order]), lambda flow: flow


def rotate(p, rng):
    Q = np.linalg.qr(rng.standard_normal((p.X.shape[1],) * 2))[0]
    return (p._replace(X=p.X @ Q, W=p.W @ Q),
            lambda flow: ModelPath(flow.a, flow.W @ Q.T))


def negate(p, rng):
    return p._replace(y=-p.y, a=-p.a), lambda flow: ModelPath(-flow.a, flow.W)


def split_first(p, rng):
    c, s = np.cos(0.7), np.sin(0.7)
    a = np.concatenate([[c * p.a[0]], p.a[1:], [s * p.a[0]]])
    W = np.concatenate([[c * p.W[0]], p.W[1:], [s * p.W[0]]])

    def back(flow):
        one, two = (ModelPath(flow.a[:, [i]] / f, flow.W[:, [i]] / f) for i, f in ((0, c), (-1, s)))
        assert relative_errors(one, two).max() <= BOUND
        return ModelPath(np.concatenate([one.a, flow.a[:, 1:-1]], axis=1),
                         np.concatenate([one.W, flow.W[:, 1:-1]], axis=1))
    return p._replace(a=a, W=W), back


def duplicate(p, rng):
    return p._replace(X=np.tile(p.X, (2, 1)), y=np.tile(p.y, 2)), lambda flow: flow


def scale_labels(p, rng):
    s = np.exp(rng.uniform(-3, 3))
    return (p._replace(y=s * p.y, a=np.sqrt(s) * p.a, W=np.sqrt(s) * p.W, t_max=p.t_max / s),
            lambda flow: ModelPath(flow.a / np.sqrt(s), flow.W / np.sqrt(s)))


def scale_inputs(p, rng):
    s = np.exp(rng.uniform(-3, 3))
    return (p._replace(X=s * p.X, a=p.a / np.sqrt(s), W=p.W / np.sqrt(s), t_max=p.t_max / s),
            lambda flow: ModelPath(flow.a * np.sqrt(s), flow.W * np.sqrt(s)))


@pytest.mark.parametrize("change", [permute_neurons, permute_points, rotate, negate, split_first,
                                    duplicate, scale_labels, scale_inputs])
@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_equivariance(change, problem, seed):
    other, back = change(problem, np.random.default_rng(seed))
    t = np.linspace(0, 1, 7)
    first = solve(problem, rtol=RTOL, t_eval=problem.t_max * t)
    second = solve(other, rtol=RTOL, t_eval=other.t_max * t)
    # Where the solution is not unique rounding may choose another of them.
    assume(first.stats["ambiguous"] == 0 == second.stats["ambiguous"])
    assert relative_errors(back(second), first).max() <= BOUND


@given(problems(), st.floats(0.05, 0.95))
def test_restart_is_one_run(problem, share):
    middle = share * problem.t_max
    t = np.linspace(middle, problem.t_max, 5)
    whole = solve(problem, rtol=RTOL, t_eval=t)
    halfway = whole(middle)
    rest = solve(problem._replace(a=halfway.a, W=halfway.W, t_max=problem.t_max - middle),
                 rtol=RTOL, t_eval=np.minimum(t - middle, problem.t_max - middle))
    assume(whole.stats["ambiguous"] == 0 == rest.stats["ambiguous"])
    assert relative_errors(rest, whole, peak=True).max() <= BOUND
