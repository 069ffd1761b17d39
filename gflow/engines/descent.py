"""What `gflow.descend` runs: steps of training, and the record of them."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, Callable, Literal

import numpy as np

from ..problem.activation import RELU
from ..problem.data import Data
from ..kernels.descent import ADAM, GD, MOMENTUM, advance, backward, forward, gradient, update
from ..problem.field import Field
from ..problem.loss import SQUARE, Loss
from ..problem.network import TwoLayer, TwoLayerReLU
from ..problem.norms import row_norms
from ..problem.setting import PLAIN, Setting
from ..problem.smooth import Smooth
from ..problem.words import counted
from .events import count_kinds
from .interrupts import Press, catching, leaving
from .record import read_only
from .run import OUTCOMES, Foreign, Run, Stop, asked
from .rules import Rule, State
from .trajectory import Trajectory

Optimizer = Literal["gd", "momentum", "adam"]
OPTIMIZERS: dict[str, int] = {"gd": GD, "momentum": MOMENTUM, "adam": ADAM}
CHUNK = 2e8
"""Multiplications between two looks for Ctrl-C."""


class Trainer:
    """Weights, running means of gradients and the order of the points; takes steps.

    Parameters
    ----------
    model : TwoLayerReLU
        Start.
    data : Data
    kind : int
        One of `OPTIMIZERS`.
    batch : int
        Points a step.
    rng : numpy.random.Generator
        Draws an order of the points for every epoch, if a batch is not all of them.
    rates : tuple of float
        Step size, decay of the first and of the second running mean, and Adam's eps.
    loss : Loss
    setting : Setting
        Weight decay, as a term of the gradient, and factors of the steps of the layers.
    factors : ndarray, shape (steps,), or None
        Of the size of every step.
    noise : float
        Standard deviation of what is added to every label in every step.

    Attributes
    ----------
    theta : ndarray, shape (m (d + 1),)
        State ``[a (m), W (m d)]``.
    step : int
        Steps taken.
    loss : float
        On all points.
    switches : int
        Changes of the pattern seen from one step to the next, with full batches; those of the last
        step are `last_switches`.
    """

    def __init__(self, model: TwoLayer, data: Data, kind: int, batch: int,
                 rng: np.random.Generator, rates: tuple[float, float, float, float],
                 loss: Loss = SQUARE, setting: Setting = PLAIN,
                 factors: np.ndarray | None = None, noise: float = 0.0) -> None:
        scale = np.exp(model.log_scale)
        self.m, self.d = model.m, model.d
        self.theta = np.concatenate([model.a * scale, (model.W * scale[:, None]).ravel()])
        self.last = self.theta.copy()
        self.first, self.second = np.zeros_like(self.theta), np.zeros_like(self.theta)
        # Kernels are compiled for arrays that may be written to.
        self.X, self.y = data.X.copy(), data.y.copy()
        self.field = Field(data, loss, model.activation, setting)
        self.plain = (factors is None and not noise and setting == PLAIN
                      and model.activation == RELU)
        self.square = self.plain and loss == SQUARE
        self.factors, self.noise = factors, noise
        self.speeds = np.repeat(setting.rates, [self.m, self.m * self.d])
        self.kind, self.batch, self.rates, self.rng = kind, batch, rates, rng
        # Its own stream: orders are drawn for many steps at once, noise is not.
        self.own = np.random.default_rng(rng.integers(2**63, size=2)) if noise else rng
        self.on = np.ascontiguousarray(self.pattern().T == 1)
        self.orders, self.epoch = np.empty((0, data.n), dtype=np.int64), 0
        self.step = self.switches = 0
        self.loss = self.gradient(self.theta)[0]
        self.longest = max(1, int(CHUNK / (batch * self.m * (self.d + 4))))

    @property
    def a(self) -> np.ndarray:
        """Output weights (m,), a view."""
        return self.theta[:self.m]

    @property
    def W(self) -> np.ndarray:
        """Hidden weights (m, d), a view."""
        return self.theta[self.m:].reshape(self.m, self.d)

    def copy(self) -> Trainer:
        """A trainer that can go on from here once more."""
        other = copy.copy(self)
        for name in ("theta", "last", "first", "second", "on", "rng", "own"):
            setattr(other, name, copy.deepcopy(getattr(self, name)))
        return other

    def advance(self, count: int) -> bool:
        """Take ``count`` steps; False if training diverges, and then at the last finite step."""
        orders = self._orders(count)
        if self.square:
            done, switches = advance(
                self.kind, self.theta, self.last, self.first, self.second, self.m, self.X, self.y,
                self.on, orders, self.epoch, self.batch, self.step, count, *self.rates)
        else:
            done, switches = self._take(count, orders)
        self.step += done
        self.switches += switches
        self.loss = self.gradient(self.theta)[0]
        if done == count and not np.isfinite(self.loss):
            self.theta[:] = self.last
            self.step -= 1
            self.loss = self.gradient(self.theta)[0]
            return False
        return bool(done == count)

    def _take(self, count: int, orders: np.ndarray) -> tuple[int, int]:
        """What the kernel `advance` does, under the pulls of any loss."""
        n, loss = self.y.size, self.field.loss
        batches, whole = -(-n // self.batch), self.batch == n
        switches = 0
        X, y, size = self.X, self.y, n
        for q in range(count):
            step = self.step + q
            if not whole:
                begin = step % batches * self.batch
                points = orders[step // batches - self.epoch, begin:begin + self.batch]
                X, y, size = self.X[points], self.y[points], points.size
            labels = y + self.noise * self.own.standard_normal(size) if self.noise else y
            h, g, changed = self._slopes(self.theta, X, labels, whole)
            if not np.isfinite(loss.value(h, labels)).all():
                self.theta[:] = self.last
                # The last step led here; if there was none, noise of labels did.
                return max(q - 1, -self.step), switches
            switches += changed
            self.last[:] = self.theta
            lr = self.rates[0] * (1.0 if self.factors is None else self.factors[step])
            total = update(self.kind, self.theta, g, self.first, self.second, step + 1, lr,
                           *self.rates[1:])
            if not self.plain:
                self.theta[:] = self.last + self.speeds * (self.theta - self.last)
            if not np.isfinite(total):
                self.theta[:] = self.last
                return q, switches
        return count, switches

    def _slopes(self, theta: np.ndarray, X: np.ndarray, y: np.ndarray,
                watch: bool) -> tuple[np.ndarray, np.ndarray, int]:
        """Outputs (k,) at points (k, d), the gradient of the objective on them, and how many
        entries of the pattern have changed, if all points are there to ``watch``."""
        a, W = theta[:self.m], theta[self.m:].reshape(self.m, self.d)
        loss, activation = self.field.loss, self.field.activation
        if self.plain:
            g, Z = np.empty_like(theta), np.empty((len(y), self.m))
            h, changed = forward(theta, self.m, X, self.on, watch, Z)
            backward(theta, self.m, X, np.require(loss.pull(h, y), float, ["C", "W"]), Z, g)
            return h, g, changed
        z = X @ W.T
        values, up, changed = activation(z), z > 0, 0
        h = values @ a
        p = loss.pull(h, y) / len(y)
        bent = (activation.derivative(z) if isinstance(activation, Smooth) else
                np.where(up, 1.0, activation.slope))
        if watch and not activation.smooth:
            changed = int((up != self.on).sum())
            self.on[:] = up
        g = -np.append(p @ values, a[:, None] * ((bent * p[:, None]).T @ X))
        return h, g + self.field.setting.shrinking(self.m, self.d) * theta, changed

    def _orders(self, count: int) -> np.ndarray:
        """Orders of the points in the epochs of the next ``count`` steps, from ``self.epoch``."""
        n = self.y.size
        if self.batch < n:
            batches = -(-n // self.batch)
            now, end = self.step // batches, (self.step + count - 1) // batches + 1
            kept = self.orders[now - self.epoch:]
            new = [self.rng.permutation(n)[None] for _ in range(end - now - len(kept))]
            self.orders, self.epoch = np.concatenate([kept, *new]), now
        return self.orders

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss on all points, and the gradient of the objective, shape (m (d + 1),)."""
        if self.square:
            g, Z = np.empty_like(theta), np.empty((self.y.size, self.m))
            loss, _ = gradient(theta, self.m, self.X, self.y, self.on, False, Z, g)
            return float(loss), g
        h, g, _ = self._slopes(theta, self.X, self.y, False)
        return float(self.field.value(h)), g

    def grad_norm(self, theta: np.ndarray) -> float:
        """Norm of the gradient of the objective, of the weights that move: that of a layer that
        stays does not vanish at rest."""
        return float(row_norms(self.gradient(theta)[1] * (self.speeds > 0)))

    def last_switches(self) -> int:
        """Changes of the pattern that the last step made, and that no step has looked at yet."""
        if self.field.activation.smooth or np.array_equal(self.theta, self.last):
            return 0
        Z = np.empty((self.y.size, self.m))
        return int(forward(self.theta, self.m, self.X, self.on.copy(), True, Z)[1])

    def pattern(self) -> np.ndarray:
        """1 where neurons are active and 0 elsewhere, int8, shape (m, n); 0 if they are smooth."""
        if self.field.activation.smooth:
            return np.zeros((self.m, self.y.size), dtype=np.int8)
        return np.asarray((self.W @ self.X.T > 0).astype(np.int8))


