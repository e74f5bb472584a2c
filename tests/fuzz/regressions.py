"""Sequences of calls on regressors, and paths of penalties."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv

from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, sqrt_lasso_path
from tests.estimators.common import dense, learnt
from tests.fuzz import arrays, judges, parameters
from tests.fuzz.sequences import Failed, Sequence, in_short, is_finite, same


def draw_problem(sequence, several=False):
    """Return rows and targets whose coefficients are numbers of their dtype."""
    while True:
        rows = sequence.draw()
        what, y = arrays.draw_targets(sequence.rng, rows.X, several)
        parts = [slice(None), *training_rows(sequence, len(y))]
        if all(judges.is_representable(rows.X[i], y[i], rows.dtype) for i in parts):
            return rows, what, y


def training_rows(sequence, n):
    """Return the training rows of each fold, if there is cross-validation."""
    folds = getattr(sequence.estimator, "cv", 1)
    folds = 5 if folds is None else folds
    if not 2 <= folds <= n:
        return []
    return [train for train, _ in KFold(folds).split(np.zeros(n))]


def infinite_errors(model, X, y, weights):
    """Yield infinite errors of cross-validation whose squares are numbers.

    Where terms cancel, an error is known up to rounding of their size, and no further:
    its square may be infinite though the error of the witness is small. An intercept is
    a difference of terms of the size of the training targets. Where training columns
    depend on each other, another solution may have another error.
    """
    weights = np.ones(len(y)) if weights is None else weights
    rounding = judges.ROUNDING[judges.kind_of(model.coef_.dtype)]
    folds = list(check_cv(model.cv).split(X, y))
    places = np.argwhere(np.isinf(model.mse_path_))
    for i, k in places[:: 1 + len(places) // judges.N_JUDGED]:
        train, test = folds[k]
        given = {"fit_intercept": model.fit_intercept, "positive": model.positive}
        alone = SqrtLasso(float(model.alphas_[i]), phi=model.phi_, **given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone.fit(X[train], y[train], sample_weight=weights[train])
        lesson = X[train], y[train], weights[train], alone.alpha_, *given.values()
        if not judges.Regression.asked(*lesson).is_unique(alone.coef_):
            continue
        held_out, w = X[test].astype(judges.wide), alone.coef_.astype(judges.wide)
        wrong = np.abs(held_out @ w + alone.intercept_ - y[test])
        summed = np.abs(held_out) @ np.abs(w) + judges.size(y[train])
        wrong += rounding * (summed + np.abs(y[test]))
        error = np.average(wrong**2, weights=weights[test].astype(judges.wide))
        if not error > 1e307:
            yield "mse_path_ is infinite", f"expected {error:.6g} at {i}, {k}"


def solution_before(model, alpha, rows, target, weights):
    """Return the coefficients of a target before they are relaxed."""
    whole = SqrtLasso(1.0, penalty_loadings=np.fmax(alpha, 1e-300))
    names = "fit_intercept", "positive", "tol", "max_iter"
    whole.set_params(**{name: getattr(model, name) for name in names})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return whole.fit(rows.given, target, sample_weight=weights).coef_


class Regressions(Sequence):
    """Calls on a regressor."""

    def run(self):
        """Fit, predict, fail and copy, in any order."""
        given = parameters.draw_parameters(self.rng, self.cls, self.n_features)
        given["max_iter"] = int(self.rng.choice([100, 100, 2]))
        self.create(given)
        steps = [self.fit, self.fit, self.predict, self.fail, self.copies]
        self.fit()
        for _ in range(int(self.rng.integers(1, 4))):
            self.one_of(steps)
            if len(self.findings) > 3:
                break

    def draw_lesson(self):
        """Return rows, targets and weights."""
        rows, what, y = draw_problem(self, issubclass(self.cls, SqrtLasso))
        weights = None
        if self.rng.random() < 0.3:
            weights = self.rng.integers(1, 4, len(y))
        given = self.estimator.get_params()
        if weights is not None and isinstance(given.get("alpha"), float):
            weights = weights * self.rng.choice([1.0, 1e-200, 1e200])
        if self.rng.random() < 0.3 and isinstance(given.get("alpha"), float):
            spread = judges.size(rows.X - rows.X[:1])
            self.estimator.set_params(alpha=float(0.1 * spread))
            self.calls.append(f"set_params(alpha={0.1 * spread})")
        return rows, what, y, weights

    def fit(self):
        """Fit, judge the coefficients, and compare with the fit of a clone."""
        rows, what, y, weights = self.draw_lesson()
        model, extra = self.estimator, {}
        if weights is not None:
            extra["sample_weight"] = weights
        twin, text = clone(model), f"{rows.name}; {what}{in_short(extra)}"
        result = self.attempt("fit", rows.given, y, text=text, **extra)
        if isinstance(result, Failed):
            return
        self.fitted, solved = True, not self.warned
        for name, value in learnt(model).items():
            known = name == "mse_path_" and not np.isnan(value).any()
            if not (known or is_finite(value)):
                self.find(f"{name} is not finite", f"{value}")
        if not getattr(model, "warm_start", False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                twin.fit(rows.given, y, **extra)
            if not same(learnt(model), learnt(twin)):
                self.find("a refit is not the fit of a clone", "")
        if issubclass(self.cls, SqrtLassoCV):
            if model.alpha_ not in model.alphas_:
                self.find("alpha_ is not among alphas_", f"{model.alpha_}")
            self.judge(infinite_errors(model, rows.X, y, weights))
        figures = (model.intercept_, model.sigma_, model.dual_gap_)
        targets, coef = np.atleast_2d(y.T), np.atleast_2d(model.coef_)
        alphas = model.alpha_ * getattr(model, "penalty_loadings_", np.ones(coef.shape))
        alphas = np.broadcast_to(alphas, coef.shape)
        parts = zip(targets, coef, alphas, *map(np.atleast_1d, figures), strict=True)
        for target, w, alpha, *of in parts:
            asked = (weights, alpha, model.fit_intercept, model.positive)
            problem = judges.Regression.asked(rows.X, target, *asked)
            dtype = model.coef_.dtype
            if getattr(model, "phi_", model.phi) == 1:
                self.judge(problem.judge(w, *of, model.tol, solved, dtype))
            elif solved:
                whole = solution_before(model, alpha, rows, target, weights)
                self.judge(problem.judge_relaxed(w, whole, dtype))

    def predict(self):
        """Predict, before and after coefficients are stored sparse."""
        rows = self.draw()
        y = self.attempt("predict", rows.given, text=rows.name, valid=self.fitted)
        if isinstance(y, Failed):
            return
        model = self.estimator
        w = np.atleast_2d(dense(model.coef_)).astype(judges.wide)
        X, b = rows.X.astype(judges.wide), np.atleast_1d(model.intercept_)
        summed = np.abs(X) @ np.abs(w.T) + np.abs(b)
        fits = bool(np.all(summed < 1e-3 * np.finfo(rows.dtype).max))
        kind = judges.kind_of(rows.dtype)
        allowed = (judges.ROUNDING[kind] * summed + judges.LEAST[kind]).reshape(y.shape)
        if fits:
            expected = (X @ w.T + b).reshape(y.shape)
            self.judge(judges.compare("predictions", y, expected, allowed))
        store = ["sparsify", "densify"][self.rng.integers(2)]
        self.attempt(store, text="")
        again = self.attempt("predict", rows.given, text=rows.name)
        if fits and not isinstance(again, Failed):
            found = judges.compare("predictions after " + store, again, y, allowed)
            self.judge(found)

    def fail(self):
        """Call with rows, targets or parameters that have to be refused."""
        n = int(self.rng.integers(3, 9))
        y = self.rng.standard_normal(n)
        rows = arrays.draw_bad_rows(self.rng, n, self.n_features)
        if self.rng.random() < 0.5:
            self.attempt("fit", rows.given, y, text=rows.name, valid=False)
        else:
            bad = {
                "nan": np.where(np.arange(n) == 1, np.nan, y),
                "short": y[:-1],
                "words": np.full(n, "word"),
            }
            name = list(bad)[self.rng.integers(3)]
            self.attempt("fit", rows.X, bad[name], text=f"y {name}", valid=False)


class Paths(Sequence):
    """One path of penalties."""

    def run(self):
        """Solve a path, and judge each of its solutions."""
        rng, (rows, what, y) = self.rng, draw_problem(self)
        given = {
            "alphas": [3, 5, [1.0, 0.1]][rng.integers(3)],
            "eps": float(rng.choice([1e-3, 0.1, 1.0, 1e-6])),
            "fit_intercept": bool(rng.integers(2)),
            "positive": bool(rng.integers(2)),
        }
        text = f"sqrt_lasso_path({rows.name}; {what}; {parameters.describe(given)})"
        path = self.call(sqrt_lasso_path, rows.given, y, text=text, **given)
        if isinstance(path, Failed):
            return
        solved = not self.warned
        if not is_finite(path.coefs) or not is_finite(path.gaps):
            self.find("path is not finite", f"{path}")
            return
        for alpha, w, gap, sigma in zip(
            path.alphas, path.coefs.T, path.gaps, path.sigmas, strict=True
        ):
            problem = judges.Regression.asked(
                rows.X, y, None, alpha, given["fit_intercept"], given["positive"]
            )
            b = problem.shares @ (problem.y - problem.X @ w.astype(judges.wide))
            b = float(b) if given["fit_intercept"] else 0.0
            self.judge(problem.judge(w, b, sigma, gap, 1e-6, solved, path.coefs.dtype))
