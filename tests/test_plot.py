"""Figures: what is drawn, on the axes that were given."""

import matplotlib
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import gflow
from gflow.plot.panel import figure as in_a_figure

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def flow():
    data = gflow.datasets.three_points()
    return gflow.integrate(gflow.init.balanced(12, 2, 1e-3), data, 20.0)


NAMES = ["loss", "norms", "directions", "function", "neurons", "alignment", "events", "kinks",
         "fit", "polar"]


def axes_for(name):
    shape = {"projection": "polar"} if name == "polar" else {}
    return matplotlib.figure.Figure().subplots(subplot_kw=shape)


@pytest.mark.parametrize("name", NAMES)
def test_draws_on_the_axes_given(flow, name):
    axes = axes_for(name)
    assert getattr(gflow.plot, name)(flow, ax=axes) is axes
    assert axes.lines and axes.get_xlabel() and (axes.get_ylabel() or name == "polar")
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
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_an_option(flow, name, options):
    getattr(gflow.plot, name)(flow, ax=axes_for(name), **options)


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
@pytest.mark.parametrize("name", NAMES)
def test_flows_with_little_to_draw(name):
    for run in odd_flows():
        if name == "alignment" and run.saved is not None:
            continue
        axes = getattr(gflow.plot, name)(run, ax=axes_for(name))
        axes.figure.canvas.draw()


@pytest.mark.filterwarnings("error")
def test_twins_that_are_the_flow():
    start, data = ([0.5], [[-0.3]]), ([[1.0]], [1.0])
    run, twin = gflow.integrate(start, data, 1.0), gflow.descend(start, data, 0.1, 10)
    gflow.plot.step_sizes(run, [twin], ax=matplotlib.figure.Figure().subplots(), lw=2)


def line_of(axes, label):
    return next(line for line in axes.lines if str(line.get_label()).startswith(label))


def places(axes, label):
    return np.column_stack(line_of(axes, label).get_data())


def test_axes_in_place_of_a_time(flow):
    axes = axes_for("loss")
    with pytest.raises(TypeError, match="ax="):
        gflow.plot.loss(flow, axes)
    with pytest.raises(ValueError, match="outside"):
        gflow.plot.neurons(flow, 21.0, axes)
    with pytest.raises(TypeError, match="give matplotlib axes"):
        gflow.plot.loss(flow, ax=3)
    with pytest.raises(ValueError, match="polar"):
        gflow.plot.polar(flow, ax=axes)


def test_flows_on_top_of_each_other(flow):
    axes = axes_for("loss")
    for label in ("one", "two"):
        gflow.plot.loss(flow, ax=axes, label=label)
    one, two = (line_of(axes, label).get_color() for label in ("one", "two"))
    assert one != two
    axes = axes_for("function")
    for _ in range(2):
        gflow.plot.function(flow, ax=axes)
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(texts) == sorted(set(texts)) and "data" in texts


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["loss", "norms", "directions", "events"])
def test_other_scales_of_time(flow, name):
    axes = getattr(gflow.plot, name)(flow, 3.0, axes_for(name))
    for scale in ("log", "linear", "symlog"):
        axes.set_xscale(scale)
        axes.figure.canvas.draw()
        low, high = axes.get_xlim()
        assert low < high and high >= flow.t_end and (low > 0) == (scale == "log")


@pytest.mark.parametrize("draw", [gflow.plot.polar, gflow.plot.neurons])
def test_nothing_is_cut_off(flow, draw):
    import matplotlib.pyplot as plt
    axes = draw(flow)
    figure = axes.figure
    figure.canvas.draw()
    inside = figure.bbox
    for artist in (axes.xaxis.label, axes.get_legend()):
        box = artist.get_window_extent()
        assert box.x0 >= inside.x0 and box.x1 <= inside.x1 and box.y0 >= 0
    plt.close(figure)


