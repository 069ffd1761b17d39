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
    """Little curvature far from it."""

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


class Tube:
    """Nothing within 0.1 of the label."""

    def value(self, h, y):
        return np.maximum(np.abs(h - y) - 0.1, 0.0)**2 / 2

    def pull(self, h, y):
        return np.sign(y - h) * np.maximum(np.abs(h - y) - 0.1, 0.0)

    def curvature(self, h, y):
        return np.where(np.abs(h - y) > 0.1, 1.0, 0.0)


class Hinge:
    """Squared, and nothing beyond the margin."""

    def value(self, h, y):
        return np.maximum(0.0, 1 - y * h)**2 / 2

    def pull(self, h, y):
        return y * np.maximum(0.0, 1 - y * h)

    def curvature(self, h, y):
        return y**2 * (y * h < 1)


class LogCosh:
    """Exponentially little far away."""

    def value(self, h, y):
        r = np.abs(h - y)
        return r + np.log1p(np.exp(-2 * r)) - np.log(2)

    def pull(self, h, y):
        return np.tanh(y - h)

    def curvature(self, h, y):
        return 1 / np.cosh(h - y)**2
