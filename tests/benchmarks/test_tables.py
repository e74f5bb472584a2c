"""Real tables under noise at test time: predictions after coders, and without them.

The figures are scores, not seconds. Parameters are chosen on the last third of the
training rows, by the score of what comes last over Gaussian noise of four levels. A
coder that goes before several models is fitted once.
"""

import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import ParameterGrid
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR

from sklearn_sqrtlasso import (
    Denoiser,
    NeLUAutoencoder,
    NoisyCopies,
    PivotalPCA,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.metrics import make_noise
from tests.benchmarks.table_data import CONDITIONS, REGRESSIONS, SETS, Split, split

TUNED_AT = (0, 0.5, 1, 2)
MOST_FOR_TREES = 70  # columns; boosting is slow on more
REFERENCE, RECIPE = "careful", "observed and restored"


def observed():
    """Fill in what is missing, and clip to the range of the training rows."""
    return make_pipeline(KNNImputer(), MinMaxScaler(clip=True), StandardScaler())


def restored():
    return Denoiser(PivotalPCA())


def pca(n_components):
    return make_pipeline(SimpleImputer(), PCA(n_components))


class Method(NamedTuple):
    """What goes before a model.

    ``coder`` makes a transformer; ``fitted_to`` are the rows, to which the model is
    fitted too, if not to their copies: "rows" of training, the "copies" of a whole
    Pipeline, or the rows with the model on "copies after" (``transformer`` of
    NoisyCopies).
    """

    coder: Callable
    fitted_to: str = "copies after"
    grid: dict = {}


SHARES = {"n_components": [0.8, 0.95]}
METHODS = {
    REFERENCE: Method(observed),
    RECIPE: Method(lambda: make_union(observed(), restored())),
    "restored": Method(restored),
    "restored, coder fitted to copies": Method(restored, "copies"),
    "PivotalPCA": Method(PivotalPCA),
    "SqrtLassoTransform": Method(SqrtLassoTransform),
    "SqrtLassoTransform, restored": Method(lambda: Denoiser(SqrtLassoTransform())),
    "careful, then NeLUAutoencoder": Method(
        lambda: make_pipeline(observed(), NeLUAutoencoder(random_state=0))
    ),
    "raw": Method(SimpleImputer),
    "PCA": Method(pca, grid=SHARES),
    "raw, no copies": Method(SimpleImputer, "rows"),
    "PCA, no copies": Method(pca, "rows", SHARES),
}


class Model(NamedTuple):
    """A classifier, a regressor, and the parameters to choose from."""

    classifier: BaseEstimator
    regressor: BaseEstimator
    grid: dict
    grid_of_regressor: dict

    def choices(self, is_class):
        return list(ParameterGrid(self.grid if is_class else self.grid_of_regressor))

    def fit(self, choice, X, y, is_class):
        if "gamma" in choice:  # in units of gamma="scale"
            gamma = choice["gamma"] / (X.shape[1] * X.var())
            choice = {**choice, "gamma": gamma}
        if "n_neighbors" in choice:
            choice = {"n_neighbors": min(len(X), choice["n_neighbors"])}
        model = clone(self.classifier if is_class else self.regressor)
        return model.set_params(**choice).fit(X, y)


KERNELS = {"C": [1, 10], "gamma": [0.1, 0.3, 1]}
NEIGHBOURS = {"n_neighbors": [5, 15, 45]}
TREES = {"max_iter": 40, "max_leaf_nodes": 15, "max_bins": 63, "random_state": 0}
MODELS = {
    "linear": Model(
        LogisticRegression(max_iter=200),
        Ridge(),
        {"C": [0.003, 0.03, 0.3]},
        {"alpha": [1, 30, 1000]},
    ),
    "RBF SVM": Model(SVC(), SVR(), KERNELS, KERNELS),
    "neighbours": Model(
        KNeighborsClassifier(), KNeighborsRegressor(), NEIGHBOURS, NEIGHBOURS
    ),
    "boosting": Model(
        HistGradientBoostingClassifier(**TREES),
        HistGradientBoostingRegressor(**TREES),
        {},
        {},
    ),
}


class Rows(BaseEstimator):
    """Keep the rows that NoisyCopies fits to."""

    def fit(self, X, y):
        self.X_, self.y_ = X, y
        return self

    def predict(self, X):
        raise NotImplementedError


def coded(method, params, X, y, tables, seed):
    """Return codes and targets to fit a model to, and the codes of tables."""
    coder = method.coder(**params)
    rows, targets = X, y
    if method.fitted_to != "rows":
        copies = NoisyCopies(Rows(), random_state=seed).fit(X, y).estimator_
        rows, targets = copies.X_, copies.y_
    coder.fit(rows if method.fitted_to == "copies" else X)
    return coder.transform(rows), targets, [coder.transform(t) for t in tables]


def score(guess, y, is_class):
    """Return the accuracy, or the R2, at least 0, which the mean of y would have."""
    if is_class:
        return np.mean(guess == y)
    return max(0.0, 1 - np.mean((guess - y) ** 2) / np.var(y))


def models_for(data):
    trees = data.X.shape[1] <= MOST_FOR_TREES
    return [name for name in MODELS if trees or name != "boosting"]


def choose(method, data, seed):
    """Return the parameters of the coder and of each model, by held-out rows."""
    n = 2 * len(data.X) // 3
    held, y_held = data.X[n:], data.y[n:]
    tables = list(make_noise(TUNED_AT, ("gaussian",), True, seed).added_to(held))
    best = dict.fromkeys(models_for(data), (-np.inf, {}, {}))
    for params in ParameterGrid(method.grid):
        Z, y, codes = coded(method, params, data.X[:n], data.y[:n], tables, seed)
        for name in best:
            for choice in MODELS[name].choices(data.is_class):
                model = MODELS[name].fit(choice, Z, y, data.is_class)
                guesses = [model.predict(z) for z in codes]
                mean = np.mean([score(g, y_held, data.is_class) for g in guesses])
                if mean > best[name][0]:
                    best[name] = (mean, params, choice)
    return {name: found[1:] for name, found in best.items()}


def evaluate(method, data, seed):
    """Return the scores under each condition by model, and the seconds of the coder."""
    rng = np.random.RandomState(1000 + seed)
    tables = [add(data.X_test, rng) for add in CONDITIONS.values()]
    chosen, codes, scores = choose(method, data, seed), {}, {}
    for name, (params, choice) in chosen.items():
        key = str(params)
        if key not in codes:
            start = time.perf_counter()
            codes[key] = coded(method, params, data.X, data.y, tables, seed)
            seconds = time.perf_counter() - start
        Z, y, tests = codes[key]
        model = MODELS[name].fit(choice, Z, y, data.is_class)
        guesses = [model.predict(z) for z in tests]
        scores[name] = [score(g, data.y_test, data.is_class) for g in guesses]
    return scores, seconds


@pytest.fixture
def tables(request, note):
    """Yield the name, the seed and the split of each table that can be loaded."""
    wanted = request.config.getoption("--tables", "")
    wanted = wanted.split(",") if wanted else list(SETS)

    def splits():
        for seed in range(request.config.getoption("--tables-seeds", 3)):
            for name in wanted:
                try:
                    X, y = SETS[name]()
                except ImportError as error:
                    if seed == 0:
                        note(f"{name} is left out: {error}")
                    continue
                yield name, seed, split(X, y, seed, name not in REGRESSIONS)

    return splits


def row(name, cells):
    return f"{name:42s}" + "".join(f"{cell:>22s}" for cell in cells)


def cell(gains):
    """Return mean, standard error over tables, and how many are won."""
    if len(gains) < 2:
        return " ".join(f"{gain:+.3f}" for gain in gains) or "-"
    error, won = np.std(gains, ddof=1) / np.sqrt(len(gains)), np.sum(gains > 0)
    return f"{np.mean(gains):+.3f}±{error:.3f} ({won}/{len(gains)})"


class Results:
    """Scores of each table, method and model, by seed and condition."""

    def __init__(self):
        self.scores, self.seconds, self.tables = {}, {}, []

    def add(self, table, method, scores, seconds):
        self.seconds.setdefault(method, []).append(seconds)
        self.tables += [] if table in self.tables else [table]
        for model, values in scores.items():
            self.scores.setdefault((table, method, model), []).append(values)

    def gain(self, method, model, place=slice(None)):
        """Return the mean difference to the reference on each table."""

        def mean(table, name):
            return np.mean(np.array(self.scores[table, name, model])[:, place])

        tables = [t for t in self.tables if (t, method, model) in self.scores]
        return np.array([mean(t, method) - mean(t, REFERENCE) for t in tables])

    def means(self, table, model):
        """Return the mean scores of the reference and of the recipe, as text."""
        scores = [self.scores.get((table, m, model)) for m in (REFERENCE, RECIPE)]
        return "-" if None in scores else "{:.3f}, {:.3f}".format(*map(np.mean, scores))


def report(results, note):
    """Print gains over the reference: of all methods, by condition and by table."""
    note(row("gain over " + REFERENCE, MODELS))
    for method in METHODS:
        gains = [results.gain(method, model) for model in MODELS]
        seconds = np.mean(results.seconds[method])
        note(row(method, map(cell, gains)) + f"   {seconds:.2f} s to code")
    for place, condition in enumerate(CONDITIONS):
        gains = [results.gain(RECIPE, model, place) for model in MODELS]
        note(row(f"{RECIPE}: {condition}", map(cell, gains)))
    for table in results.tables:
        note(row(table, [results.means(table, model) for model in MODELS]))


def test_predictions_under_noise(benchmark, note, tables):
    results = Results()

    def race():
        for table, seed, data in tables():
            for name, method in METHODS.items():
                results.add(table, name, *evaluate(method, data, seed))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        benchmark.pedantic(race, rounds=1)
    report(results, note)


@pytest.mark.parametrize("fitted_to", ["rows", "copies", "copies after"])
def test_shared_codes_are_those_of_the_package(fitted_to):
    data = split(*SETS["wine"](), 0, True)
    Z, y, (codes,) = coded(
        Method(pca, fitted_to), {"n_components": 3}, data.X, data.y, [data.X_test], 0
    )
    whole = make_pipeline(pca(3), SVC())
    model = {
        "rows": whole,
        "copies": NoisyCopies(whole, random_state=0),
        "copies after": NoisyCopies(SVC(), transformer=pca(3), random_state=0),
    }[fitted_to].fit(data.X, data.y)
    expected = SVC().fit(Z, y).predict(codes)
    np.testing.assert_array_equal(model.predict(data.X_test), expected)


def test_tables_are_split_in_units_of_the_training_rows():
    data = split(*SETS["diabetes"](), 3, False)
    assert isinstance(data, Split)
    assert data.X.shape == (250, 10)
    np.testing.assert_allclose(data.X.std(axis=0), 1)
    np.testing.assert_allclose(data.y.mean(), 0, atol=1e-12)
    assert len(np.unique(np.vstack([data.X, data.X_test]), axis=0)) == 442