def test_legends_cover_nothing_and_fit():
    data = gflow.datasets.linear_teacher(80, 2, rng=0)
    run = gflow.integrate(gflow.init.balanced(30, 2, 1e-3), data, 20.0, rtol=1e-6)
    for name in ("norms", "directions", "alignment", "events", "polar", "neurons"):
        figure = in_a_figure(run, name)
        FigureCanvasAgg(figure).draw()
        axes = figure.axes[0]
        box = axes.get_legend().get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, name
        if name in ("polar", "neurons"):
            assert box.x0 > axes.get_window_extent().x1
            continue
        ends = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) > 2]
        highest = np.nanmax(np.concatenate(ends))
        assert axes.transData.transform((1.0, highest))[1] < box.y0, name
    upper = axes_for("directions")
    heights = [gflow.plot.directions(run, ax=upper).get_ylim()[1] for _ in range(3)]
    assert heights[2] == pytest.approx(heights[0], rel=0.2)      # room is not made again
    upper.set_ylim(-10, 10)
    assert gflow.plot.directions(run, ax=upper).get_ylim() == (-10, 10)


def test_a_neuron_that_has_gone_has_no_direction():
    setting = gflow.experiments.published["W12"]
    run = gflow.integrate(*setting.problem(rng=0), 5.0, rates=setting.rates, rtol=1e-6)
    gone = run.norms == 0
    assert gone[-1].any() and not gone[0].any()
    axes = gflow.plot.directions(run, ax=axes_for("directions"))
    lines = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == run.t.size]
    assert len(lines) == run.model.m
    missing = sorted(int(np.isnan(line).sum()) for line in lines)
    assert missing == sorted(gone.sum(axis=0).tolist())


def test_what_happens_before_the_first_reported_time():
    data = gflow.datasets.three_points()
    run = gflow.integrate(gflow.init.balanced(12, 2, 1e-3), data, 1e6)
    assert run.t[1] > 1
    for name in ("norms", "directions", "loss"):
        axes = getattr(gflow.plot, name)(run, ax=axes_for(name))
        line = max(axes.lines, key=lambda line: len(line.get_xdata()))
        early = line.get_xdata()[line.get_xdata() > 0.09]
        assert early[0] < 0.11 and (early[1:] / early[:-1]).max() < 1.3
    t, loss = line.get_data()
    np.testing.assert_allclose(loss, run(t).loss(data), rtol=1e-9)


def test_polar_shows_angles_and_log_norms():
    start = gflow.TwoLayerReLU([1.0, -1.0], [[0.6, 0.8], [-2.0, 0.5]], log_scale=-2000.0)
    run = gflow.integrate(start, gflow.datasets.three_points(), 1e-3)
    axes = gflow.plot.polar(run, 0.0, axes_for("polar"))
    angle, radius = places(axes, "$a_i > 0$")[0]
    assert angle == pytest.approx(np.arctan2(0.8, 0.6))
    assert radius == pytest.approx(-2000.0 / np.log(10.0))
    angle, radius = places(axes, "$a_i < 0$")[0]
    assert radius == pytest.approx((np.log(np.hypot(2.0, 0.5)) - 2000.0) / np.log(10.0))
    rim = places(axes, "points, $y > 0$")
    np.testing.assert_allclose(rim[:, 0], np.arctan2(*run.data.X.T[::-1]))


def test_kinks_are_where_the_function_bends(flow):
    axes = gflow.plot.kinks(flow, 8.0, axes_for("kinks"))
    twin = next(other for other in axes.figure.axes if other is not axes)
    drawn = np.sort(np.concatenate([line.get_xdata()[1::3] for line in twin.lines[:2]]))
    model = flow(8.0)
    kinks = -model.W[:, 1] / model.W[:, 0]
    low, high = axes.get_xlim()
    np.testing.assert_allclose(drawn, np.sort(kinks[(kinks >= low) & (kinks <= high)]))
    assert f"({12 - drawn.size} of 12 are outside)" in axes.get_xlabel()


