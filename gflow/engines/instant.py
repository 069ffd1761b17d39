"""Contacts that are one: of all neurons at an instant, and of one neuron with hyperplanes."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.polynomial.chebyshev import chebval

from ..kernels.crossings import CROSS, ON_SURFACE, RELEASE_ABOVE, RELEASE_BELOW
from ..problem.data import Arrangement
from ..problem.norms import row_norms

SIMULTANEOUS = 2e-12
"""Contacts so near on a step, in units of half its length, are made together."""


def together(found: list[tuple[float, int, int, int]], W: np.ndarray, normal: np.ndarray,
             window: float, rounding: float) -> list[tuple[float, int, int, int]]:
    """The contacts ``(s, neuron, hyperplane, kind)`` of a part of a step that are made at once.

    A neuron that meets a hyperplane while another one is farther away than rounding meets that one
    later, or never, as it may slide on the first.

    Parameters
    ----------
    found : list
        Contacts, at ``s`` in [-1, 1].
    W : ndarray, shape (p + 1, m, d)
        Chebyshev series of the weights there.
    normal : ndarray, shape (C, d)
        Unit normals.
    window, rounding : float
        Contacts later than the first by more are not made; those within ``rounding`` cannot be told
        apart, as times are rounded.

    Examples
    --------
    >>> W = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> normal = np.array([[0.0, 1.0], [1e-12, 1.0]])
    >>> together([(-1e-12, 0, 1, CROSS), (0.0, 0, 0, CROSS)], W, normal, 2e-12, 0.0)
    [(-1e-12, 0, 1, 0)]
    """
    limit = min(s for s, *_ in found) + window
    found = [contact for contact in found if contact[0] <= limit]
    several = Counter(i for _, i, _, kind in found if kind == CROSS)
    for i in [i for i, count in several.items() if count > 1]:
        own = min(s for s, neuron, _, kind in found if neuron == i and kind == CROSS)
        w = chebval(own, W[:, i])
        edge = ON_SURFACE * float(row_norms(w[None])[0])
        found = [(s, neuron, h, kind) for s, neuron, h, kind in found
                 if neuron != i or kind != CROSS or s <= own + rounding
                 or abs(float(normal[h] @ w)) <= edge]
    return found


def one_way(contacts: list[tuple[int, int, int]], A: Arrangement) -> list[tuple[int, int, int]]:
    """Contacts ``(neuron, hyperplane, kind)`` of an instant, less one of two releases to both sides
    of a hyperplane: both are solutions, and the one with the fewest active points is taken."""
    both = {contact[:2] for contact in contacts if contact[2] == RELEASE_BELOW} & {
        contact[:2] for contact in contacts if contact[2] == RELEASE_ABOVE}
    if not both:
        return contacts
    above = {h: np.sign(A.length[A.member[A.start[h]:A.start[h + 1]]]).sum() < 0 for _, h in both}
    return [(i, h, kind) for i, h, kind in contacts if (i, h) not in both
            or kind not in (RELEASE_BELOW, RELEASE_ABOVE)
            or kind == (RELEASE_ABOVE if above[h] else RELEASE_BELOW)]
