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
