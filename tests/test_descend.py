"""Training with a finite step: PyTorch's formulas, distance to the flow, how runs end."""

import signal

import matplotlib.figure
import numpy as np
import pytest
from hypothesis import given

import gflow
from gflow.problem.checks import generator
from gflow.descent import STREAM, distances
from gflow.kernels.descent import gradient
from gflow.theory.exact import slides_for_ever
from gflow.engines.descent import Trainer
from problems import problems

OPTIMIZERS = ("gd", "momentum", "adam")
LRS = (1e-1, 1e-2, 1e-3)


@pytest.fixture(scope="module")
def teacher():
    """A start and noisy points on which neurons cross and slide."""
    return (gflow.init.balanced(10, 3, 0.1, rng=1),
            gflow.datasets.linear_teacher(23, 3, noise=0.5, rng=0))


@pytest.fixture(scope="module")
def crossing():
    """A start, symmetric points, and the flow: 180 crossings and no sliding."""
    start, data = gflow.init.balanced(20, 3, 0.1, rng=1), gflow.datasets.symmetric(20, 3)
    flow = gflow.integrate(start, data, 10.0, rtol=1e-11)
    assert len(flow.events) == 180 and not flow.stats["slide"]
    return start, data, flow


def plain_gradient(a, W, X, y):
    """Loss and gradients in NumPy, as autograd would have them."""
    Z = X @ W.T
    r = np.maximum(Z, 0.0) @ a - y
    G = ((Z > 0) * r[:, None] / len(y)).T @ X
    return (r @ r) / (2 * len(y)), np.maximum(Z, 0.0).T @ r / len(y), a[:, None] * G


def plain_training(model, data, lr, steps, optimizer, batches, momentum=0.9, betas=(0.9, 0.999),
                   eps=1e-8):
    """PyTorch's SGD and Adam as their documentation writes them, on ``[a, W]``; (steps + 1, N)."""
    theta = np.concatenate([model.a, model.W.ravel()])
    v = s = 0.0
    path = [theta]
    for t in range(1, steps + 1):
        own = next(batches)
        a, W = theta[:model.m], theta[model.m:].reshape(model.m, model.d)
        _, g_a, g_W = plain_gradient(a, W, data.X[own], data.y[own])
        g = np.concatenate([g_a, g_W.ravel()])
        if optimizer == "gd":
            move = lr * g
        elif optimizer == "momentum":
            v = momentum * v + g
            move = lr * v
        else:
            v, s = betas[0] * v + (1 - betas[0]) * g, betas[1] * s + (1 - betas[1]) * g**2
            move = lr * (v / (1 - betas[0]**t)) / (np.sqrt(s / (1 - betas[1]**t)) + eps)
        theta = theta - move
        path.append(theta)
    return np.array(path)


def epochs(n, batch, rng):
    """Batches without replacement; the last one of an epoch has what is left."""
    while True:
        order = rng.permutation(n)
        yield from np.split(order, range(batch, n, batch))


def states(flow):
    """Flat states (T, m (d + 1))."""
    return np.concatenate([flow.a, flow.W.reshape(len(flow.a), -1)], axis=1)


@given(problems())
def test_gradient_is_that_of_numpy(problem):
    a, W, X, y, _ = problem
    theta, g = np.concatenate([a, W.ravel()]), np.empty(a.size + W.size)
    on = np.ones((y.size, a.size), dtype=bool)
    loss, switches = gradient(theta, a.size, X, y, on, True, np.empty(on.shape), g)
    expected, g_a, g_W = plain_gradient(a, W, X, y)
    assert np.isclose(loss, expected, rtol=1e-13, atol=0)
    exact = np.concatenate([g_a, g_W.ravel()])
    np.testing.assert_allclose(g, exact, rtol=1e-12, atol=1e-13 * np.abs(exact).max())
    np.testing.assert_array_equal(on, X @ W.T > 0)
    assert switches == (~on).sum()


def test_derivative_at_zero_is_zero():
    g = np.empty(3)
    theta = np.array([1.0, 0.0, 1.0])
    gradient(theta, 1, np.array([[2.0, 0.0]]), np.ones(1), np.zeros((1, 1), dtype=bool), False,
             np.empty((1, 1)), g)
    np.testing.assert_array_equal(g, 0.0)


