"""Independent witnesses: conic solver, plain formulas in extended precision.

A judge yields what is wrong, as a kind and the figures. None of them asks the package
for a certificate: what they compare with is computed here, in ``np.longdouble``.
"""

import warnings
from typing import NamedTuple

import cvxpy as cp
import numpy as np
from scipy.special import expit
from sklearn.linear_model import orthogonal_mp

from sklearn_sqrtlasso import NeLUAutoencoder, RelaxedSparseCoder, SqrtLassoTransform
from sklearn_sqrtlasso.algorithms.refit import DEPENDENT
from sklearn_sqrtlasso.sparse_coding.lasso import LEAST_PENALTY
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests import oracles

wide = np.longdouble
LEAST = {"f8": wide(1e-305), "f4": wide(1e-36)}  # what is smaller may be rounded
ROUNDING = {"f8": wide(1e-9), "f4": wide(2e-4)}  # some roundings, and ill condition
CONSTANT = 64 * np.finfo("f8").eps  # relative spread of a target of rounding errors
SOLVED = 1e-6  # share of the objective at zero by which a witness may be better
N_JUDGED = 4  # rows or groups of each call

FUNCTIONS = {
    "relu": lambda v: np.maximum(v, 0),
    "helu": lambda v: np.maximum(v, 0),
    "identity": lambda v: v,
    "sigmoid": lambda v: expit(v.astype("f8")).astype(wide),
    "tanh": np.tanh,
}


def size(X):
    """Return the largest magnitude, 0 for nothing."""
    return np.abs(X).max(initial=0)


def kind_of(dtype):
    """Return the key of ``ROUNDING``."""
    return "f4" if dtype == np.float32 else "f8"


def norms(X):
    """Return the norms of rows, without overflow: extended numbers reach 1e4932."""
    return np.sqrt(np.sum(np.asarray(X, wide) ** 2, axis=-1))


class Lasso(NamedTuple):
    """Minimise ``f(target - columns v) + penalties |v|``, f a norm or half its square.

    All numbers are extended. In ``scaled`` problems, target and columns have norm 1.
    """

    target: np.ndarray
    columns: np.ndarray
    penalties: np.ndarray
    root: bool
    positive: bool

    def objective(self, v):
        """Return what is to be minimised."""
        left = norms(self.target - self.columns @ v)
        loss = left if self.root else left**2 / 2
        return loss + np.sum(self.penalties * np.abs(v), where=v != 0)

    def scaled(self, v):
        """Return the same problem, and its coefficients, in units of norm 1."""
        unit, lengths = norms(self.target), norms(self.columns.T)
        unit, lengths = unit or wide(1), np.where(lengths > 0, lengths, 1)
        penalties = self.penalties / lengths
        problem = self._replace(
            target=self.target / unit,
            columns=self.columns / lengths,
            penalties=penalties if self.root else penalties / unit,
        )
        return problem, v * lengths / unit

    def gap(self, v):
        """Return primal minus dual objective, with the residual as dual point."""
        r = self.target - self.columns @ v
        c = self.columns.T @ r
        pull = np.maximum(c, 0) if self.positive else np.abs(c)
        with np.errstate(all="ignore"):
            most = np.max(pull / self.penalties, initial=0, where=pull > 0)
        if self.root:
            scale = max(norms(r), most)
            dual = self.target @ r / scale if scale > 0 else wide(0)
        else:
            r = r / max(most, 1)
            dual = self.target @ r - r @ r / 2
        return self.objective(v) - dual

    def conic(self):
        """Return the coefficients of a conic solver, for a scaled problem."""
        v = np.zeros(len(self.penalties), wide)
        on = self.penalties < 1  # others are zero: no correlation exceeds 1
        if not on.any():
            return v
        x = cp.Variable(int(on.sum()), nonneg=self.positive)
        left = self.target.astype("f8") - self.columns[:, on].astype("f8") @ x
        loss = cp.norm2(left) if self.root else cp.sum_squares(left) / 2
        cost = loss + self.penalties[on].astype("f8") @ cp.abs(x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                cp.Problem(cp.Minimize(cost)).solve(solver=cp.CLARABEL)
            except cp.error.SolverError:
                return v
        if x.value is not None:
            v[on] = np.maximum(x.value, 0) if self.positive else x.value
        return v


def excess(problem, v):
    """Return by what share of the objective at zero a witness is better than ``v``."""
    problem, v = problem.scaled(np.asarray(v, wide))
    if not np.all(np.isfinite(v)):
        return np.inf
    zero = problem.objective(0 * v)
    if zero == 0:
        return float(problem.objective(v))
    if problem.gap(v) <= SOLVED * zero:
        return 0.0
    best = min(problem.objective(problem.conic()), zero)
    return float((problem.objective(v) - best) / zero)


def rows_of_groups(groups, n):
    """Return the places of the rows of each group."""
    if groups is None:
        return [[i] for i in range(n)]
    if isinstance(groups, str):
        return [np.arange(n)]
    return [np.flatnonzero(groups == label) for label in np.unique(groups)]


def compare(kind, ours, theirs, allowed):
    """Yield a finding if two arrays differ by more than what is allowed."""
    ours, theirs = np.asarray(ours, wide), np.asarray(theirs, wide)
    if ours.shape != theirs.shape:
        yield kind, f"shape {ours.shape}, expected {theirs.shape}"
        return
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(ours - theirs) <= allowed)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        one, two, most = (
            f"{np.broadcast_to(of, wrong.shape)[place]:.6g}"
            for of in (ours, theirs, allowed)
        )
        where = [int(i) for i in place]
        yield kind, f"{one} at {where}, expected {two}, allowed {most}"


