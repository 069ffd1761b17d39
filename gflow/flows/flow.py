"""The result of a run."""

from __future__ import annotations

from os import PathLike

from ..engines.record import Record
from ..problem.files import Output
from .alignment import Alignment
from .archive import save
from .audit import certify
from .certificate import Certificate
from .checking import Checked
from .conditioning import Conditioning, condition
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
    choices : structured ndarray
        Where the solution was not unique: ``time``, ``neuron``, ``point``, ``to``, the state after,
        ``other``, that in another solution, and ``solutions``, how many there were (0: none was
        found). A row for each point on whose hyperplane the neuron lay.
    status : str
        "finished", the status of a stopping rule, or what went wrong.
    message : str
        The same as a sentence.
    success : bool
        Whether the run reached ``t_max`` or a stopping rule.
    stats : dict
        ``nfev``, ``njev``, ``steps``, ``events``, events by kind, ``ambiguous`` (instants at
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
    def conditioning(self, most: int = 50) -> Conditioning:
        """By how much the run amplifies errors of single neurons.

        Parameters
        ----------
        most : int
            Look at no more than so many neurons.

        Returns
        -------
        Conditioning
            See `gflow.flows.conditioning.condition`.

        Raises
        ------
        TypeError, ValueError
            If ``most`` is not a positive whole number, or the dense output was not kept.

        Examples
        --------
        A neuron that grows freely keeps its relative accuracy to within a factor 2:

        >>> import gflow
        >>> flow = gflow.integrate(([1e-3], [[1e-3]]), ([[1.0]], [1.0]), t_max=3.0)
        >>> bool(abs(flow.conditioning().largest - 1) < 0.1)
        True
        """
        self._whole("what conditioning is found from")
        return condition(self, most)

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
