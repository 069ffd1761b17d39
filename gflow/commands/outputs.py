"""What ``--out`` names: looked at before the work, written after it."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from typing import IO, Any, TextIO

from ..problem.files import Output, meets
from ..flows.flow import Flow
from ..problem.words import cut, listed, said


class Figure(Output):
    """A figure to be written.

    Parameters
    ----------
    path : str, bytes or path-like
        Its ending says what kind of figure it is; a device or a pipe gets a PNG.

    Raises
    ------
    TypeError, ValueError, OSError
        As `gflow.problem.files.Output`, and if no figure has the ending, or none can be drawn so.
    """

    def __init__(self, path: str | os.PathLike[str] | bytes) -> None:
        super().__init__(path)
        _no_dash(self.name)
        from matplotlib.backend_bases import FigureCanvasBase
        known = FigureCanvasBase.get_supported_filetypes()
        self.kind = os.path.splitext(self.name)[1].lower().removeprefix(".")
        if self.special and self.kind not in known:
            self.kind = "png"
        if self.kind not in known:
            ending = f"the ending {cut('.' + self.kind, 20)}" if self.kind else "no ending"
            raise ValueError(f"{self.shown} has {ending}: give a figure one of "
                             f"{listed(sorted('.' + kind for kind in known), 20)}")
        # Some kinds need LaTeX, or libraries that are not everywhere.
        from matplotlib.figure import Figure as Picture
        trial = Picture(figsize=(1, 1))
        trial.text(0.5, 0.5, "$t$")
        self._draw(trial, io.BytesIO(), 20, OSError)

    def write(self, figure: Any, dpi: float) -> None:
        """Draw it; the file appears whole or not at all."""
        # First, and in memory: a signal that ends the program meanwhile leaves no file.
        drawn = io.BytesIO()
        self._draw(figure, drawn, dpi)
        with self.writing() as file:
            file.write(drawn.getbuffer())

    def _draw(self, figure: Any, file: IO[bytes], dpi: float, *also: type[Exception]) -> None:
        """Draw into a file; what Matplotlib raises of itself is told in a sentence."""
        try:
            figure.savefig(file, format=self.kind, dpi=dpi)
        except Exception as error:
            if isinstance(error, MemoryError | OSError) and not isinstance(error, also):
                raise
            raise ValueError(f"{self.shown} cannot be drawn ({said(error, 160)}): give a figure "
                             "another ending, such as .png") from error


def _no_dash(name: str) -> None:
    """Refuse what is stdout to other programs, and would be a file that is hard to remove."""
    if name == "-":
        raise ValueError("- is not taken for stdout: write /dev/stdout, or ./- for a file of that "
                         "name")


def default_name(read: str, stem: str, ending: str) -> str:
    """The name of a figure beside the file that is read.

    Raises
    ------
    ValueError
        If that is a pipe or a device: nothing belongs beside these.
    """
    if os.path.exists(read) and not os.path.isfile(read):
        raise ValueError(f"{cut(read, 200)} is no regular file, beside which a figure could be: "
                         "say with --out where to write it")
    return stem + ending


def reports(out: Output | str) -> TextIO:
    """Where to print what is said of the work: on stderr if ``out`` is what stdout is, so that the
    one does not get into the other.

    Raises
    ------
    ValueError
        If stderr is, too, or if ``out`` is ``-``.
    """
    _no_dash(out.name if isinstance(out, Output) else out)
    name = out.target if isinstance(out, Output) else os.path.expanduser(out)
    if not meets(sys.stdout, name):
        return sys.stdout
    if meets(sys.stderr, name):
        raise ValueError(f"stdout and stderr both go to {cut(name, 200)}, and what is printed "
                         "would get into it: send one of them elsewhere, or give another name")
    return sys.stderr


def save_run(flow: Flow, out: Output) -> str:
    """Save a run; what its file is called.

    Raises
    ------
    OSError
        If that cannot be; the run is then in the directory for temporary files.
    """
    try:
        flow.save(out)
        return out.shown
    except OSError as error:
        name = ""
        try:
            handle, name = tempfile.mkstemp(prefix="gflow-run-", suffix=".npz")
            os.close(handle)
            flow.save(name)
        except OSError:
            if name:
                os.unlink(name)
            raise error from None
        raise OSError(f"{error}; the run is in {name} instead") from error
