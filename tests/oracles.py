"""Plain numpy twins of the kernels: slow, short, and obviously right.

``U`` holds the m rows of one run, which share a residual scale t; a row alone is a run
of one. ``alpha`` is a number or one number a unit, ``outside`` a number or one a row.
Codes z of a row x are in atoms D, one a row; the row is approximated by ``z @ D``.
"""

import numpy as np
from scipy.optimize import linprog
from scipy.special import ndtri


def soft(U, tau, positive=False):
    """Return ``U``, moved towards zero by ``tau``, and stopped there."""
    Z = np.sign(U) * np.maximum(np.abs(U) - tau, 0)
    return np.maximum(Z, 0) if positive else Z


def residual_scale(Z, U, outside=0.0):
    """Return ``sqrt(mean_b (||u_b - z_b||^2 + rest_b^2))``."""
    parts = np.append(U - Z, np.broadcast_to(outside, len(U)))
    largest = np.abs(parts).max() or 1.0  # whose square may vanish
    return largest * np.sqrt(np.sum((parts / largest) ** 2) / len(U))


def objective(Z, U, alpha, outside=0.0):
    """Return what the codes ``Z`` of a run are to minimise."""
    return residual_scale(Z, U, outside) + np.mean(np.sum(alpha * np.abs(Z), axis=1))


def shrinkage_scale(U, alpha, outside=0.0, positive=False):
    """Bisect ``t = residual_scale(soft(U, alpha t))`` for its largest root."""
    low, high = 0.0, residual_scale(np.zeros_like(U), U, outside)
    for _ in range(100):
        t = (low + high) / 2
        too_low = t < residual_scale(soft(U, alpha * t, positive), U, outside)
        low, high = (t, high) if too_low else (low, t)
    return high


def shrink(U, alpha, outside=0.0, positive=False):
    """Return the codes of a run: its rows, shrunk at its residual scale."""
    t = shrinkage_scale(U, alpha, outside, positive)
    return soft(U, alpha * t, positive)


def shrink_adaptively(U, alpha, kappa, floor, positive=False):
    """Shrink the rows of a run the less, the more they exceed its residual scale."""
    t = shrinkage_scale(U, alpha, 0.0, positive)
    norms = np.sqrt(np.sum(U**2, axis=1, keepdims=True) + floor * t**2)
    return soft(U, kappa * t**2 / norms, positive)


def shrink_by_steps(U, alpha, beta, momentum, n_steps, positive=False):
    """Take proximal steps of constant length on the objective of a run."""
    before = Z = np.zeros_like(U)
    for _ in range(n_steps):
        V = Z + momentum * (Z - before)
        t = residual_scale(V, U)
        before, Z = Z, soft(V - beta * (V - U) / t, beta * alpha, positive)
    return Z


def pull_back(U, alpha, outside, t, G, positive=False, min_slack=0.0):
    """Return the gradients of ``sum(G * Z)``, written with masks."""
    on = soft(U, alpha * t, positive) != 0
    signs = np.where(on, np.sign(U), 0)
    room = len(U) - np.sum(on * alpha**2)
    slope = np.sum(alpha * signs * G) / max(room, min_slack * len(U))
    by_alpha = -t * np.sum(signs * G + on * alpha * slope, axis=0)
    return np.where(on, G, -slope * U / t), -slope * outside / t, by_alpha


def gradient(loss, x, step=1e-6):
    """Return the gradient of ``loss`` at ``x`` by central differences."""
    x = np.asarray(x, dtype=np.float64)
    slopes = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        nudge = np.zeros(x.shape)
        nudge[place] = step
        slopes[place] = (loss(x + nudge) - loss(x - nudge)) / (2 * step)
    return slopes


def coding_objective(x, z, D, alpha, root):
    """Return what the code of a row in atoms D is to minimise."""
    left = np.linalg.norm(x - z @ D)
    return (left if root else left**2 / 2) + alpha * np.abs(z).sum()


