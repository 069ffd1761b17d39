"""The result of a run."""

from __future__ import annotations

from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..engines.record import Record, read_only
from ..engines.rules import StopLike
from ..problem.field import mean_loss
from ..problem.files import Output
from ..problem.loss import as_labels
from ..problem.data import DataLike, as_data
from ..problem.frames import same_columns
from ..problem.network import ModelPath
from ..problem.tables import lines_as_html
from ..theory.ends import Verdict, judge_state
from ..theory.standstill import Standstill, plain_only
from . import tables
from .alignment import Alignment
from .archive import save
from .audit import certify
from .certificate import Certificate
from .checking import Checked
from .conditioning import Conditioning, condition
from .extension import extend
from .margins import KKT, Margins, kkt, margins
from .plateaus import plateaus, state_at
from ..problem.quiet import quiet
from ..problem.value import lock

if TYPE_CHECKING:  # pragma: no cover
    import pandas
    import xarray


class Flow(Record):
    """A gradient flow from 0 to the time reached.

    Made by `gflow.integrate` and `gflow.load`. A value: it cannot be changed, any number of threads
    may read it, and it can be pickled and copied.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Reported times: those of ``t_eval`` that were reached, and the end if the run stopped
        before ``t_max``.
    a : ndarray, shape (T, m)
        Output weights.
    W : ndarray, shape (T, m, d)
        Hidden weights.
    log_t : ndarray, shape (T,)
        Natural logarithms of these; -inf at 0.
    loss, log_loss : ndarray, shape (T,)
        And its natural logarithm. Loss ``1/(2n) sum (h(x_k) - y_k)^2``, or that of `loss_function`.
    norms : ndarray, shape (T, m)
        ``|w_i|``.
    directions : ndarray, shape (T, m, d)
        ``w_i / |w_i|``; zero for a neuron at ``w_i = 0``.
    log_norms : ndarray, shape (T, m)
        ``log |w_i|``, also where ``|w_i|`` is below the range of double precision.
    events : structured ndarray
        In time order: ``time``, ``neuron``, ``point``, ``kind`` ("activate", "deactivate",
        "slide", "release") and ``to``, the state after (0 off, 1 on, 2 sliding). Points that share
        a hyperplane each have a record, at the same time.
    choices : structured ndarray
        Where the solution was not unique: ``time``, ``neuron``, ``point``, ``to``, the state after,
        ``other``, that in another solution, and ``solutions``, how many there were (0: none was
        found), without those that stay between two sides that lead away. A row for each point on
        whose hyperplane the neuron lay.
    status : str
        "finished", the status of a stopping rule, or what went wrong.
    message : str
        The same as a sentence.
    success : bool
        Whether the run reached ``t_max`` or a stopping rule.
    stats : dict
        ``nfev``, ``njev``, ``steps``, ``stiff_steps`` (those of Radau where an explicit method was
        asked for), ``events``, events by kind, ``ambiguous`` (instants at
        which a neuron had a choice), ``wall_time`` in seconds, ...
    settings : dict
        What `integrate` was called with.
    saved : dict of ndarray, or None
        With ``save=``: what was kept, a row for each of the times ``t``. Other attributes that need
        more raise a ValueError.
    data : Data
        The data.
    checked : Checked or None
        With ``check=True``: differences from a run at a tenth of ``rtol``.
    loss_function : Loss
        What was minimised; ``settings["loss"]`` is its name.

    Examples
    --------
    >>> import gflow
    >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), t_max=1.0, t_eval=[0, 1])
    >>> flow.W.shape, flow.status
    ((2, 1, 1), 'finished')
    >>> flow(0.5)
    TwoLayerReLU(m=1, d=1)
    """

    checked: Checked | None = None

    @quiet
    def conditioning(self, most: int = 50, *, progress: bool = False) -> Conditioning:
        """By how much the run amplifies errors of single neurons.

        Parameters
        ----------
        most : int
            Look at no more than so many neurons.
        progress : bool
            Draw a text meter on standard error.

        Returns
        -------
        Conditioning
            See `gflow.flows.conditioning.condition`.

        Raises
        ------
        TypeError, ValueError
            If ``most`` is not a positive whole number, or the dense output was not kept; of some
            settings it is not known.

        Examples
        --------
        A neuron that grows freely keeps its relative accuracy to within a factor 2:

        >>> import gflow
        >>> flow = gflow.integrate(([1e-3], [[1e-3]]), ([[1.0]], [1.0]), t_max=3.0)
        >>> bool(abs(flow.conditioning().largest - 1) < 0.1)
        True
        """
        self._whole("what conditioning is found from")
        return condition(self, most, progress)

    @quiet
    def certificate(self, most: int | None = None, *, progress: bool = False) -> Certificate:
        """Evidence that the run can be trusted, recomputed from the trajectory.

        Parameters
        ----------
        most : int, optional
            Look at no more than so many pieces of it (two at least), for the energy identity too:
            cheap for sweeps of long runs. Default: everything, for what is costly up to 500 pieces.
        progress : bool
            Draw a text meter on standard error.

        Raises
        ------
        TypeError, ValueError
            If ``most`` is not a positive whole number.
        """
        self._whole("what a certificate checks")
        return certify(self, most, progress)

    def alignment(self) -> Alignment:
        """How neurons align: with their fields, with extremal vectors, in groups, and when.

        Raises
        ------
        ValueError
            If the run kept only some quantities.
        """
        self._whole("what an alignment needs")
        return Alignment(self)

    def extend(self, t_max: float, *, t_eval: ArrayLike | None = None, stop: StopLike = None,
               max_events: int | None = None, progress: bool = False, strict: bool = False,
               threads: int | None = None) -> Flow:
        """The same run to a later end: one flow from 0 to ``t_max``.

        The engine that made the run goes on where its last piece began, with the tolerance of the
        run: events are those of one run, also where neurons slide or the start is below double
        precision. This flow stays what it is. Also for runs that a rule or Ctrl-C ended, and runs
        from a file.

        Parameters
        ----------
        t_max : float
            The new end, later than ``t_end``.
        t_eval : array_like, shape (T,), optional
            Times in [0, t_max] to report. Default: those of a run to ``t_max``, or if this one was
            given times of its own these and the later ones of those.
        stop, max_events, progress, strict, threads
            As in `gflow.integrate`; ``max_events`` counts from 0.

        Returns
        -------
        Flow

        Raises
        ------
        TypeError, ValueError
            If ``t_max`` is not later, another argument is wrong, or only some quantities were kept
            (``save=``).
        IntegrationError
            With ``strict=True``, if the run fails.

        Examples
        --------
        >>> import gflow
        >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), t_max=1.0)
        >>> longer = flow.extend(5.0)
        >>> longer.t_end, bool(abs(longer(1.0).a - flow.model.a) < 1e-8)
        (5.0, True)
        """
        return extend(self, t_max, t_eval, stop, max_events, progress, strict, threads)

    @quiet
    def verdict(self) -> Verdict:
        """What the end of the run is, with reasons: interpolation, a local minimum, a saddle that
        its neurons leave or do not leave, or no rest yet. Times are those of the run.

        See `gflow.theory.verdict`, which takes any network.

        Raises
        ------
        ValueError
            If the run is not of a plain ReLU network under a loss that has a least value.

        Examples
        --------
        >>> import gflow
        >>> data = gflow.datasets.three_points()
        >>> model = gflow.init.balanced(20, 2, 1e-3, rng=1)
        >>> found = gflow.integrate(model, data, 400.0).verdict()
        >>> found.kind, found.spurious, found.leaving.size
        ('local minimum', True, 0)
        """
        plain_only(self.field, "the verdict on a run")
        # A state of the end is there also if only some quantities were kept.
        return judge_state(Standstill(state_at(self, self.t_end), self.field), self.t_end,
                           float(self.settings.get("rtol", 0.0)))

    @quiet
    def plateaus(self) -> np.ndarray:
        """The saddles that the run passed, and when it should have left them.

        At each rest the neuron that wakes first is known, and when (`gflow.theory.verdict`). Awake
        is a group of neurons, of one cell, that has taken 1% off the loss, or a tenth of all that
        it can take alone; that is a mass ``sum |a| |w|`` of the group, and the time at which it has
        it.

        Returns
        -------
        structured ndarray
            In time order: ``begin``, when the rest was clear enough to predict; ``loss`` there;
            ``neuron`` that wakes first, at its ``rate``; the time ``predicted`` for it, and when it
            ``left``, infinite if that is not on the run.

        Raises
        ------
        ValueError
            If the run kept only some quantities, or has no plain ReLU network under a loss that has
            a least value: it is leaky or smooth, or has decay or speeds of layers.

        Examples
        --------
        >>> import gflow
        >>> data = gflow.datasets.orthogonal()
        >>> flow = gflow.integrate(gflow.init.balanced(20, 2, 1e-6, rng=1), data, 60.0)
        >>> found = flow.plateaus()
        >>> found["loss"].round(3), bool(np.allclose(found["predicted"], found["left"], rtol=0.02))
        (array([0.5 , 0.25]), True)
        """
        self._whole("what the saddles of a run need")
        plain_only(self.field, "plateaus")
        return lock(plateaus(self))

    @quiet
    def margin(self) -> Margins:
        """Margins at the reported times, over the squared norm of the weights.

        If a layer stays they are over the norm of the other one.

        Returns
        -------
        Margins
            ``points`` (T, n), and of the data set ``hard`` and ``smoothed`` (T,); the latter never
            falls from the time ``since`` on, without decay.

        Raises
        ------
        ValueError
            If the loss has a least value, or the run kept no weights.

        References
        ----------
        Lyu and Li, "Gradient descent maximizes the margin of homogeneous neural networks", 2020.

        Examples
        --------
        >>> import gflow
        >>> start, data = ([0.5], [[0.3]]), ([[1.0], [2.0]], [1, 1])
        >>> margin = gflow.integrate(start, data, 1e9, loss="logistic").margin()
        >>> margin.points[-1].round(3), float(margin.smoothed[-1].round(3))
        (array([0.5, 1. ]), 0.5)
        """
        return margins(self)

    @quiet
    def kkt(self, t: float | None = None, slack: float = 0.1) -> KKT:
        """How far the direction of the weights is from the conditions for the largest margin.

        Parameters
        ----------
        t : float, optional
            Time; that reached if None.
        slack : float
            Points whose margin is above the least by at most this part of it may have a multiplier.

        Returns
        -------
        KKT
            ``residual`` and ``complementarity``, both 0 in the limit; ``multipliers``, ``support``.

        Raises
        ------
        TypeError, ValueError
            If the loss has a least value, the activation is smooth, ``t`` is no time that was
            reached, or the network is 0 then.

        References
        ----------
        Lyu and Li, 2020, definition C.4; Ji and Telgarsky, "Directional convergence and alignment
        in deep learning", 2020.

        Examples
        --------
        >>> import gflow
        >>> start, data = ([0.5], [[0.3]]), ([[1.0], [2.0]], [1, 1])
        >>> kkt = gflow.integrate(start, data, 1e300, loss="logistic").kkt()
        >>> kkt.support, kkt.residual < 1e-3, kkt.multipliers.round(2)
        (array([ True, False]), True, array([1., 0.]))
        """
        return kkt(self, t, slack)

    @quiet
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Outputs at the reported times.

        Parameters
        ----------
        X : array_like, shape (N, d)
            Inputs, with the column of the bias or without.

        Returns
        -------
        ndarray, shape (T, N)
            Of one time: ``flow(t)(X)``.

        Raises
        ------
        TypeError, ValueError
            If ``X`` is not that, or its columns have other names than those of the run.

        Examples
        --------
        >>> import gflow
        >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0, t_eval=[0, 1])
        >>> flow.predict([[1.0], [-1.0]])[0]
        array([0.15, 0.  ])
        """
        return ModelPath(self.a, self.W, self._one)(X)

    def test_loss(self, data: DataLike) -> np.ndarray:
        """Loss of the run on other data, at the reported times.

        Parameters
        ----------
        data : Data or (X, y)
            Inputs (N, d) and labels (N,).

        Returns
        -------
        ndarray, shape (T,)

        Raises
        ------
        TypeError, ValueError
            If ``data`` is not that, its columns have other names than those of the run, or the loss
            does not take such labels.
        """
        other = as_data(data)
        same_columns(self.data.columns, other.columns, self.data.bias)
        if other.bias and not self.data.bias and (self.data.X[:, -1] != 1.0).any():
            raise ValueError("the data have a bias, and the run has none: give its inputs, "
                             "Data(X, y)")
        y = as_labels(self.loss_function, other.y)
        with np.errstate(all="ignore"):
            return np.asarray(mean_loss(self.loss_function, self.predict(other.X), y))

    @cached_property
    def residuals(self) -> np.ndarray:
        """Labels minus outputs at the reported times, shape (T, n)."""
        return read_only(self.data.y - self.predict(self.data.X))

    def to_xarray(self) -> xarray.Dataset:
        """The run at the reported times, as a dataset of xarray (extra ``[tables]``).

        Returns
        -------
        xarray.Dataset
            ``a``, ``W``, ``norms`` and ``loss`` over ``time``, ``neuron``, ``input``, if weights
            were kept; and what else was kept with ``save=``. Where two names would be the same
            one has marks ``_`` at its end. Settings and statistics are JSON among its attributes.

        Raises
        ------
        ImportError
            If xarray is not installed.
        ValueError
            If what was kept changes its shape.
        """
        return tables.to_xarray(self)

    def to_pandas(self) -> pandas.DataFrame:
        """The run at the reported times, as a table of pandas (extra ``[tables]``).

        Returns
        -------
        pandas.DataFrame
            A row for every time and neuron: ``a``, ``w_0``, ..., ``norm``, and the ``loss`` of the
            time, and what else was kept with ``save=``; or if that has no weights a row for every
            time. Names as in `to_xarray`.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return tables.to_pandas(self)

    def events_table(self) -> pandas.DataFrame:
        """The events as a table of pandas (extra ``[tables]``), a row each.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return tables.events_table(self)

    def _repr_html_(self) -> str:
        return lines_as_html(repr(self))

    def save(self, path: str | PathLike[str] | bytes | Output) -> None:
        """Write everything to one ``.npz`` file, without pickle.

        The file appears whole or not at all; an existing one is replaced only at the end, by one
        with its permissions and owner, and at the end of a symbolic link. A device or a pipe is
        written to.

        Parameters
        ----------
        path : str, bytes or path-like
            The file; ``~`` is the home directory.

        Raises
        ------
        TypeError, ValueError
            If ``path`` is no name of a file.
        OSError
            If it cannot be written to, or there is no room; see `gflow.problem.files.Output`.
        """
        save(self, path)
