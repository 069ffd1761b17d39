"""Measures of alignment on runs: fields by another solver, phases against what theory predicts."""

import copy
import pickle

import numpy as np
import pytest
from scipy.optimize import lsq_linear

import gflow
from gflow.flows.alignment import Phases, _plateaus
from gflow.init import balanced
from gflow.theory import jump_process
from problems import random_problem, solve


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
@pytest.mark.parametrize("seed, kind", [(1, "generic"), (2, "opposite"), (5, "collinear")])
def test_fields_have_least_norm(seed, kind, method):
    problem = random_problem(seed, 10, 8, 3, kind, "balanced", 0.1)
    flow = solve(problem, method=method, t_eval=np.linspace(0.0, problem.t_max, 6), rtol=1e-11)
    alignment = flow.alignment()
    sliding = 0
    for j, t in enumerate(flow.t):
        codes = flow.pattern(t)
        r = problem.y - flow(t)(problem.X)
        pull = r[:, None] * problem.X / len(r)
        for i in range(8):
            D, free = pull[codes[i] == 1].sum(axis=0), codes[i] == 2
            if free.any():
                sliding += 1
                # Points of one hyperplane share their multiplier.
                planes = flow.data.arrangement.label
                sides = flow.data.arrangement.length > 0
                low = pull[free & ~sides].sum(axis=0)
                jump = [np.where(sides[:, None], pull, -pull)[free & (planes == c)].sum(axis=0)
                        for c in np.unique(planes[free])]
                box = lsq_linear(np.array(jump).T, -(D + low), (0, 1), method="bvls", tol=1e-14)
                D = D + low + box.x @ np.array(jump)
            assert np.allclose(alignment.D[j, i], D, rtol=0, atol=1e-8)
            if np.linalg.norm(D) > 1e-3:
                cosine = D @ flow.W[j, i] / np.linalg.norm(D) / flow.norms[j, i]
                assert alignment.cosine[j, i] == pytest.approx(cosine, abs=1e-6)
        assert (alignment.dead[j] == ~codes.any(axis=1)).all()
    assert (alignment.living == 8 - alignment.dead.sum(axis=1)).all()
    assert sliding > 0 or kind != "generic"


@pytest.fixture(scope="module")
def three_points():
    data = gflow.datasets.three_points()
    return gflow.integrate(balanced(30, 2, 1e-5, rng=1), data, 80.0, method="waveform", rtol=1e-10)


def test_neurons_align_then_grow_as_one(three_points):
    alignment, phases = three_points.alignment(), three_points.alignment().phases
    early = alignment.early
    alive = ~early.dead
    # The early flow says when 95% of its survivors are within 0.1 of their directions.
    angles = [np.linalg.norm(early.directions(t)[alive] - early.end_direction[alive], axis=1)
              for t in (phases.alignment * 0.99, phases.alignment * 1.01)]
    assert [(a <= 2 * np.sin(0.05)).mean() >= 0.95 for a in angles] == [False, True]
    # Of all that L falls, 1% is lost early on the way out.
    assert 0 < phases.alignment < phases.escape < phases.convergence < 80
    fall = three_points.loss[0] - three_points.loss[-1]
    for t, left in ((phases.escape, 0.99), (phases.convergence, 0.01)):
        loss = three_points(t).loss(three_points.data)
        assert (loss - three_points.loss[-1]) / fall == pytest.approx(left, abs=1e-6)
    ((begin, end, loss),) = phases.plateaus
    assert begin == 0 and phases.alignment < end < phases.escape
    assert loss == pytest.approx(three_points.loss[0], rel=1e-2)
    # While it is small every neuron is where the early flow has it, relative to its |D|.
    j = int(np.searchsorted(three_points.t, (phases.alignment + phases.escape) / 2))
    close = alignment.cosine_extremal[j, alive]
    expected = (early.directions(three_points.t[j]) @ [-0.36132107, 0.93244147])[alive]
    assert np.allclose(close, expected, atol=1e-4) and (alignment.cosine[j, alive] > 0.99).all()
    assert np.isnan(alignment.cosine_extremal[:, early.dead]).all()
    assert alignment.living[-1] == alive.sum() and alignment.dead[-1, early.dead].all()
    groups = alignment.groups()
    assert groups.size.tolist() == [alive.sum()]
    assert (groups.label == np.where(alive, 0, -1)).all()
    final = three_points.model
    total = (final.a[alive, None] * final.W[alive]).sum(axis=0)
    np.testing.assert_allclose(groups.weight * groups.direction[0], total, rtol=1e-6)
    assert "30 neurons" in repr(alignment) and "in 1 groups" in repr(alignment)