def shrinkage(U, outside, alpha, positive, Z, groups):
    """Yield groups whose codes have a higher objective than the twin's."""
    for places in rows_of_groups(groups, len(U))[:N_JUDGED]:
        u, z, rest = U[places], Z[places].astype(wide), outside[places]
        whole = oracles.residual_scale(0 * u, u, rest)
        twin = oracles.shrink(u, alpha, rest, positive)
        best = oracles.objective(twin, u, alpha, rest)
        used = (alpha + 0 * z)[(z != 0) | (twin != 0)]  # others may be any number
        if whole < LEAST[kind_of(Z.dtype)]:  # codes may be rounded to zero
            continue
        more = (oracles.objective(z, u, alpha, rest) - best) / (whole or wide(1))
        limit = ROUNDING[kind_of(Z.dtype)] * max(1, size(used))
        if not more <= limit:
            yield (
                "codes are not the minimiser",
                f"objective higher by {more:.3g} of |x|",
            )
        if positive and np.any(z < 0):
            yield "codes are negative", f"least {z.min():.3g}"
        kept = np.sum((alpha + 0 * z)[z != 0] ** 2) / len(z)
        if not (kept <= 1 + limit or np.any(rest) or np.all((z == u) | (z == 0))):
            yield "more nonzeros than the penalty allows", f"sum alpha^2 {kept:.3g}"


def _independent(D):
    """Return which atoms have more than a share of energy outside the earlier span."""
    basis, on = np.zeros((0, D.shape[1]), wide), []
    for d in D:
        left = d / (norms(d) or wide(1))
        for _ in range(2):
            left = left - basis.T @ (basis @ left)
        on.append(bool(norms(left) ** 2 > 3 * DEPENDENT))
        basis = np.vstack([basis, left / norms(left)]) if on[-1] else basis
    return np.array(on, bool)


def _is_refit_of_independent(problem, z, limit):
    """Return whether a code is the minimiser over independent atoms, given others.

    An atom that is nearly in the span of others, as the package defines it, may keep
    the entry of the first stage.
    """
    D = problem.columns.T
    on = _independent(D)
    part = problem._replace(
        target=problem.target - z[~on] @ D[~on],
        columns=D[on].T,
        penalties=problem.penalties[on],
    )
    return bool(excess(part, z[on]) <= limit)


