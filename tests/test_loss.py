"""Losses that users write: both engines, descent, files, and the check at the door."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gflow
from gflow.engines.solve import choose
from gflow.engines.waveform import engine as waveform
from gflow.engines.waveform.guess import DEGREE
from gflow.engines.waveform.tangent import Tangent, integration, solve as newton
from gflow.kernels import field as kernels
from gflow.kernels.chebyshev import nodes
from gflow.problem.data import Data
from gflow.problem.field import Field, velocity
from gflow.problem.loss import SQUARE, as_loss, loss_label
from gflow.problem.network import TwoLayerReLU
from losses import Changed, LogCosh, OwnSquare, Pinball, PseudoHuber, SquaredHinge, Tube
from newton import answer
from problems import problems, random_problem, relative_errors, same_events, solve
from validation import faults

LOSSES = [PseudoHuber(0.5), LogCosh(), Pinball(0.3, 0.1)]
NAMES = ["huber", "logcosh", "pinball"]


def both(problem, loss, rtol=1e-10):
    """The same run on the stepper and on the fast engine."""
    return [solve(problem, method=method, rtol=rtol, loss=loss)
            for method in ("DOP853", "waveform")]


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
@pytest.mark.parametrize("seed, n, m, d, kind, slides", [
    (5, 8, 8, 3, "generic", 2), (10, 8, 8, 3, "collinear", 4), (5, 6, 40, 2, "generic", 5),
    (3, 10, 5, 2, "bias", 0)])
def test_engines_agree(loss, seed, n, m, d, kind, slides):
    problem = random_problem(seed, n, m, d, kind, "balanced", 0.3)
    problem = problem._replace(t_max=2 * problem.t_max)
    one, two = both(problem, loss)
    assert one.success and two.success and len(one.events) > 3
    assert one.stats["slide"] >= slides
    assert np.abs(one.a - two.a).max() < 1e-8 and np.abs(one.W - two.W).max() < 1e-8
    same_events(one.events, two.events, 1e-6)
    for flow in (one, two):
        certificate = flow.certificate()
        assert certificate.ok and abs(certificate.energy) < 1e-8
        assert (np.diff(flow.loss) <= 1e-12 * flow.loss[0]).all()


@pytest.mark.parametrize("scale, loss", [(1e4, PseudoHuber(2e3)), (1e-5, Pinball(0.4, 1e-6))])
def test_labels_of_any_size(scale, loss):
    problem = random_problem(3, 6, 6, 2, "generic", "balanced", 0.1)
    size = np.sqrt(scale)
    problem = problem._replace(a=size * problem.a, W=size * problem.W, y=scale * problem.y)
    # Time in units in which neurons turn.
    pulls = np.abs(Field(Data(problem.X, problem.y), loss).first_pulls).mean()
    problem = problem._replace(t_max=10.0 / pulls)
    one, two = both(problem, loss)
    assert relative_errors(two, one, peak=True).max() < 1e-7
    assert one.certificate().ok and two.certificate().ok


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_inputs_of_any_size(method):
    # Powers of two that leave outputs alone: a symmetry of every loss, to the last bit.
    a, W, X, y, t_max = random_problem(5, 8, 8, 3, "generic", "balanced", 0.3)[:5]
    ends = []
    for x in (-300, 60, 300):
        u = -x // 2
        flow = gflow.integrate((np.ldexp(a, u), np.ldexp(W, u)), (np.ldexp(X, x), y),
                               float(np.ldexp(t_max, -x)), method=method, loss=LOSSES[0])
        assert flow.status == "finished" and flow.path.units.labels == 0
        ends.append((np.ldexp(flow.W, -u), flow.loss, np.ldexp(flow.events["time"], x)))
    assert len(ends[0][2]) > 3
    for other in ends[1:]:
        assert all((one == two).all() for one, two in zip(ends[0], other))


@pytest.mark.parametrize("method, quadratic", [
    ("DOP853", False), ("Radau", False), ("waveform", False), ("waveform", True)])
def test_the_square_loss_written_again(method, quadratic):
    problem = random_problem(5, 8, 8, 3, "generic", "balanced", 0.1)
    rtol = 1e-7 if method == "Radau" else 1e-10
    flow, own = (solve(problem, method=method, rtol=rtol, loss=loss)
                 for loss in ("square", OwnSquare(quadratic)))
    assert relative_errors(own, flow).max() < 20 * rtol
    same_events(own.events, flow.events, 1e4 * rtol)
    assert flow.settings["loss"] == "square" and own.settings["loss"] == "OwnSquare()"


@pytest.mark.parametrize("loss", [PseudoHuber(1.0), OwnSquare()], ids=["huber", "square"])
def test_late_patterns_stand_for_neurons(loss, monkeypatch):
    data = gflow.datasets.linear_teacher(30, 2, noise=0.5, rng=1)
    model = gflow.init.balanced(20, 2, 1e-2, rng=2)
    flow = gflow.integrate(model, data, 3e4, method="waveform", rtol=1e-8, loss=loss)
    assert flow.stats["reduced_steps"] > 3 and flow.certificate().ok
    monkeypatch.setattr(waveform, "PATIENCE", 10**9)
    other = gflow.integrate(model, data, 3e4, method="waveform", rtol=1e-8, loss=loss)
    assert other.stats["reduced_steps"] == 0
    np.testing.assert_allclose(flow.W, other.W, atol=1e-6)


@pytest.mark.parametrize("rank, matrix", [(3, False), (12, False), (12, True)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("length", [0.1, 300.0])
def test_newton_with_weights(rank, matrix, last, length):
    rng = np.random.default_rng(rank)
    n = 9
    F, G = rng.standard_normal((2, n, rank)) / 3
    weight = rng.uniform(0.0, 2.0, (DEGREE + 1, n)) ** 2
    weight[:, 2] = 0.0

    def kernel(features):
        return (Tangent(1.0, matrix=features @ features.T) if matrix
                else Tangent(1.0, features)).scaled(length)

    first, end = kernel(F), kernel(F + 0.1 * G) if last else None
    r = rng.standard_normal((DEGREE + 1, n))
    if length > 1:
        # Weights that vary are iterated upon; where the kernel is strong they vary little.
        weight = weight[:1] * (1 + 0.05 * nodes(DEGREE)[:, None])
    defect = r + weight * answer(r, first, end)
    np.testing.assert_allclose(newton(defect, first, end, weight=weight), r,
                               atol=0.05 * np.abs(defect).max())
    if not last and length > 1:
        # With weights that do not vary the modes are the answer.
        A = np.kron(integration(DEGREE), weight[4][:, None] * first.dense())
        exact = np.linalg.solve(np.eye(len(A)) + A, defect.ravel()).reshape(r.shape)
        found = newton(defect, kernel(F), weight=weight[4])
        np.testing.assert_allclose(found, exact, atol=0.02 * np.abs(exact).max())


@given(problems(most=6, dims=3), st.sampled_from(LOSSES + [SQUARE]), st.integers(0, 2**32 - 1))
def test_reference_field(problem, loss, seed):
    rng = np.random.default_rng(seed)
    data = Data(problem.X, problem.y)
    field, m, d = Field(data, loss), problem.a.size, data.d
    a, W = rng.standard_normal(m), rng.standard_normal((m, d))
    theta = np.concatenate([a, W.ravel()])
    codes = (W @ data.X.T > 0).astype(int)
    h = field.outputs(a, W)
    np.testing.assert_allclose(field.outputs(a, W, codes), h, atol=1e-12)
    assert TwoLayerReLU(a, W).loss(data, loss) == field.value(h)

    def at(theta):
        # On the pattern of the start, where it is smooth.
        return field.outputs(theta[:m], theta[m:].reshape(m, d), codes)

    def differences(of, step=1e-5):
        return np.array([(of(theta + step * e) - of(theta - step * e)) / (2 * step)
                         for e in np.eye(theta.size)])

    p, on = field.pulls(h), (codes == 1).astype(float)
    gradient = field.gradient(a, W, codes)
    scale = max(1.0, np.abs(gradient).max())
    slope = differences(lambda theta: field.value(at(theta)))
    np.testing.assert_allclose(gradient, slope, atol=1e-6 * scale)
    none = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty((0, d, d))
    X = data.X.copy()
    np.testing.assert_allclose(kernels.outputs(a, W, on, X), h, atol=1e-12)
    np.testing.assert_allclose(kernels.velocity_under(p, theta, m, on, X, *none), -gradient,
                               rtol=1e-9, atol=1e-12)
    jacobian = kernels.jacobian_under(p, field.curvature(h), theta, m, on, X, *none)
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-9 * np.abs(jacobian).max())
    bend = differences(lambda theta: -field.gradient(
        theta[:m], theta[m:].reshape(m, d), codes))
    np.testing.assert_allclose(jacobian, bend, atol=1e-5 * max(1.0, np.abs(bend).max()))


@given(problems(most=6, dims=3), st.integers(0, 2**32 - 1))
def test_fields_have_least_norm(problem, seed):
    # Off the points on which a neuron slides, whatever their lengths are.
    rng = np.random.default_rng(seed)
    data = Data(problem.X * 10.0 ** rng.integers(-9, 9, (len(problem.y), 1)), problem.y)
    field = Field(data)
    codes, p = rng.integers(0, 3, (4, data.n)), rng.standard_normal(data.n)
    D = field.fields(codes, p)
    for i, row in enumerate(codes):
        active = (p * (row == 1)) @ data.X / data.n
        V = data.X[(row == 2) & data.X.any(axis=1)]
        V = V / np.linalg.norm(V, axis=1, keepdims=True)
        size = np.linalg.norm(active)
        assert np.abs(V @ D[i]).max(initial=0.0) <= 1e-9 * size
        # What was taken away is a combination of the normals.
        taken = active - D[i]
        assert np.linalg.norm(taken - np.linalg.pinv(V) @ (V @ taken)) <= 1e-9 * size
    a, W = rng.standard_normal(4), rng.standard_normal((4, data.d))
    assert field.speed(a, W, D) == pytest.approx(np.linalg.norm(velocity(a, W, D)))


@pytest.mark.parametrize("loss", LOSSES[:2], ids=NAMES[:2])
@pytest.mark.parametrize("seed", [0, 3])
def test_descent_converges_to_the_flow(loss, seed):
    problem, steps = random_problem(seed, 6, 6, 2, "generic", "balanced", 0.3), (400, 1600, 6400)
    flow = solve(problem, rtol=1e-10, loss=loss)
    assert len(flow.events)
    apart = [gflow.descent.distances(flow, gflow.descend(
        (problem.a, problem.W), (problem.X, problem.y), problem.t_max / k, k, loss=loss)).max()
        for k in steps]
    np.testing.assert_allclose(np.diff(np.log(apart)) / np.diff(np.log(steps)), -1.0, atol=0.1)


@pytest.mark.parametrize("options", [{}, {"optimizer": "momentum"}, {"optimizer": "adam"},
                                     {"batch": 4}, {"batch": 3, "optimizer": "adam"}])
def test_descent_under_pulls_is_the_compiled_one(options):
    problem = random_problem(4, 10, 6, 2, "generic", "balanced", 0.3)
    one, two = (gflow.descend((problem.a, problem.W), (problem.X, problem.y), 0.02, 300, rng=5,
                              loss=loss, **options) for loss in ("square", OwnSquare()))
    np.testing.assert_allclose(two.W, one.W, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(two.loss, one.loss, rtol=1e-9)
    assert one.stats["switches"] == two.stats["switches"]
    far = gflow.descend((problem.a, problem.W), (problem.X, problem.y), 1e3, 300, loss=OwnSquare())
    assert far.status == "non_finite" and np.isfinite(far.W).all()


def test_rules_recorders_and_alignment_see_the_loss():
    problem = random_problem(1, 8, 6, 3, "generic", "balanced", 0.01)
    for method in ("DOP853", "waveform"):
        flow = solve(problem, method=method, loss=LOSSES[0], rtol=1e-9)
        kept = solve(problem, method=method, loss=LOSSES[0], rtol=1e-9, save=["loss", "grad_norm"])
        np.testing.assert_allclose(kept.loss, flow.loss, rtol=1e-7)
        field, j = flow.field, -1
        gradient = field.gradient(flow.a[j], flow.W[j], flow.pattern(flow.t[j]))
        assert kept.saved["grad_norm"][j] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
        half = (flow.loss[0] + flow.loss[-1]) / 2
        stopped = solve(problem, method=method, loss=LOSSES[0], stop=gflow.stop.loss_below(half))
        assert stopped.loss[-1] == pytest.approx(half, rel=1e-4)
        alignment = flow.alignment()
        # From a small start neurons see the pulls at output 0.
        first = Data(problem.X, LOSSES[0].pull(np.zeros(8), problem.y))
        early = gflow.theory.early_flow((problem.a, problem.W), first)
        np.testing.assert_array_equal(alignment.early.dead, early.dead)
        np.testing.assert_allclose(alignment.early.D, early.D)
        np.testing.assert_allclose(alignment.D[0], field.fields(
            flow.initial_pattern, field.pulls(field.outputs(flow.a[0], flow.W[0]))), atol=1e-12)
        phases = alignment.phases
        fall = flow.loss[0] - flow.loss[-1]
        assert flow(phases.escape).loss(flow.data, LOSSES[0]) == pytest.approx(
            flow.loss[0] - 0.01 * fall, rel=1e-5)


def test_the_certificate_is_that_of_the_loss():
    problem = random_problem(1, 8, 6, 3, "generic", "balanced", 0.1)
    flow = solve(problem, loss=LOSSES[0], rtol=1e-9)
    assert flow.certificate().ok
    wrong = copy.copy(flow)
    wrong.loss_function = SQUARE
    assert not wrong.certificate().ok and abs(wrong.certificate().energy) > 1e-2


def test_the_choice_of_an_engine_uses_pulls():
    model, data = TwoLayerReLU([0.1], [[0.1]]), Data([[1.0]], [5e3])
    assert choose(model, data, 1.0)[0] == "waveform"
    assert choose(model, data, 1.0, PseudoHuber(1.0))[0] == "DOP853"


@pytest.mark.parametrize("method", ["DOP853", "waveform"])
def test_files_and_pickles(method, tmp_path):
    problem = random_problem(1, 8, 6, 3, "generic", "balanced", 0.1)
    flow, path = solve(problem, loss=LOSSES[0], method=method), tmp_path / "run.npz"
    again = pickle.loads(pickle.dumps(flow))
    assert again.loss_function.delta == 0.5 and (again.loss == flow.loss).all()
    flow.save(path)
    with pytest.raises(ValueError, match="PseudoHuber of losses.*give it as gflow.load"):
        gflow.load(path)
    with pytest.raises(ValueError, match="give the loss that it was run with"):
        gflow.load(path, loss=PseudoHuber(0.6))
    again = gflow.load(path, loss=PseudoHuber(0.5))
    assert (again.loss == flow.loss).all() and again.settings == flow.settings
    assert repr(again.certificate()) == repr(flow.certificate())
    solve(problem, method=method, t_eval=[0.0]).save(path)
    assert gflow.load(path).loss_function == SQUARE == gflow.load(path, "square").loss_function
    with pytest.raises(ValueError, match="leave loss= away"):
        gflow.load(path, loss=PseudoHuber())
    twin = gflow.descend((problem.a, problem.W), (problem.X, problem.y), 0.1, 10, loss=LogCosh())
    twin.save(path)
    assert (gflow.load(path, loss=LogCosh()).loss == twin.loss).all()


def doubled(name):
    return lambda h, y: 2 * getattr(PseudoHuber(), name)(h, y)


REFUSED = [
    (ValueError, "unknown loss 'huber': choose one of square", "huber"),
    (TypeError, r"loss is the class PseudoHuber: give an object of it", PseudoHuber),
    (TypeError, "loss is a float without value and pull and curvature", 1.0),
    (ValueError, r"loss.pull is not -d\(value\)/dh", Changed(pull=doubled("pull"))),
    (ValueError, r"loss.pull is not -d\(value\)/dh",
     Changed(pull=lambda h, y: -PseudoHuber().pull(h, y))),
    (ValueError, r"loss.pull is not -d\(value\)/dh", Changed(value=doubled("value"))),
    (ValueError, r"loss.curvature is not -d\(pull\)/dh", Changed(curvature=doubled("curvature"))),
    (ValueError, r"loss.curvature is not -d\(pull\)/dh",
     Changed(curvature=lambda h, y: np.ones_like(h))),
    (ValueError, "loss.curvature = .* is negative at .* must be convex",
     Changed(curvature=lambda h, y: -PseudoHuber().curvature(h, y))),
    (ValueError, "loss.value = .* is negative at .* add a constant",
     Changed(value=lambda h, y: PseudoHuber().value(h, y) - 1)),
    (ValueError, "loss.pull jumps at", Changed(value=lambda h, y: np.abs(h - y),
                                               pull=lambda h, y: np.sign(y - h))),
    (ValueError, r"loss.value returns shape \(5,\)",
     Changed(value=lambda h, y: PseudoHuber().value(h, y).mean(axis=-1))),
    (ValueError, "loss.pull returns masked entries",
     Changed(pull=lambda h, y: np.ma.masked_less(PseudoHuber().pull(h, y), 0))),
    (ValueError, "loss.pull returns masked entries",
     Changed(pull=lambda h, y: list(np.ma.masked_less(PseudoHuber().pull(h, y), 0)))),
    (ValueError, r"loss.pull fails on arrays of outputs .* write it with NumPy",
     Changed(pull=lambda h, y: float(y - h))),
    (ValueError, "loss.value is inf at", Changed(value=lambda h, y: np.exp(np.exp(20 + h * h)))),
    (ValueError, "loss.pull changes the arrays", Changed(pull=lambda h, y: -np.subtract(h, y, h))),
]


@pytest.mark.parametrize("kind, message, loss", REFUSED)
def test_refused_at_the_door(kind, message, loss):
    problem = random_problem(1, 8, 3, 2, "generic", "balanced", 0.1)
    start, data = (problem.a, problem.W), (problem.X, problem.y)
    with pytest.raises(kind, match=message):
        gflow.integrate(start, data, 1.0, loss=loss)
    with pytest.raises(kind, match=message):
        gflow.descend(start, data, 0.1, 5, loss=loss)
    with pytest.raises(kind, match=message):
        TwoLayerReLU(*start).loss(Data(*data), loss)


@given(st.sampled_from([*LOSSES, OwnSquare(), PseudoHuber(1e-3), PseudoHuber(100.0)]),
       st.integers(-8, 4), st.integers(0, 2**32 - 1), st.sampled_from([0.9, 1.05, -1.0]))
def test_right_formulas_pass_and_wrong_ones_do_not(loss, power, seed, factor):
    y = 10.0**power * np.random.default_rng(seed).standard_normal(7)
    if isinstance(loss, PseudoHuber) and np.abs(y).max() > 1e6 * loss.delta:
        y /= 1e4    # nearer than double precision tells it is a jump
    assert as_loss(loss, y) is loss and loss_label(loss).endswith("()")
    for name in ("pull", "curvature"):
        parts = {part: getattr(loss, part) for part in ("value", "pull", "curvature")}
        parts[name] = lambda h, y: factor * getattr(loss, name)(h, y)
        with pytest.raises(ValueError):
            as_loss(Changed(**parts), y)


FLAT = [(SquaredHinge(), np.array([1.0, 1.0, -1.0])), (SquaredHinge(), -np.ones(4)),
        *((Tube(width), np.array([1.0, 0.5, -1.0])) for width in (1e-4, 1e-3, 0.01, 0.1, 0.5))]


@pytest.mark.parametrize("loss, y", FLAT)
def test_losses_that_are_flat_beyond_a_bend_pass(loss, y):
    assert as_loss(loss, y) is loss


@pytest.mark.parametrize("factor", [0.9, 1.01, 1.1, 2.0, -1.0, 0.0])
@pytest.mark.parametrize("loss, y", FLAT)
def test_wrong_formulas_do_not_hide_behind_a_bend(loss, y, factor):
    for name in ("value", "pull", "curvature"):
        wrong = Changed(loss, **{name: lambda h, y: factor * getattr(loss, name)(h, y)})
        with pytest.raises(ValueError, match="is not -d|negative"):
            as_loss(wrong, y)


@pytest.mark.parametrize("loss, name, wrong", [
    (SquaredHinge(), "pull", lambda h, y: np.maximum(0.0, 1 - y * h)),
    (SquaredHinge(), "curvature", lambda h, y: 1.0 * (h < 1)),
    (SquaredHinge(), "curvature", lambda h, y: np.ones_like(h)),
    (Tube(0.1), "curvature", lambda h, y: np.ones_like(h)),
    (Tube(0.1), "curvature", lambda h, y: 1.0 * (np.abs(h - 1) > 0.1))])
def test_labels_that_were_forgotten_are_found(loss, name, wrong):
    with pytest.raises(ValueError, match=f"loss.{name} is not -d"):
        as_loss(Changed(loss, **{name: wrong}), np.array([1.0, -1.0]))


def test_the_squared_hinge_runs():
    start = gflow.init.balanced(6, 2, 0.3, rng=0)
    data = [[1.0, 0.2], [0.3, 1.0], [-1.0, -0.5]], [1.0, 1.0, -1.0]
    one, two = (gflow.integrate(start, data, 5.0, loss=SquaredHinge(), method=method)
                for method in ("DOP853", "waveform"))
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-6)
    twin = gflow.descend(start, data, 1e-3, 5000, loss=SquaredHinge())
    assert abs(twin.loss[-1] - one.loss[-1]) < 1e-3 and one.loss[-1] < 0.9 * one.loss[0]


def test_the_noise_of_a_slide_is_that_of_its_own_points():
    """Rows of unlike norm under a loss whose curvature differs from point to point by orders: once
    a slide went on for ever, as errors at every point counted as those of the most curved one."""
    _, problem = faults.draw_setting(1200751)
    exact = faults.outputs(faults.run(problem, "DOP853", 1e-12))
    for method in ("DOP853", "waveform"):
        flow = faults.run(problem, method, 1e-8)
        assert np.abs(faults.outputs(flow) - exact).max() < 1e-7
        assert flow.certificate().ok


class Fails(PseudoHuber):
    """One of whose calls raises."""

    calls, error = 0, ValueError

    def pull(self, h, y):
        Fails.calls += 1
        if Fails.calls == 130:
            raise self.error("mine")
        return super().pull(h, y)


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, np.linalg.LinAlgError])
@pytest.mark.parametrize("method", ["DOP853", "waveform", "Radau"])
def test_what_a_loss_raises_is_not_taken_for_overflow(method, error, monkeypatch):
    monkeypatch.setattr(Fails, "calls", 0)
    monkeypatch.setattr(Fails, "error", error)
    with pytest.raises(error, match="mine") as raised:
        gflow.integrate(gflow.init.balanced(6, 2, 0.1, rng=0),
                        gflow.datasets.linear_teacher(8, 2, noise=0.5, rng=0), 20.0, method=method,
                        loss=Fails())
    assert raised.value.flow.status == "exception"


class Imaginary(OwnSquare):
    def value(self, h, y):
        return super().value(h, y) + 1j


class Single(OwnSquare):
    def value(self, h, y):
        return np.asarray(super().value(h, y), dtype=np.float32)


def test_numbers_of_a_loss_are_real_and_double():
    start, data = ([0.5], [[0.3]]), Data([[1.0], [0.5]], [1.0, 0.2])
    with pytest.raises(ValueError, match="^loss.value fails on .*complex numbers"):
        gflow.integrate(start, data, 1.0, loss=Imaginary())
    with pytest.raises(ValueError, match="^activation .* fails on .*complex numbers"):
        gflow.TwoLayer(*start, activation=(lambda z: z + 0j, np.ones_like))
    flow = gflow.integrate(start, data, 1.0, loss=Single())
    assert flow.loss.dtype == flow.log_loss.dtype == flow.test_loss(data).dtype == float


class Barrier:
    """The square loss, which is NaN from an output of 2 on: labels may be beyond."""

    def value(self, h, y):
        return np.where(h < 2.0, (h - y)**2 / 2, np.nan)

    def pull(self, h, y):
        return np.where(h < 2.0, y - h, np.nan)

    def curvature(self, h, y):
        return np.where(h < 2.0, 1.0 + 0 * h, np.nan)


@pytest.mark.parametrize("method", ["DOP853", "LSODA", "Radau", "waveform"])
@pytest.mark.parametrize("a", [0.1, 30.0])
def test_a_loss_that_becomes_nan_is_named_and_no_neuron(method, a):
    # The others pull the output of point 0 to three times its label.
    data = np.array([[3.0, 0.0]] + 30 * [[1.0, 0.0]]), np.ones(31)
    flow = gflow.integrate(([a, 0.1], [[0.1, 0.0], [0.0, 0.1]]), data, 200.0, method=method,
                           loss=Barrier())
    assert flow.status == "non_finite" and np.isfinite(flow.W).all()
    assert (flow.t_end > 0) == (a < 1)
    assert "weights of neuron" not in flow.message
    assert "the loss at point 0 is NaN at" in flow.message


def test_a_loss_with_a_name_of_its_own_is_named_as_well():
    class Named(Barrier):
        name = "barrier"

    flow = gflow.integrate(([2.0], [[2.0]]), ([[1.0]], [1.0]), 1.0, loss=Named())
    assert flow.status == "non_finite" and "the loss at point 0 is NaN at" in flow.message


def test_a_run_whose_loss_is_nan_comes_back_from_its_file(tmp_path):
    flow = gflow.integrate(([2.0], [[2.0]]), ([[1.0]], [1.0]), 1.0, loss=Barrier())
    flow.save(tmp_path / "run.npz")
    again = gflow.load(tmp_path / "run.npz", loss=Barrier())
    assert np.isnan(again.loss).all() and again.message == flow.message


@pytest.mark.parametrize("labels, kind, words", [
    (lambda y: y[:1], ValueError, r"loss.labels returns shape \(1,\) for labels of shape \(2,\)"),
    (lambda y: 1.0, ValueError, r"loss.labels\(y\) has shape \(\)"),
    (lambda y: np.log(-y * y), ValueError, r"loss.labels\(y\) has NaN or infinity"),
    (lambda y: None, TypeError, r"loss.labels\(y\) has dtype object"),
    (lambda y: {}[0], ValueError, r"loss.labels fails on labels .* \(KeyError"),
    (lambda y: 2 * y - 1, ValueError, "makes others of the labels that it has made"),
    (lambda y: np.multiply(y, 2.0, out=y), ValueError, "makes others of the labels")])
def test_labels_that_a_loss_makes_are_labels(labels, kind, words):
    loss = PseudoHuber()
    loss.labels = labels
    start, data = ([0.5], [[0.3]]), ([[1.0], [2.0]], [0.3, 1.0])
    with np.errstate(all="ignore"):
        with pytest.raises(kind, match=words):
            gflow.integrate(start, data, 1.0, loss=loss)
        with pytest.raises(kind, match=words):
            TwoLayerReLU(*start).loss(data, loss)


def test_files_want_the_loss_that_the_run_had_from_the_start(tmp_path):
    class Huber:
        value = staticmethod(lambda h, y: np.where(abs(h - y) < 1, (h - y)**2 / 2,
                                                   abs(h - y) - 0.5))
        pull = staticmethod(lambda h, y: np.clip(y - h, -1, 1))
        curvature = staticmethod(lambda h, y: 1.0 * (abs(h - y) < 1))

    # In the end residuals are small, and losses the same.
    flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [3.0]), 2.0, loss=Huber())
    assert 1e-6 < flow.loss[-1] < 0.5 < flow.loss[0]
    flow.save(tmp_path / "run.npz")
    assert gflow.load(tmp_path / "run.npz", loss=Huber()).loss.tolist() == flow.loss.tolist()
    with pytest.raises(ValueError, match="at the start of the run .* give the loss that it was"):
        gflow.load(tmp_path / "run.npz", loss="square")
