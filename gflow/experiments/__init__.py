"""Ready experiments for `gflow.sweep` and ``gflow sweep NAME``.

An experiment is a function ``run(..., rng)`` whose parameters have plain types; its signature is
its command line. `REGISTRY` has them by name, with the figure that shows each.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from . import linear_teacher
from .linear_teacher import threshold

__all__ = ["Experiment", "REGISTRY", "find", "threshold"]


class Experiment(NamedTuple):
    """A ready experiment.

    Attributes
    ----------
    run : callable
        For `gflow.sweep`.
    figure : callable
        From the record array of a sweep to a matplotlib figure.
    """

    run: Callable[..., dict[str, Any]]
    figure: Callable[[Any], Any]


REGISTRY = {"threshold": Experiment(threshold, linear_teacher.figure)}


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> find("threshold").run is threshold
    True
    """
    if name not in REGISTRY:
        raise ValueError(f"there is no experiment {name!r}: choose one of {', '.join(REGISTRY)}")
    return REGISTRY[name]
