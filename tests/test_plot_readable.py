"""Axes, legends and messages of pictures of runs that are out of the ordinary."""

import matplotlib
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest

import gflow

matplotlib.use("Agg")
NAMES = [name for name in gflow.plot.NAMES if name != "margins"]
X = np.random.default_rng(0).standard_normal((6, 2))


@pytest.fixture(scope="module")
def flow():
    return gflow.integrate(gflow.init.balanced(5, 2, 0.1, rng=0), (X, X[:, 0]), 2.0)


def axes_for(name):
    return matplotlib.figure.Figure(layout="constrained").subplots(
        subplot_kw={"projection": "polar"} if name == "polar" else {})


def early(t_max, scale=1e-3):
    start = gflow.init.balanced(6, 2, scale, rng=0)
    return gflow.integrate(start, gflow.datasets.three_points(), t_max)


def labels(axis):
    """Those in sight."""
    axis.axes.figure.draw_without_rendering()
    low, high = sorted(axis.get_view_interval())
    both = zip([*axis.get_ticklocs(), *axis.get_ticklocs(minor=True)],
               [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)])
    return [text.get_text() for place, text in both if low <= place <= high and text.get_text()]


@pytest.mark.parametrize("t_max", [2.0, 0.1, 1e-4])
def test_labels_of_a_loss_that_hardly_changes_are_told_apart(t_max):
    run = early(t_max)
    assert 0 < np.ptp(run.loss) < 1e-4 * run.loss[0]
    axes = gflow.plot.loss(run, ax=axes_for("loss"))
    found = labels(axes.yaxis)
    assert len(found) > 2 and len(set(found)) == len(found)
    assert axes.yaxis.get_offset_text().get_text()
    # With one that changes beside it, the axis is logarithmic again.
    assert gflow.plot.loss(early(30.0), ax=axes).get_yscale() == "log"
    assert gflow.plot.loss(run, ax=axes).get_yscale() == "log"


@pytest.mark.parametrize("scale", [1e-150, 1e-153])
def test_a_loss_below_what_a_linear_axis_shows_is_not_0(scale):
    points = gflow.datasets.three_points()
    start = gflow.init.balanced(4, 2, 1e-80, rng=0)
    run = gflow.integrate(start, gflow.Data(scale * points.X, scale * points.y), 1.0)
    axes = gflow.plot.loss(run, ax=axes_for("loss"))
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log" and 0 < low < run.loss[0] < high < 1e-280
    found = labels(axes.yaxis)
    assert len(found) > 1 and len(set(found)) == len(found)
    assert gflow.plot.loss(run, ax=axes).get_ylim() == (low, high)


@pytest.mark.parametrize("name", ["loss", "norms"])
def test_values_that_are_the_same_up_to_rounding_have_room_around_them(name):
    if name == "loss":
        run = early(1e-12)
        assert np.ptp(run.loss) <= 2e-16
    else:
        run = gflow.integrate(([0.0], [[0.3, 0.0]]), (np.eye(2), [0.0, 0.0]), 2.0)
    axes = getattr(gflow.plot, name)(run, ax=axes_for(name))
    value, (low, high) = getattr(run, name).flat[0], axes.get_ylim()
    assert low < 0.98 * value and 1.02 * value < high < 1.5 * value
    found = labels(axes.yaxis)
    assert len(found) > 2 and len(set(found)) == len(found)


@pytest.mark.parametrize("name", ["norms", "directions", "loss"])
def test_time_of_what_cannot_be_drawn(name):
    still = gflow.integrate(([0.0, 0.0], np.zeros((2, 2))), (X, 0 * X[:, 0]), 20.0)
    axes = getattr(gflow.plot, name)(still, ax=axes_for(name))
    axes.figure.draw_without_rendering()
    assert np.allclose(axes.get_xlim(), (0.0, 20.0))
    getattr(gflow.plot, name)(still, ax=axes)
    assert np.allclose(axes.get_xlim(), (0.0, 20.0))