def codes_in_atoms(X, D, alpha, given, Z):
    """Yield rows whose codes in atoms are not those of their selector.

    Codes of tiny rows in huge atoms may be below all numbers: they are rounded. The
    package raises penalties that are lost among correlations, as it documents.
    """
    name, phi, positive = given["selector"], given["phi"], given["positive"]
    if positive and np.any(Z < 0):
        yield "codes are negative", f"least {Z.min():.3g}"
    usual = 100 * float(ROUNDING[kind_of(Z.dtype)]) + given["transform_tol"]
    usual += 10 * SOLVED
    correlations = X @ D.T
    lost = wide(np.finfo(Z.dtype).smallest_subnormal) * np.sum(norms(D) + alpha)
    for x, z, c in list(zip(X, Z, correlations, strict=True))[:N_JUDGED]:
        unit = norms(x) or wide(1)
        S, limit = z != 0, usual + float(4 * lost / unit)
        least = LEAST_PENALTY * size(np.maximum(c, 0) if positive else c)
        raised = max(alpha, least / unit if name == "sqrt_lasso" else least)
        if name in ("lasso", "sqrt_lasso") and phi == 1:
            penalties = np.full(len(D), raised)
            more = excess(Lasso(x, D.T, penalties, name == "sqrt_lasso", positive), z)
            if not more <= limit:
                yield f"{name} codes are not the minimiser", f"higher by {more:.3g}"
        elif name == "lasso" or (phi == 0 and name not in ("topk", "threshold")):
            penalties = np.full(np.sum(S), phi * raised)
            problem, z = Lasso(x, D[S].T, penalties, False, positive), z[S].astype(wide)
            more = excess(problem, z)
            if not (more <= limit or _is_refit_of_independent(problem, z, limit)):
                yield f"{name} codes are not the refit", f"higher by {more:.3g}"
        elif name == "threshold" and phi == 1:
            allowed = limit * (norms(x) * norms(D) + alpha)
            yield from compare(
                "threshold", z, oracles.soft(c, alpha, positive), allowed
            )
        elif name == "topk" and phi == 1:
            allowed = limit * norms(x) * norms(D[S])
            yield from compare("topk", z[S], c[S], allowed)
        count = given["n_nonzero_coefs"] or min(D.shape)
        if SELECTORS[name].takes_count != "never" and np.sum(S) > count:
            yield "more nonzeros than n_nonzero_coefs", f"{np.sum(S)}"


def matching_pursuit(X, D, given, Z):
    """Yield rows that scikit-learn restores better by as many independent atoms."""
    k = min(given["n_nonzero_coefs"], *D.shape)
    for x, z in list(zip(X, Z, strict=True))[:N_JUDGED]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = orthogonal_mp(D.T.astype("f8"), x.astype("f8"), n_nonzero_coefs=k)
            theirs = np.atleast_1d(theirs)  # it squeezes a single atom
        ours, other = (norms(x - c.astype(wide) @ D) for c in (z, theirs))
        if not _independent(D[theirs != 0]).all():
            continue
        if not ours - other <= 1e-4 * norms(x):  # theirs may end early
            yield (
                "omp is not that of scikit-learn",
                f"residuals {ours:.6g}, {other:.6g}",
            )


def _rounded(values, dtype):
    """Return numbers as a dtype holds them, in extended precision."""
    with np.errstate(over="ignore"):
        return values.astype(dtype).astype(wide)


def layers_of(coder, dtype):
    """Return weights and biases as the formulas have them, in extended precision."""
    names = ("components_", "mean_", "decoder_", "encoder_bias_", "decoder_bias_")
    return {
        name: _rounded(getattr(coder, name), dtype)
        for name in names
        if hasattr(coder, name)
    }


def as_used(coder, given):
    """Return the parameters of the last fit, words replaced by what they stood for."""
    used = {**given, **getattr(coder, "fitted_params_", {})}
    if used.get("encoder_activation") == "auto":
        used["encoder_activation"] = "sigmoid" if used["prox"] == "exact" else "tanh"
    return used