class Training:
    """Runs a trainer, saves steps, and ends when a rule or the user says so.

    Parameters
    ----------
    trainer : Trainer
    clock : callable
        From a number of steps to their flow time.
    steps : int
        Steps of the whole run.
    rules : tuple of Rule
        Stopping rules.
    progress : bool
        Whether to draw a text meter on standard error.

    Attributes
    ----------
    path : Trajectory
        Straight lines between saved steps.
    record : Run
        Changes of the pattern between saved steps.
    initial_pattern : ndarray of int8, shape (m, n)
    """

    def __init__(self, trainer: Trainer, clock: Callable[[int], float], steps: int,
                 rules: tuple[Rule, ...], progress: bool) -> None:
        self.trainer, self.clock, self.steps = trainer, clock, steps
        self.path = Trajectory(trainer.m, trainer.d, trainer.theta, 0.0)
        self.record = Run(self.path, clock(steps), rules, None, progress)
        self.timed = tuple(rule for rule in rules
                           if rule.status == "wall_time" and not rule.locate)
        self.initial_pattern = self._pattern = trainer.pattern()
        self._theta = trainer.theta.copy()
        self._kept: dict[str, list[Any]] = {"step": [], "a": [], "W": [], "loss": []}

    def run(self, numbers: np.ndarray) -> tuple[str, str, BaseException | None]:
        """Save the steps ``numbers`` (0 first); the status and a sentence about the end, and what
        a rule raised."""
        status, message = "finished", f"took {counted(self.steps, 'step')}"
        raised: BaseException | None = None
        # Overflow is found and named.
        with catching(self.record), np.errstate(all="ignore"):
            self._keep()
            try:
                if not np.isfinite(self.trainer.loss):
                    raise Stop("non_finite", "the loss of the start overflows; rescale the data "
                               "or start smaller")
                rule = self._rule_that_holds()
                if rule:
                    raise Stop(rule.status, rule.message)
                for number in numbers[1:]:
                    self._reach(int(number))
                    self._keep()
            except Stop as end:
                status, message = end.status, end.message
            except Press as press:
                raised = leaving(press)
                status, message = "interrupted", OUTCOMES["interrupted"]
            except BaseException as error:
                status, message = "exception", OUTCOMES["exception"]
                raised = error.error if isinstance(error, Foreign) else error
            if self.trainer.step > self._kept["step"][-1] and np.isfinite(self.trainer.loss):
                self._keep()
        if self.record.meter:
            self.record.meter.close()
        return status, message, raised

    def saved(self) -> dict[str, np.ndarray]:
        """Numbers, weights and losses of the saved steps."""
        return {name: np.array(rows) for name, rows in self._kept.items()}

    def stats(self) -> dict[str, Any]:
        """What the run cost, as of a flow."""
        events = self.record.events()
        trainer, taken = self.trainer, self.trainer.step
        full = trainer.batch == trainer.y.size
        return {"nfev": taken, "njev": 0, "steps": taken, "events": len(events),
                **count_kinds(events),
                "ambiguous": 0,
                "switches": trainer.switches + trainer.last_switches() if full else None,
                "wall_time": self.record.wall}

    def _reach(self, number: int) -> None:
        """Go on to the step ``number``, or to the first step before where a rule holds."""
        rules = self.record.rules
        located = tuple(rule for rule in rules if rule.locate)
        origin = self.trainer.copy() if located else self.trainer
        begin = self.trainer.step
        try:
            self._advance(number)
        except Stop as end:
            # What held before training diverged has ended it, though no saved step was reached.
            if end.status == "non_finite" and self.trainer.step > begin:
                self._stop_if_asked(located, origin)
            raise
        self._stop_if_asked(rules, origin)

    def _stop_if_asked(self, rules: tuple[Rule, ...], origin: Trainer) -> None:
        """Stop if one of the rules holds: at the first step since ``origin`` at which a located one
        does, whatever the order of the list, which decides between those of one step."""
        state, last = self._state(), self.trainer.step
        held = [rule for rule in rules if asked(rule, state)]
        located = [rule for rule in held if rule.locate]
        if located:
            self.trainer = origin
            sooner: list[Rule] = []
            while not sooner:
                self._advance(self.trainer.step + 1)
                if self.trainer.step == last:
                    break
                state = self._state()
                sooner = [rule for rule in located if asked(rule, state)]
            held = sooner or held
        if held:
            raise Stop(held[0].status, held[0].message)

    def _advance(self, number: int) -> None:
        while self.trainer.step < number:
            count = min(number - self.trainer.step, self.trainer.longest)
            if not self.trainer.advance(count):
                raise Stop("non_finite", f"diverged at step {self.trainer.step + 1}: a weight or "
                           "the loss became infinite or NaN; take a smaller lr")
            if self.record.interrupted:
                raise Stop("interrupted")
            if count == self.trainer.longest:
                # Saved steps may be far apart, but the clock goes on.
                self._stop_if_asked(self.timed, self.trainer)
            if self.record.meter:
                step = self.trainer.step
                self.record.meter.show(self.clock(step), self.record.count, step / self.steps)

    def _rule_that_holds(self) -> Rule | None:
        state = self._state()
        return next((rule for rule in self.record.rules if asked(rule, state)), None)

    def _state(self) -> State:
        trainer, theta = self.trainer, self.trainer.theta.copy()
        return State(self.clock(trainer.step), read_only(trainer.a.copy()),
                     read_only(trainer.W.copy()),
                     trainer.loss, lambda: trainer.grad_norm(theta), self.record.wall,
                     trainer.field)

    def _keep(self) -> None:
        """Save the present step."""
        trainer, before, was = self.trainer, self._theta, self._pattern
        row = (trainer.step, trainer.a.copy(), trainer.W.copy(), trainer.loss)
        for name, value in zip(self._kept, row):
            self._kept[name].append(value)
        if trainer.step:
            t = self.clock(trainer.step)
            self._theta, self._pattern = trainer.theta.copy(), trainer.pattern()
            self.path.append(t, np.stack([self._theta / 2 + before / 2,
                                          self._theta / 2 - before / 2]))
            neuron, point = np.nonzero(self._pattern != was)
            self.record.record(np.full(neuron.size, t), neuron, point, was[neuron, point],
                               self._pattern[neuron, point])


@cache
def compile_kernels() -> None:
    """Load or compile the kernels on a tiny problem, once a process."""
    tiny = Trainer(TwoLayerReLU([1.0], [[1.0]]), Data([[1.0]], [1.0]), GD, 1,
                   np.random.default_rng(0), (0.1, 0.0, 0.0, 1.0))
    tiny.advance(1)