@pytest.mark.parametrize("name", ["loss", "norms", "events"])
@pytest.mark.parametrize("t_max", [1e-270, 1e-290, 5e-324])
def test_labels_of_the_shortest_runs(name, t_max):
    axes = getattr(gflow.plot, name)(early(t_max), ax=axes_for(name))
    assert 2 <= len(labels(axes.xaxis)) <= 10


@pytest.mark.parametrize("name", ["boundary", "norms", "directions"])
@pytest.mark.parametrize("style", ["default", "seaborn-v0_8"])
def test_legends_on_what_is_drawn_have_a_ground(flow, name, style):
    with plt.style.context(style):
        legend = getattr(gflow.plot, name)(flow, ax=axes_for(name)).get_legend()
    assert legend.get_frame_on() and legend.get_frame().get_alpha() == 1.0


@pytest.mark.parametrize("name", ["fit", "neurons", "boundary", "kinks", "polar"])
@pytest.mark.parametrize("scale", ["log", "symlog"])
def test_scales_that_a_picture_cannot_have(flow, name, scale):
    run = early(0.1) if name == "kinks" else flow
    for axis in "y" if name == "polar" else "xy":
        axes = axes_for(name)
        getattr(axes, f"set_{axis}scale")(scale)
        with pytest.raises(ValueError, match=f"scale '{scale}'.*: make them linear, "
                                             rf"ax.set_{axis}scale\(\"linear\"\), or"):
            getattr(gflow.plot, name)(run, ax=axes)
        assert not axes.has_data()


@pytest.mark.parametrize("name", NAMES)
def test_none_is_not_given(flow, name):
    run = early(0.1) if name in ("function", "kinks") else flow

    def colours(**options):
        axes = getattr(gflow.plot, name)(run, ax=axes_for(name), **options)
        return [(one.get_color(), one.get_linewidth(), one.get_marker()) for one in axes.lines]

    assert colours(color=None, mfc=None, lw=None, marker=None) == colours()


@pytest.mark.parametrize("option", ["xdata", "ydata", "data", "figure", "transform"])
def test_options_that_are_what_is_drawn(flow, option):
    for draw in (gflow.plot.loss, gflow.plot.neurons):
        with pytest.raises(TypeError, match=f"^there is no option '{option}': give those of a "):
            draw(flow, ax=axes_for("loss"), **{option: 3})


def test_what_is_said_of_lists_of_times_is_of_lists(flow):
    for given, name in (([[0.0, 1.0]], r"np.asarray\(t\)"), (np.array([[0.0, 1.0]]), "t")):
        with pytest.raises(ValueError, match=rf"such as {name}.ravel\(\)$"):
            flow(given)


def run_into_each_other(axis):
    """Labels in sight of an axis of which one begins before the one before it ends."""
    axis.axes.figure.draw_without_rendering()
    low, high = sorted(axis.get_view_interval())
    boxes = [tick.label1.get_window_extent() for tick in axis.get_major_ticks()
             if low <= tick.get_loc() <= high and tick.label1.get_text()]
    assert len(boxes) > 2
    return [one for one, after in zip(boxes, boxes[1:]) if one.overlaps(after)]


@pytest.mark.parametrize("name, size", [("neurons", 1e-3), ("neurons", 1e5), ("boundary", 5e-4),
                                        ("boundary", 5e4), ("kinks", 5e-4), ("function", 5e-4)])
def test_labels_of_numbers_far_from_1_do_not_run_into_each_other(name, size):
    start, points = gflow.init.balanced(10, 2, size, rng=0), gflow.datasets.three_points()
    if name != "neurons":
        draw = np.random.default_rng(1)
        x, y = draw.standard_normal((12, 2 if name == "boundary" else 1)), draw.standard_normal(12)
        points = gflow.Data(size * x, size * y, bias=True)
        start = gflow.init.balanced(10, points.d, 0.1, rng=0)
    run = gflow.integrate(start, points, 1e-9 / max(size, 1.0)**2)
    axes = gflow.plot.figure(run, name).axes[0]
    assert not run_into_each_other(axes.xaxis)
    plain = axes_for(name)
    plain.xaxis.set_major_formatter("{x:.0e}")
    chosen = plain.xaxis.get_major_formatter()
    assert getattr(gflow.plot, name)(run, ax=plain).xaxis.get_major_formatter() is chosen


