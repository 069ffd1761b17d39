"""Films of a run."""

from __future__ import annotations

import base64
import io
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import numpy as np
from PIL import Image
from numpy.typing import ArrayLike

from ..flows.flow import Flow
from ..problem.checks import positive, real_array
from ..problem.files import Output
from ..problem.inputs import within
from ..problem.words import cut, short
from .frames import called, moved
from .panel import PICTURES, known, panel, tells
from .style import check_flow, some


FRAMES = 60
SECONDS, FASTEST = 5.0, 25.0
"""How long a film lasts if nobody says so, and the most frames a second then."""
COLOURS, SAMPLE = 254, 5
"""Colours of a film besides white and black, and the frames that they are chosen from."""
SHORTEST = 2
"""Hundredths of a second that a frame of a GIF lasts at least: shorter ones are shown slowly."""
SPEEDS, RESOLUTIONS = (0.01, 1000.0), (10.0, 600.0)
"""Frames a second and pixels an inch that a film may have."""
ENDINGS = (".gif", ".mp4", ".html")

What = str | Callable[..., object] | Sequence[str | Callable[..., object]]
"""What a film shows."""

PLAYER = """<div class="gflow-film" id="{id}">
<img alt="film of a run" style="max-width:100%;display:block" src="{first}">
<button type="button" aria-label="play or pause">&#9654;</button>
<input type="range" min="0" max="{last}" value="0" aria-label="frame" style="width:60%">
<script>(function () {{
  var box = document.getElementById("{id}"), frames = {frames};
  var image = box.querySelector("img"), slider = box.querySelector("input");
  var button = box.querySelector("button"), timer = null;
  function show(k) {{ slider.value = k; image.src = frames[k]; }}
  function stop() {{ clearInterval(timer); timer = null; button.innerHTML = "&#9654;"; }}
  slider.oninput = function () {{ stop(); show(+slider.value); }};
  button.onclick = function () {{
    if (timer) {{ stop(); return; }}
    button.innerHTML = "&#10074;&#10074;";
    timer = setInterval(function () {{ show((+slider.value + 1) % frames.length); }}, {pause});
  }};
}})();</script></div>"""


