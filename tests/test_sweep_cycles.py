"""Things that hold each other have hashes, too, in steps that grow as they do."""

import functools
import random
import threading

import pytest

from gflow.sweeping.identity import Digest, fingerprint


class Node:
    def __init__(self, value, near):
        self.value, self.near = value, near


def mesh(size, first=0, near=list, order=None):
    """Nodes of a square, each with those beside it."""
    made = {(i, j): Node(i * size + j, near()) for i in range(size) for j in range(size)}
    places = list(made)
    random.Random(order).shuffle(places)
    for i, j in places:
        beside = [made[place] for place in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1))
                  if place in made]
        made[i, j].near = near(beside)
    made[0, 0].value = first
    return list(made.values())


def ring(values):
    nodes = [Node(value, []) for value in values]
    for one, other in zip(nodes, nodes[1:] + nodes[:1]):
        one.near.append(other)
        other.near.append(one)
    return nodes[0]


def run(n, rng, data=None):
    return {"x": THING}


THING = None


def hashed(data):
    return fingerprint(functools.partial(run, data=data))


def test_a_mesh_is_looked_at_in_steps_that_grow_as_it_does(monkeypatch):
    visits = []
    for size in (5, 10):
        digest = Digest(run)
        digest.of(mesh(size))
        visits.append(digest.visits / size**2)
    assert visits[1] < 1.3 * visits[0] < 100
    # As data that a module has, too.
    hashes = []
    for first in (7, 7, 8):
        monkeypatch.setitem(run.__globals__, "THING", mesh(8, first))
        hashes.append(fingerprint(run))
    assert hashes[0] == hashes[1] != hashes[2]


def test_it_is_the_same_wherever_one_begins_and_in_any_order_of_sets():
    assert len({hashed(mesh(4, near=set, order=order)) for order in range(4)}) == 1
    nodes = mesh(4)
    digest, other = Digest(run), Digest(run)
    assert list(map(digest.of, nodes)) == [*map(other.of, nodes[::-1])][::-1]
    assert len({digest.of(node) for node in nodes}) == len(nodes)


@pytest.mark.parametrize("one, other", [
    ("aaab", "aabb"), ("aabb", "abab"), ("a", "b"), ("aaa", "aaaa"), ("a" * 9 + "bcb", "a" * 12)])
def test_cycles_are_told_apart(one, other):
    assert hashed(ring(one)) == hashed(ring(one)) != hashed(ring(other))


def test_which_of_them_is_held_is_told_apart():
    node = ring("aabab")
    assert len({hashed([node, other]) for other in (node, node.near[0], node.near[1])}) == 3
    assert hashed(node.near[0]) != hashed(node)


def test_a_lock_on_a_cycle_is_left_out_and_what_stands_beside_it_counts(monkeypatch):
    hashes = []
    for value in "aab":
        node = ring(value * 3)
        node.near.append(threading.Lock())
        monkeypatch.setitem(run.__globals__, "THING", node)
        hashes.append(fingerprint(run))
    assert hashes[0] == hashes[1] != hashes[2]
    with pytest.raises(TypeError, match="run carries a lock"):
        hashed(node)


def test_functions_that_call_each_other_by_their_closures_count():
    def made(value):
        def even(n):
            return odd(n) if n else value

        def odd(n):
            return even(n)
        return even, odd
    assert hashed(made(1)) == hashed(made(1)) != hashed(made(2))
    assert hashed(made(1)[0]) != hashed(made(1)[1])
