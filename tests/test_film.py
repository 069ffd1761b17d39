"""Films: frames that do not depend on what was shown before, and files of them."""

import os
import signal
import sys
import time

import matplotlib
import numpy as np
import pytest
from PIL import Image

import gflow
from gflow.plot import animate

matplotlib.use("Agg")
TIMES = [0.0, 6.0, 20.0]


@pytest.fixture(scope="module")
def flow():
    return gflow.integrate(gflow.init.balanced(12, 2, 1e-3), gflow.datasets.three_points(), 20.0)


@pytest.mark.parametrize("what", ["panel", "kinks", "events", ["neurons", gflow.plot.loss]])
def test_a_frame_is_the_same_whatever_came_before(flow, what):
    there = list(animate(flow, what, TIMES, dpi=50).frames())
    back = list(animate(flow, what, TIMES[::-1], dpi=50).frames())
    assert len(there) == 3 and not (there[0] == there[1]).all()
    for one, other in zip(there, back[::-1]):
        # Where times are looked at for limits the clock has another width at first.
        assert (one == other).mean() > 0.9999


def test_a_function_of_ones_own(flow):
    seen = []

    def bars(t, ax):
        seen.append(t)
        ax.bar([0, 1], flow(t).norms[:2])

    frames = list(animate(flow, bars, TIMES, dpi=50).frames())
    assert seen == 2 * TIMES and not (frames[0] == frames[2]).all()


def test_limits_and_colours_of_a_function_of_ones_own(flow, tmp_path):
    ends = []

    def spot(t, ax):
        ax.bar([0, 1], flow(t).norms[:2])
        ax.plot([0.5], [0.1], ".", color="#d55e00", markersize=2)
        ends.append(ax.get_ylim()[0])

    film = animate(flow, spot, TIMES, tmp_path / "film.gif")
    axes = matplotlib.figure.Figure().subplots()
    spot(20.0, axes)
    assert set(ends) == {0.0}
    with Image.open(tmp_path / "film.gif") as image:
        shown = np.asarray(image.convert("RGB"), dtype=int).reshape(-1, 3)
    assert len(film) == 3 and np.abs(shown - [0xd5, 0x5e, 0]).sum(axis=1).min() < 40


def test_files(flow, tmp_path):
    film = animate(flow, "loss", TIMES, tmp_path / "film.gif", fps=5, dpi=50)
    with Image.open(tmp_path / "film.gif") as image:
        assert image.n_frames == len(film) == 3 and image.info["duration"] == 200
        image.seek(2)
        shown = np.asarray(image.convert("RGB"), dtype=int)
    last = list(film.frames())[2].astype(int)
    assert shown.shape == last.shape and np.abs(shown - last).mean() < 2
    film.save(tmp_path / "film.html")
    text = (tmp_path / "film.html").read_text()
    assert text.count("data:image/png;base64,") == 4 and "http" not in text
    assert film._repr_html_().startswith("<div")


@pytest.mark.skipif(sys.platform == "win32", reason="a script in place of ffmpeg")
def test_mp4_goes_through_ffmpeg(flow, tmp_path, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "animation.ffmpeg_path", str(tmp_path / "ffmpeg"))
    with pytest.raises(ValueError, match="ffmpeg is not installed"):
        animate(flow, "loss", TIMES, tmp_path / "film.mp4")
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nfor last; do :; done\nwc -c > \"$last\"\n")
    script.chmod(0o755)
    animate(flow, "loss", TIMES, tmp_path / "film.mp4", dpi=50)
    assert int((tmp_path / "film.mp4").read_text()) == 3 * 240 * 320 * 3
    script.write_text("#!/bin/sh\necho no codec >&2\nexit 1\n")
    with pytest.raises(OSError, match="no codec"):
        animate(flow, "loss", TIMES, tmp_path / "film.mp4", dpi=50)


@pytest.mark.skipif(sys.platform == "win32", reason="a script in place of ffmpeg")
def test_ffmpeg_may_say_much_and_does_not_outlive_a_film(flow, tmp_path, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "animation.ffmpeg_path", str(tmp_path / "ffmpeg"))
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho $$ > \"$0.pid\"\nhead -c 300000 /dev/zero >&2\n"
                      "cat > /dev/null\nfor last; do :; done\necho done > \"$last\"\n")
    script.chmod(0o755)

    def hangs(*_):
        raise TimeoutError("it waits for ever")

    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(30)
    try:
        animate(flow, "loss", TIMES, tmp_path / "film.mp4", dpi=50)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert (tmp_path / "film.mp4").read_text() == "done\n"
    script.write_text("#!/bin/sh\necho $$ > \"$0.pid\"\nexec cat > /dev/null\n")
    shown = []

    def raising(t, ax):
        shown.append(t)
        if len(shown) > 4:
            while not (tmp_path / "ffmpeg.pid").exists():
                time.sleep(0.01)
            raise (BrokenPipeError if t == 6.0 else ZeroDivisionError)("mine")

    for times, error in ((TIMES, BrokenPipeError), (TIMES[::2], ZeroDivisionError)):
        shown[:] = [] if len(times) == 3 else [0.0]
        (tmp_path / "ffmpeg.pid").unlink()
        with pytest.raises(error, match="mine"):
            animate(flow, raising, times, tmp_path / "film.mp4", dpi=20)
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "ffmpeg.pid").read_text()), 0)
    script.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(OSError, match="ffmpeg failed"):
        animate(flow, "loss", np.linspace(0.0, 20.0, 30), tmp_path / "film.mp4", dpi=50)
    assert (tmp_path / "film.mp4").read_text() == "done\n"