class Film:
    """A film of a run, made by `animate`. It plays in a notebook.

    Attributes
    ----------
    times : ndarray, shape (F,)
        Time of every frame.
    fps : float
        Frames a second.
    """

    def __init__(self, flow: Flow, what: What, times: np.ndarray, fps: float, dpi: float,
                 options: dict[str, object]) -> None:
        self.flow, self.times, self.fps = flow, times, fps
        self._what, self._dpi, self._options = what, dpi, options

    def __len__(self) -> int:
        return self.times.size

    def __repr__(self) -> str:
        return (f"Film({len(self)} frames, t = {self.times[0]:.4g} to {self.times[-1]:.4g}, "
                f"{self.fps:g} a second)")

    def frames(self) -> Iterator[np.ndarray]:
        """The frames one by one, (height, width, 3) bytes."""
        names = self._names()
        if names is None:
            assert callable(self._what)
            yield from called(self._what, self.times, self._dpi)
        else:
            yield from moved(self.flow, names, self._options, self.times, self._dpi)

    def _names(self) -> list[str] | None:
        """Pictures of the film; None if it is a function of the user."""
        what = self._what
        several = [what] if isinstance(what, str) or callable(what) else what
        names: list[str] = []
        for one in several:
            if one is panel or isinstance(one, str) and one == "panel":
                names += tells(self.flow)
            elif not callable(one) or _is_ours(one):
                names.append(known(one))
            elif len(several) > 1:
                raise ValueError(f"{short(one)} is a function of yours among other pictures: give "
                                 "it alone, as it may draw what it likes on ax.figure")
            else:
                return None
        return names

    def _check(self) -> None:
        """Refuse what could not be drawn, before the work."""
        names = self._names()
        if names is None and self._options:
            name = next(iter(self._options))
            raise TypeError(f"a function of yours takes no option {short(name)}: give it to what "
                            "draws there")
        for name in names or ():
            picture = PICTURES[name](self.flow, self._options, self.times)
            for t in (float(self.times.min()), float(self.times.max())):
                picture.check_time(t)

    def _images(self) -> Iterator[Image.Image]:
        """Frames in few colours, the same for all."""
        frames = list(self.frames())
        palette = Palette(np.concatenate([frames[k].reshape(-1, 3)
                                          for k in some(len(frames), SAMPLE)]))
        for frame in frames:
            yield palette.image(frame)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the film; the ending says how: ``.gif``, ``.html``, or ``.mp4`` with ffmpeg.

        The file appears whole or not at all.

        Raises
        ------
        TypeError, ValueError, OSError
            If ``file`` is no name of such a file, it cannot be written, or ffmpeg is not installed.
        """
        out = _output(file)
        self._fits(out)
        self._write(out)

    def _fits(self, out: Output) -> None:
        """Refuse a pace that a file has not."""
        if out.name.lower().endswith(".gif") and self.fps > 100 / SHORTEST:
            raise ValueError(f"fps = {self.fps:g} is more than a GIF has: give at most "
                             f"{100 // SHORTEST}, or a name that ends in .html or .mp4")

    def _write(self, out: Output) -> None:
        ending = os.path.splitext(out.name)[1].lower()
        if ending == ".mp4":
            content = self._mp4()
        elif ending == ".html":
            content = ("<!DOCTYPE html><meta charset=\"utf-8\"><title>gflow</title>"
                       f"{self.to_jshtml()}\n").encode()
        else:
            first, *rest = self._images()
            buffer = io.BytesIO()
            first.save(buffer, "GIF", save_all=True, append_images=rest, loop=0,
                       duration=_durations(len(self), self.fps), optimize=False)
            content = buffer.getvalue()
        with out.writing() as target:
            target.write(content)

    def _mp4(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as words:
            name = os.path.join(folder, "film.mp4")
            process, whole = None, True
            try:
                for frame in self.frames():
                    # Its format wants even sides.
                    frame = frame[:frame.shape[0] // 2 * 2, :frame.shape[1] // 2 * 2]
                    process = process or _encoder(name, frame.shape, self.fps, words)
                    whole = _sent(process, frame)
                    if not whole:
                        break
                assert process is not None
                process.communicate()
            except BaseException:
                if process is not None:
                    process.kill()
                    process.communicate()
                raise
            if process.returncode or not whole:
                words.seek(0)
                said = words.read().decode(errors="replace").strip()
                said = said or f"without a word, with code {process.returncode}"
                raise OSError(f"ffmpeg failed ({cut(said, 200)}): write a .gif instead")
            with open(name, "rb") as file:
                return file.read()

    def to_jshtml(self) -> str:
        """A player in HTML, with all frames in it: nothing is loaded from elsewhere."""
        frames = []
        for image in self._images():
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            frames.append("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode())
        return PLAYER.format(id=f"gflow-{secrets.token_hex(6)}", first=frames[0], frames=frames,
                             last=len(frames) - 1, pause=round(1000 / self.fps))

    def _repr_html_(self) -> str:
        return self.to_jshtml()


class Palette:
    """Few colours that stand for all: black, white, and means of those that are alike.

    Parameters
    ----------
    sample : ndarray, shape (N, 3)
        Bytes. A few small marks count as much as a large white ground.
    """

    def __init__(self, sample: np.ndarray) -> None:
        seen = Image.fromarray(np.unique(sample, axis=0)[None])
        # Middles of boxes, in place of means, would lie in bands on a map of the output.
        found = seen.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1)
        own = np.array(found.getpalette()).reshape(-1, 3)[:COLOURS]
        self.colours = np.vstack([[[0, 0, 0], [255, 255, 255]], own])
        # The nearest colour of each that has come by; Pillow looks for one that is nearly so.
        self._nearest = np.full(1 << 24, -1, dtype=np.int16)

    def image(self, frame: np.ndarray) -> Image.Image:
        """A frame (height, width, 3) in these colours."""
        code = frame.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.int32)
        place = self._nearest[code]
        new = np.unique(code[place < 0])
        if new.size:
            colour = np.column_stack([new >> 16, new >> 8 & 255, new & 255]).astype(float)
            # |x - c|^2 without |x|^2, which is the same for all c.
            far = (self.colours**2).sum(axis=1) - 2 * colour @ self.colours.T
            self._nearest[new] = far.argmin(axis=1)
            place = self._nearest[code]
        made = Image.fromarray(place.astype(np.uint8))
        made.putpalette(self.colours.astype(np.uint8).ravel().tolist())
        return made


def animate(flow: Flow, what: What = "panel", times: ArrayLike | None = None,
            file: str | os.PathLike[str] | Output | None = None, *, fps: float | None = None,
            dpi: float = 100.0, **options: object) -> Film:
    """A film of a run.

    Limits are those of the whole film, and artists are moved, not drawn anew.

    Parameters
    ----------
    flow : Flow
        The run.
    what : str or callable, or a list of pictures
        The name of a picture of this module, or its function; several in a list are shown
        together. Or, alone, a function of your own of ``(t, ax)`` that draws on axes, which are new
        each time, as is all of their figure.
    times : array_like, shape (F,), optional
        Time of every frame. Default: 60 of the reported times, evenly among them.
    file : str or path-like, optional
        Where to write it at once: ``.gif``, ``.html``, or ``.mp4`` where ffmpeg is installed.
    fps : float, optional
        Frames a second, 0.01 to 1000; at most 50 as a GIF, whose frames last hundredths of a
        second. Default: such that the film lasts five seconds, but at most 25.
    dpi : float
        Pixels an inch, 10 to 600; a picture has 6.4 by 4.8 inches (`neurons` and `polar` 7.6 by
        4.8), a panel 9.2 by 7.2.
    **options
        For the artists.

    Returns
    -------
    Film
        It plays in a notebook; `Film.save` writes it.

    Raises
    ------
    TypeError, ValueError, OSError
        If there is no such picture of this flow, a time was not reached, or ``file`` cannot be
        written.

    Examples
    --------
    >>> import gflow
    >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), t_max=5.0)
    >>> film = gflow.plot.animate(flow, "loss", times=[0, 1, 2])
    >>> film, next(film.frames()).shape
    (Film(3 frames, t = 0 to 2, 0.6 a second), (480, 640, 3))
    """
    check_flow(flow)
    dpi = _between(dpi, "dpi", *RESOLUTIONS)
    pace = None if fps is None else _between(fps, "fps", *SPEEDS)
    out = None if file is None else _output(file)
    if times is None:
        chosen = flow.t[some(flow.t.size, FRAMES)]
    else:
        chosen = real_array(times, "times", 1)
    if not chosen.size:
        raise ValueError("times is empty: give at least one")
    chosen = within(chosen, flow.t_end, getattr(times, "dtype", None), f"times reach from "
                    f"{float(chosen.min())!r} to {float(chosen.max())!r}: some are outside "
                    f"[0, {flow.t_end!r}], the times reached")
    pace = pace or min(FASTEST, chosen.size / SECONDS)
    film = Film(flow, _listed(what), chosen, pace, dpi, options)
    film._check()
    if out is not None:
        film._fits(out)
        film._write(out)
    return film


def _is_ours(what: Callable[..., object]) -> bool:
    return getattr(what, "__module__", "").split(".")[:2] == __name__.split(".")[:2]


def _listed(what: What) -> What:
    """One picture, or the list of several: what comes one by one is asked for once."""
    if isinstance(what, str) or callable(what):
        return what
    try:
        # Arrays without axes have it and refuse.
        each = iter(what)
    except TypeError:
        raise TypeError(f"what is {short(what)}: give the name of a picture, a function of (t, ax) "
                        "or a list of names") from None
    several = list(each)
    if not several:
        raise ValueError("what is empty: name at least one picture")
    if len(several) > 1:
        return several
    only = several[0]
    return only if isinstance(only, str) or callable(only) else known(only)


def _between(value: object, name: str, low: float, high: float) -> float:
    number = positive(value, name)
    if not low <= number <= high:
        raise ValueError(f"{name} = {short(number)}: give a number from {low:g} to {high:g}")
    return number


def _durations(count: int, fps: float) -> list[int]:
    """Milliseconds of the frames of a GIF, which has hundredths of a second: they add up.

    Examples
    --------
    >>> _durations(4, 30)
    [30, 40, 30, 30]
    """
    ends = np.round(100 * np.arange(count + 1) / fps).astype(int)
    return [10 * int(part) for part in np.diff(ends)]


def _output(file: str | os.PathLike[str] | Output) -> Output:
    """The file of a film, looked at before it is made."""
    out = file if isinstance(file, Output) else Output(file)
    ending = os.path.splitext(out.name)[1].lower()
    if ending not in ENDINGS:
        raise ValueError(f"{out.shown} is no film: give a name that ends in {', '.join(ENDINGS)}")
    if ending == ".mp4":
        _ffmpeg()
    return out


def _ffmpeg() -> str:
    import matplotlib
    found: str | None = shutil.which(matplotlib.rcParams["animation.ffmpeg_path"])
    if found is None:
        raise ValueError("ffmpeg is not installed: give a name that ends in .gif or .html")
    return found


def _encoder(name: str, shape: tuple[int, ...], fps: float, words: IO[bytes]
             ) -> subprocess.Popen[bytes]:
    """An ffmpeg that waits for frames of a shape; what it says goes to a file, as a pipe that
    nobody reads would stop it when it is full."""
    program = _ffmpeg()
    try:
        return subprocess.Popen(
            [program, "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s",
             f"{shape[1]}x{shape[0]}", "-r", str(fps), "-i", "-", "-an", "-pix_fmt", "yuv420p",
             name], stdin=subprocess.PIPE, stderr=words)
    except OSError as error:
        why = (error.strerror or "it cannot be started").lower()
        raise OSError(f"ffmpeg cannot be run ({cut(program, 200)}: {why}): install it anew, or "
                      "write a .gif instead") from error


def _sent(process: subprocess.Popen[bytes], frame: np.ndarray) -> bool:
    """Hand a frame on; whether it was taken."""
    assert process.stdin is not None
    try:
        process.stdin.write(frame.tobytes())
    except BrokenPipeError:
        return False
    return True
