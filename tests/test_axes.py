"""Axes that have been drawn on before: cleared since then, by another flow, or by somebody else."""

import pickle

import matplotlib
import matplotlib.figure
import numpy as np
import pytest

import gflow

matplotlib.use("Agg")
TWO_INPUTS = ["boundary", "neurons", "polar"]
NAMES = ["loss", "norms", "directions", "events", "function", "kinks", "fit", *TWO_INPUTS]


def axes_for(name):
    shape = {"projection": "polar"} if name == "polar" else {}
    return matplotlib.figure.Figure().subplots(subplot_kw=shape)


def run(size, labels, inputs=1, scale=0.3, t_max=20.0):
    X = size * np.random.default_rng(int(size)).standard_normal((8, inputs))
    y = np.resize(labels, 8)
    data = gflow.Data(X, y, bias=inputs == 1)
    return gflow.integrate(gflow.init.balanced(20, 2, scale, rng=1), data, t_max)


@pytest.fixture(scope="module")
def flows():
    """A large flow and a small one, of one input and of two."""
    return {inputs: (run(2.0, [5.0, -5.0, 8.0], inputs), run(0.3, [0.1, 0.3], inputs, 1e-2, 0.5))
            for inputs in (1, 2)}


def of(flows, name):
    return flows[2 if name in TWO_INPUTS else 1]


def seen(axes):
    """What is on all axes of a figure, and between which limits."""
    axes.figure.canvas.draw()
    return [[(line.get_label(), line.get_color(), len(line.get_xdata())) for line in ax.lines
             if not str(line.get_label()).startswith("_child")]
            + [ax.get_xlim(), ax.get_ylim(), ax.get_aspect(), len(ax.images), len(ax.lines),
               ax.get_zorder(), *ax.get_position().bounds]
            for ax in axes.figure.axes]


@pytest.mark.parametrize("name", NAMES)
def test_axes_that_were_cleared_are_as_new(flows, name):
    large, small = of(flows, name)
    draw, new, old = getattr(gflow.plot, name), axes_for(name), axes_for(name)
    draw(small, ax=new)
    draw(large, ax=old)
    for _ in range(2):
        old.clear()
        draw(small, ax=old)
        assert seen(old) == seen(new)
    if name != "polar":
        # Nor is anything left for other pictures.
        old.clear()
        gflow.plot.loss(small, ax=old)
        assert seen(old) == seen(gflow.plot.loss(small, ax=axes_for("loss")))


def test_what_somebody_has_taken_away_is_drawn_again(flows):
    for name, label in (("function", "data"), ("kinks", "data"), ("fit", "output = label"),
                        ("neurons", "activation boundaries"), ("polar", "activation boundaries")):
        axes, flow = axes_for(name), of(flows, name)[0]
        getattr(gflow.plot, name)(flow, ax=axes)
        for line in list(axes.lines):
            line.remove()
        getattr(gflow.plot, name)(flow, ax=axes)
        assert label in [line.get_label() for line in axes.lines], name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", [1, -1])
def test_two_flows_are_both_in_sight(flows, name, order):
    axes, both = axes_for(name), of(flows, name)[::order]
    for flow in both:
        getattr(gflow.plot, name)(flow, ax=axes)
    axes.figure.canvas.draw()
    assert len(axes.figure.axes) == 1 + (name in ("kinks", "boundary"))
    for ax in axes.figure.axes:
        ends = np.sort([ax.get_xlim(), ax.get_ylim()], axis=1)
        for line in ax.lines:
            if line.get_transform() == ax.transData and line.get_label() != "kinks of the neurons":
                low, high = ends[1:] .T if name == "polar" else ends.T
                points = np.column_stack(line.get_data())[:, 1 if name == "polar" else 0:]
                points = points[np.isfinite(points).all(axis=1)]
                assert (points >= low - 1e-9).all() and (points <= high + 1e-9).all()


@pytest.mark.parametrize("name", ["function", "kinks", "boundary", "neurons", "polar"])
def test_data_are_drawn_once_if_they_are_the_same(flows, name):
    def data_of(axes):
        marks = [line for line in axes.lines if str(line.get_label()).startswith(
            ("data", "label", "least", "activation", "points")) and len(line.get_xdata())]
        return {str(line.get_transform() == axes.transData and line.get_xydata().round(9))
                + str(line.get_label())[:4] for line in marks}

    large, small = of(flows, name)
    draw, alone = getattr(gflow.plot, name), []
    for flow in (large, small):
        alone.append(data_of(draw(flow, ax=axes_for(name))))
    axes = axes_for(name)
    draw(large, ax=axes)
    once = data_of(draw(large, ax=axes))
    assert once == alone[0]
    for flow in (small, large):
        found = data_of(draw(flow, ax=axes))
        if name == "neurons":
            lines = [line.get_label() for line in axes.lines]
            assert lines.count("activation boundaries") == 16
        elif name == "polar":
            assert len(found) == len(alone[0]) + len(alone[1])
        else:
            assert found == alone[0] | alone[1]