def test_what_is_refused(flow, tmp_path):
    for what, times, file, words in (("losses", None, None, "choose among"),
                                     ("loss", [21.0], None, "outside"),
                                     ("loss", [], None, "at least one"),
                                     ("loss", None, tmp_path / "film.avi", ".gif")):
        with pytest.raises(ValueError, match=words):
            animate(flow, what, times, file)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames", [2, 6, 60, 100])
def test_a_film_lasts_long_enough_to_be_seen(flow, tmp_path, frames):
    film = animate(flow, "loss", np.linspace(0.0, 20.0, frames), dpi=20)
    assert 4 <= len(film) / film.fps <= 6
    if frames < 60:
        film.save(tmp_path / "film.gif")
        with Image.open(tmp_path / "film.gif") as image:
            assert image.n_frames * image.info["duration"] >= 4000
    assert animate(flow, "loss", range(20), fps=10).fps == 10
    assert animate(flow, "loss", np.linspace(0.0, 20.0, 1000)).fps == 25


def test_a_map_of_the_output_has_no_bands_and_the_ground_is_white(tmp_path):
    corners = gflow.Data([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], [1.0, -1, -1, 1])
    run = gflow.integrate(gflow.init.balanced(12, 2, 0.1), corners, 20.0)
    film = animate(run, "boundary", TIMES, tmp_path / "film.gif")
    for k, frame in enumerate(film.frames()):
        with Image.open(tmp_path / "film.gif") as image:
            image.seek(k)
            shown = np.asarray(image.convert("RGB"), dtype=int)
        assert (shown[frame.min(axis=2) == 255] == 255).all()
        # A step between two bands is a multiple of what differs from pixel to pixel.
        assert np.abs(shown - frame).max(axis=2).mean() < 1.5


def test_pictures_of_a_film_are_listed(flow):
    film = animate(flow, iter(["loss", "norms"]), TIMES, dpi=20)
    assert len(list(film.frames())) == len(list(film.frames())) == 3
    for what, error, words in (([], ValueError, "^what is empty"), (5, TypeError, "^what is 5")):
        with pytest.raises(error, match=words):
            animate(flow, what)


