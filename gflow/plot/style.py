"""Colours, axes, legends, and what wide networks are thinned to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.record import Record
from ..problem.words import kind_of, said, short
from .shared import placed

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.ticker import ScalarFormatter

COLOURS = ("#333333", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito, dark grey first: for one flow after another on the same axes."""
UP: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
DOWN: dict[str, Any] = {"color": "#D55E00", "linestyle": "--"}
DARK = COLOURS[0]
FAINT = 0.6
"""Grey of what is dead."""
DASHES = ("-", "--", "-.", ":")
"""Of one curve after another, so that they are told apart in grey too."""
EDGES = 40
"""Activation boundaries that are drawn, at most."""
NARROWER: tuple[dict[str, Any], ...] = (
    {"ncols": 1}, {"fontsize": "xx-small", "handlelength": 1.2, "handletextpad": 0.4},
    {"fontsize": 4.5, "borderpad": 0.2})
"""What makes a legend fit into its axes, one after the other, until it does."""
BARE: Mapping[str, Any] = {
    "linestyle": "-", "marker": "None", "fillstyle": "full", "markerfacecolor": "auto",
    "markeredgecolor": "auto", "markeredgewidth": 1.0}
"""What every line and every mark says of itself, as settings and cycles of matplotlib (a style of
hollow marks, say) would take things away, or what their colours and marks mean."""
LIKE, SAME, AROUND = 1e-4, 1e-12, 0.03
"""Values that differ by less than the first part of them are told apart on no logarithmic axis, by
less than the second one on none; these have the third part of them as room on both sides."""
VANISHING = 1e-286
"""Values below it are 0 on a linear axis of matplotlib, which takes their interval for a point."""
WHAT = ("data", "xdata", "ydata", "figure", "transform")
"""What matplotlib takes for options of lines, but says what is drawn, and where."""
SHORTEST = 1e-280
"""Time that an axis which is logarithmic in part has room for."""
POWERS = (-3, 4)
"""Powers of ten up to which, and from which on, labels of linear axes leave them out."""
LAST = ("least squares line", "data", "data 2", "data 3")
"""What a legend says after everything else."""


def check_axes(ax: Any, polar: bool = False, linear: bool = False) -> None:
    """Refuse what is no axes, or not those that a picture needs: polar ones, or linear scales.

    Raises
    ------
    TypeError, ValueError
        In one sentence.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> check_axes(Figure().subplots())
    """
    if not hasattr(ax, "get_xaxis"):
        raise TypeError(f"ax is {kind_of(ax)}: give matplotlib axes")
    if not placed(ax):
        raise ValueError("ax was removed from its figure: give axes that are in one, or leave ax= "
                         "away")
    if polar and ax.name != "polar":
        raise ValueError("these axes are not polar: make them with projection=\"polar\", or "
                         "leave ax= away")
    if not polar and (hasattr(ax, "get_zlim") or hasattr(ax, "transProjection")):
        raise ValueError(f"these axes are of another kind ({short(ax.name)}): make them without "
                         "projection=, or leave ax= away")
    for name in "xy" if linear else "":
        scale = getattr(ax, f"get_{name}scale")()
        if scale != "linear":
            raise ValueError(f"these axes have the scale {short(scale)}, on which this picture "
                             f"cannot be drawn: make them linear, ax.set_{name}scale(\"linear\"), "
                             "or leave ax= away")


@contextmanager
def axes(ax: Axes | None, polar: bool = False, linear: bool = False, **options: Any
         ) -> Iterator[Axes]:
    """The axes given, or new ones that nothing is cut off of when they are saved; these are closed
    if what is drawn on them fails.

    Raises
    ------
    TypeError, ValueError
        If they are no axes, or of another kind.
    """
    if ax is not None:
        check_axes(ax, polar, linear)
        yield ax
        return
    import matplotlib.pyplot as plt
    figure, made = plt.subplots(layout="constrained", **options)
    with closed(figure):
        yield made


@contextmanager
def closed(figure: Figure) -> Iterator[None]:
    """Close a figure of pyplot if drawing on it fails."""
    import matplotlib.pyplot as plt
    try:
        yield
    except BaseException:
        plt.close(figure)
        raise


def line(own: Mapping[str, Any], options: Mapping[str, object] = MappingProxyType({})
         ) -> dict[str, Any]:
    """Options for a line: those given, under any name that matplotlib knows, before our own, and
    these before settings of matplotlib.

    Raises
    ------
    TypeError
        If a line has no such option.

    Examples
    --------
    >>> line({"color": "red", "linewidth": 2.0}, {"c": "blue"})["color"]
    'blue'
    """
    return {**BARE, **own, **given(options)}