PARTS = {"events": ["activate", "deactivate"], "margins": ["smoothed", "hard"],
         "kinks": ["network", "kinks, $a_i > 0$", "kinks, $a_i < 0$"]}


@pytest.fixture(scope="module")
def pairs():
    """Two runs of every picture that has several parts."""
    start, points = gflow.init.balanced(8, 2, 1e-2, rng=0), gflow.datasets.three_points()
    line = [gflow.integrate(start, points, t_max, rtol=1e-6) for t_max in (20.0, 10.0)]
    endless = [gflow.integrate(([a], [[0.3]]), ([[1.0]], [1]), 1e6, loss="logistic")
               for a in (0.5, 0.9)]
    return {"events": line, "kinks": line, "margins": endless}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("labels", [("run A", "run B"), (None, None)])
def test_parts_of_two_flows_are_told_apart_in_the_legend(pairs, name, labels):
    axes = axes_for(name)
    for flow, label in zip(pairs[name], labels):
        getattr(gflow.plot, name)(flow, ax=axes, label=label)
    legend = axes.get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    for part in PARTS[name]:
        own = [k for k, text in enumerate(texts) if f" {part}" in f" {text}"]
        assert len(own) == 2
        if labels[0]:
            assert [texts[k].split(":")[0] for k in own] == ["run A", "run B"]
        one, two = (legend.legend_handles[k] for k in own)
        assert one.get_color() != two.get_color()
        if name == "events":
            # In grey, too; the form is that of the kind.
            assert one.get_marker() == two.get_marker() != "None"
            assert one.get_fillstyle() != two.get_fillstyle()


def test_kinks_out_of_sight_are_those_of_all_flows(pairs):
    axes, found = axes_for("kinks"), []
    for flow in pairs["kinks"]:
        alone = gflow.plot.kinks(flow, ax=axes_for("kinks")).get_xlabel()
        found.append([int(word) for word in alone.replace("(", "").split() if word.isdigit()])
        gflow.plot.kinks(flow, ax=axes)
    outside, total = np.sum(found, axis=0)
    assert outside and f"({outside} of {total} are outside)" in axes.get_xlabel()


@pytest.mark.parametrize("order", [1, -1])
def test_the_rim_is_where_the_radii_end(flows, order):
    axes = axes_for("polar")
    for flow in flows[2][::order]:
        gflow.plot.polar(flow, ax=axes)
    bottom, top = axes.get_ylim()
    for line in axes.lines:
        radii = line.get_ydata()
        if str(line.get_label()).startswith("points") and len(radii):
            assert (radii == top).all()
        if str(line.get_label()).startswith("activation"):
            assert np.nanmin(radii) == bottom and np.nanmax(radii) == top


@pytest.mark.parametrize("order", [1, -1])
def test_images_on_the_same_axes_have_one_scale(flows, order):
    axes = axes_for("boundary")
    both = flows[2][::order]
    for flow in both:
        gflow.plot.boundary(flow, ax=axes)
    one, other = axes.images
    bar = one.colorbar or other.colorbar
    assert one.norm is other.norm is bar.norm and len(axes.figure.axes) == 2
    assert one.norm.vmax >= max(np.abs(flow.data.y).max() for flow in both)


def test_a_colour_bar_says_that_there_is_more(flows):
    large = flows[2][0]
    for t in (0.0, large.t_end):
        axes = gflow.plot.boundary(large, t, axes_for("boundary"))
        (image,) = axes.images
        values, norm = image.get_array(), image.norm
        clipped = bool(values.min() < norm.vmin), bool(values.max() > norm.vmax)
        names = ("min", "max", "both", "neither")
        assert image.colorbar.extend == names[[(1, 0), (0, 1), (1, 1), (0, 0)].index(clipped)]
    assert any(clipped)


def test_points_of_somebody_else_stay_in_sight(flows):
    for name in ("fit", "kinks", "neurons", "boundary"):
        axes = axes_for(name)
        axes.plot([-30.0, 40.0], [-20.0, 50.0], "x")
        axes.invert_yaxis()
        getattr(gflow.plot, name)(of(flows, name)[1], ax=axes)
        ends = np.array([axes.get_xlim(), axes.get_ylim()[::-1]])
        assert (ends[:, 0] <= [-30, -20]).all() and (ends[:, 1] >= [40, 50]).all(), name
        axes = axes_for(name)
        axes.axhline(0.0)
        getattr(gflow.plot, name)(of(flows, name)[1], ax=axes)
        alone = getattr(gflow.plot, name)(of(flows, name)[1], ax=axes_for(name))
        assert axes.get_xlim() == alone.get_xlim()


@pytest.mark.parametrize("name", ["kinks", "boundary", "polar"])
def test_figures_are_drawn_on_after_they_were_stored(flows, name):
    flow = of(flows, name)[0]
    axes = getattr(gflow.plot, name)(flow, ax=axes_for(name))
    again = pickle.loads(pickle.dumps(axes.figure))
    for figure in (axes.figure, again):
        getattr(gflow.plot, name)(flow, ax=figure.axes[0])
        figure.canvas.draw()
    assert len(again.axes) == len(axes.figure.axes)
