"""``gflow info FILE.npz`` and ``gflow plot FILE.npz``: runs that were saved."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from ..problem.files import Output
from ..problem.words import short
from .parser import number

if TYPE_CHECKING:  # pragma: no cover
    from ..flows.flow import Flow


def add_parsers(commands: Any) -> None:
    """Add both commands to the parser."""
    info = commands.add_parser("info", help="what a saved run is")
    info.add_argument("file", metavar="RUN.npz", help="from flow.save, or a checkpoint")
    info.set_defaults(run=show_info)

    figure = commands.add_parser("plot", help="a figure, or a film, of a saved run")
    figure.add_argument("file", metavar="RUN.npz", help="from flow.save, or a checkpoint")
    figure.add_argument("--what", default="panel", metavar="PICTURE",
                        help="panel, loss, norms, directions, alignment, events, neurons, polar, "
                        "boundary, function, kinks, fit or margins (default: panel)")
    figure.add_argument("--time", type=number, default=None, metavar="T",
                        help="flow time (default: the end)")
    figure.add_argument("--film", action="store_true", help="a film of the run")
    figure.add_argument("--out", default=None, metavar="FILE",
                        help="default: RUN.png; of a film RUN.gif (also .html, and .mp4 where "
                        "ffmpeg is installed)")
    figure.set_defaults(run=draw)


def show_info(arguments: argparse.Namespace) -> int:
    """Print what a run is."""
    from ..flows.loading import load
    print(info(load(arguments.file)))
    return 0


def info(flow: Flow) -> str:
    """What a run is, in some lines."""
    alive = int(flow.pattern(flow.t_end).any(axis=1).sum())
    lines = [repr(flow), f"  neurons   {alive} of {flow.path.m} active somewhere at the end"]
    lines += [f"  {name:<9} {short(value)}" for name, value in flow.settings.items()
              if value is not None]
    lines += [f"  engine    {flow.stats[name]}" for name in ("choice",) if name in flow.stats]
    if flow.saved is not None:
        lines += [f"  kept      {name} {kept.shape}" for name, kept in flow.saved.items()]
    if flow.t_end < flow.settings["t_max"] and flow.saved is None:
        lines.append("  more      flow.extend(t_max), or gflow.resume if it is a checkpoint, "
                     "goes on with it")
    return "\n".join(lines)


def draw(arguments: argparse.Namespace) -> int:
    """Draw a figure or a film of a run."""
    from .. import plot
    from ..flows.loading import load
    from .outputs import Figure, default_name, reports
    out = arguments.out
    if out is None:
        out = default_name(arguments.file, os.path.splitext(arguments.file)[0],
                           ".gif" if arguments.film else ".png")
    what = arguments.what
    if what != "panel" and what not in plot.NAMES:
        raise ValueError(f"there is no picture {short(what)}: choose among panel, "
                         f"{', '.join(plot.NAMES)}")
    if arguments.film:
        if arguments.time is not None:
            raise ValueError("a film has all times: leave --time or --film away")
        film = Output(out)
        film.spare(arguments.file)
        report = reports(film)
        plot.animate(load(arguments.file), what, file=film)
        print(f"film written to {film.shown}", file=report)
        return 0
    picture = Figure(out)
    picture.spare(arguments.file)
    report = reports(picture)
    picture.write(plot.figure(load(arguments.file), what, arguments.time), dpi=160)
    print(f"figure written to {picture.shown}", file=report)
    return 0
