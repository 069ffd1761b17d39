"""Published settings W1 to W14: data, start and training time of figures in the literature.

The draws are ours: data and starts have the published law, not the published random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Callable, Literal, Mapping

import numpy as np

from .. import datasets, init
from ..problem.checks import generator
from ..problem.data import Data
from ..problem.network import TwoLayerReLU
from . import clouds, one_neuron
from ..problem.words import short

BPF = "Boursier, Pillaud-Vivien and Flammarion, arXiv:2206.00939, published code"
EA = "Boursier and Flammarion, arXiv:2401.10791, published code"
TK = "Tsoy and Konstantinov, arXiv:2405.17299, published code"
GROKKING = ("Boursier, Pesme and Dragomir, \"A theoretical framework for grokking\", "
            "arXiv:2505.20172 (data ours)")
LANDSCAPE = "Boursier, Bowditch, Englert and Lazic, arXiv:2505.22578, theorem 2"
RICH = ("Kunin, Raventos, Domine, Chen, Klindt, Saxe and Ganguli, \"Get rich quick\", "
        "arXiv:2406.06158 (data ours)")
LINEAR = "Zhang, Saxe and Latham, arXiv:2406.12615 (data ours)"
TUNING = ("Boursier and Flammarion, two-timescale fine-tuning, arXiv:2609.34667 (text not seen; "
          "data ours, reduced)")
CEL = "Chistikov, Englert and Lazic, arXiv:2306.06479, published code"
Kind = Literal["square", "logistic"]
SQUARE: Kind = "square"
LOGISTIC: Kind = "logistic"
SIZES = ("full", "reduced")


@dataclass(frozen=True)
class Setting:
    """A published setting; `gflow.experiments.published` has them by name. Can be pickled.

    Attributes
    ----------
    title, source : str
        What it is, and where it was published.
    data : callable
        From a generator to `gflow.Data`.
    start : callable
        From a width and a generator to a `gflow.TwoLayerReLU`.
    width : int
        Published number of neurons.
    reduced_width : int
        A smaller one, for a quick look.
    t_max : float
        Published training time as flow time here: ``2 lr steps`` for the mean of squares, which
        is twice the loss of gflow, ``lr steps`` for the logistic loss; the steps of W6 grow in the
        second half of its 2^15, up to a time of 8e11.
    reduced_t_max : float
        A shorter one.
    steps : int
        Gradient steps of the original, 0 where it has a flow or does not say.
    lr : float
        Its step size; in W6 the unit of a schedule.
    loss : {"square", "logistic"}
        Loss of the original, and of the run.
    below : float
        Loss (of gflow) below which the original stops; 0 if it does not.
    rates : pair of float
        Speeds of output and hidden weights; an infinite one is "fast".
    decay : float
        Weight decay.
    test : callable or None
        From a generator to data that the network has not seen, if the original looks at such.

    Examples
    --------
    >>> from gflow.experiments import published
    >>> model, data = published["W1"].problem(rng=0)
    >>> model, data, published["W1"].t_max
    (TwoLayerReLU(m=60, d=2), Data(n=2, d=2), 40.0)
    """

    title: str
    source: str
    data: Callable[[np.random.Generator], Data]
    start: Callable[[int, np.random.Generator], TwoLayerReLU]
    width: int
    reduced_width: int
    t_max: float
    reduced_t_max: float
    steps: int
    lr: float
    loss: Kind = SQUARE
    below: float = 0.0
    rates: tuple[float, float] = (1.0, 1.0)
    decay: float = 0.0
    test: Callable[[np.random.Generator], Data] | None = None

    def problem(self, size: str = "full", rng: int | np.random.Generator = 0
                ) -> tuple[TwoLayerReLU, Data]:
        """Start and data.

        Parameters
        ----------
        size : {"full", "reduced"}
            With the published width, or a smaller one.
        rng : int or numpy.random.Generator
            Data and start are drawn from it, in this order.

        Raises
        ------
        ValueError
            If ``size`` is neither.
        """
        if size not in SIZES:
            raise ValueError(f"size = {short(size)}: choose \"full\" or \"reduced\"")
        rng = generator(rng)
        data = self.data(rng)
        return self.start(self.width if size == "full" else self.reduced_width, rng), data


def _teacher_of_six(rng: np.random.Generator) -> Data:
    # Output weights of size 1/sqrt(6): with the 1/sqrt(900) of the hidden ones labels would be so
    # small that nothing grows within the published time.
    teacher = (rng.standard_normal(6) / 6**0.5, rng.standard_normal((6, 150)) / 900**0.5)
    return datasets.relu_teacher(75, 150, teacher, rng=rng)


def _given(make: Callable[[], Data], rng: np.random.Generator) -> Data:
    """Data that are not drawn."""
    return make()


def _start(make: Callable[..., TwoLayerReLU], d: int, scale: float, m: int,
           rng: np.random.Generator, **options: Any) -> TwoLayerReLU:
    """A start of `gflow.init`."""
    return make(m, d, scale, rng, **options)


def _wide(make: Callable[..., TwoLayerReLU], d: int, scale: float, m: int,
          rng: np.random.Generator) -> TwoLayerReLU:
    """The same with neurons that are no smaller where there are more."""
    return make(m, d, scale * m**0.5, rng)


def _one_neuron(n: int, rng: np.random.Generator) -> Data:
    X = rng.standard_normal((n, 3))
    return Data(X, np.maximum(X[:, 0], 0.0))


def _grokking() -> Setting:
    return Setting("ten points of a neuron in dimension 3, a large start and weight decay",
                   GROKKING, partial(_one_neuron, 10), partial(_start, init.balanced, 3, 2.0),
                   100, 40, 1e5, 1e4, 0, 0.0, decay=1e-3, test=partial(_one_neuron, 2000))


def _favourable(rng: np.random.Generator) -> Data:
    X = np.array([[9.0, 0.0, 0.0], [8.0, -4.0, 1.0], [8.0, 4.0, 1.0]]) / 9
    return Data(X, X @ [0.8, 0.0, 0.6])


def _favourability() -> Setting:
    # The mean of squares and 1e-5 times the sum of all squared weights is twice ours.
    return Setting("three points that trap small starts, weight decay", LANDSCAPE, _favourable,
                   partial(_wide, init.balanced, 3, 1e-3), 100, 40, 3e6, 3e5, 0, 0.0, decay=1e-5)


def _three_neurons(n: int, rng: np.random.Generator) -> Data:
    X = rng.standard_normal((n, 2))
    directions = 2 * np.pi / 3 * np.arange(3) + 0.4
    V = np.column_stack([np.cos(directions), np.sin(directions)])
    return Data(X, np.maximum(X @ V.T, 0.0) @ [1.0, -1.0, 1.0])


def _rich(where: str, rates: tuple[float, float]) -> Setting:
    return Setting(f"20 points of three neurons, learnt {where}", RICH,
                   partial(_three_neurons, 20), partial(_start, init.balanced, 2, 0.5), 50, 50,
                   100.0, 100.0, 0, 0.0, rates=rates, test=partial(_three_neurons, 2000))


def _symmetric(rng: np.random.Generator) -> Data:
    X = rng.standard_normal((10, 2)) * [2.0, 1.0]
    X = np.concatenate([X, -X])
    return Data(X, X @ [1.0, -1.0])


def _leaky(m: int, rng: np.random.Generator) -> TwoLayerReLU:
    start = init.balanced(m, 2, 1e-3, rng)
    return TwoLayerReLU(start.a, start.W, start.log_scale, slope=0.5)


def _features() -> np.ndarray:
    """Hidden weights of the network before fine-tuning: four unit vectors of dimension 3."""
    W = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    return W / 3**0.5


def _task(n: int, rng: np.random.Generator) -> Data:
    # Neurons of the new task: those of the old one, turned by 0.5 about an axis.
    c, s = np.cos(0.5), np.sin(0.5)
    V = _features() @ [[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]
    X = rng.standard_normal((n, 3))
    return Data(X, np.maximum(X @ V.T, 0.0) @ [1.0, -1.0, 1.0, 1.0])


def _tuned(m: int, rng: np.random.Generator) -> TwoLayerReLU:
    """The network of the old task; its output weights are optimal on the new one from the start."""
    return TwoLayerReLU(np.ones(m), _features()[:m])


def _five_labels(rng: np.random.Generator) -> Data:
    x = np.array([-1.0, -0.6, -0.1, 0.3, 0.7])
    return Data(np.column_stack([x, np.ones(5)]), [0.28, -0.1, 0.03, 0.23, -0.22])


def _axes(scales: tuple[float, ...], m: int, rng: np.random.Generator) -> TwoLayerReLU:
    return clouds.axes([1e-4 * s for s in scales])


def _torch(m: int, rng: np.random.Generator) -> TwoLayerReLU:
    return clouds.torch_linear(m, 2.0**-7, rng)


def _on_axes(scales: tuple[float, float, float, float]) -> Setting:
    return Setting(
        f"four neurons of scales 1e-4 {scales} on mirrored clouds", f"{TK}, figures 1, 5-7",
        clouds.mirrored, partial(_axes, scales), 4, 4, 7.93e11, 1199.8, 2**15, 2.0**-7, LOGISTIC)


def _two_clouds(name: str, angle: float) -> Setting:
    return Setting(
        f"wide network on two pairs of clouds at the angle {name}", f"{TK}, figure 2",
        partial(clouds.turned, angle=angle), _torch,
        4096, 256, 512.0, 512.0, 8192, 2.0**-4, LOGISTIC)


published: Mapping[str, Setting] = MappingProxyType({
    "W1": Setting("two orthogonal points", f"{BPF}, training_dynamics",
                  partial(_given, datasets.orthogonal), partial(_start, init.balanced, 2, 1e-6),
                  60, 60, 40.0, 40.0, 20_000, 1e-3),
    "W2": Setting("five points that are not orthogonal", f"{BPF}, training_dynamics",
                  partial(_given, datasets.five_points), partial(_start, init.balanced, 2, 1e-6),
                  60, 60, 40.0, 40.0, 20_000, 1e-3),
    "W3": Setting("75 points of a teacher with six neurons in dimension 150",
                  f"{BPF}, high_dimension", _teacher_of_six,
                  partial(_start, init.balanced, 150, 1e-20, scaling="1/sqrt(m*d)"), 200, 40,
                  400.0, 400.0, 200_000, 1e-3),
    "W4": Setting("three points on which training gets stuck", f"{EA}, figure 2",
                  partial(_given, datasets.three_points), partial(_start, init.balanced, 2, 1e-3),
                  20_000, 500, 4000.0, 4000.0, 2_000_000, 1e-3),
    "W5": Setting("40 points on a zigzag", f"{EA}, figure 3",
                  partial(datasets.stewart, 40), partial(_start, init.unbalanced, 2, 1e-3),
                  20_000, 200, 4000.0, 4000.0, 2_000_000, 1e-3),
    "W6": _on_axes((1.0, 0.1, 0.001, 0.01)),
    "W6b": _on_axes((1.0, 0.1, 0.01, 0.001)),
    "W6c": _on_axes((1.0, 0.01, 0.1, 0.001)),
    "W7": _two_clouds("pi/2", np.pi / 2),
    "W7b": _two_clouds("pi/3", np.pi / 3),
    "W8": Setting("a neuron learnt from ten correlated points", f"{CEL}",
                  partial(one_neuron.points, 10, 10, 0.0),
                  partial(_start, init.balanced, 10, 4.0**-4, scaling="1/sqrt(m*d)"), 25, 25,
                  4e5, 4e3, 20_000_000, 1e-2, below=5e-10),
    "W9": Setting("five points and a start of nearly zero", "ZhengqingUUU/relu_like, published "
                  "code", _five_labels,
                  partial(_wide, init.unbalanced, 2, 8e-6), 50, 50, 1200.0, 1200.0,
                  600_000, 1e-3, below=5e-6),
    "W10": _grokking(),
    "W11": _favourability(),
    "W12": _rich("upstream, the hidden layer 100 times as fast", (0.1, 10.0)),
    "W12b": _rich("downstream, the output layer 100 times as fast", (10.0, 0.1)),
    "W13": Setting("a leaky network on symmetric data, which is linear", LINEAR, _symmetric,
                   _leaky, 100, 40, 40.0, 40.0, 0, 0.0),
    "W14": Setting("fine-tuning to turned features, output weights at their optimum", TUNING,
                   partial(_task, 60), _tuned, 4, 4, 300.0, 300.0, 0, 0.0,
                   rates=(np.inf, 1.0), test=partial(_task, 2000)),
})
"""Published settings by name; see `Setting`."""