@pytest.mark.parametrize("batch", [None, 1, 5, 23])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_those_of_numpy(teacher, optimizer, batch):
    start, data = teacher
    twin = gflow.descend(start, data, 0.02, 60, optimizer=optimizer, batch=batch, rng=7,
                         save_every=1)
    draw = epochs(data.n, batch or data.n, generator(7, STREAM))
    expected = plain_training(start, data, 0.02, 60, optimizer, draw)
    np.testing.assert_allclose(states(twin), expected, rtol=0, atol=1e-12)
    assert (np.abs(expected[-1] - expected[0]) > 1e-3).any()


def test_adam_of_pytorch():
    """Six steps of torch 2.13 (float64) from a = 0.5, w = (0.3, -0.2)."""
    twin = gflow.descend(([0.5], [[0.3, -0.2]]), ([[1.0, 0.5], [-0.4, 2.0]], [1.0, 0.5]), 0.1, 6,
                         optimizer="adam")
    np.testing.assert_allclose([*twin.a[-1], *twin.W[-1, 0]],
                               [1.0927494761174987, 0.8649225399885935, 0.37767211556860375],
                               rtol=1e-14)


@given(problems(starts=("balanced", "unbalanced")))
def test_balance_changes_by_the_square_of_the_step(problem):
    """One step changes a^2 - |w|^2 by exactly lr^2 (g_a^2 - |g_w|^2), since a g_a = w.g_w."""
    a, W, X, y, _ = problem
    twin = gflow.descend((a, W), (X, y), 0.1, 1)
    _, g_a, g_W = plain_gradient(a, W, X, y)
    balance = twin.a**2 - (twin.W**2).sum(axis=2)
    size = twin.a**2 + (twin.W**2).sum(axis=2)
    np.testing.assert_allclose(balance[1] - balance[0], 0.01 * (g_a**2 - (g_W**2).sum(axis=1)),
                               rtol=0, atol=1e-13 * size.max())


@pytest.mark.parametrize("optimizer, most, wrong", [("gd", 0.03, 0.003), ("momentum", 0.5, 0.2)])
def test_distance_is_proportional_to_the_step(crossing, optimizer, most, wrong):
    start, data, flow = crossing
    far = []
    for step_time in LRS:
        # A step with momentum 0.9 counts ten times.
        lr = step_time / 10 if optimizer == "momentum" else step_time
        twin = gflow.descend(start, data, lr, round(10 / step_time), optimizer=optimizer)
        assert twin.t_end == pytest.approx(10.0)
        far.append(distances(flow, twin).max())
    slopes = -np.diff(np.log10(far))
    assert far[0] < most
    # The next order in the step size shows at the coarse end, and a tenth of it beyond.
    np.testing.assert_array_less(np.abs(slopes - 1.0), [wrong, wrong / 8])


def test_sliding_becomes_a_zigzag():
    """No farther from the hyperplane than a step, and across it again and again."""
    case = slides_for_ever()
    arrival, fitted = float(case.events["time"][0]), 6.0
    switches = []
    for lr in LRS:
        twin = gflow.descend(case.model, case.data, lr, round(8 / lr), save_every=1)
        slides = (twin.t > arrival + 2 * lr) & (twin.t < fitted)
        z = twin.W[slides, 0] @ case.data.X[1]
        assert 0 < np.abs(z).max() < lr
        exact = case(twin.t)
        assert np.abs(twin.W - exact.W).max() < lr and np.abs(twin.a - exact.a).max() < lr
        assert not (twin.pattern(3.0) == 2).any()
        switches.append(twin.stats["switches"])
    assert switches[1] > 5 * switches[0] and switches[2] > 8 * switches[1]