def codes(coder, given, rows, groups, Z):
    """Judge codes of rows; ``given`` are the parameters of the last fit."""
    given = as_used(coder, given)
    X, layers = rows.X.astype(wide), layers_of(coder, rows.dtype)
    W = layers["components_"]
    rounding = ROUNDING[kind_of(rows.dtype)]
    alpha = np.asarray(getattr(coder, "alpha_", 0), wide)
    if isinstance(coder, SqrtLassoTransform):
        X = _rounded(X - layers["mean_"], rows.dtype)
        outside = (
            norms(X - X @ W.T @ W) if len(W) < W.shape[1] else np.zeros(len(X), wide)
        )
        alpha = np.minimum(alpha, 1e9)
        yield from shrinkage(X @ W.T, outside, alpha, given["positive"], Z, groups)
    elif isinstance(coder, RelaxedSparseCoder):
        D = coder.components_.astype(wide)
        yield from codes_in_atoms(X, D, alpha, given, Z)
        plain = "gaussian, as it is" in rows.name and given["dictionary"] is None
        counts = given["selector"] == "omp" and given["n_nonzero_coefs"]
        if plain and counts and not given["positive"]:
            yield from matching_pursuit(X, D, given, Z)
    elif isinstance(coder, NeLUAutoencoder):
        activation, U = given["activation"], X @ W.T
        nothing = np.zeros(len(X), wide)
        if activation in ("nelu", "nelu_helu") and given["n_unrolled"] is None:
            yield from shrinkage(U, nothing, alpha, given["positive"], Z, groups)
        elif activation == "soft":
            expected = oracles.soft(U, alpha, given["positive"])
            allowed = rounding * (norms(X)[:, None] * norms(W) + np.abs(alpha))
            yield from compare("soft codes", Z, expected, allowed + LEAST["f8"])
        elif activation in FUNCTIONS:
            expected = FUNCTIONS[activation](U - alpha)
            allowed = rounding * (norms(X)[:, None] * norms(W) + np.abs(alpha) + 1)
            yield from compare("pointwise codes", Z, expected, allowed)
    elif given["binary"] is None and given["encoder_activation"] in FUNCTIONS:
        b = layers["encoder_bias_"]
        expected = FUNCTIONS[given["encoder_activation"]](X @ W.T + b)
        allowed = rounding * (norms(X)[:, None] * norms(W) + np.abs(b) + 1)
        yield from compare("pointwise codes", Z, expected, allowed)
    elif given["binary"] is not None and not np.isin(Z, [0, 1]).all():
        yield "bits are not 0 or 1", f"{np.unique(Z)[:5]}"


def restored(coder, given, Z):
    """Return what codes are decoded to, and the size of what is summed."""
    layers = layers_of(coder, Z.dtype)
    V, z = layers.get("decoder_", layers["components_"]), Z.astype(wide)
    X, summed = z @ V, np.abs(z) @ np.abs(V)
    if "decoder_bias_" in layers:
        c = layers["decoder_bias_"]
        X = FUNCTIONS[given["decoder_activation"]](X + c)
        summed = summed + np.abs(c) + 1
    if "mean_" in layers:
        X, summed = X + layers["mean_"], summed + np.abs(layers["mean_"])
    return X, summed


def score(X, back, ours, dtype):
    """Judge an explained variance, given the restored rows."""
    X, back = X.astype(wide), back.astype(wide)
    spread = np.sum((X - X.mean(axis=0)) ** 2)
    residual, whole = np.sum((X - back) ** 2), np.sum(X**2)
    eps = np.finfo(dtype).eps
    # the mean and the rows are known to some roundings of their size
    if spread <= (1e3 * eps) ** 2 * whole:
        if not ours <= 1 + 1e-6:
            yield "score above one", f"{ours}"
        return
    expected = np.maximum(1 - residual / spread, wide(-1e308))
    ours = max(ours, -1e308)
    known = 1e3 * eps * np.sqrt(whole / spread)
    allowed = (1e-6 + known) * (1 + np.abs(expected)) + known * np.sqrt(
        residual / spread
    )
    yield from compare("score", ours, expected, allowed)


def noise(coder, X, back, groups, ours):
    """Judge noise levels of an autoencoder: norms of its errors, pooled in groups."""
    errors = norms(X.astype(wide) - back.astype(wide))
    expected = np.empty(len(X), wide)
    for places in rows_of_groups(groups, len(X)):
        expected[places] = np.sqrt(np.mean(errors[places] ** 2) / X.shape[1])
    rounding = ROUNDING[kind_of(ours.dtype)]
    sizes = size(X) + size(back.astype(wide))
    yield from compare("noise scale", ours, expected, rounding * sizes + LEAST["f4"])


def is_representable(X, y, dtype):
    """Return whether ratios of targets and columns are numbers of a dtype."""
    X, low = X.astype(wide), 10 * np.finfo(dtype).tiny
    sizes = [np.max(np.abs(A), axis=0, initial=0) for A in (X, X - X.mean(axis=0))]
    for target in np.atleast_2d(y.T):
        usual = [size(target.astype(wide)) / of[of > 0] for of in sizes]
        usual += [of * sizes[0].max(initial=1) for of in usual]  # intercepts
        if any(np.any((of != 0) & ((of < low) | (of > 1 / low))) for of in usual):
            return False
    return True