def test_what_there_is_of_an_alignment_is_shown():
    data = ([[1.0]], [1.0])
    shown = repr(gflow.integrate(([0.5], [[0.3]]), data, 1.0, rates=(1.0, 0.0)).alignment())
    assert shown.startswith("Alignment: 1 of 1 neurons alive") and "phases       none: " in shown
    smooth = gflow.TwoLayer([0.5], [[0.3]], activation="tanh")
    shown = repr(gflow.integrate(smooth, data, 1.0).alignment())
    assert shown.startswith("Alignment: none (this is for ReLU and leaky networks")


def test_what_an_alignment_has_not():
    data = ([[1.0, 0.3], [0.4, 1.0]], [1.0, 0.5])
    start = gflow.TwoLayer([0.5], [[0.3, 0.1]], activation="tanh")
    smooth = gflow.integrate(start, data, 1.0).alignment()
    for name in ("D", "cosine", "cosine_extremal", "dead"):
        with pytest.raises(ValueError, match="the activation is tanh"):
            getattr(smooth, name)
    # Neurons start with optimal output weights, and turn by the residuals, not by the labels.
    fast = gflow.integrate(([0.5], [[0.3, 0.1]]), data, 1.0, rates=("fast", 1)).alignment()
    for name in ("early", "phases", "cosine_extremal"):
        with pytest.raises(ValueError, match="optimal at every time"):
            getattr(fast, name)
    assert "phases       none: " in repr(fast) and fast.cosine.shape == (200, 1)


def test_groups_of_a_start(three_points):
    alignment, start = three_points.alignment(), three_points(0.0)
    groups = alignment.groups(0.0, angle=0.3)
    off = ~three_points.pattern(0.0).any(axis=1)
    assert (groups.label[off] == -1).all() and (groups.label[~off] >= 0).all()
    for g, (direction, size, weight) in enumerate(zip(*groups[1:])):
        own = groups.label == g
        u = start.W[own] / start.norms[own, None]
        assert own.sum() == size and (u @ direction > np.cos(0.6)).all()
        assert weight == pytest.approx((start.a * start.norms)[own].sum(), rel=1e-12)
        assert (np.sign(start.a[own]) == np.sign(weight)).all()
    assert (np.diff(np.abs(groups.weight)) <= 0).all()
    assert alignment.groups(0.0, angle=4.0).size.size == 2
    with pytest.raises(ValueError, match="^angle = 0"):
        alignment.groups(angle=0)
    with pytest.raises(ValueError, match="outside"):
        alignment.groups(1e3)
    for wrong in ([1.0, 2.0], "3", np.array([1.0]), True):
        with pytest.raises(TypeError, match="^t is .*: give a number$"):
            alignment.groups(wrong)
    with pytest.raises(ValueError, match="^t = nan"):
        alignment.groups(np.nan)


def test_plateaus_are_the_saddles_of_the_jump_process():
    data, model = gflow.datasets.orthogonal(8, rng=5), balanced(5, 8, 1e-40, rng=5)
    process = jump_process(model, data)
    log = 40 * np.log(10)
    flow = gflow.integrate(model, data, process.times[-1] * log + 40, method="waveform")
    alignment = flow.alignment()
    phases = alignment.phases
    assert len(phases.plateaus) == len(process.times) == 3
    np.testing.assert_allclose(phases.plateaus[:, 2], process.losses[:-1], rtol=1e-3)
    # Sharp up to times of order 1: the jumps themselves.
    ends = np.append(0.0, process.times * log)
    assert np.abs(phases.plateaus[:, 0] - ends[:-1]).max() < 20
    assert np.abs(phases.plateaus[:, 1] - ends[1:]).max() < 20
    assert abs(phases.convergence - ends[-1]) < 20 and abs(phases.escape - ends[1]) < 20
    last = alignment.groups()
    assert sorted(len(n) for n in process.neurons) == sorted(last.size[:3])
    fired = {tuple(np.flatnonzero(last.label == g)) for g in range(3)}
    assert fired == {tuple(n) for n in process.neurons}
    # Neurons with a < 0 turn away from their fields.
    j = int(np.searchsorted(flow.t, phases.escape / 2))
    live = ~alignment.early.dead
    signed = alignment.cosine_extremal[j] * np.sign(flow.a[j])
    assert (signed[live] > 1 - 1e-9).all() and (flow.a[j, live] < 0).any()


