"""``gflow sweep NAME``, ``gflow sweep status FILE``, ``gflow sweep plot FILE``."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import warnings
from collections.abc import Collection
from typing import Any, Callable, Sequence, TextIO

from .. import experiments
from .outputs import Figure, default_name, reports
from .parser import Parser, spelled, whole, words
from .ranges import HELP, parse
from ..sweeping.grid import tasks
from ..sweeping.records import load_sweep
from ..sweeping.report import status
from ..sweeping.session import CHANGED, sweep
from ..sweeping.sources import PACKAGE
from ..sweeping.store import Store
from ..sweeping.worker import SweepError
from ..problem.words import counted, short, visible

KINDS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}


def command(argv: Sequence[str]) -> int:
    """Run ``gflow sweep`` with these arguments; returns the exit code.

    Raises
    ------
    TypeError, ValueError, OSError
        As `gflow.sweep`.
    """
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.act(arguments)
        return code
    except (SweepError, ImportError) as error:
        print(f"gflow: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="gflow sweep",
                    description="Many runs on a grid, kept in a store, resumable.")
    commands = parser.add_subparsers(required=True, metavar="EXPERIMENT|status|plot")

    look = commands.add_parser("status", help="how far a sweep is; also while it runs")
    look.add_argument("file", metavar="FILE", help="store of a sweep")
    look.add_argument("--tracebacks", action="store_true", help="also of all failed tasks")
    look.set_defaults(act=_status)

    draw = commands.add_parser("plot", help="a figure of what is done")
    draw.add_argument("file", metavar="FILE", help="store of a sweep")
    draw.add_argument("--out", help="figure (default: FILE with the ending .png)")
    draw.add_argument("--figure", metavar="NAME", help="of a ready experiment: " + "; ".join(
        f"{', '.join(experiment.figures)} (of {name})"
        for name, experiment in experiments.REGISTRY.items()) + "; default: the first")
    draw.add_argument("--x", type=spelled, help="parameter for the horizontal axis")
    draw.add_argument("--y", type=spelled, help="results to draw, joined by commas")
    draw.add_argument("--by", type=spelled, help="parameter for the lines")
    draw.set_defaults(act=_plot)

    for name, experiment in experiments.REGISTRY.items():
        _add_experiment(commands, name, experiment)
    return parser


def _add_experiment(commands: Any, name: str, experiment: experiments.Experiment) -> None:
    """A command whose options are the parameters of an experiment."""
    run = experiment.run
    summary = (inspect.getdoc(run) or "").partition("\n")[0]
    own = commands.add_parser(name, help=summary, description=f"{summary} A parameter takes "
                              f"{HELP}; the sweep runs over all combinations.")
    group = own.add_argument_group("parameters")
    described = _described(run)
    for parameter in _parameters(run):
        default = parameter.default
        required = default is inspect.Parameter.empty
        text = described.get(parameter.name, "") + f" ({_kind(parameter)}"
        group.add_argument(f"--{parameter.name.replace('_', '-')}", dest=f"p_{parameter.name}",
                           metavar="VALUES", required=required,
                           help=(text + ("" if required else f", default: {default}") + ")")
                           .strip().replace("%", "%%"))
    own.add_argument("--seeds", type=whole, default=1, help="seeds a point, default: %(default)s")
    own.add_argument("--shared", metavar="NAMES", default="",
                     help="parameters, joined by commas, that leave the random numbers alone")
    own.add_argument("--out", default=f"{name}.db", help="store, default: %(default)s")
    own.add_argument("--scheduler", metavar="ADDRESS",
                     help="of a Dask cluster, such as tcp://127.0.0.1:8786 (default: processes "
                     "of this machine)")
    own.add_argument("--workers", type=whole, help="processes, default: one a processor")
    own.add_argument("--rng", type=whole, default=0, help="root seed, default: %(default)s")
    own.add_argument("--retry-failed", action="store_true", help="run failed tasks again")
    own.add_argument("--changed", choices=CHANGED, default="raise",
                     help="about tasks done by other code, default: %(default)s")
    own.set_defaults(act=_sweep, run=run, choices=experiment.choices)


def _parameters(run: Callable[..., Any]) -> list[inspect.Parameter]:
    return [parameter for parameter in inspect.signature(run).parameters.values()
            if parameter.name != "rng"]


def _described(run: Callable[..., Any]) -> dict[str, str]:
    """What the numpydoc section of ``run`` says about its parameters."""
    section = re.search(r"\nParameters\n-+\n(.*?)(\n\n|$)", inspect.getdoc(run) or "", re.DOTALL)
    described: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else []:
        if line.startswith(" "):
            for name in names:
                described[name] = f"{described.get(name, '')} {line.strip()}".strip()
        else:
            head, _, kind = line.partition(" : ")
            names = head.split(", ")
            if kind.startswith("{"):
                described |= dict.fromkeys(names, f"One of {kind.strip('{}')}.")
    return {name: text.replace("`", "") for name, text in described.items()}


def _kind(parameter: inspect.Parameter) -> str:
    return getattr(parameter.annotation, "__name__", str(parameter.annotation))


def _sweep(arguments: argparse.Namespace) -> int:
    grid = {}
    for parameter in _parameters(arguments.run):
        text = getattr(arguments, f"p_{parameter.name}")
        try:
            grid[parameter.name] = ([parameter.default] if text is None else
                                    parse(text, KINDS[_kind(parameter)]))
            _choose(grid[parameter.name], arguments.choices.get(parameter.name))
        except ValueError as error:
            raise ValueError(f"--{parameter.name.replace('_', '-')} {error}") from None
    report = reports(arguments.out)
    with warnings.catch_warnings():
        # Failed tasks are in the report below.
        warnings.simplefilter("ignore", RuntimeWarning)
        shared = [name for name in words(arguments.shared) if name]
        sweep(arguments.run, grid, store=arguments.out, executor=arguments.scheduler,
              seeds=arguments.seeds, rng=arguments.rng, workers=arguments.workers, shared=shared,
              retry_failed=arguments.retry_failed, changed=arguments.changed)
    _say(status(arguments.out), report)
    # The store may have failed tasks of other calls.
    wanted = {(task.params, task.seed) for task in tasks(grid, arguments.seeds, shared)}
    with Store(arguments.out, read_only=True) as store:
        return int(any((row.params, row.seed) in wanted for row in store.rows("failed")))


def _choose(values: list[Any], known: Collection[str] | None) -> None:
    """Refuse values that every task would refuse."""
    for value in values:
        if known is not None and value not in known:
            raise ValueError(f"{short(value)} is unknown: choose among {', '.join(known)}")


def _status(arguments: argparse.Namespace) -> int:
    _say(status(arguments.file, arguments.tracebacks), sys.stdout)
    return 0


def _plot(arguments: argparse.Namespace) -> int:
    from ..sweeping.figure import left_out, overview
    out = Figure(default_name(arguments.file, arguments.file.removesuffix(".db"), ".png")
                 if arguments.out is None else arguments.out)
    out.spare(arguments.file)
    report = reports(out)
    table = load_sweep(arguments.file)
    with Store(arguments.file, read_only=True) as store:
        module, _, name = store.settings().get("run", "").rpartition(":")
    ready = module.startswith(f"{PACKAGE}.") and name in experiments.REGISTRY
    own = experiments.REGISTRY[name].figures if ready else {}
    free = (arguments.x, arguments.y, arguments.by) != (None, None, None)
    if arguments.figure is not None:
        if arguments.figure not in own:
            raise ValueError(f"there is no figure {short(arguments.figure)} of this sweep: "
                             + (f"choose one of {', '.join(own)}" if own else
                                "give --x, --y and --by"))
        if free:
            raise ValueError("--figure does not go with --x, --y or --by: drop one of them")
    count, why = counted(len(table), "task"), ""
    if own and not free and len(table):
        fig = own[arguments.figure or next(iter(own))](table)
    else:
        asked = (table, None if arguments.y is None else words(arguments.y), arguments.x,
                 arguments.by)
        fig, (rest, lacking) = overview(*asked), left_out(*asked)
        if rest:
            count = f"{len(table) - rest} of {count}"
            why = f" (the others have no value of {' or '.join(lacking)})"
    out.write(fig, dpi=150)
    _say(f"figure of {count} written to {out.shown}{why}", report)
    return 0


def _say(text: str, stream: TextIO) -> None:
    """Print; letters that the terminal does not have, or obeys, are spelled out."""
    encoding = stream.encoding or "utf-8"
    print(visible(text).encode(encoding, "backslashreplace").decode(encoding), file=stream)