def test_result_is_that_of_a_flow(teacher, tmp_path):
    start, data = teacher
    twin = gflow.descend(start, data, np.float64(0.05), np.int64(100), save_every=np.int64(30),
                         batch=np.int64(data.n), rng=np.int64(2))
    assert isinstance(twin, gflow.Flow) and twin.success and twin.status == "finished"
    np.testing.assert_array_equal(twin.saved["step"], [0, 30, 60, 90, 100])
    np.testing.assert_array_equal(twin.t, twin.saved["step"] * 0.05)
    assert twin.t_end == twin.settings["t_max"] and "100 steps" in repr(twin)
    for j, t in enumerate(twin.t):
        model = twin(t)
        np.testing.assert_array_equal(model.W, twin.W[j])
        np.testing.assert_array_equal(model.a, twin.a[j])
        np.testing.assert_array_equal(twin.pattern(t), twin.W[j] @ data.X.T > 0)
        assert twin.loss[j] == pytest.approx(model.loss(data), rel=1e-13)
    np.testing.assert_allclose(twin(2.25).W, (twin.W[1] + twin.W[2]) / 2, rtol=1e-13, atol=1e-16)
    assert twin.alignment().t.size == 5

    twin.save(tmp_path / "twin.npz")
    again = gflow.load(tmp_path / "twin.npz")
    np.testing.assert_array_equal(states(again), states(twin))
    np.testing.assert_array_equal(again.events, twin.events)
    np.testing.assert_allclose(again(2.25).W, twin(2.25).W, rtol=1e-13, atol=1e-16)
    assert again.settings == twin.settings
    for run in (twin, again):
        with pytest.raises(ValueError, match="certificate"):
            run.certificate()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_switches_are_those_of_all_steps(teacher, optimizer):
    start, data = teacher
    for lr, options in ((0.02, {}), (1.0, {"stop": gflow.stop.loss_below(0.2)}), (30.0, {}),
                        (0.5, {"loss": "logistic"})):
        if "loss" in options:
            data = gflow.Data(data.X, np.sign(data.y))
        for steps in (1, 2, 40):
            twin = gflow.descend(start, data, lr, steps, optimizer=optimizer, save_every=1,
                                 **options)
            assert twin.stats["switches"] == len(twin.events)
    assert len(twin.events) > 20


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_saving_and_pausing_change_nothing(teacher, optimizer, monkeypatch):
    start, data = teacher
    run = {"optimizer": optimizer, "batch": 5, "rng": 3}
    often = gflow.descend(start, data, 0.02, 200, save_every=1, **run)
    seldom = gflow.descend(start, data, 0.02, 200, **run)
    monkeypatch.setattr(gflow.engines.descent, "CHUNK", 7e3)
    pausing = gflow.descend(start, data, 0.02, 200, save_every=200, **run)
    steps = seldom.saved["step"]
    assert (steps[0], steps[-1]) == (0, 200) and 50 < steps.size < 201
    np.testing.assert_array_equal(states(often)[steps], states(seldom))
    np.testing.assert_array_equal(states(often)[-1], states(pausing)[-1])
    other = gflow.descend(start, data, 0.02, 200, **{**run, "rng": 4})
    assert (states(other)[-1] != states(seldom)[-1]).any()


def test_generators_are_recorded(teacher, tmp_path):
    start, data = teacher
    for kind in (np.random.PCG64, np.random.MT19937):
        twin = gflow.descend(start, data, 0.02, 50, batch=5, rng=np.random.Generator(kind(5)))
        twin.save(tmp_path / "twin.npz")
        generator_again = np.random.Generator(kind())
        generator_again.bit_generator.state = gflow.load(tmp_path / "twin.npz").settings["rng"]
        again = gflow.descend(start, data, 0.02, 50, batch=5, rng=generator_again)
        np.testing.assert_array_equal(states(again), states(twin))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_divergence_leaves_what_was_reached(teacher, optimizer):
    start, data = teacher
    lr = 1e160 if optimizer == "adam" else 20.0
    for batch in (None, 5):
        twin = gflow.descend(start, data, lr, 1000, optimizer=optimizer, batch=batch,
                             save_every=1000)
        assert (twin.status, twin.success) == ("non_finite", False)
        last = twin.saved["step"][-1]
        assert f"diverged at step {last + 1}" in twin.message and "smaller lr" in twin.message
        assert np.isfinite(states(twin)).all() and np.isfinite(twin.loss).all() and last < 100
        every = gflow.descend(start, data, lr, 1000, optimizer=optimizer, batch=batch,
                              save_every=1)
        np.testing.assert_array_equal(every.saved["step"], np.arange(last + 1))
        np.testing.assert_array_equal(states(every)[-1], states(twin)[-1])
    with pytest.raises(gflow.IntegrationError, match="diverged") as caught:
        gflow.descend(start, data, lr, 1000, optimizer=optimizer, strict=True)
    assert caught.value.flow.t_end < 100 * lr


