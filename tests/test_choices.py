"""Where the solution is not unique, the choice is named."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gflow
from gflow import Data
from gflow.engines.at_zero import way_out
from gflow.engines.pattern import Pattern, codes_at
from gflow.engines.waveform.freed import MOST, Freed
from gflow.engines.waveform.window import Window
from gflow.kernels.algebra import orthonormal_rows, put_back
from gflow.kernels.crossings import RELEASE_ABOVE
from gflow.kernels.switch import switch
from gflow.problem.field import Field
from validation.corruptions import altered

METHODS = ("DOP853", "waveform")


@pytest.mark.parametrize("method", METHODS)
def test_output_weights_through_zero(method):
    # Each slides at the first point until its output weight is 0, at atanh(c) / 0.5, and may then
    # leave to either side.
    c = np.array([0.3, 0.6, 0.9, 0.95, 0.99])
    X, y = np.array([[1.0, 0.0], [-0.5, 1.0]]), np.array([2.0, 1.0])
    a, W = -1e-4 * c, np.column_stack([np.zeros(c.size), 1e-4 * np.ones(c.size)])
    flow = gflow.integrate((a, W), (X, y), 6.0, method=method, rtol=1e-9)
    choices = flow.choices
    assert flow.stats["ambiguous"] == c.size == len(choices)
    assert choices["neuron"].tolist() == list(range(c.size)) and (choices["point"] == 0).all()
    assert (choices["to"] == 0).all() and (choices["other"] == 1).all()
    assert (choices["solutions"] == 2).all()
    np.testing.assert_allclose(choices["time"], 2 * np.arctanh(c), atol=1e-6)
    assert "5 times the solution was not unique, first at t = 0.619" in flow.message
    assert "neuron 0 at point 0" in flow.message


@pytest.mark.parametrize("method", METHODS)
def test_a_start_on_a_hyperplane_that_repels(method, tmp_path):
    flow = gflow.integrate(([1.0], [[0.0, 1.0]]), ([[1.0, 0.0], [-2.0, 0.0]], [1.0, 1.0]), 1.0,
                           method=method)
    assert flow.choices.tolist() == [(0.0, 0, 0, 0, 1, 2), (0.0, 0, 1, 1, 0, 2)]
    flow.save(tmp_path / "run.npz")
    assert gflow.load(tmp_path / "run.npz").choices.tolist() == flow.choices.tolist()
    with pytest.raises(ValueError, match="read-only"):
        flow.choices["time"] = 0


# Neurons 2, 3 and 5 slide at point 3 and fit point 1, which they see besides. The rounds of a short
# window leave that pull at 1e-8, which used to lead them off before that of point 3 passes 0.
@pytest.mark.parametrize("rtol", [1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11])
def test_what_rounds_leave_of_a_pull_ends_no_slide(rtol, tmp_path):
    flow = gflow.integrate(
        ([2.1285, -0.6438, -1.3521, -3.5874, -1.3939, -5.8658, 9.3742],
         [[2.11e-5, 1.71e-6], [1.556e-2, -9.381e-3], [1.198e-4, 3.722e-5], [-7.837e-6, 3.547e-6],
          [3.395e-2, -3.929e-2], [-1.986e-5, -2.117e-6], [-4.032e-6, -3.779e-6]]),
        ([[1.7154, 0.4177], [-1.5458, -0.1801], [0.4054, 0.1352], [-0.7377, 0.2178]],
         [0.6202, -0.4348, 2.5141, 0.3148]), 20.0, method="waveform", rtol=rtol)
    assert flow.choices[["neuron", "point"]].tolist() == [(2, 3), (3, 3), (5, 3)]
    assert flow.choices["time"] == pytest.approx(16.577172, abs=2e-3)
    assert flow.certificate().ok
    # Windows know what is an error, so that the path is the same from a file and a pickle.
    assert any(piece.doubt.size for piece in flow.path.pieces if isinstance(piece, Window))
    flow.save(tmp_path / "run.npz")
    t = np.linspace(0.0, 20.0, 101)
    for other in (gflow.load(tmp_path / "run.npz"), pickle.loads(pickle.dumps(flow))):
        np.testing.assert_array_equal(other.path(t), flow.path(t))


# Neuron 1 slides at point 2 and sees point 0 besides, which it and neuron 4 fit: what is left of
# that pull is below any rounding when the pull of point 2 passes 0. From then on one side pushes
# the neuron away from the hyperplane, and on the other nothing moves it.
FITTED = ([-0.3, -3.05, -1.23, 3.34, -4.16],
          [[0.7, 0.59, 0.4], [0.41, 0.21, 1.45], [-0.38, 1.13, 0.29], [-0.7, -1.02, 1.12],
           [-0.8, 0.74, -1.77]])
EVEN = ([[0.55, -1.3, 0.74], [-0.55, 1.3, -0.74], [1.15, 1.1, 1.32]], [0.76, 0.76, 0.57])


# The fast engine leaves in time at 1e-4, and is gone before anybody can say that it need not.
@pytest.mark.parametrize("method, rtol", [("DOP853", 1e-4), ("Radau", 1e-4), *(
    (method, rtol) for method in (*METHODS, "Radau") for rtol in (1e-6, 1e-9, 1e-10, 1e-11))])
def test_what_only_rounding_decides_is_named_and_doubted_if_it_is_not(method, rtol):
    flow = gflow.integrate(FITTED, EVEN, 2.5, method=method, rtol=rtol)
    assert flow.choices[["neuron", "point"]].tolist() == [(1, 2)]
    if rtol < 1e-5:
        # Where it was let go.
        late = 5e-4 if rtol > 1e-7 else 2e-6
        assert flow.choices["time"][0] == pytest.approx(1.480969, abs=late)
    assert flow.certificate().ok
    if rtol > 1e-5:
        return
    # Whether it stays or leaves.
    silent = altered(flow, lambda arrays: arrays.update(choices=arrays["choices"][:0]))
    first = silent.certificate().first
    assert len(first) == 1 and first[0].startswith("neuron 1 is on a hyperplane that it leaves")


def test_close_to_a_hyperplane_only_because_it_has_grown_is_no_choice():
    # On orthogonal points neurons rest on hyperplanes that they have met, where residuals pass 0;
    # what was off another by a part of the start stays so far off it, and grows by 1e8 itself.
    rng = np.random.default_rng(3)
    data = gflow.datasets.orthogonal(8, rng=rng)
    model = gflow.init.balanced(5, 8, 1.0, rng=rng)
    flow = gflow.integrate((1e-8 * model.a, 1e-8 * model.W), data, 45.0, method="waveform",
                           rtol=1e-9)
    codes = flow.events[["neuron", "point"]].tolist()
    assert len(flow.choices) == 5
    assert all(pair in codes for pair in flow.choices[["neuron", "point"]].tolist())
    assert flow.certificate().ok


@pytest.mark.parametrize("method", [*METHODS, "Radau"])
@pytest.mark.parametrize("rtol", [1e-5, 1e-8, 1e-11])
@pytest.mark.parametrize("angle", [-2e-12, -5e-13, 5e-13, 2e-12])
def test_of_two_hyperplanes_of_almost_one_direction_the_first_one_decides(method, rtol, angle):
    # It is point 1 that holds the neuron, and point 2 that draws it over both: it gets there only
    # if its hyperplane is first, be it by less than contacts of one instant may be apart.
    X = np.array([[1.0, -1.0], [0.0, 1.0], [-angle, 1.0]])
    flow = gflow.integrate(([-0.01], [[0.01, -0.003]]), (X, [1.0, 2.0, -3.0]), 1.5, method=method,
                           rtol=rtol)
    kinds = flow.events[["point", "kind"]].tolist()
    assert kinds == ([(1, "slide")] if angle > 0 else [(2, "activate"), (1, "activate")])
    assert not len(flow.choices) and flow.certificate().ok


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("beside, ways", [(0.5, [(0, 1, 0, 1, 2)]), (-0.5, [])])
def test_a_neuron_that_stays_at_zero_by_convention_is_named(method, beside, ways):
    # On the ray of point 0 it shrinks to w = 0, where point 1 would have it grow again: what is
    # less than any error of w decides.
    flow = gflow.integrate(([1.0], [[0.1, 0.0]]), ([[1.0, 0.0], [-1.0, 1.0]], [-0.5, beside]), 9.0,
                           method=method)
    assert flow.choices[["neuron", "point", "to", "other", "solutions"]].tolist() == ways
    assert not flow.W[-1].any() and ("not unique" in flow.message) == bool(ways)
    assert flow.certificate().ok
    if ways:
        # |w| = 1e-9 to the other side, and it is gone: a' = -|w| r / 2, w' = -a r / 2 before.
        other = gflow.integrate(([1.0], [[0.1, 1e-9]]), (flow.data.X, flow.data.y), 9.0,
                                method=method)
        assert np.abs(other.W[-1]).max() > 0.1
        assert flow.choices["time"][0] == pytest.approx(flow.events["time"][-1], abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_neuron_that_slides_to_zero_on_a_line_stays_there_unnamed(method):
    # At point 0, against point 1; point 2 would have it grow on the other side.
    flow = gflow.integrate(([0.02], [[0.01, 5e-4]]), ([[0.0, 1.0], [1.0, -0.2], [-1.0, 0.1]],
                                                      [-1.0, -1.0, 1.0]), 10.0, method=method)
    assert "slide" in flow.events["kind"] and not flow.W[-1].any()
    assert not len(flow.choices) and flow.certificate().ok


@given(st.integers(0, 29999))
def test_a_way_out_of_zero_is_one(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rng.integers(1, 7), 2))
    data = Data(X, np.zeros(len(X)))
    p = rng.standard_normal(data.n) - rng.choice([0.0, 1.0])
    turn = np.linspace(0.0, 2 * np.pi, 4001)
    G = np.maximum(np.column_stack([np.cos(turn), np.sin(turn)]) @ data.X.T, 0.0) @ p
    k = way_out(1.0, p, data)
    assert G.max() > 0.0 and p[k] > 0.0 if k >= 0 else G.max() < 0.2 * np.abs(p).sum()


def test_more_hyperplanes_than_directions():
    # A neuron on three hyperplanes through one line slides on two; the third repels it, and it is
    # on its positive side. When the multiplier of the first reaches 1 it may leave, or go to the
    # negative side of the third and stay.
    X = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.5, 0.5, 1.0]])
    A = gflow.Data(X, np.zeros(4)).arrangement
    # With side 1 of the third: eta_0 = (0.5 r_3 + r_2) / -r_0 = 1.
    r = np.array([-0.7, -1.5, 0.3, 0.8])
    side = np.array([0, 0, 1, 1], dtype=np.int8)
    w = np.array([0.0, 0.0, 1.0])
    first, kind = A.label[:1], np.array([RELEASE_ABOVE])
    new, *_, choices, other = switch(1.0, w, side[A.label.argsort()], first, kind, r, X, A.label,
                                     A.length, A.normal, 0.0)
    assert choices == 2
    assert new[A.label].tolist() == [0, 0, -1, 1] and other[A.label].tolist() == [1, 0, 1, 1]
    # Without the third it leaves, and that is all there is.
    r[2], side[2] = 0.0, -1
    r[0] = -0.5 * r[3]
    new, *_, choices, _ = switch(1.0, w, side[A.label.argsort()], first, kind, r, X, A.label,
                                 A.length, A.normal, 0.0)
    assert choices == 1 and new[A.label[:2]].tolist() == [1, 0]


def test_almost_equal_hyperplanes_do_not_throw_a_neuron_to_where_they_meet():
    # Seen from a neuron at distance 1e-9 of both, two planes 1e-8 apart meet far off.
    normal = np.array([[0.0, 1.0], [1e-8, 1.0]])
    w = np.array([1.0, 1e-9])
    X, y = np.array([[0.0, 1.0], [1e-8, 1.0], [1.0, 0.3]]), np.array([-1.0, -1.0, 1.0])
    put = put_back(w, normal, *orthonormal_rows(normal), np.array([0, 1], dtype=np.int8))
    np.testing.assert_allclose(put, [1.0, 0.0], atol=1e-12)
    # Where they meet nearby, both are kept to.
    normal = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0] / np.sqrt(2.0)])
    put = put_back(np.array([1e-9, 1e-9, 1.0]), normal, *orthonormal_rows(normal),
                   np.array([0, 1], dtype=np.int8))
    np.testing.assert_allclose(put, [0.0, 0.0, 1.0], atol=1e-15)
    a, W = [0.5, -0.4], [[0.6, 0.1], [0.3, 0.5]]
    ends = [gflow.integrate((a, W), (X, y), 30.0, method=method, rtol=1e-8)
            for method in ("DOP853", "waveform")]
    np.testing.assert_allclose(ends[0].W[-1], ends[1].W[-1], rtol=0, atol=1e-6)


@given(st.integers(0, 10**6))
def test_neurons_that_are_alike_have_the_codes_that_each_would_have(seed):
    rng = np.random.default_rng(seed)
    data = Data(rng.integers(-2, 3, (5, 2)).astype(float), rng.standard_normal(5))
    field = Field(data)
    # On lattices many neurons lie on hyperplanes, or at 0.
    W = rng.integers(-1, 2, (12, 2)) * rng.choice([1.0, 0.5], (12, 1))
    a, p = rng.integers(-1, 2, 12).astype(float), rng.standard_normal(5)
    np.testing.assert_array_equal(codes_at(field, a, W, p), Pattern(field, a, W.copy(), p).codes)


@pytest.mark.parametrize("method", METHODS)
def test_an_output_weight_that_changes_its_sign_on_a_hyperplane_is_a_choice(method):
    # Nothing moves it across, point 1 being orthogonal; what pushed it onto the hyperplane of
    # point 0 pushes it away from there since a has passed 0.
    flow = gflow.integrate(([-0.1], [[0.05, 0.3]]), (np.eye(2), [2.0, 0.4]), 6.0, method=method)
    assert flow.a[-1, 0] > 0.1 and flow.events["kind"].tolist() == ["deactivate"]
    assert flow.choices[["neuron", "point", "to", "other"]].tolist() == [(0, 0, 0, 1)]
    when = flow.choices["time"][0]
    assert flow(when).a[0] >= 0 > flow(flow.events["time"][0]).a[0]
    assert flow.certificate().ok


def test_wide_networks_are_looked_at_in_part(monkeypatch):
    # Late on a loss that never rests, and at a coarse tolerance, errors exceed what is left of most
    # pulls: hundreds of neurons that came off a hyperplane could as well have stayed.
    looks, even, of = [], [], Freed._of

    def look(self, *args):
        looks.append(args[3])
        even.append(len(self.even))
        return of(self, *args)

    monkeypatch.setattr(Freed, "_of", look)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 5))
    y = np.sign(np.maximum(X @ rng.standard_normal((5, 3)), 0) @ [1, -1, 0.5] - 0.1)
    flow = gflow.integrate(gflow.init.balanced(300, 5, 1e-3, rng=0), (X, y), 100.0,
                           loss="logistic", method="waveform", rtol=1e-3)
    windows = Counter(map(id, looks))
    assert flow.success and max(windows.values()) == MOST
    # Nobody knows what became of the others, so nothing is kept of them.
    assert max(even) <= MOST