def test_stems_are_changes_of_slope():
    model = gflow.TwoLayerReLU([1.0, -2.0, 0.5], [[1.0, 0.3], [-0.7, 0.2], [0.4, -0.1]], slope=0.25)
    run = gflow.integrate(model, gflow.Data([[-1.0], [0.0], [1.0]], [0, 1, 0], bias=True), 1e-9)
    axes = gflow.plot.kinks(run, ax=axes_for("kinks"))
    twin = next(other for other in axes.figure.axes if other is not axes)
    for line in twin.lines[:2]:
        for x, height in zip(line.get_xdata()[1::3], line.get_ydata()[1::3]):
            values = run.model(np.column_stack([[x - 1e-3, x, x + 1e-3], np.ones(3)]))
            assert np.diff(values, 2)[0] / 1e-3 == pytest.approx(height, rel=1e-6)


def test_the_boundary_is_where_the_output_is_zero():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((20, 2)), np.full(20, 2.0)])
    run = gflow.integrate(gflow.init.balanced(30, 3, 0.3), (X, np.sign(X[:, 0] - 0.2)), 20.0)
    axes = gflow.plot.boundary(run, ax=axes_for("boundary"), lw=3)
    line = line_of(axes, "output 0")
    path = np.column_stack(line.get_data())
    path = path[np.isfinite(path).all(axis=1)]
    assert line.get_linewidth() == 3 and len(path) > 10
    values = run.model(np.column_stack([path, np.full(len(path), 2.0)]))
    assert np.abs(values).max() < 0.05
    with pytest.raises(ValueError, match="two inputs"):
        gflow.plot.boundary(gflow.integrate(([1.0], [[1.0]]), ([[1.0]], [0.5]), 1.0))


@pytest.mark.parametrize("extra, words", [
    (0, {"kinks of the neurons", "kinks of dead neurons"}),
    (60, {"kinks of the 40 heaviest neurons", "dead ones among these"})])
def test_kinks_of_neurons_that_are_off_at_all_points_are_on_the_plane(extra, words):
    data = gflow.Data([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.3, 1.0, -0.5], bias=True)
    W = [[0.5, 0.1, 0.2], [1.0, 1.0, -1.1]] + extra * [[1e-3, 0.0, 1e-3]]
    run = gflow.integrate(gflow.TwoLayerReLU([1.0, 3.0] + extra * [1e-3], W), data, 0.1)
    assert run.pattern(0.1).any(axis=1).tolist() == [True, False] + extra * [True]
    axes = gflow.plot.boundary(run, ax=axes_for("boundary"))
    texts = {text.get_text() for text in axes.get_legend().get_texts()}
    assert words <= texts
    path = next(line for line in axes.lines if "dead" in str(line.get_label())).get_xydata()
    np.testing.assert_allclose(path[:2].sum(axis=1), 1.1, rtol=1e-9)
    # Nobody is told of what is not there.
    run = gflow.integrate(gflow.TwoLayerReLU([1.0], W[:1]), data, 0.1)
    axes = gflow.plot.boundary(run, ax=axes_for("boundary"))
    assert not any("dead" in text.get_text() for text in axes.get_legend().get_texts())


