"""The fuzz finds planted faults: judges that never find anything judge nothing."""

import os
import signal
import time
import warnings

import numpy as np
import pytest
from sklearn.linear_model import Lasso as SklearnLasso

from sklearn_sqrtlasso import (
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
)
from tests.fuzz import judges, refusals
from tests.fuzz.codings import Codings
from tests.fuzz.regressions import Regressions, infinite_errors
from tests.fuzz.test_fuzz import Child, run_case

N_SEEDS = 200  # within which a fault has to be found


class LargerCodes(SqrtLassoTransform):
    def transform(self, X, *, groups=None):
        return 1.01 * super().transform(X, groups=groups)


class Warns(SqrtLassoTransform):
    def transform(self, X, *, groups=None):
        warnings.warn("overflow encountered", RuntimeWarning, stacklevel=1)
        return super().transform(X, groups=groups)


class WritesIntoRows(SqrtLassoTransform):
    def fit(self, X, y=None, *, groups=None):
        super().fit(X, groups=groups)
        if isinstance(X, np.ndarray) and X.flags.writeable:
            X[0] += 1
        return self


class LeavesAttributes(SqrtLassoTransform):
    def fit(self, X, y=None, *, groups=None):
        again = hasattr(self, "components_")
        super().fit(X, groups=groups)
        if again:  # a fit forgets what was there before
            self.again_ = True
        return self


class FailsHalfway(SqrtLassoTransform):
    def fit(self, X, y=None, *, groups=None):
        self.n_iter_ = -1
        return super().fit(X, groups=groups)


class ReadsParameters(SqrtLassoTransform):
    def _encoder(self, dtype):
        alpha = self.alpha_ if isinstance(self.alpha, str) else self.alpha
        return self._frame(self.components_, alpha, dtype)


class AcceptsInfinity(SqrtLassoTransform):
    def fit(self, X, y=None, *, groups=None):
        if isinstance(X, np.ndarray) and X.dtype.kind == "f":
            X = np.nan_to_num(X, nan=np.nan, posinf=1, neginf=1)
        return super().fit(X, groups=groups)


class IsSingular(SqrtLassoTransform):
    def reconstruct(self, X, *, groups=None):
        return np.full_like(super().reconstruct(X, groups=groups), np.nan)


class SmallerCodes(RelaxedSparseCoder):
    def transform(self, X):
        return 0.9 * super().transform(X)


class LargerCoefficients(SqrtLasso):
    def _fit(self, X, y, sample_weight):
        super()._fit(X, y, sample_weight)
        self.coef_ = 1.1 * self.coef_
        return self


class WrongIntercept(SqrtLasso):
    def _fit(self, X, y, sample_weight):
        super()._fit(X, y, sample_weight)
        self.intercept_ = self.intercept_ + 1.0
        return self


class RefusesRows(NeLUAutoencoder):
    def _training_data(self, *args):
        if self.noise_std not in ("auto", 0):
            raise ValueError("noise_std must be within a factor of 1e+50 of the size")
        return super()._training_data(*args)


PLANTED = {
    RefusesRows: "refuses what is valid: ValueError noise_std",
    LargerCodes: "codes are not the minimiser",
    Warns: "RuntimeWarning: overflow encountered",
    WritesIntoRows: "the caller's array is changed",
    LeavesAttributes: "a refit leaves attributes",
    FailsHalfway: "a failed fit changes the estimator",
    ReadsParameters: "parameters act before the next fit",
    AcceptsInfinity: "accepted: fit",
    IsSingular: "restored rows are not finite",
    SmallerCodes: "codes are not the minimiser",
    LargerCoefficients: "coefficients are not the minimiser",
    WrongIntercept: "intercept",
}


@pytest.mark.parametrize(("cls", "kind"), PLANTED.items())
def test_a_planted_fault_is_found(cls, kind):
    sequence = Regressions if issubclass(cls, SqrtLasso) else Codings
    for seed in range(N_SEEDS):
        case = sequence(cls, seed)
        case.run()
        if any(kind in finding.kind for finding in case.findings):
            return
    pytest.fail(f"{kind!r} was not found in {N_SEEDS} cases")


def test_a_seed_repeats_its_case():
    one, two = ([run_case(seed) for seed in range(10)] for _ in range(2))
    assert one == two


def crash(seed, tell):
    """Die at once, as a fault of compiled code does."""
    tell("some call")
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(seed, tell):
    """Go on for ever, as a loop in compiled code may."""
    tell("some call")
    while True:
        time.sleep(1)


