"""The parser of every command."""

from __future__ import annotations

import argparse
from typing import NoReturn

from ..problem.words import cut

LONGEST = 500
"""Letters of a message."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with an argument without repeating all of it."""

    def error(self, message: str) -> NoReturn:
        """End with a sentence."""
        super().error(cut(message, LONGEST))
