"""Hashes of things that hold each other, in about as many steps as there are things.

A thing on a cycle has no hash of what it holds, since that holds the thing. Members of cycles are
found together (the way of Tarjan) and told apart as graphs are: each counts by what it holds, where
other members count by what they counted by the round before, until no round tells more of them
apart. So it does not matter from which of them one has come, nor in which order they stand in sets.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, NamedTuple

from .hashes import joined

NONE = sys.maxsize
"""The place of nothing."""
EFFORT = 200_000
"""Hashes of members that one cycle is worth beyond two rounds: chains of equal things that are held
from both sides need as many rounds as they are long."""


class Member(NamedTuple):
    """Something that is being looked at, and how."""

    value: Any
    mode: Any


class Cycles:
    """What is being looked at, and what waits for the rest of its cycle.

    Attributes
    ----------
    members : list of Member
        In the order in which they were come upon.
    places : dict
        Where in it they are, by their ids.
    lowest : int
        Place of the first member that was met again since the last `enter`.
    colours : dict
        Hashes of the round before, by ids, while members are told apart.
    """

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.places: dict[int, int] = {}
        self.lowest = NONE
        self.colours: dict[int, bytes] = {}
        self.turn: int | None = None

    def met(self, key: int) -> bytes | None:
        """What stands for a thing whose hash is not known yet; None if it is to be looked at."""
        if key in self.colours and key != self.turn:
            return self.colours[key]
        if key not in self.places:
            return None
        self.lowest = min(self.lowest, self.places[key])
        return b"again"

    def enter(self, value: Any, mode: Any) -> int:
        """Begin with a thing; what `leave` must be given."""
        key, outer = id(value), self.lowest
        if key == self.turn:
            self.turn = None
        self.members.append(Member(value, mode))
        self.places[key] = len(self.members) - 1
        self.lowest = NONE
        return outer

    def cut(self, key: int) -> None:
        """Forget what was come upon since a thing was entered: it could not be looked at."""
        self._from(self.places[key] + 1)
        self.lowest = NONE

    def leave(self, key: int, outer: int) -> list[Member] | None:
        """End with a thing: the members of its cycle, no members if it is in none; None if it waits
        for one that was entered before.
        """
        place = self.places[key]
        if self.lowest < place:
            self.lowest = min(outer, self.lowest)
            return None
        looped, self.lowest = self.lowest == place, outer
        if looped:
            return self._from(place)
        self.members.pop()
        del self.places[key]
        return []

    def drop(self, key: int, outer: int) -> None:
        """End with a thing that has no hash."""
        self._from(self.places[key])
        self.lowest = outer

    def _from(self, place: int) -> list[Member]:
        members = self.members[place:]
        del self.members[place:]
        for member in members:
            del self.places[id(member.value)]
        return members

    def told_apart(self, members: list[Member], look: Callable[[Member], bytes]
                   ) -> dict[int, bytes]:
        """Hashes of the members of a cycle, by their ids.

        ``look`` hashes one of them, and asks `met` of the others.
        """
        outer, count = self.colours, 0
        colours = {id(member.value): b"" for member in members}
        try:
            for _ in range(max(2, EFFORT // len(colours))):
                self.colours = outer | colours
                colours = {key: self._coloured(key, member, look) for key, member in zip(
                    colours, members)}
                before, count = count, len(set(colours.values()))
                if count == before:
                    break
        finally:
            self.colours, self.turn = outer, None
        whole = joined("cycle", *sorted(colours.values()))
        return {key: joined("of cycle", colour, whole) for key, colour in colours.items()}

    def _coloured(self, key: int, member: Member, look: Callable[[Member], bytes]) -> bytes:
        self.turn = key
        return look(member)
