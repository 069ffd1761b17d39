"""Figures: what is drawn, on the axes that were given."""

import matplotlib
import matplotlib.figure
import numpy as np
import pytest

import gflow

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def flow():
    data = gflow.datasets.three_points()
    return gflow.integrate(gflow.init.balanced(12, 2, 1e-3), data, 20.0)


@pytest.mark.parametrize("name", ["loss", "norms", "directions", "function", "neurons"])
def test_draws_on_the_axes_given(flow, name):
    axes = matplotlib.figure.Figure().subplots()
    assert getattr(gflow.plot, name)(flow, ax=axes) is axes
    assert axes.lines and axes.get_xlabel() and axes.get_ylabel()
    axes.figure.canvas.draw()


def test_norms_are_the_data_of_the_lines(flow):
    axes = gflow.plot.norms(flow, ax=matplotlib.figure.Figure().subplots())
    drawn = np.sort([line.get_ydata()[-1] for line in axes.lines if len(line.get_ydata())])
    np.testing.assert_allclose(drawn, np.sort(flow.norms[-1]))


def test_function_needs_one_input_and_a_bias():
    data = gflow.datasets.linear_teacher(5, 3)
    run = gflow.integrate(gflow.init.balanced(2, 3, 1e-3), data, 1.0)
    with pytest.raises(ValueError, match="one input"):
        gflow.plot.function(run)
    axes = gflow.plot.directions(run, ax=matplotlib.figure.Figure().subplots())
    assert "final" in axes.get_ylabel()


@pytest.mark.parametrize("options", [{"c": "r"}, {"lw": 3}, {"ls": ":"}, {"ms": 2, "mec": "k"},
                                     {"alpha": None}, {"marker": "x", "mfc": "none", "aa": True}])
@pytest.mark.parametrize("name", ["loss", "norms", "directions", "function", "neurons"])
def test_any_name_of_an_option(flow, name, options):
    getattr(gflow.plot, name)(flow, ax=matplotlib.figure.Figure().subplots(), **options)


def test_a_label_is_there_once(flow):
    axes = gflow.plot.norms(flow, ax=matplotlib.figure.Figure().subplots(), label="mine", c="r")
    lines, labels = axes.get_legend_handles_labels()
    assert set(labels) == {"mine"} and len(labels) <= 2 and lines[0].get_color() == "r"


def odd_flows():
    one, point = ([0.5], [[0.3, 0.1]]), ([[1.0, 1.0]], [1.0])
    yield gflow.integrate(one, point, 5.0, t_eval=[0.0])
    yield gflow.integrate(one, point, 5.0, t_eval=[5.0])
    yield gflow.integrate(([0.5], [[-0.3, 0.0]]), ([[1.0, 1.0]], [0.0]), 5.0)
    yield gflow.integrate(([0.5], [[0.0, 0.0]]), point, 5.0)
    yield gflow.integrate(([1e-300], [[1e-300, 0.0]]), point, 5.0)
    yield gflow.integrate(([0.5], [[0.3, 0.0]]), ([[1.0, 1.0]], [1e200]), 5.0)
    yield gflow.integrate(one, point, 5.0, save=["loss", "norms", "directions"])
    yield gflow.integrate(one, point, 5.0, stop=lambda state: True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["loss", "norms", "directions", "function", "neurons"])
def test_flows_with_little_to_draw(name):
    for run in odd_flows():
        axes = getattr(gflow.plot, name)(run, ax=matplotlib.figure.Figure().subplots())
        axes.figure.canvas.draw()


@pytest.mark.filterwarnings("error")
def test_twins_that_are_the_flow():
    start, data = ([0.5], [[-0.3]]), ([[1.0]], [1.0])
    run, twin = gflow.integrate(start, data, 1.0), gflow.descend(start, data, 0.1, 10)
    gflow.plot.step_sizes(run, [twin], ax=matplotlib.figure.Figure().subplots(), lw=2)
