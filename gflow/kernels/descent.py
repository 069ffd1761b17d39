"""Gradient descent with a finite step on the plain loss: what training does, step by step.

    h(x_k) = sum_i a_i max(w_i.x_k, 0),   L = (1/n) sum_k l(h(x_k), y_k),   p_k = -dl/dh
    dL/dw_i = a_i G_i,   dL/da_i = w_i.G_i,   G_i = -(1/n) sum_k [w_i.x_k > 0] p_k x_k

``max(., 0)`` has derivative 0 at 0, as in PyTorch. Boursier and Flammarion, "Simplicity bias and
optimization threshold in two-layer ReLU networks", 2024, section 2 (the loss).
"""

import numpy as np

from .jit import kernel

GD, MOMENTUM, ADAM = 0, 1, 2


@kernel
def forward(theta, m, X, on, watch, Z):
    """Outputs at the state ``theta = [a (m), W (m d)]``.

    Parameters
    ----------
    theta : array (m (d + 1),)
    m : int
    X : array (n, d)
    on : bool array (n, m)
        Points at which neurons were active before; brought up to date with ``watch``.
    watch : bool
        Whether to compare with ``on``.
    Z : array (n, m)
        Receives ``max(w_i.x_k, 0)``.

    Returns
    -------
    h : array (n,)
    switches : int
        Entries of ``on`` that changed.
    """
    n, d = X.shape
    a = theta[:m]
    W = theta[m:].reshape(m, d)
    np.dot(X, W.T, Z)
    switches = 0
    for k in range(n):
        for i in range(m):
            up = Z[k, i] > 0.0
            if watch:
                switches += up != on[k, i]
                on[k, i] = up
            Z[k, i] = Z[k, i] if up else 0.0
    return np.dot(Z, a), switches


@kernel
def backward(theta, m, X, p, Z, g):
    """The gradient under the pulls ``p`` (n,), into ``g``; ``Z`` from `forward` is overwritten."""
    n, d = X.shape
    a = theta[:m]
    W = theta[m:].reshape(m, d)
    G = g[m:].reshape(m, d)
    for k in range(n):
        slope = -p[k] / n
        for i in range(m):
            Z[k, i] = slope if Z[k, i] > 0.0 else 0.0
    np.dot(Z.T, X, G)
    for i in range(m):
        along = 0.0
        for c in range(d):
            along += W[i, c] * G[i, c]
            G[i, c] *= a[i]
        g[i] = along


@kernel
def gradient(theta, m, X, y, on, watch, Z, g):
    """`forward` and `backward` on the square loss; two matrix products.

    Returns
    -------
    loss : float
    switches : int
    """
    h, switches = forward(theta, m, X, on, watch, Z)
    p = y - h
    backward(theta, m, X, p, Z, g)
    return np.dot(p, p) / (2 * y.size), switches


@kernel
def update(kind, theta, g, first, second, step, lr, beta, beta2, eps):
    """One step of PyTorch's ``SGD`` (with ``momentum=beta``) or ``Adam``; the sum of ``|theta|``.

    ``first`` and ``second`` are the running means, ``step`` counts from 1.
    """
    rate = lr / (1.0 - beta**step) if kind == ADAM else lr
    unbias = np.sqrt(1.0 - beta2**step)
    total = 0.0
    for j in range(theta.size):
        if kind == GD:
            theta[j] -= lr * g[j]
        elif kind == MOMENTUM:
            first[j] = beta * first[j] + g[j]
            theta[j] -= lr * first[j]
        else:
            first[j] += (1.0 - beta) * (g[j] - first[j])
            second[j] = beta2 * second[j] + (1.0 - beta2) * g[j] * g[j]
            theta[j] -= rate * first[j] / (np.sqrt(second[j]) / unbias + eps)
        total += abs(theta[j])
    return total


@kernel
def advance(kind, theta, last, first, second, m, X, y, on, orders, epoch, batch, step, count,
            lr, beta, beta2, eps):
    """Take ``count`` steps on the square loss after ``step``, in place; stop before what is not
    finite.

    Parameters
    ----------
    kind : int
        GD, MOMENTUM or ADAM.
    theta, last, first, second : arrays (m (d + 1),)
        State, the state a step before, running means of the gradient and of its square.
    m : int
    X, y : arrays (n, d) and (n,)
    on : bool array (n, m)
        As in `gradient`; used if the batch is everything.
    orders : int array (E, n)
        Order of the points in the epochs from ``epoch`` on.
    epoch, batch : int
        The first epoch in ``orders``, and points a step; the last batch of an epoch has what is
        left.
    step, count : int
        Steps taken before, steps to take.
    lr, beta, beta2, eps : float

    Returns
    -------
    done : int
        Steps taken; fewer than ``count`` if the next weights or their loss are not finite, and -1
        if those at the start were not.
    switches : int
        Changes of the pattern seen from one step to the next; 0 with small batches.
    """
    n, d = X.shape
    whole = batch == n
    Z = np.empty((batch, m))
    g = np.empty(theta.size)
    Xb, yb = (X, y) if whole else (np.empty((batch, d)), np.empty(batch))
    size = batch
    batches = (n + batch - 1) // batch
    switches = 0
    for q in range(count):
        if not whole:
            row, begin = (step + q) // batches - epoch, (step + q) % batches * batch
            size = min(batch, n - begin)
            for j in range(size):
                k = orders[row, begin + j]
                yb[j] = y[k]
                for c in range(d):
                    Xb[j, c] = X[k, c]
        loss, changed = gradient(theta, m, Xb[:size], yb[:size], on, whole, Z[:size], g)
        if not np.isfinite(loss):
            theta[:] = last
            return q - 1, switches
        switches += changed
        last[:] = theta
        total = update(kind, theta, g, first, second, step + q + 1, lr, beta, beta2, eps)
        if not np.isfinite(total):
            theta[:] = last
            return q, switches
    return count, switches
