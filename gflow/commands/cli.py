"""The command line: ``gflow demo``, ``integrate``, ``info``, ``plot`` and ``sweep``."""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

from .._version import __version__
from ..problem.files import Output
from ..problem.words import short
from .ending import ended, shows_all
from .loading import patient
from .parser import Parser, large_enough, number, spelled, whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (the run did not end well), 2 (bad input) or 130.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if None.
    """
    if argv is None:
        shows_all()
    words = sys.argv[1:] if argv is None else list(argv)
    return ended("gflow", lambda: _command(words))


def _command(argv: list[str]) -> int:
    """Run a command; its exit code."""
    if argv[:1] == ["sweep"]:
        # It has a parser of its own, made from the experiments.
        with patient():
            from .sweep import command
        return command(argv[1:])
    arguments = _parser().parse_args(argv)
    large_enough(arguments, neurons=1, width=1, seed=0)
    with patient():
        from ..flows import integration, loading  # noqa: F401
    code: int = arguments.run(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="gflow", description="Exact gradient flow of two-layer ReLU networks.")
    parser.add_argument("--version", action="version", version=f"gflow {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="three points on which training gets stuck")
    demo.add_argument("--out", default="gflow-demo.png", help="figure (default: %(default)s)")
    demo.add_argument("--neurons", type=whole, default=60, help="default: %(default)s")
    demo.add_argument("--scale", type=number, default=1e-3, help="of the start, default: 1e-3")
    demo.add_argument("--seed", type=whole, default=0, help="default: %(default)s")
    demo.set_defaults(run=_demo)

    table = commands.add_parser("integrate", help="the flow on a table of your own")
    table.add_argument("file", metavar="FILE.csv", help="table with a header row")
    table.add_argument("--target", type=spelled, required=True, metavar="COLUMN",
                       help="column of the labels")
    table.add_argument("--width", type=whole, default=200, help="neurons, default: %(default)s")
    table.add_argument("--scale", type=number, default=1e-3, help="of the start, default: 1e-3")
    table.add_argument("--loss", default="square",
                       help="or logistic, exponential, on labels -1 and 1, or 0 and 1")
    table.add_argument("--t-max", type=number, default=100.0, help="default: %(default)s")
    table.add_argument("--out", default="run.npz", help="default: %(default)s")
    table.add_argument("--method", default="auto",
                       help="or a SciPy stepper, default: %(default)s")
    table.add_argument("--rtol", type=number, default=1e-8, help="default: 1e-8")
    table.add_argument("--seed", type=whole, default=0, help="of the start, default: %(default)s")
    table.add_argument("--standardise", action="store_true",
                       help="every column to mean 0 and variance 1")
    table.add_argument("--bias", action="store_true", help="append a column of ones")
    table.add_argument("--slope", type=number, default=0.0,
                       help="of the activation where its input is negative, default: 0")
    table.add_argument("--rates", type=_speed, nargs=2, default=(1.0, 1.0), metavar=("A", "W"),
                       help="speeds of output and hidden weights, the first may be fast; "
                            "default: 1 1")
    table.add_argument("--decay", type=number, nargs="+", default=[0.0], metavar="LAMBDA",
                       help="weight decay: one for all weights, or one each for output weights, "
                            "hidden weights and the bias; default: 0")
    table.set_defaults(run=_integrate)
    from .runs import add_parsers
    add_parsers(commands)
    commands.add_parser("sweep", help="many runs on a grid, resumable, here or on a cluster")
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from .demo import run_demo
    flow = run_demo(arguments.out, arguments.neurons, arguments.scale, arguments.seed)
    return _code(flow.status, flow.success)


def _speed(word: str) -> float | str:
    return "fast" if word in ("fast", "inf") else number(word)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what Python could be given another way, in words of the command line."""
    from ..problem.loss import NAMED
    if arguments.loss not in NAMED:
        raise ValueError(f"unknown loss {short(arguments.loss)}: choose one of {', '.join(NAMED)}")
    if len(arguments.decay) == 3 and not arguments.bias:
        raise ValueError("--decay has a third number, for the bias, but there is no bias: give "
                         "--bias, or two numbers")


def _integrate(arguments: argparse.Namespace) -> int:
    from .outputs import reports, save_run
    _check(arguments)
    # Say before a long run that its result could not be written.
    out = Output(arguments.out)
    out.spare(arguments.file)
    report = reports(out)
    from .. import datasets, init
    from ..flows.integration import integrate
    from ..problem.network import TwoLayerReLU
    data = datasets.from_csv(arguments.file, arguments.target, standardise=arguments.standardise,
                             bias=arguments.bias)
    start = init.balanced(arguments.width, data.d, arguments.scale, rng=arguments.seed)
    model = TwoLayerReLU(start.a, start.W, start.log_scale, slope=arguments.slope)
    decay = arguments.decay if len(arguments.decay) > 1 else arguments.decay[0]
    flow = integrate(model, data, arguments.t_max, method=arguments.method, rtol=arguments.rtol,
                     loss=arguments.loss, rates=tuple(arguments.rates), decay=decay,
                     progress=sys.stderr is not None and sys.stderr.isatty())
    # A run is not lost to a Ctrl-C that comes too late.
    with patient():
        name = save_run(flow, out)
        print(flow, file=report)
        alive = int((flow.pattern(flow.t_end) != 0).any(axis=1).sum())
        print(f"  neurons   {alive} active somewhere, {model.m - alive} dead",
              file=report)
        print(f"written to {name}; now it is checked (Ctrl-C ends that)", file=report, flush=True)
    print(flow.certificate(), file=report)
    return _code(flow.status, flow.success)


def _code(status: str, success: bool) -> int:
    return 0 if success else 130 if status == "interrupted" else 1
