"""Exceptions of gflow."""

from __future__ import annotations

from typing import Any

from ..engines.record import Record


class IntegrationError(RuntimeError):
    """A run that did not end well, raised by ``integrate(..., strict=True)``.

    Attributes
    ----------
    flow : Flow or Descent
        What was reached before the failure; nothing already computed is lost.
    outer_flows : tuple of Flow or Descent
        What other runs have reached that it went through, from the inside out: those in whose rules
        the run was made.
    """

    outer_flows: tuple[Record, ...] = ()

    def __init__(self, flow: Record) -> None:
        super().__init__(f"{flow.status}: {flow.message}")
        self.flow = flow

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle would call the class with the message: a pool of processes breaks on that.
        return type(self), (self.flow,), self.__dict__
