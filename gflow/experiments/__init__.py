"""Ready experiments for `gflow.sweep` and ``gflow sweep NAME``, and published settings.

An experiment is a function ``run(..., rng)`` whose parameters have plain types; its signature is
its command line. `REGISTRY` has them by name, with the figure that shows each. `published` has the
settings W1 to W14 of the literature by name, and `threshold_diagram` evaluates a sweep of
`threshold` over dimensions. `escalate` fits one data set, from saddle to saddle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Callable, NamedTuple

import numpy as np

from . import diagram, early, jumps, linear_teacher, one_neuron, publications, trainings
from .diagram import ThresholdDiagram, threshold_diagram
from .early import alignment
from .escalation import Escalation, escalate
from .jumps import orthogonal_jumps
from .linear_teacher import threshold
from .one_neuron import one_neuron_teacher
from .settings import SIZES, Setting, published
from .training import Results
from .trainings import threshold_trainings
from ..problem.words import short

if TYPE_CHECKING:  # pragma: no cover
    from matplotlib.figure import Figure

__all__ = ["Escalation", "Experiment", "REGISTRY", "Setting", "ThresholdDiagram", "alignment",
           "escalate", "find", "orthogonal_jumps", "one_neuron_teacher", "published", "threshold",
           "threshold_diagram", "threshold_trainings"]


def __dir__() -> list[str]:
    return sorted(__all__)


class Experiment(NamedTuple):
    """A ready experiment.

    Attributes
    ----------
    run : callable
        For `gflow.sweep`.
    figures : dict of callable
        From the record array of a sweep to a matplotlib figure, by name; the first is the one to
        draw if none is asked for.
    choices : mapping of collections of str
        Values that a parameter may have, if only some; by name.
    """

    run: Callable[..., Results]
    figures: dict[str, Callable[[np.ndarray], Figure]]
    choices: Mapping[str, Collection[str]] = MappingProxyType({})


REGISTRY = {
    "threshold": Experiment(threshold, {"threshold": linear_teacher.figure,
                                        "diagram": diagram.figure}),
    "threshold_trainings": Experiment(threshold_trainings, {"trainings": trainings.figure},
                                      {"training": trainings.TRAININGS}),
    "alignment": Experiment(alignment, {"alignment": early.figure}, {"data": early.DATA}),
    "orthogonal_jumps": Experiment(orthogonal_jumps, {"jumps": jumps.figure}),
    "one_neuron_teacher": Experiment(one_neuron_teacher, {"one_neuron": one_neuron.figure}),
    "published": Experiment(publications.published, {"published": publications.figure},
                            {"name": published, "size": SIZES}),
}


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
    if not isinstance(name, str) or name not in REGISTRY:
        raise ValueError(f"there is no experiment {short(name)}: choose one of "
                         f"{', '.join(REGISTRY)}")
    return REGISTRY[name]
