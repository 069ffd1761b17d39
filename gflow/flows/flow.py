"""The result of a run."""

from __future__ import annotations

from os import PathLike

from ..engines.record import Record
from ..problem.files import Output
from .alignment import Alignment
from .archive import save
from .certificate import Certificate, certify
from .margins import KKT, Margins, kkt, margins
from ..problem.quiet import quiet


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

    @quiet
    def margin(self) -> Margins:
        """Margins at the reported times, over the squared norm of the weights.

        Returns
        -------
        Margins
            ``points`` (T, n), and of the data set ``hard`` and ``smoothed`` (T,); the latter never
            falls from the time ``since`` on.

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
        ValueError
            If the loss has a least value, or the time was not reached.

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