@pytest.mark.parametrize(("run", "kind"), [(crash, "crashes"), (hang, "hangs")])
def test_an_end_of_the_child_is_found_with_its_seed_and_its_call(run, kind):
    child = Child(17, run)
    child.pipe.poll(60)  # until it has begun
    (finding,), alive = child.findings(patience=2)
    child.stop()
    assert not alive
    assert finding.seed == 17
    assert kind in finding.kind
    assert "some call" in finding.text


@pytest.mark.parametrize("positive", [False, True])
def test_the_conic_witness_agrees_with_scikit_learn_and_sees_what_is_worse(positive):
    rng = np.random.default_rng(0)
    X, n, alpha = rng.standard_normal((20, 8)), 20, 0.2
    y = X[:, 0] - X[:, 1] + rng.standard_normal(n)
    model = SklearnLasso(alpha, fit_intercept=False, positive=positive, tol=1e-12)
    w, penalties = model.fit(X, y).coef_, np.full(8, n * alpha)
    for unit in (1.0, 1e-300, 1e300):
        c = judges.wide(unit)
        given = (c * y, c * X, c * c * penalties)
        problem = judges.Lasso(*map(np.asarray, given), False, positive)
        assert judges.excess(problem, w) == 0
        assert judges.excess(problem, 1.01 * w) > 2 * judges.SOLVED
        # and without the help of the dual point
        scaled, v = problem.scaled(w)
        best = scaled.objective(scaled.conic())
        assert abs(best - scaled.objective(v)) < 1e-7 * scaled.objective(0 * v)


@pytest.mark.parametrize("twins", [False, True])
def test_an_infinite_error_is_found_where_the_solution_is_unique(twins):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    if twins:
        X[:, 1] = X[:, 0]  # in which a held-out row may differ by any number
    model = SqrtLassoCV(alphas=[0.01]).fit(X, y)
    assert list(infinite_errors(model, X, y, None)) == []
    model.mse_path_[0, 2] = np.inf
    found = [kind for kind, _ in infinite_errors(model, X, y, None)]
    assert found == ([] if twins else ["mse_path_ is infinite"])


@pytest.mark.parametrize("positive", [False, True])
def test_a_solution_is_unique_where_columns_with_coefficients_do_not_depend(positive):
    rng = np.random.default_rng(0)
    X, noise = rng.standard_normal((20, 4)), 0.1 * rng.standard_normal(20)
    y = 5 * X[:, 0] + noise
    X[:, 1] = -X[:, 0]  # has a negative coefficient
    X[:, 3] = X[:, 2]  # correlates less than the penalty
    w = SqrtLasso(0.5, positive=positive).fit(X, y).coef_
    problem = judges.Regression.asked(X, y, None, 0.5, True, positive)
    assert problem.is_unique(w) == positive
    problem = judges.Regression.asked(X, 0 * y, None, 0.5, True, positive)
    assert not problem.is_unique(0 * w)


ROWS = np.random.default_rng(0).standard_normal((7, 3))
RIGHT = {  # whose condition holds
    "X and Z must not": (ROWS, {"Z": 0 * ROWS}, {}),
    "Z must have": (ROWS, {"Z": 1e60 * ROWS}, {}),
    "X_clean must have": (1e-60 * ROWS, {"X_clean": ROWS}, {}),
    "noise_std must be": (1e100 * ROWS, {}, {"noise_std": 0.3}),
    "dictionary must have": (ROWS, {}, {"dictionary": 1e60 * ROWS}),
    "The learnt parameters": (1e-299 * ROWS, {}, {}),
    "X must have entries up to": (1e304 * ROWS, {}, {}),
    "X must have dtype float64": (ROWS.astype("f4"), {}, {"mean_": 1e50 * ROWS}),
}


@pytest.mark.parametrize("words", refusals.REFUSALS)
def test_a_refusal_is_right_only_where_its_condition_holds(words):
    ordinary = ROWS, {"Z": ROWS, "X_clean": 2 * ROWS}, {"noise_std": 0.3}
    ordinary[2].update(dictionary=ROWS, mean_=ROWS)
    (key,) = [key for key in RIGHT if words.startswith(key)]
    for (X, extra, given), right in ((ordinary, False), (RIGHT[key], True)):
        coder = NeLUAutoencoder()
        for name, value in given.items():
            setattr(coder, name, value)
        for method in ("fit", "partial_fit"):
            told = refusals.is_right(ValueError(words), coder, method, X, extra)
            assert told == right
    assert not refusals.is_right(ValueError("other"), coder, "fit", X, extra)
