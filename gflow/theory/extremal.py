"""Extremal vectors of a data set: the directions with which neurons can align."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from ..problem.inputs import DataLike
from ..problem.checks import generator, whole
from ..problem.data import Data, as_data
from ..kernels.crossings import ON_SURFACE
from ..engines.events import ON, SLIDING, point_codes
from ..problem.network import TwoLayerReLU
from ..problem.norms import row_norms
from ..problem.tables import Table, indices, vector
from .criterion import Critical, judge
from .faces import candidates, checks
from .fans import Undecided
from .field import in_range, leaked
from .kinks import Kinks, kinks_of
from ..problem.quiet import quiet
from ..problem.value import Value
from ..problem.words import counted

MOST_FACES = 1e12
"""Faces that a complete search looks at, at most: some hours."""
MOST_AROUND = 3**12
"""Faces around an arc, at most: they are kept in memory."""
BORDER = 1e-12
"""Margins below this are rounding."""


@dataclass(frozen=True, eq=False)
class ExtremalVectors(Value):
    """Extremal vectors, from `extremal_vectors`; the largest ``value`` comes first.

    Attributes
    ----------
    D : ndarray, shape (k, d)
        The vectors, in units of ``y x``.
    pattern : ndarray of int8, shape (k, n)
        At ``w = orientation D / |D|``, as `gflow.Flow.pattern`: 0 off, 1 on, 2 on the hyperplane
        of the point, where neurons slide (or may); a point that is 0 is off.
    orientation : ndarray of int, shape (k,)
        1 if the direction of neurons there is that of ``D``, -1 if it is that of ``-D``.
    kind : ndarray of str, shape (k,)
        Of the potential ``G`` on the unit sphere: "max" attracts neurons with a > 0, "min" those
        with a < 0, a "saddle" attracts a set of measure zero of either (one of margin 0 may attract
        all from one side). In one dimension every point is both: "max" if neurons with a > 0 grow.
    value : ndarray, shape (k,)
        ``G(w) = orientation |D|`` at the unit vector w.
    index : ndarray of int, shape (k,)
        ``(-1)^descending``, with the number of descending dimensions of ``G`` on the sphere of the
        span of the data; where hyperplanes meet in special position, the Poincare-Hopf index.
    margin : ndarray, shape (k,)
        Distance to failing the criterion: the least sine of the angle of w to a hyperplane that it
        is not on, or distance of a multiplier to 0 or 1. At 0 the data is borderline.
    share : ndarray, shape (k,), or None
        With ``complete=False``: basin shares, neurons that ended there over the number of
        directions. A neuron of either sign of output weight starts from each.
    complete : bool
        Whether all extremal vectors are here, or only attractors that were met.
    morse_sum : int
        Sum of ``index``.
    morse_expected : int or None
        What it must be if nothing is missing: the Euler characteristic of the sphere, less the
        index of the set where ``G`` and its field vanish (a dead cell). None if not complete. Two
        that are missing can cancel; one cannot.
    message : str
        Assumptions of the theory that the data does not meet, and what that means here.

    Examples
    --------
    >>> found = extremal_vectors(([[1.0, 0.5], [0.5, 1.0]], [2.0, -2.0]))
    >>> found
    ExtremalVectors(1 max, 0 saddle, 1 min; complete, Morse sum 0 of 0)
      kind            D     value  points on  sliding  margin  index
       max  (0.6, -0.3)   0.67082          0        1     0.2     -1
       min  (0.3, -0.6)  -0.67082          1        0     0.2      1
    >>> found.D, found.pattern
    (array([[ 0.6, -0.3],
           [ 0.3, -0.6]]), array([[1, 2],
           [2, 1]], dtype=int8))
    """

    D: np.ndarray
    pattern: np.ndarray
    orientation: np.ndarray
    kind: np.ndarray
    value: np.ndarray
    index: np.ndarray
    margin: np.ndarray
    share: np.ndarray | None
    complete: bool
    morse_expected: int | None
    message: str = field(repr=False)

    @property
    def morse_sum(self) -> int:
        """Sum of ``index``."""
        return int(self.index.sum())

    @property
    def certified(self) -> bool:
        """Whether the search was complete and the Morse sum agrees."""
        return self.complete and self.morse_sum == self.morse_expected

    @property
    def w(self) -> np.ndarray:
        """Unit vectors with which neurons align, shape (k, d)."""
        return np.asarray(self.D / self.value[:, None])

    def __len__(self) -> int:
        return len(self.D)

    def _table(self) -> Table:
        kinds = ", ".join(f"{int((self.kind == kind).sum())} {kind}"
                          for kind in ("max", "saddle", "min"))
        state = (f"complete, Morse sum {self.morse_sum} of {self.morse_expected}" if self.complete
                 else "attractors that were met")
        share = self.share
        rows = [(kind, vector(D), f"{value:.6g}", indices(np.flatnonzero(codes == ON)),
                 indices(np.flatnonzero(codes == SLIDING)), f"{margin:.2g}",
                 str(int(index)) if share is None else f"{share[k]:.3g}")
                for k, (kind, D, value, codes, margin, index) in enumerate(zip(
                    self.kind, self.D, self.value, self.pattern, self.margin, self.index))]
        return Table(f"ExtremalVectors({kinds}; {state})",
                     ("kind", "D", "value", "points on", "sliding", "margin",
                      "index" if share is None else "share"), rows)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


@quiet
def extremal_vectors(data: DataLike, *, complete: bool = True, progress: bool = False,
                     starts: int = 2000, rng: int | np.random.Generator = 0,
                     slope: float = 0.0) -> ExtremalVectors:
    r"""All extremal vectors of a data set, with a certificate that none is missing.

    A vector ``D`` that is not zero is extremal if it is the element of least norm of the set of
    fields :math:`D_n(w, 0)` at ``w = D`` or at ``w = -D``. These are the critical points of the
    potential ``G`` on the unit sphere with ``G != 0``: neurons of a small initialisation align with
    them and stay there until they are large. All faces of the arrangement of the data are searched,
    in time O(n log n) for d = 2, O(n^2 log n) for d = 3 and O(n^(d-1) 3^d) at most beyond.

    Parameters
    ----------
    data : Data or (X, y)
        Inputs (n, d) and labels (n,), in general position or not: see Notes.
    complete : bool
        If False, follow the exact early flow from random starts, and return the attractors that
        they reach: maxima for positive and minima for negative output weights. For sizes at which
        there are too many faces.
    progress : bool
        Draw a text meter on standard error.
    starts : int
        Directions, uniform on the sphere, from which ``complete=False`` starts.
    rng : int or numpy.random.Generator
        Seed or generator for them.
    slope : float
        Of the activation where its input is negative. With another one than 0 the field vanishes
        nowhere, unless the data are special.

    Returns
    -------
    ExtremalVectors

    Raises
    ------
    TypeError, ValueError
        On bad input, if there are too many faces for a complete search, or if points are so close
        to special position that rounding decides which hyperplanes meet.

    Notes
    -----
    Points on one line through the origin share a hyperplane, and one multiplier (opposite ones
    ``eta`` and ``1 - eta``), as in `alignment_field`. Labels 0 and kinks that cancel leave no
    hyperplane. Where more hyperplanes meet than needed, multipliers are not unique, and the
    criterion asks whether there are any; types then come from all faces around. If the data spans
    less than R^d the search is within its span. If the field vanishes somewhere (a dead cell), the
    certificate takes the index of that set into account. ``message`` says what was met.

    References
    ----------
    Boursier and Flammarion, "Early alignment in two-layer networks training is a two-edged sword",
    JMLR 2025, definition 1, lemmas 2, 3 and 14 (proved there; general position). Criterion by
    unconstrained least squares, types and Morse sum: derived here. Maennel, Bousquet and Gelly,
    "Gradient descent quantizes ReLU network features", 2018 (the vectors).

    Examples
    --------
    On the three points of Boursier and Flammarion all living neurons align with one vector; the
    dead cell, a minimum, makes up for it:

    >>> import gflow
    >>> found = extremal_vectors(gflow.datasets.three_points())
    >>> found
    ExtremalVectors(1 max, 0 saddle, 0 min; complete, Morse sum -1 of -1)
      kind                  D     value  points on  sliding  margin  index
       max  (-0.2583, 0.6667)  0.714969    0, 1, 2             0.88     -1
    >>> found.D.round(4), found.pattern
    (array([[-0.2583,  0.6667]]), array([[1, 1, 1]], dtype=int8))
    >>> print(found.message)
    the field vanishes on 3 faces of the arrangement (dead directions)
    """
    data = in_range(as_data(data))
    kinks = kinks_of(leaked(data, slope))
    if not complete:
        return _attractors(data, kinks, whole(starts, "starts"), rng, slope)
    work, around = checks(kinks), 3.0 ** (kinks.rank - 2)
    if work > MOST_FACES or around > MOST_AROUND:
        raise ValueError(f"a complete search has {max(work, around):.1g} faces to look at, which "
                         "takes days or does not fit: use complete=False for the attractors, or "
                         "fewer points")
    signs, special, near = candidates(kinks, progress)
    seen: dict[tuple[bytes, int], Critical] = {}
    for u in signs:
        for point in judge(kinks, u, data.d):
            seen.setdefault((point.u.tobytes(), point.orientation), point)
    points = _merged([p for p in seen.values() if p.orientation])
    flat = [p for p in seen.values() if not p.orientation]
    expected = 1 + (-1) ** (kinks.dimension + 1) - sum(p.index for p in flat)
    notes = _notes(data, kinks, points)
    if special:
        notes.append("points are in special position: more hyperplanes meet in a face than its "
                     "codimension")
    if near:
        notes.append(f"points are close to special position: {near} decisions on incidence were "
                     "close")
    if flat:
        notes.append(f"the field vanishes on {len(flat)} faces of the arrangement (dead "
                     "directions)")
    if doubtful := sum(p.doubtful for p in flat):
        notes.append(f"points are close to special position: on {doubtful} of these faces a small "
                     "field was taken for none, and vectors there may be missing")
    if sum(p.index for p in points) != expected:
        notes.append("the Morse sum is off: rounding hides or adds a vector, since the data is too "
                     "close to special position")
    return _collect(data, kinks, points, None, expected, notes)


def _attractors(data: Data, kinks: Kinks, starts: int,
                rng: int | np.random.Generator, slope: float) -> ExtremalVectors:
    """What the early flow reaches from random directions, with either sign of output weight."""
    from .early import early_flow
    W = generator(rng).standard_normal((starts, data.d))
    size = np.linalg.norm(W, axis=1)
    early = early_flow(TwoLayerReLU(np.concatenate([size, -size]), np.concatenate([W, W]),
                                    slope=slope), data)
    alive = ~early.dead & early.settled
    U = early.side[:, kinks.plane]
    E = np.sign((early.end_direction * early.D).sum(axis=1))
    counts = Counter((U[i].tobytes(), E[i]) for i in np.flatnonzero(alive))
    points: dict[tuple[bytes, int], Critical] = {}
    share: Counter[tuple[bytes, int]] = Counter()
    for (row, orientation), count in counts.items():
        for point in _judged(kinks, np.frombuffer(row, dtype=np.int8), data.d):
            if point.orientation == orientation:
                key = point.u.tobytes(), point.orientation
                points.setdefault(key, point)
                share[key] += count
    lost = counts.total() - share.total()
    notes = _notes(data, kinks, list(points.values()))
    notes.append(f"attractors that {starts} directions met with either sign of output weight; "
                 f"saddles and repelling points were not looked for, and "
                 f"{early.dead.mean():.0%} of the starts died")
    if not early.settled.all():
        notes.append(f"{int((~early.settled).sum())} starts did not settle")
    if lost:
        notes.append(f"{lost} starts ended where rounding decides the criterion: left out")
    shares = np.array([share[key] / starts for key in points])
    return _collect(data, kinks, list(points.values()), shares, None, notes)


def _judged(kinks: Kinks, u: np.ndarray, d: int) -> list[Critical]:
    """`judge`, but nothing where that is below rounding."""
    try:
        return judge(kinks, u, d)
    except Undecided:
        return []


def _merged(points: list[Critical]) -> list[Critical]:
    """Points on a border that rounding has accepted from two faces are one."""
    if not points:
        return []
    D = np.array([np.append(p.g, p.orientation) for p in points])
    drop = set()
    for i, j in cKDTree(D).query_pairs(BORDER):
        first = min((i, j), key=lambda k: points[k].margin)
        if points[first].margin <= BORDER:
            drop.add(first)
    return [p for k, p in enumerate(points) if k not in drop]


def _notes(data: Data, kinks: Kinks, points: list[Critical]) -> list[str]:
    """Sentences on assumptions that fail."""
    notes = []
    if len(kinks.J) < data.n:
        notes.append(f"{data.n} points make {counted(len(kinks.J), 'kink')}: some share a "
                     "hyperplane, or have label 0, or cancel")
    if kinks.doubtful:
        notes.append("points are close to special position: hyperplanes that are dependent to "
                     "1e-10 only are taken for dependent")
    if kinks.dimension < data.d:
        notes.append(f"the potential depends on {kinks.dimension} of {data.d} dimensions only")
    border = sum(p.margin <= BORDER for p in points)
    if border:
        notes.append(f"{counted(border, 'vector')} {'is' if border == 1 else 'are'} borderline: a "
                     "small change of the data may remove such a vector or change its type")
    return notes


def _collect(data: Data, kinks: Kinks, points: list[Critical], share: np.ndarray | None,
             expected: int | None, notes: list[str]) -> ExtremalVectors:
    A, k = data.arrangement, len(points)
    D = np.array([p.g for p in points]).reshape(k, kinks.rank) @ kinks.span + kinks.aside
    D *= kinks.size
    E = np.array([p.orientation for p in points], dtype=int)
    value = E * row_norms(D)
    z = (D / value[:, None]) @ A.normal.T
    sides = np.where(np.abs(z) <= 10 * ON_SURFACE, 0, np.sign(z)).astype(np.int8)
    sides[:, kinks.plane] = np.array([p.u for p in points],
                                     dtype=np.int8).reshape(k, len(kinks.J))
    pattern = point_codes(A, sides)
    order = np.argsort(-value, kind="stable")
    return ExtremalVectors(
        D[order], pattern[order], E[order],
        np.array([p.kind for p in points], dtype="U6")[order], value[order],
        np.array([p.index for p in points], dtype=int)[order],
        np.array([p.margin for p in points], dtype=float)[order],
        None if share is None else share[order], expected is not None, expected, "; ".join(notes))