def test_overflow_at_once(teacher):
    start, data = teacher
    twin = gflow.descend(start, data, 1e307, 10, optimizer="adam")
    assert twin.status == "non_finite" and "at step 1:" in twin.message and twin.t.size == 1
    twin = gflow.descend(([1e200], [[1e200, 0.0, 0.0]]), data, 0.1, 10)
    assert twin.status == "non_finite" and "start overflows" in twin.message and twin.t.size == 1


@pytest.mark.parametrize("batch", [None, 5])
def test_rules_on_the_loss_find_the_first_step(teacher, batch):
    start, data = teacher
    every = gflow.descend(start, data, 0.05, 3000, save_every=1, batch=batch)
    level = 0.9 * every.loss[0]
    rule = gflow.stop.loss_below(level)
    twin = gflow.descend(start, data, 0.05, 3000, save_every=700, stop=rule, batch=batch)
    first = int(np.argmax(every.loss < level))
    assert twin.status == "loss_below" and twin.success
    # Looked at on saved steps: found in the interval of the first one that is below.
    seen = next(s for s in range(700, 3000, 700) if every.loss[s] < level)
    expected = seen - 700 + 1 + int(np.argmax(every.loss[seen - 699:seen + 1] < level))
    assert twin.saved["step"][-1] == expected and (batch or expected == first)
    np.testing.assert_array_equal(states(twin)[-1], states(every)[expected])


@pytest.mark.parametrize("every", [1, 400])
def test_the_rule_that_holds_first_ends_training_in_any_order(teacher, every):
    """Several begin to hold between two saved steps, and a callback holds at the second."""
    start, data = teacher
    path = gflow.descend(start, data, 0.05, 400, save_every=1).loss
    first, second = (gflow.stop.loss_below((path[k - 1] + path[k]) / 2) for k in (30, 90))
    same = gflow.stop.Rule(first.test, "same", "as early", locate=True)
    late = gflow.stop.Rule(lambda state: state.loss < path[100], "late", "at saved steps")
    for order, status in (([first, second], "loss_below"), ([second, late, first], "loss_below"),
                          ([late, second, same, first], "same"), ([first, same], "loss_below")):
        twin = gflow.descend(start, data, 0.05, 400, save_every=every, stop=order)
        assert (twin.saved["step"][-1], twin.status) == (30, status)
        assert twin.message != second.message
    # At one step the order of the list decides, also between those that are located and others.
    end = gflow.stop.loss_below((path[399] + path[400]) / 2)
    for order in ([late, end], [end, late]) if every == 400 else ():
        twin = gflow.descend(start, data, 0.05, 400, save_every=every, stop=order)
        assert (twin.saved["step"][-1], twin.status) == (400, order[0].status)


@pytest.mark.parametrize("optimizer", ["gd", "momentum"])
def test_a_rule_that_held_before_training_diverged_is_heard(teacher, optimizer):
    def large(state):
        return abs(state.a).max() > 1e3

    options = {"lr": 100.0, "steps": 200, "save_every": 100, "optimizer": optimizer}
    twin = gflow.descend(*teacher, **options, stop=gflow.stop.Rule(large, "large", "large", True))
    assert twin.status == "large" and abs(twin.a[-1]).max() > 1e3
    every = gflow.descend(*teacher, **{**options, "save_every": 1})
    assert every.status == "non_finite"
    assert twin.saved["step"][-1] == every.saved["step"][(abs(every.a) > 1e3).any(axis=1)][0]
    # One that is asked at saved steps only does not hide how training has ended before.
    assert gflow.descend(*teacher, **options, stop=large).status == "non_finite"


def test_other_rules_and_interrupts(teacher):
    start, data = teacher
    seen = []

    def late(state):
        seen.append((state.t, state.grad_norm, state.loss))
        return state.t > 3.9

    twin = gflow.descend(start, data, 0.1, 100, save_every=10, stop=late)
    assert twin.status == "callback" and twin.saved["step"][-1] == 40
    a, W = twin.a[-1], twin.W[-1]
    loss, g_a, g_W = plain_gradient(a, W, data.X, data.y)
    norm = np.sqrt(g_a @ g_a + (g_W**2).sum())
    np.testing.assert_allclose(seen[-1], (4.0, norm, loss), rtol=1e-12)
    assert gflow.descend(start, data, 0.1, 100, stop=gflow.stop.loss_below(1e3)).t.size == 1

    def interrupt(state):
        if state.t > 3.9:
            signal.raise_signal(signal.SIGINT)

    twin = gflow.descend(start, data, 0.1, 100, save_every=10, stop=interrupt)
    assert twin.status == "interrupted" and not twin.success
    assert 40 <= twin.saved["step"][-1] <= 50


