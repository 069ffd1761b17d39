"""The vector field on a frozen activation pattern: smooth, polynomial in the state.

    h_k = sum_i [i on at k] a_i w_i.x_k,   p_k = -dl/dh_k
    D_i = P_i (1/n) sum_k [i on at k] p_k x_k        (P_i: projection off the sliding normals)
    da_i/dt = w_i.D_i,   dw_i/dt = a_i D_i

Sliding points add 0 to the network through their neuron. The loss enters through the pulls ``p``
alone; those of the square loss, ``r = y - h``, can be had in one call. Boursier and Flammarion,
"Simplicity bias and optimization threshold in two-layer ReLU networks", 2024, section 2.
"""

import numpy as np

from .jit import kernel


@kernel
def residual(a, W, on, X, y):
    """Residuals ``y - h(x)`` of the network frozen in the pattern ``on`` (m, n) of zeros and ones.

    Two matrix products, in loops: those of NumPy take longer to compile than all else here, and
    longer to call than small ones take. Nothing of size m times n is made.
    """
    m, d = W.shape
    v = np.empty((m, d))
    for i in range(m):
        for c in range(d):
            v[i, c] = a[i] * W[i, c]
    n = y.size
    V = np.empty((d, n))
    for c in range(d):
        for k in range(n):
            V[c, k] = 0.0
        for i in range(m):
            along = v[i, c]
            for k in range(n):
                V[c, k] += on[i, k] * along
    r = np.empty(n)
    for k in range(n):
        r[k] = y[k]
        for c in range(d):
            r[k] -= X[k, c] * V[c, k]
    return r


@kernel
def outputs(a, W, on, X):
    """Outputs ``h`` (n,) of the network frozen in the pattern ``on``."""
    h = residual(a, W, on, X, np.zeros(X.shape[0]))
    for k in range(h.size):
        h[k] = -h[k]
    return h


@kernel
def fields(p, on, X, slider, rank, basis):
    """Fields ``D`` (m, d) from the pulls: active sums, projected for sliding neurons."""
    n, d = X.shape
    pull = np.empty((n, d))
    for k in range(n):
        for c in range(d):
            pull[k, c] = p[k] / n * X[k, c]
    D = np.empty((on.shape[0], d))
    for i in range(on.shape[0]):
        for c in range(d):
            # Four sums: one would wait for every addition.
            t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
            for k in range(0, n - 3, 4):
                t0 += on[i, k] * pull[k, c]
                t1 += on[i, k + 1] * pull[k + 1, c]
                t2 += on[i, k + 2] * pull[k + 2, c]
                t3 += on[i, k + 3] * pull[k + 3, c]
            for k in range(n - n % 4, n):
                t0 += on[i, k] * pull[k, c]
            D[i, c] = (t0 + t1) + (t2 + t3)
    for j in range(slider.size):
        i = slider[j]
        for q in range(rank[j]):
            along = 0.0
            for c in range(d):
                along += basis[j, q, c] * D[i, c]
            for c in range(d):
                D[i, c] -= along * basis[j, q, c]
    return D


@kernel
def velocity_under(p, state, m, on, X, slider, rank, basis):
    """Time derivative of the flat state ``[a (m), W (m d)]`` under pulls ``p`` (n,)."""
    d = X.shape[1]
    a = state[:m]
    W = state[m:].reshape(m, d)
    D = fields(p, on, X, slider, rank, basis)
    out = np.empty(state.size)
    for i in range(m):
        total = 0.0
        for c in range(d):
            total += W[i, c] * D[i, c]
            out[m + i * d + c] = a[i] * D[i, c]
        out[i] = total
    return out


@kernel
def velocity(state, m, on, X, y, slider, rank, basis):
    """`velocity_under` the residuals, the pulls of the square loss."""
    W = state[m:].reshape(m, X.shape[1])
    return velocity_under(residual(state[:m], W, on, X, y), state, m, on, X, slider, rank, basis)


def jacobian_under(p, curvature, state, m, on, X, slider, rank, basis):
    """Derivative of `velocity_under`, where ``dp = -curvature dh``.

    In NumPy: it is wanted once in many steps, and takes long to compile.
    """
    n, d = X.shape
    a, W = state[:m], state[m:].reshape(m, d)
    N = state.size
    # dh[k] = gradient of h(x_k) with respect to the state.
    dh = np.concatenate([on.T * (X @ W.T),
                         ((on.T * a)[:, :, None] * X[:, None, :]).reshape(n, m * d)], axis=1)
    D = on @ (p[:, None] / n * X)
    weighted = on[:, None, :] * (-curvature / n * X.T)
    dD = (weighted.reshape(m * d, n) @ dh).reshape(m, d, N)
    for i, r, Q in zip(slider, rank, basis):
        Q = Q[:r]
        D[i] -= Q.T @ (Q @ D[i])
        dD[i] -= Q.T @ (Q @ dD[i])
    out = np.empty((N, N))
    out[:m] = np.einsum("ic,icj->ij", W, dD)
    out[m:] = (a[:, None, None] * dD).reshape(m * d, N)
    row = np.arange(m)
    column = m + np.arange(m * d).reshape(m, d)
    out[row[:, None], column] += D
    out[column, row[:, None]] += D
    return out


def jacobian(state, m, on, X, y, slider, rank, basis):
    """Derivative of `velocity`, shape (N, N) with ``N = m (d + 1)``."""
    p = residual(state[:m], state[m:].reshape(m, X.shape[1]), on, X, y)
    return jacobian_under(p, np.ones(p.size), state, m, on, X, slider, rank, basis)
