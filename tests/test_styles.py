"""Pictures and films on dark and on transparent grounds."""

import matplotlib
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import gflow

matplotlib.use("Agg")
NAMES = ["loss", "norms", "directions", "alignment", "events", "function", "kinks", "fit",
         "neurons", "polar"]


@pytest.fixture(scope="module")
def flow():
    return gflow.integrate(gflow.init.balanced(8, 2, 1e-2, rng=0), gflow.datasets.three_points(),
                           20.0)


def luminance(colour):
    parts = [(v / 12.92) if v <= 0.03928 else ((v + 0.055) / 1.055)**2.4 for v in to_rgb(colour)]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def faintest(name, flow, ground):
    """Least contrast of what is said in the legend, or moves."""
    shape = {"projection": "polar"} if name == "polar" else {}
    axes = matplotlib.figure.Figure().subplots(subplot_kw=shape)
    getattr(gflow.plot, name)(flow, 10.0, axes)
    lines = [line for ax in axes.figure.axes for line in ax.lines if line.get_alpha() != 0
             and line.get_linewidth() > 0.7]
    assert lines
    return min(contrast(line.get_color(), ground) for line in lines)


@pytest.mark.parametrize("faces", [{}, {"axes.facecolor": "none"},
                                   {"axes.facecolor": "none", "figure.facecolor": "none"}])
@pytest.mark.parametrize("name", NAMES)
def test_lines_are_seen_on_dark_ground(flow, name, faces):
    bright = faintest(name, flow, "white")
    with plt.style.context("dark_background"), matplotlib.rc_context(faces):
        assert faintest(name, flow, "black") > min(2.0, bright)


@pytest.mark.parametrize("what", ["norms", "panel", "own"])
@pytest.mark.parametrize("style, ground", [("default", "white"), ("dark_background", "black")])
def test_films_on_no_ground_are_those_on_paper(flow, what, style, ground):
    def own(t, ax):
        ax.plot([0, t], "r")
        ax.set_title("letters")

    shown = []
    for face in (ground, "none"):
        with plt.style.context(style), \
                matplotlib.rc_context({"figure.facecolor": face, "axes.facecolor": face}):
            film = gflow.plot.animate(flow, own if what == "own" else what, [0.0, 10.0], dpi=50)
            shown.append(list(film.frames())[1].astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= 6