def test_log_scale_and_one_neuron_at_rest():
    start = gflow.init.balanced(4, 2, 1.0, rng=0, log_scale=-5.0)
    data = gflow.datasets.three_points()
    scale = np.exp(-5.0)
    plain = (start.a * scale, start.W * scale)
    np.testing.assert_array_equal(states(gflow.descend(start, data, 0.1, 50)),
                                  states(gflow.descend(plain, data, 0.1, 50)))
    with pytest.raises(ValueError, match="log_scale"):
        gflow.descend(gflow.init.balanced(4, 2, 1.0, log_scale=-1000.0), data, 0.1, 50)
    rest = gflow.descend(([1.0, 0.1], [[0.0, 0.0], [0.1, 0.1]]), data, 0.1, 50)
    assert (rest.W[:, 0] == 0).all() and (rest.a[:, 0] == 1).all()


def test_distances_of_runs_that_do_not_match(crossing, teacher):
    start, data, flow = crossing
    with pytest.raises(ValueError, match="start from different weights"):
        distances(flow, gflow.descend(gflow.init.balanced(20, 3, 0.1, rng=2), data, 0.1, 10))
    with pytest.raises(ValueError, match="runs of one network"):
        distances(flow, gflow.descend(teacher[0], data, 0.1, 10))
    other = gflow.Data(data.X, data.y + 1e-3)
    with pytest.raises(ValueError, match="runs on different data"):
        distances(flow, gflow.descend(start, other, 0.1, 10))
    with pytest.raises(ValueError, match="runs on different data"):
        distances(flow, gflow.descend(start, gflow.Data(data.X[:9], data.y[:9]), 0.1, 10))
    with pytest.raises(ValueError, match="different activations"):
        leaky = gflow.TwoLayerReLU(start.a, start.W, slope=0.5)
        distances(flow, gflow.descend(leaky, data, 0.1, 10))
    signs = gflow.Data(data.X, np.sign(data.y))
    with pytest.raises(ValueError, match="different loss"):
        distances(gflow.integrate(start, signs, 1.0),
                  gflow.descend(start, signs, 0.1, 10, loss="logistic"))
    # What the flow did not reach is left out.
    assert distances(flow, gflow.descend(start, data, 0.1, 200, save_every=50)).size == 3


def test_a_schedule_is_called_once_a_step_before_them_all(crossing):
    start, data, _ = crossing
    called, seen = [], []

    def rule(state):
        seen.append(len(called))
        return False

    gflow.descend(start, data, 0.1, 5, schedule=lambda k: called.append(k) or 1.0, stop=rule)
    assert called == list(range(5)) and set(seen) == {5}


def test_figure(crossing):
    start, data, flow = crossing
    twins = [gflow.descend(start, data, lr, round(10 / lr)) for lr in (1e-2, 1e-1)]
    axes = matplotlib.figure.Figure().subplots()
    for marker in "os":
        assert gflow.plot.step_sizes(flow, twins, ax=axes, marker=marker, label=marker) is axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [1e-2, 1e-1])
    np.testing.assert_allclose(axes.lines[0].get_ydata(),
                               [distances(flow, twin).max() for twin in twins])
    assert axes.get_legend_handles_labels()[1] == ["o", "slope 1", "s"]
    axes.figure.canvas.draw()
    with pytest.raises(ValueError, match="no twins"):
        gflow.plot.step_sizes(flow, [])


