"""The result of a run."""

from __future__ import annotations

from os import PathLike

import numpy as np

from ..engines.record import Record
from ..problem.files import Output
from ..theory.standstill import Standstill
from ..theory.ends import Verdict, judge_state
from .alignment import Alignment
from .archive import save
from .certificate import Certificate, certify
from .plateaus import plateaus, state_at
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
    def verdict(self) -> Verdict:
        """What the end of the run is, with reasons: interpolation, a local minimum, a saddle that
        its neurons leave or do not leave, or no rest yet. Times are those of the run.

        See `gflow.theory.verdict`, which takes any network.

        Examples
        --------
        >>> import gflow
        >>> data = gflow.datasets.three_points()
        >>> model = gflow.init.balanced(20, 2, 1e-3, rng=1)
        >>> found = gflow.integrate(model, data, 400.0).verdict()
        >>> found.kind, found.spurious, found.leaving.size
        ('local minimum', True, 0)
        """
        # A state of the end is there also if only some quantities were kept.
        return judge_state(Standstill(state_at(self, self.t_end), self.field), self.t_end)

    @quiet
    def plateaus(self) -> np.ndarray:
        """The saddles that the run passed, and when it should have left them.

        At each rest the neuron that wakes first is known, and when (`gflow.theory.verdict`). Awake
        is a group of neurons, of one cell, that has taken 1% off the loss, or a tenth of all that
        it can take; that is a mass ``sum |a| |w|`` of the group, and the time at which it has it.

        Returns
        -------
        structured ndarray
            In time order: ``begin``, when the rest was clear enough to predict; ``loss`` there;
            ``neuron`` that wakes first, at its ``rate``; the time ``predicted`` for it, and when it
            ``left``, infinite if that is not on the run.

        Raises
        ------
        ValueError
            If the run kept only some quantities.

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
        return plateaus(self)

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
