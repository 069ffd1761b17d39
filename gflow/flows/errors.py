"""Exceptions of gflow."""

from __future__ import annotations

from ..engines.record import Record


class IntegrationError(RuntimeError):
    """A run that did not end well, raised by ``integrate(..., strict=True)``.

    Attributes
    ----------
    flow : Flow or Descent
        What was reached before the failure; nothing already computed is lost.
    """

    def __init__(self, flow: Record) -> None:
        super().__init__(f"{flow.status}: {flow.message}")
        self.flow = flow

    def __reduce__(self) -> tuple[type[IntegrationError], tuple[Record]]:
        return IntegrationError, (self.flow,)