@pytest.mark.parametrize("bad, error, words", [
    ({"lr": 0.0}, ValueError, "lr"), ({"lr": "0.1"}, TypeError, "lr"),
    ({"lr": np.nan}, ValueError, "lr"), ({"lr": 1e308}, ValueError, r"lr \* steps"),
    ({"steps": 0}, ValueError, "steps"),
    ({"steps": 1e3}, TypeError, "steps"), ({"optimizer": "sgd"}, ValueError, "choose one of gd"),
    ({"optimizer": None}, ValueError, "choose one of gd"),
    ({"batch": 0}, ValueError, "batch"), ({"batch": 24}, ValueError, "there are 23 points"),
    ({"batch": 2.0}, TypeError, "batch"), ({"rng": -1}, ValueError, "rng"),
    ({"rng": None}, TypeError, "rng"), ({"momentum": 1.0}, ValueError, "momentum"),
    ({"momentum": -0.1}, ValueError, "momentum"), ({"betas": 0.9}, TypeError, "betas"),
    ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\]"), ({"betas": (0.9,)}, TypeError, "betas"),
    ({"momentum": 0.5}, ValueError, "momentum = 0.5 is of no effect on gd"),
    ({"optimizer": "momentum", "eps": 0.1}, ValueError, "eps = 0.1 is of no effect on momentum"),
    ({"optimizer": "adam", "momentum": 0.9}, ValueError, "give optimizer=\"momentum\""),
    ({"steps": 10**30}, ValueError, "give 2\\^53 or less"),
    ({"steps": 10**13, "save_every": 1}, ValueError, "save fewer"),
    ({"eps": 0.0}, ValueError, "eps"), ({"save_every": 0}, ValueError, "save_every"),
    ({"stop": 1e-3}, TypeError, "stop"), ({"data": ([[1.0]], [1.0])}, ValueError, "column"),
    ({"model": 3}, TypeError, "model"),
])
def test_bad_input(teacher, bad, error, words):
    start, data = teacher
    arguments = {"model": start, "data": data, "lr": 0.1, "steps": 10, **bad}
    with pytest.raises(error, match=words) as caught:
        gflow.descend(**arguments)
    assert "\n" not in str(caught.value)


def test_trainer_copies_go_their_own_way(teacher):
    start, data = teacher
    trainer = Trainer(start, data, 2, 5, np.random.default_rng(0), (0.02, 0.9, 0.999, 1e-8))
    trainer.advance(13)
    other = trainer.copy()
    other.advance(9)
    assert trainer.step == 13 and (other.theta != trainer.theta).any()
    trainer.advance(9)
    np.testing.assert_array_equal(other.theta, trainer.theta)


def test_a_loaded_twin_is_one(tmp_path):
    data = gflow.datasets.linear_teacher(12, 2, noise=0.5, rng=0)
    twin = gflow.descend(gflow.init.balanced(5, 2, 0.1, rng=1), data, 0.1, 30)
    twin.save(tmp_path / "twin.npz")
    again = gflow.load(tmp_path / "twin.npz")
    assert type(again) is type(twin) and (again(1.23).W == twin(1.23).W).all()
    with pytest.raises(ValueError, match="no certificate"):
        again.certificate()


PARTS = sorted(name for name in dir(gflow.Flow) if not name.startswith("_")) + [
    "__call__", "__repr__", "_repr_html_"]
NOT_THERE = {"certificate": "compare it with", "conditioning": "ask gflow.integrate",
             "extend": "call gflow.descend"}


@pytest.fixture(scope="module")
def descents(tmp_path_factory):
    """Descents of every kind."""
    start = gflow.init.balanced(6, 3, 0.1, rng=1)
    data = gflow.datasets.linear_teacher(12, 3, noise=0.5, rng=0)
    signs = gflow.Data(data.X, np.sign(data.y))
    leaky = gflow.TwoLayerReLU(start.a, start.W, slope=0.1)
    smooth = gflow.TwoLayer(start.a, start.W, activation="tanh")
    options = [{}, {"batch": 3, "noise": 0.1}, {"optimizer": "adam"}, {"decay": 0.1},
               {"rates": (0, 1)}, {"stop": lambda state: True}]
    file = tmp_path_factory.mktemp("descents") / "run.npz"
    found = [gflow.descend(start, data, 0.05, 40, **more) for more in options]
    found += [gflow.descend(model, data, 0.05, 40) for model in (leaky, smooth)]
    found += [gflow.descend(start, signs, 0.5, 400, loss="logistic"),
              gflow.descend(start, data, 1e3, 40)]
    found[0].save(file)
    return [*found, gflow.load(file)]


@pytest.mark.parametrize("name", PARTS)
def test_every_part_of_a_descent_answers_or_says_why_not(descents, name, tmp_path):
    for twin in descents:
        given = {"extend": (9.0,), "pattern": (twin.t_end / 2,), "__call__": (twin.t_end / 2,),
                 "predict": (twin.data.X,), "test_loss": (twin.data,), "save": (tmp_path / "f",)}
        method = callable(getattr(gflow.Flow, name))
        try:
            answer = getattr(twin, name)
            if method:
                answer = answer(*given.get(name, ()))
        except ValueError as error:
            # Nothing else is raised, and this is documented and says what to do.
            assert "ValueError" in getattr(gflow.Flow, name).__doc__
            assert NOT_THERE.get(name, ":") in str(error) and "\n" not in str(error)
        else:
            assert name not in NOT_THERE and (answer is not None or name in ("save", "checked"))