def test_wide_networks_are_bundled_and_say_so():
    data = gflow.datasets.stewart(60, rng=0)
    run = gflow.integrate(gflow.init.unbalanced(1000, 2, 1e-3), data, 30.0, rtol=1e-4)
    axes = gflow.plot.norms(run, ax=axes_for("norms"))
    assert len(axes.lines) < 210
    alive = run.pattern(run.t_end).any(axis=1)
    text = next(line.get_label() for line in axes.lines if "a_i > 0" in str(line.get_label()))
    assert str((alive & (run.model.a >= 0)).sum()) in text and "bundles" in text
    labels = axes.get_legend_handles_labels()[1]
    assert sum(int(label.split("(")[1].split()[0]) for label in labels) == 1000
    heaviest = np.argmax(np.abs(run.model.a) * run.model.norms)
    assert any(line.get_ydata()[-1:] == pytest.approx(run.model.norms[heaviest])
               for line in axes.lines)
    axes = gflow.plot.kinks(run, ax=axes_for("kinks"))
    twin = next(other for other in axes.figure.axes if other is not axes)
    stems = np.concatenate([line.get_ydata()[1::3] for line in twin.lines[:2]])
    place = -run.model.W[:, 1] / run.model.W[:, 0]
    bends = run.model.a * np.abs(run.model.W[:, 0])
    parts = np.concatenate([np.histogram(place[own], 200, axes.get_xlim(), weights=bends[own])[0]
                            for own in (bends > 0, bends < 0)])
    seen = parts[np.abs(parts) > 1e-3 * np.abs(parts).max()]
    np.testing.assert_allclose(np.sort(stems), np.sort(seen), rtol=1e-6)
    assert 0 < seen.size < np.count_nonzero(parts)      # marks of height 0 are no news
    axes = gflow.plot.neurons(run, ax=axes_for("neurons"))
    assert line_of(axes, "40 of 60 activation boundaries")
    shown = sum(len(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None")
    assert shown == 1000


def test_principal_directions_say_what_they_hold():
    data = gflow.datasets.linear_teacher(20, 5, rng=1)
    run = gflow.integrate(gflow.init.balanced(10, 5, 0.1), data, 5.0)
    axes = gflow.plot.neurons(run, ax=axes_for("neurons"))
    size = np.linalg.svd(run.model.W, compute_uv=False)**2
    assert f"{100 * size[0] / size.sum():.0f}%" in axes.get_xlabel()


def test_panel(flow):
    figure = matplotlib.figure.Figure()
    places = [figure.add_subplot(2, 2, k + 1, projection="polar" if k == 2 else None)
              for k in range(4)]
    axes = gflow.plot.panel(flow, 3.0, places, lw=2)
    assert list(axes) == places and all(ax.lines for ax in axes)
    with pytest.raises(ValueError, match="give four"):
        gflow.plot.panel(flow, ax=places[:2])


def test_what_is_no_run_and_no_option_is_refused_in_a_sentence():
    flow = gflow.integrate(([0.5], [[0.3, 0.1]]), ([[1.0, 1.0]], [1.0]), 1.0)
    for name in (*gflow.plot.NAMES, "panel", "animate", "figure"):
        draw = getattr(gflow.plot, name)
        for wrong in (None, flow.data, [flow]):
            with pytest.raises(TypeError, match="flow is a .*: give a run"):
                draw(wrong)
        if name not in ("animate", "figure"):
            with pytest.raises(TypeError, match="no option 'colour': give those of a"):
                draw(flow, colour="red")
    plt.close("all")


@pytest.mark.parametrize("inches", [(6.0, 4.5), (9.2, 7.2), (14.0, 10.0)])
def test_legends_of_a_panel_stay_in_their_axes(inches):
    figure = matplotlib.figure.Figure(figsize=inches, layout="constrained")
    flow = gflow.integrate(gflow.init.balanced(30, 2, 1e-3, rng=0), gflow.datasets.three_points(),
                           20.0)
    places = [figure.add_subplot(2, 2, k + 1, projection="polar" if k == 2 else None)
              for k in range(4)]
    gflow.plot.panel(flow, t=9.5, ax=places)
    figure.draw_without_rendering()
    for ax in places:
        if ax.get_legend() is not None:
            box, own = ax.get_legend().get_window_extent(), ax.get_window_extent()
            assert box.x0 >= own.x0 - 2 and box.x1 <= own.x1 + 2
    text = places[2].xaxis.label.get_window_extent()
    assert text.x0 >= 0 and text.x1 <= figure.bbox.x1


def test_what_is_said_of_every_picture():
    from inspect import signature
    from pathlib import Path
    import re
    page = (Path(__file__).parents[1] / "docs" / "pictures.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("| `")]
    names = {name for row in rows for name in re.findall("`([a-z]+)`", row.split("|")[1])}
    assert names == {*gflow.plot.NAMES, "panel"}
    for name in names:
        given = signature(getattr(gflow.plot, name)).parameters
        assert list(given) == ["flow", "t", "ax", "options"]
        assert given["t"].default is None and given["ax"].default is None


@pytest.mark.filterwarnings("error")
def test_norms_below_double_precision_are_there_from_the_start():
    model = gflow.init.balanced(20, 2, 1.0, rng=1)
    start = gflow.TwoLayerReLU(model.a, model.W, log_scale=-1000.0)
    run = gflow.integrate(start, gflow.datasets.three_points(), 2500.0)
    axes = gflow.plot.norms(run, ax=matplotlib.figure.Figure().subplots())
    axes.figure.canvas.draw()
    lines = [line for line in axes.lines if len(line.get_xdata())]
    assert len(lines) == 20 and "log" in axes.get_ylabel() and axes.get_yscale() == "linear"
    ends = np.sort([line.get_ydata()[[0, -1]] for line in lines], axis=0)
    np.testing.assert_allclose(ends, np.sort(run.log_norms[[0, -1]].T, axis=0) / np.log(10))
    assert (ends[:, 0] < -430).all() and axes.get_ylim()[0] < ends.min()


@pytest.mark.parametrize("t_max", [60.0, 1e12, 1e20, 1e300])
def test_labels_of_a_time_axis_have_room(t_max):
    run = gflow.integrate(gflow.init.balanced(3, 2, 1e-3), gflow.datasets.three_points(), t_max)
    axes = gflow.plot.loss(run, ax=matplotlib.figure.Figure().subplots())
    axes.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()
             if label.get_text() and 0 <= label.get_position()[0] <= t_max]
    assert len(boxes) > 2
    assert all(one.x1 < other.x0 for one, other in zip(boxes[:-1], boxes[1:]))


def test_the_legend_of_kinks_covers_none(flow):
    axes = gflow.plot.kinks(flow, ax=matplotlib.figure.Figure().subplots())
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1


def test_types_of_all_that_is_public_are_there():
    from typing import get_type_hints
    for name in (*gflow.plot.NAMES, "panel", "animate", "figure", "step_sizes"):
        found = get_type_hints(getattr(gflow.plot, name))
        assert found["flow"] is gflow.Flow and "return" in found
    for function in (gflow.integrate, gflow.descend, gflow.load, gflow.resume, gflow.sweep):
        assert "return" in get_type_hints(function)


@pytest.mark.parametrize("y, below", [
    ([1, 2, 3], r"label $\leq$ 2"), ([1, 1, 1], r"label $\leq$ 1"), ([-1, 0, 1], r"label $\leq$ 0"),
    ([-1, 2, 1], "label below 0")])
def test_labels_at_the_level_are_not_said_to_be_below(y, below):
    flow = gflow.integrate(gflow.init.balanced(6, 2, 0.1, rng=0),
                           ([[1.0, 0.5], [-0.5, 1.0], [0.3, -1.0]], y), 0.1, method="DOP853")
    ax = gflow.plot.boundary(flow)
    assert below in [text.get_text() for text in ax.get_legend().get_texts()]


def test_neurons_without_a_kink_are_not_counted():
    data = gflow.Data([[1.0], [2.0]], [1.0, 2.0], bias=True)
    for W, said in (([[0.0, 0.0], [0.0, -1.0]], "input $x$, and kinks"),
                    ([[0.0, 0.0], [1.0, 9.0]], "input $x$, and kinks (1 of 1 are outside)")):
        flow = gflow.integrate(([0.0, 0.0], W), data, 1e-9, method="DOP853")
        assert gflow.plot.kinks(flow).get_xlabel() == said
