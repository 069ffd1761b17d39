r"""What is minimised: a loss of one point, and the check of those that users write.

The loss of a network is :math:`L = \frac{1}{n} \sum_k \ell(h(x_k), y_k)`. Solvers see of it the
pulls :math:`p_k = -\partial \ell / \partial h` at the outputs of now, and how these answer to the
outputs, the curvature :math:`\ell'' = \partial^2 \ell / \partial h^2`.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np

from .checks import Hidden, real_array, unmasked
from .margins import Exponential, Logistic
from .theirs import theirs
from .words import kind_of, said, short

METHODS = ("value", "pull", "curvature")
FURTHER = ("log_value", "margin")
"""What losses that fall for ever have besides."""
WRITE = "an object with value(h, y), pull(h, y) = -dl/dh and curvature(h, y) = l''"
EPS = float(np.finfo(float).eps)
SURE = 1e-5
"""Part of a derivative by which it may differ from differences, beyond their own error: wrong
formulas are off by more."""
FEW = 0.1
"""Part of the points at which differences may contradict a formula: wrong ones are so at more."""
VAGUE = 0.1
"""Part of a difference that its error may be, if it is to speak for a formula."""
LABELS = 5
"""Labels that a loss is tried on: it is a formula, that is right or wrong at all of them."""
NEAR = 1e-2
"""And nearer to it by this factor."""
BEYOND = 1e-6
"""How far from the last outputs of a run that failed a loss may be to blame, relative to them."""
FAR = (-1.0, 0.5, 10.0, 1000.0)
"""Margins at which losses that fall for ever are tried: at the last ones they may underflow."""
ALIKE = 1e-6
"""Part of 1 and of a number by which two formulas for it may differ."""
OFFSETS = np.array([-0.913, -0.517, -0.0731, 0.0119, 0.289])
"""Outputs on which derivatives are compared, about the label. Not round: there a loss may bend."""


class Loss(Protocol):
    r"""The loss of one point, :math:`\ell(h, y)`, of an output and a label; made by users too.

    1. ``value(h, y)``, ``pull(h, y)`` :math:`= -\partial \ell / \partial h` and ``curvature(h, y)``
       :math:`= \partial^2 \ell / \partial h^2` take outputs ``h`` (..., n) and labels ``y`` (n,),
       and return an array like ``h``: entry by entry, float64, without changing what they take.
    2. It is convex in h, its values are not negative (add a constant), its pull is continuous.
    3. It keeps nothing of a run, so that any number of threads may use it.
    4. ``quadratic = True`` promises ``curvature`` 1 everywhere: pulls are then labels of some kind
       minus outputs, and late phases cost less. False if it is not there.
    5. ``name``: what `as_loss` knows it by. Only those of gflow have one; others are called by
       their ``repr``.
    6. ``endless = True`` says that the loss falls for ever and has no least value, so that runs go
       on in the logarithm of time (`gflow.problem.clock`). ``pull(h, y, log)`` and
       ``curvature(h, y, log)`` then give both times :math:`e^{log}`, a number or (..., 1), without
       overflow on the way, ``log_value(h, y)`` the logarithm of the loss, and ``margin(log_value)``
       the output, times the label, at which a point has it.
    7. ``labels(y)`` may refuse labels, or make others of them, which it leaves alone then.
    """

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss."""

    def pull(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Minus its derivative."""

    def curvature(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Its second derivative."""


class Square:
    """``(h - y)^2 / 2``: the pull is the residual ``y - h``.

    Examples
    --------
    >>> loss, h, y = Square(), np.array([0.5, 3.0]), np.array([1.0, 1.0])
    >>> loss.value(h, y), loss.pull(h, y), loss.curvature(h, y)
    (array([0.125, 2.   ]), array([ 0.5, -2. ]), array([1., 1.]))
    """

    name = "square"
    quadratic = True

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss."""
        return np.asarray((h - y) ** 2 / 2)

    def pull(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The residual."""
        return np.asarray(y - h)

    def curvature(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Ones."""
        return np.ones(np.shape(h))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return "Square()"


SQUARE = Square()
OURS = (Square, Logistic, Exponential)
NAMED: dict[str, Loss] = {loss.name: loss for loss in (SQUARE, Logistic(), Exponential())}


LossLike = Literal["square", "logistic", "exponential"] | Loss
"""A loss as front doors take it."""


def is_endless(loss: Loss) -> bool:
    """Whether the loss falls for ever."""
    return bool(getattr(loss, "endless", False))


def as_labels(loss: Loss, y: np.ndarray) -> np.ndarray:
    """Labels as the loss takes them.

    Raises
    ------
    TypeError, ValueError
        If it refuses them, or makes no labels of them.

    Examples
    --------
    >>> as_labels(NAMED["logistic"], np.array([0.0, 1.0]))
    array([-1.,  1.])
    """
    labels = getattr(loss, "labels", None)
    if not callable(labels):
        return y
    try:
        made = labels(y.copy())
    except (TypeError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"loss.labels fails on labels of shape {y.shape}: write it with NumPy "
                         f"({type(error).__name__}: {said(error)})") from error
    made = real_array(made, "loss.labels(y)", 1)
    if made.shape != y.shape:
        raise ValueError(f"loss.labels returns shape {made.shape} for labels of shape {y.shape}: "
                         "return one for each")
    return made


def is_quadratic(loss: Loss) -> bool:
    """Whether pulls are affine in outputs, with curvature 1."""
    return bool(getattr(loss, "quadratic", False))


def undefined(loss: Loss, h: np.ndarray, y: np.ndarray) -> str:
    """A sentence if a loss of the user is NaN at finite outputs ``h`` (n,), or just beyond them, or
    nothing: no network is to blame for that.

    Examples
    --------
    >>> undefined(SQUARE, np.ones(1), np.ones(1))
    ''
    """
    if type(loss) in OURS:
        return ""
    for beyond in (0.0, BEYOND, -BEYOND):
        at = h + beyond * np.maximum(np.abs(h), 1.0)
        bad = np.isfinite(at)
        with theirs:
            bad &= np.any([np.isnan(getattr(loss, name)(at, y)) for name in METHODS], axis=0)
        if bad.any():
            k = int(np.argmax(bad))
            return (f"the loss at point {k} is NaN at the output {at[k]:.6g}, or its derivatives "
                    "are: give one that is finite there")
    return ""


def loss_label(loss: Loss) -> str:
    """The name of a loss; its ``repr``, or at least its class, if it has none.

    Examples
    --------
    >>> loss_label(SQUARE)
    'square'
    """
    for name, known in NAMED.items():
        if loss is known or loss == known:
            return name
    if type(loss).__repr__ is object.__repr__:
        return f"{type(loss).__qualname__}()"
    return repr(loss)


def as_loss(loss: Any, y: np.ndarray) -> Loss:
    """A loss from its name, or one that a user wrote, checked on the labels ``y``.

    Parameters
    ----------
    loss : str or object
        "square", "logistic", "exponential", or an object as `Loss` describes it.
    y : ndarray, shape (n,)
        Labels of the problem.

    Raises
    ------
    TypeError
        If it is neither, or lacks a method.
    ValueError
        If there is no loss of that name, or it takes other labels; or if what a method returns has
        the wrong shape, is not finite between output 0 and the label, is negative (value,
        curvature), jumps (pull), or is not the derivative that it should be, by differences; of
        endless losses also if their logarithms and factors do not fit.

    Examples
    --------
    >>> as_loss("square", np.ones(3))
    Square()
    >>> class Wrong(Square):
    ...     def pull(self, h, y):
    ...         return h - y
    >>> as_loss(Wrong(), np.ones(3))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: loss.pull is not -d(value)/dh: at h = 0.087, y = 1 it is -0.913, ...
    """
    if isinstance(loss, str):
        if loss not in NAMED:
            raise ValueError(f"unknown loss {short(loss)}: choose one of {', '.join(NAMED)}, or "
                             f"give {WRITE}")
        as_labels(NAMED[loss], y)
        return NAMED[loss]
    if isinstance(loss, type):
        raise TypeError(f"loss is the class {loss.__name__}: give an object of it, "
                        f"{loss.__name__}(...)")
    missing = [name for name in METHODS if not callable(getattr(loss, name, None))]
    if missing:
        raise TypeError(f"loss is {kind_of(loss)} without {' and '.join(missing)}: give "
                        f"\"square\" or {WRITE}")
    y = as_labels(loss, y)
    if type(loss) not in OURS:
        if (as_labels(loss, y) != y).any():
            raise ValueError("loss.labels makes others of the labels that it has made: it must "
                             "leave these alone, since runs hold them")
        _check(loss, y)
    checked: Loss = loss
    return checked


def _check(loss: Any, y: np.ndarray) -> None:
    """Try a loss on some labels; see `as_loss`."""
    labels = np.quantile(y, np.linspace(0.0, 1.0, LABELS), method="nearest")
    span = float(np.abs(y).max()) or 1.0
    # Outputs go from 0 to the labels, as a rule.
    between = np.linspace(0.0, 1.0, LABELS)[:, None] * labels
    with np.errstate(all="ignore"):
        parts = {name: _called(loss, name, between, labels) for name in METHODS}
        for name, values in parts.items():
            if not np.isfinite(values).all():
                j, k = np.argwhere(~np.isfinite(values))[0]
                raise ValueError(f"loss.{name} is {values[j, k]} at h = {between[j, k]:g}, "
                                 f"y = {labels[k]:g}: it must be finite for every output (write it "
                                 "so that nothing overflows, or rescale the labels)")
            if name != "pull" and values.min() < 0:
                j, k = np.unravel_index(int(values.argmin()), values.shape)
                cure = ("add a constant" if name == "value" else "a loss must be convex in h")
                raise ValueError(f"loss.{name} = {values[j, k]:g} is negative at "
                                 f"h = {between[j, k]:g}, y = {labels[k]:g}: {cure}")
        if is_quadratic(loss) and not (np.abs(parts["curvature"] - 1) <= SURE).all():
            raise ValueError("loss.quadratic is True but its curvature is not 1: leave quadratic "
                             "away, or scale the loss")
        _check_jumps(loss, np.concatenate([between, labels[None]]), labels, span)
        scales = np.unique([NEAR * min(1.0, span), 1.0, span])
        h = labels + np.multiply.outer(scales, OFFSETS).ravel()[:, None]
        steps = np.geomspace(scales[-1], 1e-7 * scales[0],
                             2 * int(np.ceil(7 + np.log10(scales[-1] / scales[0]))))
        _compare(loss, "value", "pull", "-d(value)/dh", h, labels, steps)
        _compare(loss, "pull", "curvature", "-d(pull)/dh", h, labels, steps)
        if is_endless(loss):
            _check_endless(loss, between, labels)


def _check_endless(loss: Any, h: np.ndarray, y: np.ndarray) -> None:
    """Try what only losses that fall for ever have, at outputs (J, k), and far beyond the labels
    (k,); see `as_loss`."""
    missing = [name for name in FURTHER if not callable(getattr(loss, name, None))]
    if missing:
        raise TypeError(f"loss is {kind_of(loss)} that is endless, without {' and '.join(missing)}:"
                        " give log_value(h, y) and margin(log_value), or leave endless away")
    _same(_called(loss, "log_value", h, y), np.log(_called(loss, "value", h, y)),
          "loss.log_value is not the logarithm of loss.value", h, y)
    logs = np.linspace(-1.0, 1.0, len(h))[:, None]
    for name in ("pull", "curvature"):
        expected = np.exp(logs) * _called(loss, name, h, y)
        _same(_called(loss, name, h, y, logs), expected,
              f"loss.{name}(h, y, log) is not e^log times loss.{name}(h, y)", h, y)
    y = y[y != 0]
    for m in FAR if y.size else ():
        far = (m / y)[None]
        logs = _called(loss, "log_value", far, y)
        if not np.isfinite(logs).all():
            raise ValueError(f"loss.log_value is {logs.min():g} where the label times the output "
                             f"is {m:g}: it must be finite where the loss itself underflows")
        _same(_called(_Inverse(loss), "margin", far, y), far * y,
              "loss.margin(log_value) is not the label times the output of that loss", far, y)
        for name in ("pull", "curvature"):
            if not np.isfinite(_called(loss, name, far, y, -logs.max(axis=1)[:, None])).all():
                raise ValueError(f"loss.{name}(h, y, log) overflows on its way where the loss is "
                                 f"exp({logs.max():.4g}) and log is {-logs.max():.4g}: add log to "
                                 "the exponent")


class _Inverse:
    """The margin that a loss gives for its own logarithm, to be called like its other methods."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def margin(self, h: np.ndarray, y: np.ndarray) -> Any:
        """The label times the output, if the loss is right."""
        return self.loss.margin(self.loss.log_value(h, y))


def _same(found: np.ndarray, expected: np.ndarray, wrong: str, h: np.ndarray, y: np.ndarray
          ) -> None:
    """Refuse a loss of which two formulas do not say the same; ``wrong`` says which."""
    off = ~(np.abs(found - expected) <= ALIKE * (1 + np.abs(expected)))
    if off.any():
        j, k = np.argwhere(off)[0]
        raise ValueError(f"{wrong}: at h = {h[j, k]:g}, y = {y[k]:g} it is {found[j, k]:.6g}, not "
                         f"{expected[j, k]:.6g}")


def _called(loss: Any, name: str, h: np.ndarray, y: np.ndarray, *log: np.ndarray) -> np.ndarray:
    """What a method returns for these outputs and labels, and a logarithm if it takes one."""
    given, labels = h.copy(), y.copy()
    try:
        raw = unmasked(getattr(loss, name)(given, labels, *log))
        if np.iscomplexobj(raw):
            raise TypeError("it returns complex numbers")
        values = np.asarray(raw, dtype=float)
    except Hidden:
        raise ValueError(f"loss.{name} returns masked entries: return a number for each output"
                         ) from None
    except Exception as error:
        also = f", and log {log[0].shape}" if log else ""
        raise ValueError(f"loss.{name} fails on arrays of outputs {h.shape} and labels {y.shape}"
                         f"{also}: write it with NumPy, entry by entry ({type(error).__name__}: "
                         f"{said(error)})") from error
    if not ((given == h).all() and (labels == y).all()):
        raise ValueError(f"loss.{name} changes the arrays that it is given: work on copies")
    if values.shape != h.shape:
        raise ValueError(f"loss.{name} returns shape {values.shape} for outputs of shape "
                         f"{h.shape}: return an array of that shape, entry by entry")
    return values


def _check_jumps(loss: Any, h: np.ndarray, y: np.ndarray, span: float) -> None:
    """Refuse a pull that jumps, like that of the absolute value at the label; outputs are of the
    size ``span``."""
    step = 1e-12 * span
    jump = np.abs(_called(loss, "pull", h + step, y) - _called(loss, "pull", h - step, y))
    size = np.abs(_called(loss, "pull", np.stack([h - span, h, h + span]), y)).max()
    # A bend over less than this part of the labels is a jump for double precision.
    if jump.max() > 1e-3 * size:
        j, k = np.unravel_index(int(jump.argmax()), jump.shape)
        raise ValueError(f"loss.pull jumps at h = {h[j, k]:g}, y = {y[k]:g}: the flow needs a loss "
                         "with a continuous derivative (smooth it over some width)")


def _compare(loss: Any, name: str, other: str, formula: str, h: np.ndarray, y: np.ndarray,
             steps: np.ndarray) -> None:
    """Compare ``other`` with minus the differences of ``name``: of the step that tells most, and of
    those that no bend is in reach of. What agrees with either is right."""
    up, down = h + steps[:, None, None], h - steps[:, None, None]
    high, low = _called(loss, name, up, y), _called(loss, name, down, y)
    slope = (high - low) / (up - down)
    claimed = _called(loss, other, h, y)
    # Truncation shows as a change from one step to the next; rounding of what is subtracted, and
    # of where, is added.
    rounding = 8 * EPS * (np.abs(high) + np.abs(low) + np.abs(slope) * np.abs(h)) / (up - down)
    change = np.abs(np.diff(slope, axis=0))
    error = np.maximum(change[:-1], change[1:]) + rounding[1:-1]
    slope = -slope[1:-1]
    spread = 10 * error + SURE * np.abs(slope)
    # Relative: steps far longer than a loss bends give slopes that are small, and alike.
    share = error / np.abs(slope)
    share[~np.isfinite(share)] = np.inf
    best = share.argmin(axis=0)[None]
    found, wide = (np.take_along_axis(part, best, axis=0)[0] for part in (slope, spread))
    off = np.abs(found - claimed) - wide
    off[wide > VAGUE * np.abs(found)] = np.inf
    near, close = _nearby(slope, spread)
    found = np.where(np.abs(near - claimed) - close < off, near, found)
    off = np.fmin(off, np.abs(near - claimed) - close)
    off[~np.isfinite(off)] = -np.inf
    # Rounding, or a bend of the loss, may mislead at a few points.
    if np.mean(off > 0) > FEW:
        j, k = np.unravel_index(int(off.argmax()), off.shape)
        raise ValueError(f"loss.{other} is not {formula}: at h = {h[j, k]:g}, y = {y[k]:g} it is "
                         f"{claimed[j, k]:.6g}, differences say {found[j, k]:.6g}")


def _nearby(slope: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (...) and their spread, from slopes (S, ...) of steps that shorten.

    Longer and longer steps narrow a slope down, until one contradicts those before: it reaches
    over a bend, and tells as little as those that are longer still. Where the loss is flat on one
    side of a bend this finds 0, which no relative error is small beside.
    """
    wide = np.where(np.isfinite(slope + spread), spread, np.inf)
    slope = np.where(np.isfinite(slope), slope, 0.0)
    least = np.maximum.accumulate((slope - wide)[::-1])
    most = np.minimum.accumulate((slope + wide)[::-1])
    last = np.maximum((least <= most).sum(axis=0) - 1, 0)[None]
    least, most = (np.take_along_axis(part, last, axis=0)[0] for part in (least, most))
    return (least + most) / 2, (most - least) / 2
