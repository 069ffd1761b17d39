"""The solvers: each carries a flat state ``[a (m), W (m d)]`` from one time to another."""

from __future__ import annotations

import importlib.util
from typing import Any, Callable

import numpy as np

import gflow

Advance = Callable[[np.ndarray, float, float], np.ndarray]
ATOL = 1e-3
"""Absolute tolerance of general solvers, over ``rtol``: the scale of the start."""


def split(state: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Output and hidden weights of a flat state."""
    return state[:m], state[m:].reshape(m, -1)


def plain_field(data: gflow.Data, m: int) -> Callable[[np.ndarray], np.ndarray]:
    """Gradient flow with relu'(0) = 0, as one writes it in NumPy."""
    X, y = data.X, data.y

    def field(state: np.ndarray) -> np.ndarray:
        a, W = split(state, m)
        Z = W @ X.T
        H = np.maximum(Z, 0.0)
        r = (y - a @ H) / len(y)
        return np.concatenate([H @ r, (a[:, None] * (((Z > 0) * r) @ X)).ravel()])

    return field


def scipy_solver(data: gflow.Data, m: int, rtol: float) -> Advance:
    """`scipy.integrate.solve_ivp`, RK45."""
    from scipy.integrate import solve_ivp
    field = plain_field(data, m)
    return lambda state, t0, t1: solve_ivp(lambda t, u: field(u), (t0, t1), state, rtol=rtol,
                                           atol=ATOL * rtol).y[:, -1]


def sundials_solver(data: gflow.Data, m: int, rtol: float) -> Advance:
    """SUNDIALS CVODE, Adams."""
    from sksundae import cvode
    field = plain_field(data, m)

    def fill(t: float, u: np.ndarray, out: np.ndarray) -> None:
        out[:] = field(u)

    solver = cvode.CVODE(fill, method="Adams", rtol=rtol, atol=ATOL * rtol,
                         max_num_steps=10**9)
    return lambda state, t0, t1: solver.solve([t0, t1], state).y[-1]


def diffrax_solver(data: gflow.Data, m: int, rtol: float) -> Advance:
    """diffrax, Tsit5, compiled by JAX."""
    import jax
    jax.config.update("jax_enable_x64", True)
    import diffrax
    import jax.numpy as jnp
    X, y = jnp.array(data.X), jnp.array(data.y)

    def field(t: Any, state: Any, args: Any) -> Any:
        a, W = state[:m], state[m:].reshape(m, -1)
        Z = W @ X.T
        H = jnp.maximum(Z, 0.0)
        r = (y - a @ H) / y.size
        return jnp.concatenate([H @ r, (a[:, None] * (((Z > 0) * r) @ X)).ravel()])

    @jax.jit
    def run(state: Any, t0: float, t1: float) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(field), diffrax.Tsit5(), t0, t1, None, state, max_steps=None,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=ATOL * rtol)).ys[-1]

    return lambda state, t0, t1: np.asarray(run(jnp.array(state), t0, t1))


def torchdiffeq_solver(data: gflow.Data, m: int, rtol: float) -> Advance:
    """torchdiffeq, dopri5."""
    import torch
    from torchdiffeq import odeint
    X, y = torch.tensor(np.array(data.X)), torch.tensor(np.array(data.y))

    def field(t: Any, state: Any) -> Any:
        a, W = state[:m], state[m:].reshape(m, -1)
        Z = W @ X.T
        H = torch.relu(Z)
        r = (y - a @ H) / y.numel()
        return torch.cat([H @ r, (a[:, None] * (((Z > 0) * r) @ X)).reshape(-1)])

    def advance(state: np.ndarray, t0: float, t1: float) -> np.ndarray:
        times = torch.tensor([t0, t1], dtype=torch.float64)
        with torch.no_grad():
            out = odeint(field, torch.tensor(state), times, rtol=rtol, atol=ATOL * rtol,
                         method="dopri5")
        return out[-1].numpy()

    return advance


def torch_descent(data: gflow.Data, m: int, lr: float) -> Advance:
    """Gradient descent in PyTorch, as papers do it."""
    import torch
    X, y = torch.tensor(np.array(data.X)), torch.tensor(np.array(data.y))

    def advance(state: np.ndarray, t0: float, t1: float) -> np.ndarray:
        a, W = (torch.tensor(part.copy(), requires_grad=True) for part in split(state, m))
        optimizer = torch.optim.SGD([a, W], lr=lr)
        for _ in range(round(t1 / lr) - round(t0 / lr)):
            optimizer.zero_grad()
            loss = ((torch.relu(X @ W.T) @ a - y) ** 2).mean() / 2
            loss.backward()
            optimizer.step()
        return torch.cat([a, W.reshape(-1)]).detach().numpy()

    return advance


def compiled_descent(data: gflow.Data, m: int, lr: float) -> Advance:
    """The same gradient descent, compiled."""
    from numba import njit
    columns = np.ascontiguousarray(data.X.T)

    @njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
    def descend(a, W, columns, y, steps, lr):  # type: ignore[no-untyped-def]
        width, d = W.shape
        n = y.size
        z = np.empty((width, n))
        r = np.empty(n)
        g = np.empty(d)
        for _ in range(steps):
            for k in range(n):
                r[k] = y[k]
            for i in range(width):
                for k in range(n):
                    z[i, k] = W[i, 0] * columns[0, k]
                for c in range(1, d):
                    for k in range(n):
                        z[i, k] += W[i, c] * columns[c, k]
                for k in range(n):
                    z[i, k] = max(z[i, k], 0.0)
                    r[k] -= a[i] * z[i, k]
            for i in range(width):
                out = 0.0
                for k in range(n):
                    out += z[i, k] * r[k]
                for c in range(d):
                    total = 0.0
                    for k in range(n):
                        total += r[k] * columns[c, k] if z[i, k] > 0.0 else 0.0
                    g[c] = total
                step = lr / n
                for c in range(d):
                    W[i, c] += step * a[i] * g[c]
                a[i] += step * out

    def advance(state: np.ndarray, t0: float, t1: float) -> np.ndarray:
        a, W = (part.copy() for part in split(state, m))
        descend(a, W, columns, data.y, round(t1 / lr) - round(t0 / lr), lr)
        return np.concatenate([a, W.ravel()])

    return advance


PEERS: dict[str, tuple[Callable[..., Advance], tuple[str, ...], tuple[float, ...]]] = {
    "solve_ivp RK45": (scipy_solver, ("scipy",), (1e-3, 1e-6)),
    "CVODE Adams": (sundials_solver, ("sksundae",), (1e-3, 1e-6)),
    "diffrax Tsit5": (diffrax_solver, ("diffrax",), (1e-3, 1e-6)),
    "torchdiffeq dopri5": (torchdiffeq_solver, ("torchdiffeq", "torch"), (1e-3, 1e-6)),
    "PyTorch descent": (torch_descent, ("torch",), (1e-1, 1e-2)),
    "compiled descent": (compiled_descent, ("numba",), (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)),
}
"""Name: maker, modules it needs, tolerances or learning rates."""
ENGINES = {"gflow waveform": "waveform", "gflow DOP853": "DOP853"}


def missing(name: str) -> str:
    """The module that a peer lacks, or an empty string."""
    if name in ENGINES:
        return ""
    return next((module for module in PEERS[name][1]
                 if importlib.util.find_spec(module) is None), "")