# One neuron carries the output, at rest; another one is small, and fits its point from t = 34 on.
SADDLE = ([1.0, 1e-5], [[1.0, 0.0], [0.0, 1e-5]]), (np.eye(2), [1.0, 0.5])


@pytest.mark.parametrize("options", [{}, {"optimizer": "momentum"}, {"batch": 1}])
def test_rules_of_a_descent_know_the_problem(options):
    seen = []
    twin = gflow.descend(*SADDLE, 0.02, 40000, stop=[
        lambda state: seen.append(state.field), gflow.stop.loss_below(1e-30),
        gflow.stop.converged()], **options)
    assert seen[-1].data.y.tolist() == [1.0, 0.5] and seen[-1].loss == twin.loss_function
    # Not on the saddle, where nothing moves for long.
    assert twin.status in ("converged", "loss_below") and twin.loss[-1] < 1e-12


@pytest.mark.parametrize("optimizer", ["gd", "momentum"])
def test_a_descent_converges_where_the_flow_does(optimizer):
    start, data = gflow.init.balanced(10, 2, 1e-2, rng=0), gflow.datasets.three_points()
    twin = gflow.descend(start, data, 0.05, 40000, optimizer=optimizer,
                         stop=gflow.stop.converged())
    assert twin.status == "converged" and twin.t_end < 1000
    assert twin.loss[-1] == pytest.approx(0.0875, rel=1e-2)


def test_what_is_foreseen_of_flows_is_not_told_of_other_training():
    for rule in (gflow.stop.settled(), gflow.stop.converged()):
        for options, words in [({"decay": 0.1}, "weight decay"), ({"rates": (2, 1)}, "speeds"),
                               ({"loss": "logistic"}, "without rest"), ({"optimizer": "adam"},
                                                                        "Adam follows another")]:
            with pytest.raises(ValueError, match=words):
                gflow.descend(SADDLE[0], (np.eye(2), [1, 1]), 0.1, 10, stop=rule, **options)
    # Adam leaves at once, and a flow after 34.
    twin = gflow.descend(*SADDLE, 0.01, 100, optimizer="adam")
    assert twin.loss[-1] < 1e-3 < twin.loss[0]
    for name in ("verdict", "plateaus"):
        with pytest.raises(ValueError, match="Adam follows another one"):
            getattr(twin, name)()
    assert gflow.descend(*SADDLE, 0.01, 100).verdict().leaving["neuron"].tolist() == [1]


@pytest.mark.parametrize("run", [{"batch": 2}, {"noise": 0.1},
                                 {"batch": 2, "noise": 0.1, "optimizer": "momentum"}])
def test_what_is_kept_and_where_a_rule_stops_do_not_change_the_steps(run):
    g = np.random.default_rng(5)
    data = g.standard_normal((7, 2)), g.standard_normal(7)
    start = gflow.init.balanced(4, 2, 0.5, 1)
    often = gflow.descend(start, data, 0.05, 40, save_every=1, rng=3, **run)
    seldom = gflow.descend(start, data, 0.05, 40, save_every=7, rng=3, **run)
    np.testing.assert_array_equal(seldom.W[-1], often.W[-1])
    below = (often.loss[0] + often.loss.min()) / 2
    first = int(np.argmax(often.loss < below))
    stopped = gflow.descend(start, data, 0.05, 40, save_every=15, rng=3,
                            stop=gflow.stop.loss_below(below), **run)
    assert stopped.saved["step"][-1] == first
    np.testing.assert_array_equal(stopped.W[-1], often.W[first])


def test_time_is_up_between_saved_steps():
    start, data = ([0.1, -0.1], [[0.1, 0.2], [0.3, -0.1]]), ([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0])
    run = gflow.descend(start, data, 0.01, 10**15, stop=gflow.stop.wall_time(0.2))
    assert run.status == "wall_time" and 0 < run.stats["steps"] < 10**15
    assert run.t[-1] == pytest.approx(0.01 * run.stats["steps"])
