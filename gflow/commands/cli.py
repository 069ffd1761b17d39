"""The command line: ``gflow demo``, ``integrate``, ``info``, ``plot`` and ``sweep``."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from contextlib import suppress
from typing import Sequence

from .._version import __version__
from ..problem.files import Output, told
from ..problem.words import cut
from .loading import patient
from .parser import LONGEST, Parser, number, spelled, whole

PRINTING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EAGAIN}
"""Errors of writing: whoever writes to a file says which one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (the run did not end well), 2 (bad input) or 130.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if None.
    """
    if argv is None:
        # Names of files may have letters that a terminal cannot show.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _command(argv)
        if sys.stdout is not None:
            # A full disk would be met after the last moment to say so.
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read what is printed has gone; files are written by then.
        _print_nothing()
        return 2
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError) as error:
        words = _words(error)
        print(f"gflow: {cut(words, LONGEST)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"gflow: {error}" if str(error) else "gflow: interrupted", file=sys.stderr)
        return 130


def _words(error: Exception) -> str:
    """What to say of an error: a sentence of ours, or one about the system's own words."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    if error.filename is not None:
        return str(told(error, f"{cut(str(error.filename), 200)} cannot be read or written"))
    if error.errno in PRINTING:
        _print_nothing()
        return str(told(error, "what is printed cannot be written"))
    return str(told(error, "the command cannot go on"))


def _command(argv: list[str]) -> int:
    """Run a command; its exit code."""
    if argv[:1] == ["sweep"]:
        # It has a parser of its own, made from the experiments.
        with patient():
            from .sweep import command
        return command(argv[1:])
    arguments = _parser().parse_args(argv)
    with patient():
        from ..flows import integration, loading  # noqa: F401
    code: int = arguments.run(arguments)
    return code


def _print_nothing() -> None:
    """What waits to be printed would fail again at the end of the program."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


def _integrate(arguments: argparse.Namespace) -> int:
    from .outputs import reports, save_run
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