def lasso_gap(x, z, D, alpha, root, positive=False, y=None):
    """Return primal minus dual objective of a code, in objectives of a zero code.

    The dual point is ``y``, the residual by default, scaled until it is feasible:
    ``D y <= alpha``, ``-D y <= alpha`` for signed codes, and ``||y|| <= 1`` for
    the square-root lasso.
    """
    y = x - z @ D if y is None else y
    top, pull = (max((D @ v if positive else abs(D @ v)).max(), 0.0) for v in (x, y))
    alpha = max(alpha, 1e-10 * top / (np.linalg.norm(x) if root else 1.0))
    if root:
        dual = x @ y / (max(np.linalg.norm(y), pull / alpha) or 1.0)
    else:
        scaled = y * min(1.0, alpha / pull if pull > 0 else 1.0)
        dual = (x @ x - np.sum((x - scaled) ** 2)) / 2
    primal = coding_objective(x, z, D, alpha, root)
    return (primal - dual) / coding_objective(x, 0 * z, D, alpha, root)


def lasso_violation(x, z, D, mu, positive=False):
    """Return by how much a code violates the optimality conditions of the lasso.

    Atoms of the support correlate with the residual by ``mu sign(z)``, others by ``mu``
    at most (KKT). The square-root lasso is the lasso at ``mu = alpha ||x - z D||``.
    """
    c = D @ (x - z @ D)
    off = np.maximum((c if positive else np.abs(c)) - mu, 0)
    wrong_sign = np.maximum(-z, 0).max() if positive else 0.0
    return max(np.where(z != 0, np.abs(c - mu * np.sign(z)), off).max(), wrong_sign)


def path_violations(X, y, bounds, coef, least, positive=False):
    """Return by how much a path of the square-root lasso violates its conditions.

    ``bounds`` are the penalties of all coefficients, ``coef`` the solutions, and
    ``least`` least squares on their supports, one a row; so are the violations, of the
    solutions and of least squares.
    """
    of_coef, of_least = [], []
    for bound, w, z in zip(bounds, coef, least, strict=True):
        size, on = np.linalg.norm(y - X @ w), w != 0
        of_coef.append(lasso_violation(y, w, X.T, bound * size, positive) / size)
        wrong = np.where(on, X.T @ (y - X @ z), z)
        of_least.append(np.abs(wrong).max())
    return np.array(of_coef), np.array(of_least)


def basis_pursuit(x, D, positive=False):
    """Return the smallest l1 norm of the codes that meet a row exactly."""
    A = D.T if positive else np.hstack([D.T, -D.T])
    return linprog(np.ones(A.shape[1]), A_eq=A, b_eq=x).fun


def sweep(X, y, w, alpha, floor=0.0, positive=False):
    """Minimise over one coefficient after another, each at the residual scale so far.

    Penalised is ``alpha`` times the residual scale, or the root of ``floor`` if that is
    larger: the lasso, where the floor is above ``||y||^2``.
    """
    w = w.copy()
    for j in np.flatnonzero(np.any(X, axis=0)):
        r, size = y - X @ w, X[:, j] @ X[:, j]
        tau = alpha * np.sqrt(max(r @ r, floor))
        w[j] = soft(X[:, j] @ r + size * w[j], tau, positive) / size
    return w


def descend(x, D, alpha, root, positive=False, n_sweeps=100):
    """Return the code of a row after sweeps from zero."""
    z = np.zeros(len(D))
    above = 1.0 + np.linalg.norm(x)  # any number that no residual exceeds
    for _ in range(n_sweeps):
        share, floor = (alpha, 0.0) if root else (alpha / above, above**2)
        z = sweep(D.T, x, z, share, floor, positive)
    return z


def least_squares(x, D, support):
    """Return the code of a row by least squares on a support."""
    z, support = np.zeros(len(D)), np.asarray(support, dtype=int)
    z[support] = np.linalg.lstsq(D[support].T, x)[0]
    return z


