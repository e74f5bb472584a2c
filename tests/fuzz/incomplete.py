"""Sequences of calls with missing entries and outliers, judged by a conic solver."""

import warnings

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso import PivotalPCA, RelaxedSparseCoder, SqrtLassoTransform
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests.estimators.common import dense
from tests.fuzz import arrays, judges
from tests.fuzz.codings import Codings
from tests.fuzz.judges import SOLVED, rows_of_groups
from tests.fuzz.sequences import Failed, in_short

CODERS = [SqrtLassoTransform, PivotalPCA, RelaxedSparseCoder]
SHARES = [0.05, 0.3, 0.8]  # of entries that are missing
WARNED = 1e-3  # gaps of rows that are
MODERATE = 1e6  # ratio of sizes up to which a conic solver is a witness


class IncompleteCodings(Codings):
    """Calls on an encoder that takes NaN for an entry that was not observed."""

    def create(self, given):
        """Create the estimator, sometimes with a penalty of outliers."""
        if "outlier_alpha" in self.cls._parameter_constraints:
            values = [None, "auto", 0.3]
            given["outlier_alpha"] = values[self.rng.integers(len(values))]
        selector, count = given.get("selector", "auto"), given.get("n_nonzero_coefs")
        pivotal = selector == "auto" and count is None
        if selector in SELECTORS:
            pivotal = SELECTORS[selector].takes_outliers
        if issubclass(self.cls, RelaxedSparseCoder) and not pivotal:
            given["outlier_alpha"] = None
        super().create(given)

    def draw(self, tame=0.4):
        """Return rows, of which some entries are missing more often than not."""
        rows = super().draw(tame)
        if self.rng.random() < 0.3 or rows.given_dtype.kind != "f":
            return rows
        missing = self.rng.random(rows.X.shape) < self.rng.choice(SHARES)
        missing |= (self.rng.random(len(rows.X)) < 0.05)[:, None]
        kinds = {"": np.ascontiguousarray, ", CSR": sp.csr_array}
        name = list(kinds)[self.rng.integers(len(kinds))]
        X = np.where(missing, np.nan, rows.X)
        given = kinds[name](X.astype(rows.given_dtype))
        text = f"{rows.name}, {missing.mean():.0%} missing{name}"
        return arrays.Rows(text, given, arrays.dense(given))

    def learns_from(self, rows):
        """Return whether each column has an entry that was observed."""
        return not np.isnan(rows.X).all(axis=0).any()

    def fit(self):
        """Fit to rows, or have columns refused of which nothing is known."""
        self._learn_with("fit")

    def partial_fit(self):
        """Learn from a batch."""
        self._learn_with("partial_fit")

    def _learn_with(self, method):
        if not hasattr(self.cls, method):
            return
        rows = self.draw()
        extra = self.groups_of(rows)
        known = self.learns_from(rows)
        text = f"{rows.name}{in_short(extra)}"
        valid = None if method == "partial_fit" and not known else known
        result = self.attempt(method, rows.given, text=text, valid=valid, **extra)
        if not isinstance(result, Failed):
            self.after_fit(rows._replace(X=np.nan_to_num(rows.X)))

    def transform(self):
        """Code rows, and compare with rows alone, and with a conic solver."""
        rows = self.draw()
        extra = self.groups_of(rows)
        text = f"{rows.name}{in_short(extra)}"
        Z = self.attempt("transform", rows.given, text=text, valid=self.fitted, **extra)
        if isinstance(Z, Failed):
            return
        Z, missing = dense(Z), np.isnan(rows.X)
        if self.overflows(rows):
            return
        if not np.isfinite(Z).all():
            if not self._exceeds_numbers(rows, extra):
                self.find("codes are not finite", f"{Z}")
            return
        if not extra and Z[missing.all(axis=1)].any():
            self.find("rows of which nothing is known have a code", f"{Z}")
        if self.warned or rows.dtype != np.float64:
            return
        if not extra:
            self._compare_alone(rows, Z)
        if issubclass(self.cls, SqrtLassoTransform):
            self.judge(_frame_codes(self.estimator, rows.X, extra.get("groups"), Z))

    def _exceeds_numbers(self, rows, extra):
        """Return whether codes in double precision are out of the range of the rows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exact = dense(self.estimator.transform(rows.X.astype(np.float64), **extra))
        return np.abs(exact).max() > np.finfo(rows.dtype).max

    def _compare_alone(self, rows, Z):
        """Compare a code with that of the row alone; restored rows, if atoms tie."""
        i = len(rows.X) // 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone = dense(self.estimator.transform(rows.X[i : i + 1]))
        about = getattr(self.estimator, "mean_", np.zeros(1))
        sizes = judges.norms(np.nan_to_num(rows.X[i])) + judges.norms(about)
        allowed, Z = 1e-6 * sizes + 1e-300, Z[i : i + 1]
        if issubclass(self.cls, RelaxedSparseCoder):
            given = judges.as_used(self.estimator, self.given)
            if given["phi"] < 1 or given["selector"] not in ("lasso", "sqrt_lasso"):
                return
            Z, alone = (of @ self.estimator.components_ for of in (Z, alone))
        self.judge(judges.compare("codes depend on neighbours", Z, alone, allowed))

    def figures(self, rows, groups, back, figures):
        """Judge levels of rows of which something is known, and the score."""
        sigma = figures["noise_scale"]
        if groups is None:
            sigma = sigma[~np.isnan(rows.X).all(axis=1)]
        elif issubclass(self.cls, PivotalPCA):
            sigma = sigma[~np.isnan(sigma)]  # of groups of which nothing is known
        self.levels(sigma)
        if not figures["score"] <= 1:
            self.find("score above one", f"{figures['score']}")

    def gap(self, rows, extra, text):
        """Look at duality gaps, below those that are warned of."""
        gap = self.attempt("duality_gap", rows.given, text=text, **extra)
        if not (isinstance(gap, Failed) or np.all(np.abs(gap) <= WARNED)):
            self.find("duality gaps are large", f"{gap}")

    def overflows(self, rows):
        """Return whether results for the observed entries may exceed all numbers."""
        return super().overflows(rows._replace(X=np.nan_to_num(rows.X)))


def _frame_codes(coder, X, groups, Z):
    """Yield groups whose codes are worse than those of a conic solver."""
    W, spikes = coder.components_, coder.fitted_params_["outlier_alpha"]
    K, p = W.shape
    alpha = np.broadcast_to(coder.alpha_, K)
    if spikes == "auto":
        spikes = 2.2 / np.sqrt(p)
    maps = [W] if p <= K else [W, np.eye(p) - W.T @ W]
    target = X - getattr(coder, "mean_", 0)
    for places in rows_of_groups(groups, len(X))[: judges.N_JUDGED]:
        x, z = target[places], Z[places]
        unit = np.nanmax(np.abs(x), initial=0)
        least = np.nanmin(np.abs(x), initial=np.inf, where=x != 0)
        about = np.abs(coder.mean_).max(initial=0) if hasattr(coder, "mean_") else 0
        if unit == 0 or unit > MODERATE * least or about > MODERATE * unit:
            continue

        def value(code, x=x / unit, limits=()):
            e, known = cp.Variable(x.shape), ~np.isnan(x)
            clean, m = np.nan_to_num(x) - e, len(x)
            left = cp.hstack([clean @ A.T - (code if A is W else 0) for A in maps])
            cost = cp.norm(cp.vec(left, order="C")) / np.sqrt(m)
            cost += cp.sum(cp.abs(code) @ alpha) / m
            if spikes is None:
                limits = [*limits, cp.multiply(known, e) == 0]
            else:
                cost += spikes * cp.sum(cp.abs(cp.multiply(known, e))) / m
            return cp.Problem(cp.Minimize(cost), limits).solve(solver=cp.CLARABEL)

        free = cp.Variable(z.shape)
        positive = coder.fitted_params_["positive"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ours = value(z / unit)
                best = value(free, limits=[free >= 0] if positive else [])
            except cp.error.SolverError:
                continue
        whole = np.sqrt(np.nansum((x / unit) ** 2) / len(x))
        if not ours - best <= 10 * SOLVED * whole:
            gap = coder.duality_gap(X, groups=groups)[places[0]]  # below a warning's
            if not ours - best <= (gap + SOLVED) * whole:
                yield "codes are not the minimiser", f"{ours:.8g}, conic {best:.8g}"