def test_methods_and_scales_agree():
    data = gflow.datasets.linear_teacher(8, 2, rng=3)
    model = balanced(4, 2, 1e-3, rng=3)
    one, other = (gflow.integrate(model, data, 60.0, method=method, rtol=1e-10).alignment()
                  for method in ("DOP853", "waveform"))
    for name in ("alignment", "escape", "convergence"):
        assert getattr(one.phases, name) == pytest.approx(getattr(other.phases, name), rel=1e-6)
    # At the end fields are rounding.
    early = one.t < one.phases.convergence
    assert np.allclose(one.cosine[early], other.cosine[early], atol=1e-6, equal_nan=True)
    tiny = gflow.integrate(balanced(4, 2, 1e-3, rng=3, log_scale=-1000.0), data, 20.0)
    below = tiny.alignment()
    assert below.phases.alignment == pytest.approx(one.phases.alignment, rel=1e-3)
    assert np.isinf(below.phases.escape) and below.phases.convergence == 0
    assert below.groups(5.0).label.tolist() == one.groups(5.0).label.tolist()


def test_nothing_happens():
    flow = gflow.integrate(([1.0], [[-1.0, 0.0]]), ([[1.0, 0.0]], [1.0]), 1.0)
    alignment = flow.alignment()
    assert np.isnan(alignment.phases.alignment) and np.isinf(alignment.phases.escape)
    assert isinstance(alignment.phases, Phases) and alignment.phases.plateaus.tolist() == [
        [0.0, 1.0, 0.5]]
    assert not alignment.living.any() and np.isnan(alignment.cosine).all()
    assert alignment.groups().size.size == 0


def test_plateaus_of_a_staircase():
    t = np.linspace(0.0, 10.0, 5001)
    loss = 3.0 - sum(1 / (1 + np.exp(-60 * (t - s))) for s in (2.0, 5.0, 9.0))
    found = _plateaus(t, loss, 3.0, 9.05)
    expected = [[0.0, 1.9, 3.0], [2.1, 4.9, 2.0], [5.1, 8.9, 1.0]]
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert _plateaus(t, 3 - 0.3 * t, 3.0, 9.9).shape == (0, 3)


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_phases_do_not_know_the_reported_times(method):
    data, start = gflow.datasets.three_points(), gflow.init.balanced(20, 2, 1e-3, rng=1)
    one, *others = (gflow.integrate(start, data, 60.0, t_eval=np.linspace(0, 60, count),
                                    method=method).alignment() for count in (2, 5, 300))
    assert 3 < one.phases.alignment < 6
    for other in others:
        np.testing.assert_equal(vars(other.phases), vars(one.phases))
        assert repr(other) == repr(one)


def test_groups_and_plateaus_cannot_be_changed(three_points):
    groups = three_points.alignment().groups()
    again = pickle.loads(pickle.dumps(groups))
    for array in (*groups, *again, *copy.deepcopy(groups), three_points.plateaus()):
        assert not array.flags.writeable
    assert type(again) is type(groups) and again.size.tolist() == groups.size.tolist()


def test_a_loss_that_rises_has_no_plateau():
    # Fitted at the start; decay takes it away from there, to a rest at a^2 = 1 - 0.1.
    flow = gflow.integrate(([1.0], [[1.0]]), ([[1.0]], [1.0]), 100.0, decay=0.1)
    phases = flow.alignment().phases
    assert phases.escape == np.inf and phases.plateaus.shape == (0, 3)
    value = flow(phases.convergence)
    assert (value.a[0] * value.W[0, 0] - 1.0)**2 / 2 == pytest.approx(0.99 * 0.005, rel=1e-5)
