"""Losses of users, for tests: with curvature that vanishes somewhere, or nearly."""

import numpy as np


class Quartic:
    """No curvature at the minimum."""

    def value(self, h, y):
        return (h - y)**4 / 4

    def pull(self, h, y):
        return (y - h)**3

    def curvature(self, h, y):
        return 3 * (h - y)**2


class PseudoHuber:
    """Little curvature far from it; as people write it, with cancellation near it."""

    def value(self, h, y):
        return np.sqrt(1 + (h - y)**2) - 1

    def pull(self, h, y):
        return (y - h) / np.sqrt(1 + (h - y)**2)

    def curvature(self, h, y):
        return (1 + (h - y)**2)**-1.5


class Huber:
    """None at all."""

    def value(self, h, y):
        r = np.abs(h - y)
        return np.where(r <= 0.5, r * r / 2, 0.5 * (r - 0.25))

    def pull(self, h, y):
        return np.clip(y - h, -0.5, 0.5)

    def curvature(self, h, y):
        return np.where(np.abs(h - y) <= 0.5, 1.0, 0.0)
