"""Pictures under settings of matplotlib that are not the default ones."""

import matplotlib
import matplotlib.figure
import numpy as np
import pytest
from cycler import cycler
from matplotlib.lines import Line2D

import gflow
from gflow.experiments import REGISTRY
from gflow.plot.style import ordinary
from gflow.sweeping.figure import curves

matplotlib.use("Agg")
MARKS = {"lines.marker": "o", "lines.markerfacecolor": "red", "lines.markeredgecolor": "lime",
         "lines.markeredgewidth": 0.0, "lines.linestyle": "none", "lines.color": "red",
         "markers.fillstyle": "none"}
CYCLE = {"axes.prop_cycle": cycler(color=["red"], marker=["h"], linestyle=[":"],
                                   fillstyle=["left"], markerfacecolor=["red"])}
LOOKS = ("marker", "fillstyle", "markerfacecolor", "markeredgecolor", "markeredgewidth",
         "linestyle", "color")
NAMES = [*gflow.plot.NAMES, "panel", "step_sizes"]


@pytest.fixture(scope="module")
def flows():
    """Runs of one input and a bias, of two inputs, on an endless loss, and of steps."""
    start = gflow.init.balanced(6, 2, 1e-2, rng=0)
    line = gflow.integrate(start, gflow.datasets.three_points(), 30.0)
    X = np.random.default_rng(1).standard_normal((6, 2))
    plane = gflow.integrate(start, (X, np.sign(X[:, 0])), 1.0)
    endless = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1]), t_max=1e6, loss="logistic")
    return line, plane, endless, gflow.descend(start, line.data, 0.1, 20)


def looks(flows, name):
    """Lines and marks of a picture of two runs over another, and of its legend, as they look."""
    line, plane, endless, twin = flows
    figure = matplotlib.figure.Figure()
    if name == "panel":
        gflow.plot.panel(line, 1.0, [
            figure.add_subplot(2, 2, k + 1, projection="polar" if k == 2 else None)
            for k in range(4)])
    elif name == "step_sizes":
        gflow.plot.step_sizes(gflow.integrate(twin(0.0), line.data, 2.0), [twin],
                              figure.subplots())
    else:
        axes = figure.subplots(subplot_kw={"projection": "polar"} if name == "polar" else {})
        flow = {"boundary": plane, "margins": endless}.get(name, line)
        draw = getattr(gflow.plot, name)
        draw(flow, 0.9 * flow.t_end, axes)
        if name in ("function", "kinks"):
            other = gflow.Data(line.data.X, 2 * line.data.y)
            draw(gflow.integrate(line(0.0), other, 1.0), ax=axes)
    lines = [one for ax in figure.axes for one in ax.lines]
    lines += [one for ax in figure.axes if ax.get_legend() is not None
              for one in ax.get_legend().findobj(Line2D)]
    return [tuple(str(getattr(one, f"get_{look}")()) for look in LOOKS) for one in lines]


@pytest.mark.parametrize("settings", [MARKS, CYCLE], ids=["lines", "cycle"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_vanishes_or_changes_its_meaning(flows, name, settings):
    ordinary = looks(flows, name)
    with matplotlib.rc_context(settings):
        assert looks(flows, name) == ordinary


@pytest.mark.parametrize("settings", [MARKS, CYCLE], ids=["lines", "cycle"])
def test_curves_of_a_sweep_are_the_same(settings):
    table = np.array([(n, by, 0, n * by) for n in (1, 2) for by in (1, 2, 3)],
                     dtype=[("n", int), ("by", int), ("seed", int), ("y", float)])

    def drawn():
        axes = curves(table, "y", "n", "by", matplotlib.figure.Figure().subplots())
        return [tuple(str(getattr(one, f"get_{look}")()) for look in LOOKS) for one in axes.lines]

    ordinary = drawn()
    with matplotlib.rc_context(settings):
        assert drawn() == ordinary


@pytest.mark.parametrize("settings", [MARKS, CYCLE], ids=["lines", "cycle"])
def test_a_whole_figure_is_drawn_with_ordinary_lines(settings):
    @ordinary
    def draw():
        figure = matplotlib.figure.Figure()
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], "o")
        axes.plot([1, 2], [1, 2])
        axes.step([1, 2], [1, 2], linestyle=":")
        axes.axhline(1)
        return figure

    def drawn():
        return [tuple(str(getattr(one, f"get_{look}")()) for look in LOOKS)
                for one in draw().axes[0].lines]

    expected = drawn()
    with matplotlib.rc_context(settings):
        assert drawn() == expected
        # What was set is set again.
        assert all(matplotlib.rcParams[name] == value for name, value in settings.items())


def test_figures_of_experiments_are_drawn_with_ordinary_lines():
    assert all(hasattr(figure, "__wrapped__") for experiment in REGISTRY.values()
               for figure in experiment.figures.values())
