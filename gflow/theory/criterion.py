"""The judgement on one face: is there an extremal vector, of what type, by what margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..kernels.crossings import ON_SURFACE
from ..kernels.filippov import ROUNDING, box_least_squares
from .faces import candidates
from .fans import SAME, Centre, centre, span
from .kinks import Kinks


@dataclass(frozen=True)
class Critical:
    """A critical point of ``G`` on the unit sphere, in the coordinates of the kinks.

    Attributes
    ----------
    u : ndarray of int8, shape (C,)
        Signs on the kinks.
    g : ndarray, shape (r,)
        Field there, without what is aside, in units of ``kinks.size``.
    orientation : int
        Whether the point is ``g / |g|`` (1) or ``-g / |g|`` (-1); 0 if the field is zero, then the
        whole face is critical.
    kind : str
        "max", "min" or "saddle".
    index : int
        What it adds to the Euler characteristic of the sphere of the span; ``(-1)^descending`` at
        independent normals.
    margin : float
        Distance to failing the criterion: the least sine of the angle to another hyperplane, or the
        least distance of a multiplier to 0 or 1. Zero or below to rounding means a borderline case.
    doubtful : bool
        Whether a field that is taken for zero may be another one: normals that are almost dependent
        make its error large.
    """

    u: np.ndarray
    g: np.ndarray
    orientation: int
    kind: str
    index: int
    margin: float
    doubtful: bool = False


def judge(kinks: Kinks, u: np.ndarray, d: int) -> list[Critical]:
    r"""The critical points that the face of signs ``u`` contributes: none, one, or two.

    The face is critical if the projection g of the field on its span lies in it up to one global
    sign E, and is an element of the set of fields with the kinks of zero sign free (Boursier and
    Flammarion, "Early alignment in two-layer networks training is a two-edged sword", JMLR 2025,
    definition 1 and equation (16); that the multipliers may be found by unconstrained least squares
    is derived here). Types and indices: ``G`` on the sphere is near such a point
    ``E |g| (1 - |t|^2 / 2 - |z|^2 / 2) + phi(z)``, t along the face and z across, with phi from
    `fans.centre` (derived here).

    Parameters
    ----------
    kinks : Kinks
        The potential.
    u : ndarray of int8, shape (C,)
        Signs; those that the field makes zero to rounding are taken for zero.
    d : int
        Dimension of the inputs.

    Returns
    -------
    list of Critical
        Two where ``G`` is linear across the span of all kinks.
    """
    face = _face(kinks, u)
    others, rest = ~face.zero, kinks.rank - face.codimension
    agree = np.unique(np.sign(face.across[others]) * face.u[others])
    if face.size == 0.0 and rest == 0 or face.size > 0.0 and len(agree) > 1:
        return []
    V, J, p = kinks.V[face.zero], kinks.J[face.zero], face.g - face.off
    if rest == 0 and len(J) and not _contains(p, V, J, face.tol):
        return []
    if face.size == 0.0:
        local = centre(V, J, p, face.tol, False)
        if local.slack < -face.tol / local.sigma:
            return []
        index = (-1) ** (rest - 1) * _index(V, J, p, local, face.tol, False)
        return [Critical(face.u, face.g, 0, "flat", index, local.margin, face.doubtful)]
    linear = kinks.dimension - kinks.rank
    found = []
    for E in (int(agree[0]),) if len(agree) else (1, -1):
        # Where phi is zero across the face, -E |g| |z|^2 / 2 decides.
        local = centre(V, J, p, face.tol, E > 0)
        if local.slack < -face.tol / local.sigma:
            return []
        alone = rest + d - kinks.rank == 1
        if not local.rises and (E > 0 or alone):
            kind = "max"
        elif not local.falls and (E < 0 or alone):
            kind = "min"
        else:
            kind = "saddle"
        index = _index(V, J, p, local, face.tol, E > 0)
        index *= (-1) ** (rest + linear - 1) if E > 0 else 1
        margin = np.abs(face.across[others]).min(initial=face.size * local.margin) / face.size
        found.append(Critical(face.u, face.g, E, kind, index, float(margin)))
    return found


class _Face(NamedTuple):
    """A face, and the field on it: signs ``u``, those that are ``zero``, the projected field ``g``,
    its components ``across`` the hyperplanes, its ``size`` with what is aside (0 if rounding),
    the field ``off`` all kinks of zero sign, its error ``tol``, the rank of their normals, and
    whether a size of 0 is ``doubtful``."""

    u: np.ndarray
    zero: np.ndarray
    g: np.ndarray
    across: np.ndarray
    size: float
    off: np.ndarray
    tol: float
    codimension: int
    doubtful: bool


def _face(kinks: Kinks, u: np.ndarray) -> _Face:
    """The face of signs ``u``, or the part of its boundary on which its field lies to rounding."""
    V, J, u, doubtful = kinks.V, kinks.J, u.copy(), False
    while True:
        zero = u == 0
        sides = np.where(zero, 0.0, kinks.low + np.maximum(u, 0) * J)
        rows, sigma = span(V[zero])
        g, along = _off(kinks.rest + sides @ V, rows), _off(V, rows)
        across = V @ g
        size = float(np.hypot(np.linalg.norm(g), np.linalg.norm(kinks.aside)))
        tol = kinks.noise + 4 * ROUNDING * float(np.abs(kinks.rest).sum() + np.abs(sides).sum())
        if size <= tol / sigma:
            doubtful = size > tol
            g, size = np.zeros_like(g), 0.0
            break
        # The error of g is in the face: what it does to v.g is less where the face is almost
        # parallel to the hyperplane.
        error = tol / sigma * np.linalg.norm(along, axis=1) + ON_SURFACE * size
        close = ~zero & (np.abs(across) <= error)
        if not close.any():
            break
        u[close] = 0
    off = kinks.rest + (sides + np.where(zero, kinks.low, 0.0)) @ V
    tol += 4 * ROUNDING * float((np.abs(kinks.low) + np.abs(J))[zero].sum())
    return _Face(u, zero, g, across, size, off, tol, len(rows), doubtful)


def _off(what: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Vectors less their parts along orthonormal rows; twice, so that small rests are clean."""
    for _ in range(2):
        what = what - (what @ rows.T) @ rows
    return what


def _contains(p: np.ndarray, V: np.ndarray, J: np.ndarray, tol: float) -> bool:
    """Whether ``p`` is roughly in the set: cheaper than `centre` where all hyperplanes meet."""
    return bool(np.abs(box_least_squares(-p, V, J, tol)[1]).max() <= tol / SAME)


def _index(V: np.ndarray, J: np.ndarray, p: np.ndarray, local: Centre, tol: float,
           down: bool) -> int:
    """Index of the function of `fans.centre`, dependent normals or not.

    In general ``chi`` of the set where it is negative is a sum over its own critical points on the
    unit sphere, which is a problem of the same form in the dimensions across the face.
    """
    if local.index is not None:
        return local.index
    rows, _ = span(V)
    q, rank = len(J), len(rows)
    if down:
        J, p = -J, -p
    across = Kinks(np.ascontiguousarray(V @ rows.T), J, np.zeros(q), -rows @ p, np.zeros(rank),
                   np.eye(rank), np.arange(q), 1.0, tol / local.sigma)
    seen = {(point.u.tobytes(), point.orientation): point.index
            for u in candidates(across, False)[0] for point in judge(across, u, rank)}
    index = 1 - sum(index for (_, E), index in seen.items() if E < 0)
    return (-1) ** rank * index if down else index
