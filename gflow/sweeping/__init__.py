"""Sweeps: a function on a grid with many seeds, resumable, on one machine or a cluster.

From outside: `gflow.sweep`, `gflow.load_sweep`, and here `failures`, `status` and `task_rng`.
Grid and seeds (`grid`), which function it is (`identity`, with `hashes`, `names`, `sources`,
`installed` and `packages`), whether workers have it too (`agreement`), results as bytes (`codec`),
what a worker does (`worker`), where workers are (`executors`), the file (`store`), the loop
(`session`), tables (`records`), progress (`report`), what is said of failures (`notice`), figures
(`figure`).
"""

from .grid import task_rng
from .records import Failure, failures, load_sweep
from .report import status
from .session import sweep
from .worker import SweepError

__all__ = ["Failure", "SweepError", "failures", "load_sweep", "status", "sweep", "task_rng"]


def __dir__() -> list[str]:
    return sorted(__all__)