@pytest.mark.parametrize("name", ["loss", "norms"])
def test_labels_that_somebody_has_chosen_stay(name):
    rest = gflow.integrate(([0.5], [[-0.3]]), ([[1.0]], [1.0]), 5.0)
    axes = axes_for(name)
    axes.yaxis.set_major_formatter("{x:.2f} of it")
    getattr(gflow.plot, name)(rest, ax=axes)
    assert all(text.endswith(" of it") for text in labels(axes.yaxis))


def test_the_legend_counts_the_neurons_that_are_drawn():
    run = gflow.integrate(gflow.init.balanced(60, 2, 1e-3, rng=0), gflow.datasets.three_points(),
                          0.3)
    axes = gflow.plot.alignment(run, ax=axes_for("alignment"))
    there = [one for one in axes.lines if np.isfinite(np.asarray(one.get_ydata(), float)).any()
             and len(one.get_xdata()) > 2]
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(there) == 20 and "$a_i > 0$ (20 neurons)" in said
    assert "not drawn (40 neurons)" in said and not any("a_i < 0" in text for text in said)
    own = gflow.plot.alignment(run, ax=axes_for("alignment"), label="mine").get_legend()
    assert [text.get_text() for text in own.get_texts()][0] == "mine" and len(own.texts) == 2


def test_bundles_are_of_neurons_that_have_a_line():
    # Neurons whose weights are 0 all along have no direction, and stood for others that have one.
    start = gflow.init.balanced(500, 2, 1e-2, rng=0)
    W = start.W.copy()
    W[::2] = 0.0
    run = gflow.integrate((start.a, W), gflow.datasets.three_points(), 1.0)
    axes = gflow.plot.directions(run, ax=axes_for("directions"))
    lines = [one for one in axes.lines if len(one.get_xdata()) > 2]
    assert all(np.isfinite(np.asarray(one.get_ydata(), float)).all() for one in lines)
    assert "not drawn (250 neurons)" in axes.get_legend_handles_labels()[1]


def test_labels_that_are_all_the_same_have_the_scale_of_the_outputs():
    run = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 5.0)
    axes = gflow.plot.fit(run, ax=axes_for("fit"))
    assert axes.get_xlim() == axes.get_ylim() and np.ptp(axes.get_xlim()) < 1e-2


def test_a_run_without_events_says_so_and_neurons_are_whole():
    run = early(1e-9)
    assert not len(run.events)
    axes = gflow.plot.events(run, ax=axes_for("events"))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["no events"]
    assert all("." not in text for text in labels(axes.yaxis))
    assert "no events" not in gflow.plot.events(early(2.0), ax=axes_for("events")
                                                ).get_legend_handles_labels()[1]
    # One neuron has the number 0 and no other.
    one = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0)
    axes = gflow.plot.events(one, ax=axes_for("events"))
    assert all("." not in text for text in labels(axes.yaxis))


def covered(axes):
    """Data points of which the legend hides a part."""
    axes.figure.draw_without_rendering()
    box = axes.get_legend().get_window_extent()
    marks = [one for one in axes.lines if one.get_marker() in "os" and len(one.get_xdata())]
    assert len(marks) == 2
    return [place for one in marks for place in axes.transData.transform(one.get_xydata())
            if box.expanded(1.0, 1.0).padded(one.get_markersize() / 2).contains(*place)]


@pytest.mark.parametrize("name", ["boundary", "panel"])
@pytest.mark.parametrize("scale", [1.0, 1234.5])
def test_the_legend_of_a_plane_covers_no_points(name, scale):
    # Labels on both sides and dead neurons: all five entries.
    points = gflow.Data([[3.0, 10.0], [4.0, 2.0], [2.0, 40.0], [1.0, 3.0]],
                        scale * np.array([1.5, 2.5, 0.7, 2.0]))
    start = gflow.init.balanced(10, 2, 1e-3 * scale**0.5, rng=0)
    run = gflow.integrate(start, points, 3.0 / scale)
    axes = gflow.plot.figure(run, name).axes[0 if name == "boundary" else 3]
    assert len(axes.get_legend().get_texts()) == 5 and not covered(axes)
