"""Films: frames that do not depend on what was shown before, and files of them."""

import sys

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
