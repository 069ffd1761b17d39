"""The invariant of pairs of neurons that share a pattern, and its place in the certificate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gflow
from gflow.theory import exact, local_lorentz
from problems import problems, random_problem, solve

METHODS = ("DOP853", "waveform")


def meetings(flow):
    """Every pair and interval (i, j, start, end), from patterns in the middle between events."""
    edges = np.unique([0.0, *flow.events["time"], flow.t_end])
    patterns = [flow.pattern(t) for t in (edges[1:] + edges[:-1]) / 2]
    changes = {i: set(flow.events["time"][flow.events["neuron"] == i]) for i in range(flow.path.m)}
    found = []
    for i in range(flow.path.m):
        for j in range(i):
            start = None
            for t0, t1, codes in zip(edges, edges[1:], patterns):
                if start is not None and t0 in changes[i] | changes[j]:
                    found.append((j, i, start, t0))
                    start = None
                if start is None and codes[i].any() and (codes[i] == codes[j]).all():
                    start = t0
            if start is not None:
                found.append((j, i, start, flow.t_end))
    return sorted(found)


@given(problem=problems(), method=st.sampled_from(METHODS))
@settings(max_examples=settings().max_examples * 2)
def test_all_pairs_conserve_it(problem, method):
    flow = solve(problem, method=method)
    check = local_lorentz(flow, most=10**6)
    assert check.complete and check.drift.shape == (len(check.pairs),)
    assert check.largest <= 1000 * flow.settings["rtol"]
    assert flow.certificate().lorentz <= flow.certificate().tolerance
    got = sorted((*sorted(pair), *ends) for pair, ends in zip(check.pairs.tolist(),
                                                              check.intervals.tolist()))
    assert got == meetings(flow)


def test_drift_is_that_of_the_weights():
    flow = solve(random_problem(2, 4, 10, 2, "generic", "balanced", 0.1), rtol=1e-4)
    check = local_lorentz(flow)
    assert len(check.pairs) > 10
    for (i, j), (t0, t1), drift in zip(check.pairs, check.intervals, check.drift):
        path = flow([t0, (t0 + t1) / 2, t1])
        q = path.a[:, i] * path.a[:, j] - (path.W[:, i] * path.W[:, j]).sum(axis=1)
        size = np.sqrt(path.a**2 + (path.W**2).sum(axis=2)).max(axis=0)
        assert drift == pytest.approx(np.abs(q - q[0]).max() / (size[i] * size[j]), abs=1e-15)
    i, j = check.pairs[check.worst]
    assert check.drift[check.worst] == check.largest > 0 and f"{i} and {j}" in repr(check)


def test_sample_of_many_pairs():
    data = gflow.datasets.linear_teacher(20, 3, rng=0)
    flow = gflow.integrate(gflow.init.balanced(40, 3, 1e-2), data, 20.0)
    whole, part = local_lorentz(flow, most=10**6), local_lorentz(flow, most=50)
    assert whole.complete and len(whole.pairs) > 200
    assert not part.complete and len(part.pairs) == 50 and "a sample" in repr(part)
    everything = {(*p, *t) for p, t in zip(whole.pairs.tolist(), whole.intervals.tolist())}
    chosen = {(*p, *t) for p, t in zip(part.pairs.tolist(), part.intervals.tolist())}
    assert len(chosen) == 50 and chosen <= everything
    assert local_lorentz(flow, most=len(whole.pairs)).complete


@pytest.mark.parametrize("method", METHODS)
def test_neurons_that_slide_together(method):
    case = exact.released(slide_a=[0.05, 0.2, 0.1], slide_p=[0.05, 0.1, 0.3])
    flow = gflow.integrate(case.model, case.data, 2 * case.until, rtol=1e-11, method=method)
    check = local_lorentz(flow)
    sliding = np.abs(check.intervals[:, 1] - case.until) < 1e-7 * case.until
    assert sliding.sum() == 3 and check.largest < 1e-9
    assert {tuple(sorted(p)) for p in check.pairs[sliding].tolist()} == {(0, 1), (0, 2), (1, 2)}


def test_starts_below_the_square_root_of_double_precision():
    # Products of weights underflow; relative to the neurons they do not.
    case = exact.group_on_one_axis([1e-200, 2e-200], [1e-200, 1e-200])
    flow = gflow.integrate(case.model, case.data, 3.0, rtol=1e-9, method="DOP853")
    assert 0 < local_lorentz(flow).largest < 1e-7


def test_certificate_finds_a_neuron_that_is_turned():
    # Turned about the origin by a little more at every piece: its own invariant does not notice.
    data = gflow.Data([[1.0, 0.3], [0.4, 1.0]], [1.0, 1.2])
    flow = gflow.integrate(([0.3, 0.2], [[0.2, 0.2], [0.1, 0.15]]), data, 8.0, method="DOP853")
    assert len(flow.events) == 0 and flow.certificate().ok
    honest = flow.certificate()
    pieces, m = flow.path.pieces, flow.path.m
    for p, series in enumerate(pieces):
        angle = 3e-7 * p
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        pieces[p] = series.copy()
        pieces[p][:, m:m + 2] = series[:, m:m + 2] @ turn
    turned = flow.certificate()
    assert turned.balance.max() == pytest.approx(honest.balance.max(), rel=1e-3)
    assert turned.lorentz > 100 * honest.lorentz


def test_nothing_to_compare():
    flow = gflow.integrate(([1.0, 1.0], [[1.0], [-1.0]]), ([[1.0]], [1.0]), 1.0)
    check = local_lorentz(flow)
    assert check.largest == 0 and check.worst == -1 and check.complete and check.pairs.size == 0
    assert "0 intervals" in repr(check) and flow.certificate().lorentz == 0
    stopped = gflow.integrate(([1.0, 1.0], [[1.0], [2.0]]), ([[1.0]], [1.0]), 1.0,
                              stop=lambda state: True)
    assert local_lorentz(stopped).largest < 1e-8
    with pytest.raises(ValueError, match="most"):
        local_lorentz(flow, most=0)


def test_saved_run(tmp_path):
    data = gflow.datasets.linear_teacher(30, 3, rng=1)
    flow = gflow.integrate(gflow.init.balanced(20, 3, 1e-2), data, 20.0)
    flow.save(tmp_path / "run.npz")
    again = local_lorentz(gflow.load(tmp_path / "run.npz"))
    first = local_lorentz(flow)
    assert (again.pairs == first.pairs).all() and (again.intervals == first.intervals).all()
    np.testing.assert_allclose(again.drift, first.drift, atol=1e-14)


def test_only_runs_with_their_weights_have_invariants():
    with pytest.raises(TypeError, match="^flow is a NoneType: give a run"):
        local_lorentz(None)
    kept = gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 1.0, save=["loss"])
    with pytest.raises(ValueError, match="^this run kept only loss"):
        local_lorentz(kept)


def test_leaky_neurons_that_are_off_everywhere_move_alike():
    start = [0.5, 0.3, -0.4], [[-0.4, -0.1], [-0.2, -0.3], [-0.1, -0.5]]
    data = [[1.0, 0.3], [0.4, 1.0]], [1.0, 0.5]
    found = []
    for slope in (0.0, 0.3):
        flow = gflow.integrate(gflow.TwoLayerReLU(*start, slope=slope), data, 1.0)
        assert not flow.pattern(1.0).any() and not len(flow.events)
        found.append(local_lorentz(flow))
    still, moving = found
    assert not len(still.pairs) and sorted(moving.pairs.tolist()) == [[0, 1], [0, 2], [1, 2]]
    assert moving.complete and moving.largest < 1e-6