def drawn_by(what, times, flow):
    """What is on the figure of a film of a function of one's own, frame by frame."""
    found, figures = [], []

    def drawing(t, ax):
        what(t, ax)
        figures.append(ax.figure)

    for frame in animate(flow, drawing, times, dpi=30).frames():
        figure = figures[-1]
        found.append(([(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes],
                      [ax.get_position().bounds for ax in figure.axes],
                      (len(figure.texts), len(figure.legends)), figure.get_suptitle(), frame))
    return found


def bar_of(t, ax):
    ax.figure.colorbar(ax.imshow([[0.0, 1.0 + t]]), ax=ax)


def twin_of(t, ax):
    line, = ax.plot([0, 1], [0, 1 + t])
    ax.invert_yaxis()
    ax.twinx().plot([0, 1], [t, t])
    ax.figure.text(0.5, 0.5, f"{t}")
    ax.figure.legend([line], ["line"])


@pytest.mark.parametrize("what, words", [(bar_of, (1, 0)), (twin_of, (2, 1))])
def test_nothing_piles_up_from_frame_to_frame(flow, what, words):
    found = drawn_by(what, [0.0, 10.0, 20.0, 0.0], flow)
    for limits, places, texts, title, _ in found:
        assert len(limits) == 2 and texts == words and title.startswith("$t")
        assert places == found[0][1]
    assert (found[0][-1] == found[-1][-1]).all()


def test_limits_of_a_film_hold_for_all_axes_and_stay_turned_round(flow):
    for limits, *_ in drawn_by(twin_of, [0.0, 10.0, 20.0], flow):
        (_, (bottom, top)), (_, (low, high)) = limits
        assert bottom == pytest.approx(22.05) and top == pytest.approx(-1.05)
        assert low < 0 and high > 20


def test_a_title_of_the_user_stays(flow):
    def titled(t, ax):
        ax.figure.suptitle("mine")

    assert drawn_by(titled, TIMES, flow)[-1][3] == "mine"


@pytest.mark.parametrize("looks", [100, 5])
def test_what_is_there_at_one_time_only_is_not_cut_off(flow, monkeypatch, looks):
    monkeypatch.setattr("gflow.plot.picture.LOOKS", looks)
    times = np.linspace(0.0, 20.0, 12)

    def spike(t, ax):
        ax.plot([0, 1], [0, 100.0 if t == times[3] else 1.0])

    found = drawn_by(spike, times, flow)
    assert found[3][0][0][1][1] > 100
    if looks == 100:
        assert found[0][0] == found[3][0]


@pytest.mark.parametrize("name", ["fit", "function", "kinks", "neurons"])
def test_limits_of_pictures_hold_for_runs_that_swing(monkeypatch, name):
    run = gflow.descend(gflow.init.balanced(8, 2, 1.0, rng=0), gflow.datasets.three_points(), 3.0,
                        200)
    from gflow.plot.panel import PICTURES
    move, frames = PICTURES[name].move, []

    def moving(self, t):
        move(self, t)
        values = [np.nan_to_num(one.get_ydata()) for one in self.artists
                  if hasattr(one, "get_ydata")]
        frames.append([(line.min(initial=0.0), line.max(initial=0.0), one.axes.get_ylim())
                       for line, one in zip(values, self.artists)])

    monkeypatch.setattr(PICTURES[name], "move", moving)
    film = animate(run, name, dpi=20)
    assert len(film) == 60 and len(list(film.frames())) == len(film)
    for low, high, ends in sum(frames[-len(film):], []):
        assert low >= ends[0] and high <= ends[1]


def test_ones_own_function_is_told_by_what_it_is_and_not_by_its_name(flow):
    seen = []

    def norms(t, ax):
        seen.append(t)

    for what in (norms, [norms]):
        assert len(list(animate(flow, what, TIMES, dpi=10).frames())) == 3
        assert seen == 2 * TIMES
        seen.clear()
    with pytest.raises(ValueError, match="norms.* is a function of yours among other.*alone"):
        animate(flow, ["loss", norms])
    with pytest.raises(ValueError, match="no picture .*step_sizes"):
        animate(flow, gflow.plot.step_sizes)
    for panel in ("panel", gflow.plot.panel):
        film = animate(flow, [panel, "norms"], TIMES, dpi=50)
        assert next(film.frames()).shape == (540, 460, 3)


@pytest.mark.parametrize("fps", [7, 15, 30, 35, 45, 50])
def test_a_gif_has_the_pace_that_was_asked_for(flow, tmp_path, fps):
    animate(flow, "loss", np.linspace(0.0, 20.0, 30), tmp_path / "film.gif", fps=fps, dpi=10)
    with Image.open(tmp_path / "film.gif") as image:
        lasts = []
        for k in range(image.n_frames):
            image.seek(k)
            lasts.append(image.info["duration"])
    assert sum(lasts) == pytest.approx(30_000 / fps, abs=5) and min(lasts) >= 20


def test_paces_and_sizes_that_no_film_has_are_refused_at_the_door(flow, tmp_path, monkeypatch):
    monkeypatch.setattr("gflow.plot.film.Film.frames", lambda film: pytest.fail("it was drawn"))
    for name, values in (("fps", (1e-3, 1e-310, 1e4)), ("dpi", (1, 0.01, 1e5))):
        for value in values:
            with pytest.raises(ValueError, match=f"^{name} = .*give a number from"):
                animate(flow, "loss", TIMES, tmp_path / "film.gif", **{name: value})
    for file in ("film.gif", "film.GIF"):
        with pytest.raises(ValueError, match="more than a GIF has: give at most 50"):
            animate(flow, "loss", TIMES, tmp_path / file, fps=51)
        with pytest.raises(ValueError, match="more than a GIF"):
            animate(flow, "loss", TIMES, fps=51).save(tmp_path / file)


@pytest.mark.parametrize("name, inches", [("loss", (6.4, 4.8)), ("polar", (7.6, 4.8)),
                                          ("neurons", (7.6, 4.8)), ("panel", (9.2, 7.2))])
def test_films_have_the_size_that_is_said(flow, name, inches):
    frame = next(gflow.plot.animate(flow, name, times=[1.0], dpi=50).frames())
    assert frame.shape[1::-1] == tuple(round(50 * side) for side in inches)


@pytest.mark.skipif(sys.platform == "win32", reason="a script in place of ffmpeg")
@pytest.mark.parametrize("content, words", [
    ("#!/bin/sh\ncat > /dev/null\nexit 3\n", r"^ffmpeg failed \(without a word, with code 3\)"),
    ("\0\0", r"^ffmpeg cannot be run \(.*: exec format error\): install it anew, or write a .gif")])
def test_a_broken_ffmpeg_is_told(flow, tmp_path, monkeypatch, content, words):
    script = tmp_path / "ffmpeg"
    script.write_text(content)
    script.chmod(0o755)
    monkeypatch.setitem(matplotlib.rcParams, "animation.ffmpeg_path", str(script))
    with pytest.raises(OSError, match=words):
        gflow.plot.animate(flow, "loss", times=[0.0, 1.0], file=tmp_path / "film.mp4")
