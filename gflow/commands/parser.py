"""The parser of every command."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from ..problem.words import cut

LONGEST = 500
"""Letters of a message."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with an argument without repeating all of it, and takes no names that are
    cut short: ``--m`` is no margin."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """End with a sentence."""
        super().error(cut(message, LONGEST))
