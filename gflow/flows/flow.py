"""The result of a run."""

from __future__ import annotations

from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..engines.record import Record, read_only
from ..engines.rules import StopLike
from ..problem.files import Output
from ..problem.inputs import DataLike
from ..problem.network import ModelPath
from ..problem.tables import lines_as_html
from ..theory.field import as_data
from . import tables
from .alignment import Alignment
from .archive import save
from .certificate import Certificate, certify
from .extension import extend
from ..problem.quiet import quiet

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
    loss : ndarray, shape (T,)
        Loss ``1/(2n) sum (h(x_k) - y_k)^2``, or that of `loss_function`.
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
    status : str
        "finished", the status of a stopping rule, or what went wrong.
    message : str
        The same as a sentence.
    success : bool
        Whether the run reached ``t_max`` or a stopping rule.
    stats : dict
        ``nfev``, ``njev``, ``steps``, ``events``, events by kind, ``ambiguous`` (times at which
        the solution was not unique), ``wall_time`` in seconds, ...
    settings : dict
        What `integrate` was called with.
    saved : dict of ndarray, or None
        With ``save=``: what was kept, a row for each of the times ``t``. Other attributes that need
        more raise a ValueError.
    data : Data
        The data.
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

    @quiet
    def certificate(self, most: int | None = None) -> Certificate:
        """Evidence that the run can be trusted, recomputed from the trajectory.

        Parameters
        ----------
        most : int, optional
            Look at no more than so many pieces of it (two at least), for the energy identity too:
            cheap for sweeps of long runs. Default: everything, for what is costly up to 500 pieces.

        Raises
        ------
        TypeError, ValueError
            If ``most`` is not a positive whole number.
        """
        self._whole("what a certificate checks")
        return certify(self, most)

    def alignment(self) -> Alignment:
        """How neurons align: with their fields, with extremal vectors, in groups, and when."""
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
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Outputs at the reported times.

        Parameters
        ----------
        X : array_like, shape (N, d)
            Inputs, the bias column included.

        Returns
        -------
        ndarray, shape (T, N)
            Of one time: ``flow(t)(X)``.

        Raises
        ------
        TypeError, ValueError
            If ``X`` is not that.

        Examples
        --------
        >>> import gflow
        >>> flow = gflow.integrate(([0.5], [[0.3]]), ([[1.0]], [1.0]), 1.0, t_eval=[0, 1])
        >>> flow.predict([[1.0], [-1.0]])[0]
        array([0.15, 0.  ])
        """
        return ModelPath(self.a, self.W)(X)

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
            If ``data`` is not that.
        """
        other = as_data(data)
        loss = self.loss_function
        with np.errstate(all="ignore"):
            return np.asarray(np.mean(loss.value(self.predict(other.X), other.y), axis=1))

    @cached_property
    def residuals(self) -> np.ndarray:
        """Labels minus outputs at the reported times, shape (T, n)."""
        return read_only(self.data.y - self.predict(self.data.X))

    def to_xarray(self) -> xarray.Dataset:
        """The run at the reported times, as a dataset of xarray (extra ``[tables]``).

        Returns
        -------
        xarray.Dataset
            ``a``, ``W``, ``norms`` and ``loss`` over ``time``, ``neuron``, ``input``; or what was
            kept with ``save=``. Settings and statistics are JSON among its attributes.

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
            time; or one for every time, of what was kept with ``save=``.

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