def ordinary(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """A function that draws a whole figure, with lines and marks as matplotlib has them by default,
    whatever its settings say: as what they mean is said with their default looks."""
    @wraps(draw)
    def figure(*given: Any, **options: Any) -> Figure:
        import matplotlib
        default = matplotlib.rcParamsDefault
        with matplotlib.rc_context({name: default[name] for name in default
                                    if name.startswith(("lines.", "markers."))
                                    or name == "axes.prop_cycle"}):
            return draw(*given, **options)

    return figure


def given(options: Mapping[str, object]) -> dict[str, Any]:
    """Options of users by their long names.

    Raises
    ------
    TypeError
        If a line has no such option.
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D
    found = normalize_kwargs(dict(options), Line2D)
    for name in found:
        if not hasattr(Line2D, f"set_{name}") or name in WHAT:
            raise TypeError(f"there is no option {short(name)}: give those of a matplotlib line, "
                            "such as color, linewidth or alpha")
    # Without alpha is a way to look; other options are not given.
    return {name: value for name, value in found.items() if value is not None or name == "alpha"}


def check_options(options: Mapping[str, object]) -> None:
    """Refuse what no line can look like.

    Raises
    ------
    TypeError, ValueError
        In one sentence that names the option.
    """
    from matplotlib.lines import Line2D
    label = given(options).get("label")
    if np.iterable(label) and not isinstance(label, str | bytes):
        # Of matplotlib one for each of several lines; here lines of one kind have one for all.
        raise TypeError(f"label is {kind_of(label)}: give one text")
    for name, value in options.items():
        try:
            Line2D([], []).set(**given({name: value}))
        except Exception as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"no line can have {name} = {short(value)}: {said(error, 160)}"
                       ) from error


def check_flow(flow: object) -> None:
    """Refuse what is no run.

    Raises
    ------
    TypeError
        In one sentence.
    """
    if not isinstance(flow, Record):
        raise TypeError(f"flow is {kind_of(flow)}: give a run, from gflow.integrate, "
                        "gflow.descend or gflow.load")


def legend(ax: Axes, loc: str, **options: Any) -> None:
    """A legend that says everything once, if there is anything to say. ``"outside"`` is on the
    right of the axes, ``"above"`` two columns over them, ``"top"`` two columns in them, above
    everything drawn, for which room is made. Marks in it can be seen, however small and pale they
    are in the picture."""
    beside = (1.1, 1.05) if ax.name == "polar" else (1.02, 1.0)
    places: dict[str, dict[str, Any]] = {
        "outside": {"loc": "upper left", "bbox_to_anchor": beside},
        "above": {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2},
        "top": {"loc": "upper center", "ncols": 2}}
    place = places.get(loc, {"loc": loc})
    from matplotlib.lines import Line2D
    handles, labels = ax.get_legend_handles_labels()
    first = {label: handle for label, handle in zip(labels[::-1], handles[::-1])}
    if not first:
        return
    texts = sorted(dict.fromkeys(labels), key=lambda text: text in LAST)
    own: dict[str, Any] = {"fontsize": "small", "framealpha": 0.85, **place, **options}
    if loc == "top":
        # Lines at one time pass below it.
        own["framealpha"] = 1.0
    if loc == "top" or ax.images:
        # Of styles without frames its letters would be on what is drawn.
        own["frameon"] = True
    made = ax.legend([first[text] for text in texts], texts, **own)
    if loc == "top":
        wide = _settled(made) > ax.get_window_extent().width
        # One column needs room that is only made if nobody has set the limits.
        first_try = 0 if ax.get_autoscaley_on() else 1
        for narrower in NARROWER[first_try:] if wide else ():
            own.update(narrower)
            made = ax.legend([first[text] for text in texts], texts, **own)
            if made.get_window_extent().width <= ax.get_window_extent().width:
                break
    for handle in made.legend_handles:
        if handle is not None:
            alpha = handle.get_alpha()
            handle.set_alpha(None if alpha is None else max(float(alpha), 0.45))
            if isinstance(handle, Line2D):
                handle.set_markersize(min(max(handle.get_markersize(), 5.0), 8.0))
    if loc == "outside":
        # In the middle of their place axes of equal scales would leave too little room for it.
        ax.set_anchor("W")
    if loc == "top":
        _headroom(ax, -(-len(texts) // own["ncols"]) * float(made.get_texts()[0].get_fontsize()))


def _settled(made: Legend) -> float:
    """Width of a legend, once its axes have the size that they will be drawn in."""
    figure = made.get_figure(root=True)
    assert figure is not None
    layout = figure.get_layout_engine()
    if layout is not None:
        # It is above the axes' own decorations, and no reason to make room beside them.
        made.set_in_layout(False)
        layout.execute(figure)
    return float(made.get_window_extent().width)


def _headroom(ax: Axes, points: float) -> None:
    """Lift the upper end of the values by what lines of text of this height need; not where
    somebody has set it."""
    if not ax.get_autoscaley_on():
        return
    # What an earlier flow on these axes was given is given again.
    ax.relim()
    if not np.isfinite(ax.dataLim.intervaly).all():
        # Nothing can be drawn, nor be below a legend.
        return
    _apart(ax)
    ax.autoscale_view(scalex=False)
    share = min(0.5, (1.3 * points + 8.0) / (ax.get_window_extent().height * 72 / ax.figure.dpi))
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(np.array(ax.get_ylim()))
    top = scale.inverted().transform(np.array([high + share / (1 - share) * (high - low)]))
    ax.update_datalim([(ax.dataLim.x0, float(top[0]))], updatex=False)
    ax.autoscale_view(scalex=False)


def dots(t: np.ndarray) -> dict[str, Any]:
    """A line through one time would not be seen, nor one through times that axes do not tell
    apart."""
    return {"marker": "o"} if t.size == 1 or 0 < np.ptp(t) <= SHORTEST else {}


def positive(values: Any) -> np.ndarray:
    """What a logarithmic axis can show; NaN elsewhere.

    Examples
    --------
    >>> positive([1.0, 0.0, -1.0])
    array([ 1., nan, nan])
    """
    values = np.asarray(values, dtype=float)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def logarithmic(ax: Axes) -> None:
    """A logarithmic axis, if there is anything that it can show: not of values that hardly differ,
    of which all its labels would be the same, unless a linear one would show them as 0.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> _ = ax.plot([0, 1], [0.3, 0.3 + 1e-7])
    >>> logarithmic(ax)
    >>> ax.get_yscale()
    'linear'
    """
    low, high = _ends(ax)
    if high - low > LIKE * high:
        ax.set_yscale("log")
    elif high < VANISHING:
        # Decades have labels.
        ax.set_yscale("log")
        ax.update_datalim([(ax.dataLim.x0, low / 10), (ax.dataLim.x1, high * 10)], updatex=False)
        ax.autoscale_view(scalex=False)
    elif ax.get_yscale() == "linear":
        for labels in _formatters(ax.yaxis):
            labels.set_useOffset(True)
        _apart(ax)


def _formatters(*axis: Axis) -> Iterator[ScalarFormatter]:
    """How labels are written, where nobody has chosen another way."""
    from matplotlib.ticker import ScalarFormatter
    for one in axis:
        found = one.get_major_formatter()
        if one.isDefault_majfmt and isinstance(found, ScalarFormatter):
            yield found


def powers(ax: Axes) -> None:
    """Labels of linear axes as multiples of a power of ten if they were long enough to run into
    each other; not where somebody has chosen how they are written.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> _ = ax.plot([0, 30000], [0, 1])
    >>> powers(ax)
    >>> ax.figure.draw_without_rendering()
    >>> ax.get_xticklabels()[2].get_text(), ax.xaxis.get_offset_text().get_text()
    ('0.5', '1e4')
    """
    for labels in _formatters(ax.xaxis, ax.yaxis):
        labels.set_powerlimits(POWERS)


def _ends(ax: Axes) -> tuple[float, float]:
    """The smallest and the largest positive value of all lines; NaN if there is none."""
    values = [positive(one.get_ydata()) for one in ax.lines if one.get_transform() == ax.transData]
    found = np.concatenate([np.empty(0), *values])
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if found.size else (np.nan, np.nan)


def _apart(ax: Axes) -> None:
    """Room around values that are the same up to rounding, which would fill axes otherwise."""
    low, high = ax.dataLim.intervaly
    if 0 <= high - low <= SAME * abs(high):
        room = AROUND * abs(high)
        ax.update_datalim([(ax.dataLim.x0, low - room), (ax.dataLim.x1, high + room)],
                          updatex=False)


def time_axis(ax: Axes, t: np.ndarray) -> None:
    """Logarithmic from where early alignment starts to show, linear before, so that 0 is there.

    Limits are left to matplotlib: they hold on other scales too (``ax.set_xscale("log")``), and for
    flows that are drawn on top.
    """
    if t.size and not ax.dataLim.x0 <= t[0] <= t[-1] <= ax.dataLim.x1:
        # What cannot be drawn, such as angles of neurons at 0, has times as well.
        ax.plot(t[[0, -1]], [0.0, 0.0], transform=ax.get_xaxis_transform(),
                **line({"linestyle": "", "color": "none"}))
    if t.size and t[-1] > SHORTEST and ax.get_xscale() == "linear":
        linear = float(min(0.1, t[-1] / 100))
        # What is linear has room for its labels, however many decades follow.
        decades = max(1.0, (np.log10(t[-1]) - np.log10(linear)) / 12)
        ax.set_xscale("symlog", linthresh=linear, linscale=decades)
        if t[-1] > 1e12:
            # So many powers need room.
            from matplotlib.ticker import SymmetricalLogLocator
            locator = ax.xaxis.get_major_locator()
            assert isinstance(locator, SymmetricalLogLocator)
            locator.set_params(numticks=7)
    ax.margins(x=0)
    ax.set_xlabel("flow time $t$")


def some(count: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` of ``count`` things, evenly.

    Examples
    --------
    >>> some(3, 5), some(10, 3)
    (array([0, 1, 2]), array([0, 4, 9]))
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)) if count else \
        np.empty(0, dtype=int)


def light(colour: Any) -> bool:
    """Whether a colour is nearer to white than to black.

    Examples
    --------
    >>> light("white"), light("#0072B2")
    (True, False)
    """
    from matplotlib.colors import to_rgb
    return bool(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) > 0.5)


def on_dark(ax: Axes) -> bool:
    """Whether the ground is dark; where none is drawn, words that are light say so."""
    from matplotlib import rcParams
    from matplotlib.colors import to_rgba
    for face in (ax.get_facecolor(), ax.figure.get_facecolor()):
        if to_rgba(face)[3] > 0.5:
            return not light(face)
    return light(rcParams["text.color"])


def grey(ax: Axes, level: float) -> str:
    """A grey, 0 to 1 as it is on white; on a dark ground it is as far from that.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> grey(Figure().subplots(), 0.2), grey(Figure().add_subplot(facecolor="black"), 0.2)
    ('0.2', '0.8')
    """
    return f"{1 - level if on_dark(ax) else level:.3g}"


def colour(ax: Axes, turn: int) -> str:
    """Of one flow after another: the first one is dark, or light on a dark ground."""
    place = turn % len(COLOURS)
    return COLOURS[place] if place or not on_dark(ax) else grey(ax, 0.2)


def edge_style(ax: Axes, count: int) -> dict[str, Any]:
    """How activation boundaries are drawn: the paler the more there are."""
    return line({"linestyle": "-.", "color": grey(ax, 0.5), "linewidth": 0.8, "zorder": 1}
                if count <= 12 else {"color": grey(ax, 0.75), "linewidth": 0.6, "zorder": 1})


def mark_size(count: int, size: float) -> float:
    """Size of marks: smaller if there are many.

    Examples
    --------
    >>> mark_size(3, 7.0), mark_size(100, 7.0)
    (7.0, 3.5)
    """
    return float(size * max(0.5, min(1.0, (25 / max(1, count))**0.5)))


def edges_label(shown: int, total: int) -> str:
    """What a legend says of activation boundaries.

    Examples
    --------
    >>> edges_label(3, 3), edges_label(40, 75)
    ('activation boundaries', '40 of 75 activation boundaries')
    """
    some_of = "" if shown == total else f"{shown} of {total} "
    return f"{some_of}activation boundaries"


def of_run(text: str, options: Mapping[str, object], before: int) -> str:
    """What a legend says of one part of a picture that has several: of which run it is, if users
    have given that a label, or others have been drawn before.

    Examples
    --------
    >>> of_run("hard", {}, 0), of_run("hard", {}, 1), of_run("hard", {"label": "run B"}, 1)
    ('hard', 'hard, run 2', 'run B: hard')
    """
    label = options.get("label")
    if label is not None:
        # Without words nothing is in the legend.
        return f"{label}: {text}" if str(label) else ""
    return f"{text}, run {before + 1}" if before else text


def clock(t: float) -> str:
    """A time, as a formula.

    Examples
    --------
    >>> clock(9.5), clock(1e6), clock(7.93e11)
    ('$t = 9.5$', '$t = 10^{6}$', '$t = 7.93 \\\\cdot 10^{11}$')
    """
    digits, _, power = f"{t:.4g}".partition("e")
    if power:
        digits = (digits + r" \cdot " if digits != "1" else "") + f"10^{{{int(power)}}}"
    return f"$t = {digits}$"


def limits(values: np.ndarray, margin: float = 0.05) -> tuple[float, float]:
    """Ends of an axis that shows all of the finite ``values``.

    Examples
    --------
    >>> limits(np.array([0.0, 10.0]), 0.1)
    (-1.0, 11.0)
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = margin * (high - low) or max(0.1 * abs(high), 1e-300)
    return low - room, high + room