class Regression(NamedTuple):
    """A square-root lasso as it was asked, of rows with a positive weight."""

    X: np.ndarray
    y: np.ndarray
    shares: np.ndarray
    alpha: float
    intercept: bool
    positive: bool

    @classmethod
    def asked(cls, X, y, weights, alpha, intercept, positive):
        """Return the problem in extended precision."""
        weights = np.ones(len(y)) if weights is None else np.asarray(weights)
        on, shares = weights > 0, weights.astype(wide) / np.sum(weights, dtype=wide)
        X, y = X.astype(wide)[on], y.astype(wide)[on]
        return cls(X, y, shares[on], wide(alpha), intercept, positive)

    def centred(self, A):
        """Return columns about their weighted means, times roots of weights."""
        A = A - self.shares @ A if self.intercept else A
        root = np.sqrt(self.shares)
        return A * (root[:, None] if A.ndim == 2 else root)

    def lasso(self):
        """Return the same problem without an intercept and without weights."""
        columns, target = self.centred(self.X), self.centred(self.y)
        sizes, spread = np.max(np.abs(self.X), axis=0, initial=0), norms(columns.T)
        columns[:, spread <= 1e-17 * sizes] = 0  # constant, but for this rounding
        if norms(target) <= CONSTANT * norms(np.sqrt(self.shares) * self.y):
            target = 0 * target
        penalties = np.full(len(spread), self.alpha)
        return Lasso(target, columns, penalties, True, self.positive)

    def is_unique(self, w):
        """Return whether columns that may be used by a solution are independent.

        They correlate with the residual as much as the penalty, up to the accuracy of
        the solution ``w``: all do where the residual vanishes.
        """
        problem, v = self.lasso().scaled(w.astype(wide))
        r = problem.target - problem.columns @ v
        c = problem.columns.T @ r
        c = c if self.positive else np.abs(c)
        on = c >= problem.penalties * norms(r) - np.sqrt(SOLVED)
        on &= norms(problem.columns.T) > 0
        return bool(_independent(problem.columns.T[on]).all())

    def judge_relaxed(self, w, whole, dtype):
        """Yield what is wrong with relaxed coefficients of a solution."""
        if not np.all(np.isfinite(w)):
            yield "not finite", f"coef {w}"
            return
        problem, eps = self.lasso(), np.finfo(dtype).eps
        if self.positive and np.any(w < 0):
            yield "coefficients are negative", f"{w.min():.3g}"
        left = [
            norms(problem.target - problem.columns @ v.astype(wide)) for v in (w, whole)
        ]
        terms = np.abs(w.astype(wide)) @ norms(problem.columns.T)
        allowed = 100 * eps * terms + np.sqrt(SOLVED) * norms(problem.target)
        if not left[0] <= left[1] + allowed:
            yield "a refit has a larger residual", f"{left[0]:.6g} > {left[1]:.6g}"

    def judge(self, w, b, sigma, gap, tol, solved, dtype):
        """Yield what is wrong with coefficients, intercept, noise level and gap."""
        if not (np.all(np.isfinite(w)) and np.isfinite(b) and np.isfinite(sigma)):
            yield "not finite", f"coef {w}, intercept {b}, sigma {sigma}"
            return
        w, problem, eps = w.astype(wide), self.lasso(), np.finfo(dtype).eps
        whole = norms(problem.target) or wide(1)
        terms = np.abs(w) @ norms(problem.columns.T)
        offsets = np.abs(w) @ np.max(np.abs(self.X), axis=0, initial=0)
        offsets = offsets + size(self.y)
        rounding = float((100 * eps * terms + 1e-14 * size(self.y)) / whole)
        more = excess(problem, w)
        if not more <= gap + 2 * SOLVED + rounding:
            yield (
                "coefficients are worse than their gap says",
                f"excess {more:.3g}, gap {gap:.3g}",
            )
        if not more <= (tol + 2 * SOLVED if solved else 1 + SOLVED) + rounding:
            yield (
                "coefficients are not the minimiser",
                f"excess {more:.3g}, gap {gap:.3g}",
            )
        if self.positive and np.any(w < 0):
            yield "coefficients are negative", f"{w.min():.3g}"
        mean = self.shares @ (self.y - self.X @ w) if self.intercept else wide(0)
        least = np.finfo(np.float64).smallest_subnormal  # to which figures are rounded
        allowed = (10 * eps + 1e-12) * offsets + least
        yield from compare("intercept", b, mean, allowed)
        left = norms(problem.target - problem.columns @ w)
        allowed = 1e-6 * whole + 100 * eps * offsets + least
        yield from compare("sigma", sigma, left, allowed)