def energy_left(x, z, D):
    """Return the energy of the residual of a code."""
    return np.sum((x - z @ D) ** 2)


def matching_pursuit(x, D, n_nonzero, recursive=False, positive=False):
    """Take the best atom and solve least squares, while one correlates.

    The best atom is that of the largest correlation, or that which leaves least.
    """
    norms, support, z = np.linalg.norm(D, axis=1), [], np.zeros(len(D))
    for _ in range(n_nonzero):
        c = D @ (x - z @ D) / norms
        merit = c if positive else np.abs(c)
        able = merit > 1e-12 * np.linalg.norm(x)  # else it is a rounding
        if not able.any():
            break
        if recursive:
            codes = [least_squares(x, D, [*support, j]) for j in range(len(D))]
            merit = np.array([-energy_left(x, code, D) for code in codes])
        support.append(np.argmax(np.where(able, merit, -np.inf)))
        z = least_squares(x, D, support)
    return z


def next_support(x, z, D, k, factor=0.0, positive=False):
    """Return the largest entries of ``z + c``, as of atoms of unit norm.

    These are k entries, or for ``k = 0`` those above a multiple of the median of c.
    """
    norms = np.linalg.norm(D, axis=1)
    c = D @ (x - z @ D) / norms
    sizes = z * norms + c if positive else np.abs(z * norms + c)
    median = np.sort(np.abs(c))[len(D) // 2]
    order = np.argsort(-sizes, kind="stable")[: k or len(D)]
    return tuple(np.sort(order[sizes[order] > (0 if k else factor * median)]))


def threshold_and_invert(x, D, k, factor=0.0, positive=False, max_iter=200):
    """Code by least squares on the next support until it stays, or goes in a circle.

    Return the best code of the circle, and its number of supports.
    """
    supports, codes = [()], [np.zeros(len(D))]
    for _ in range(max_iter):
        support = next_support(x, codes[-1], D, k, factor, positive)
        if support in supports:
            circle = codes[supports.index(support) :]
            best = np.argmin([energy_left(x, z, D) for z in circle])
            return circle[best], len(circle)
        supports.append(support)
        codes.append(least_squares(x, D, support))
    return codes[-1], max_iter


def update_atoms(A, B, D):
    """Minimise ``tr(D' A D) / 2 - tr(D' B)`` over one atom of unit norm after another.

    The others fixed, an atom is to have the largest product with what they leave.
    """
    D = D.copy()
    for j in np.flatnonzero(np.diag(A) > 0):
        others = np.arange(len(D)) != j
        left = B[j] - A[j, others] @ D[others]
        D[j] = left / np.linalg.norm(left)
    return D


def adam(w, gradients, rates, decays, tiny, largest):
    """Take steps of Adam as its paper writes them; ``rates`` are one a step and entry.

    Gradients longer than ``largest`` are shrunk to it first.
    """
    mean = square = np.zeros_like(w)
    b1, b2 = decays
    for n, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        g = g * min(1.0, largest / np.linalg.norm(g))
        mean = b1 * mean + (1 - b1) * g
        square = b2 * square + (1 - b2) * g**2
        root = np.sqrt(square / (1 - b2**n))
        w = w - rate * mean / (1 - b1**n) / (root + tiny)
    return w


def normal_numbers_of_r(seed, n):
    """Return ``set.seed(seed); rnorm(n)`` of R: Mersenne twister, and inversion."""
    words = np.empty(50 + 625, dtype=np.uint32)
    for k in range(len(words)):
        seed = words[k] = (69069 * int(seed) + 1) % 2**32
    twister = np.random.MT19937()
    state = {"key": words[51:], "pos": 624}
    twister.state = {"bit_generator": "MT19937", "state": state}
    coarse, fine = (twister.random_raw(2 * n) / 2**32).reshape(n, 2).T
    return ndtri((np.floor(2**27 * coarse) + fine) / 2**27)
