"""Scores of restorations and predictions across noise, and shrinkage of codes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from numbers import Real
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import check_scoring, r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso._types import Rows, Seed
from sklearn_sqrtlasso.estimators.denoiser import restore
from sklearn_sqrtlasso.estimators.docstrings import list_choices
from sklearn_sqrtlasso.estimators.tables import numbers_of, with_numbers
from sklearn_sqrtlasso.estimators.validation import (
    as_numbers,
    check_array,
    check_group_word,
    check_noise_kinds,
    check_noise_levels,
    check_switch,
    refuse_masked,
)
from sklearn_sqrtlasso.models.noise import NOISE_KINDS, column_spread
from sklearn_sqrtlasso.sparse_coding.component_usage import CodeReport, report_refit

CONSTANT = 64  # times the relative rounding error, a spread that is none


def psnr(
    clean: ArrayLike, restored: ArrayLike, *, data_range: float | None = None
) -> float:
    r"""Compute the peak signal-to-noise ratio of a reconstruction, in decibels.

    .. math::
        10 \log_{10}
        \frac{\text{data\_range}^2}{\operatorname{mean}\left((x - \hat x)^2\right)}

    Parameters
    ----------
    clean : array-like
        Ground truth, of any shape.
    restored : array-like
        Reconstruction, of the same shape.
    data_range : float, default=None
        Difference between the largest and the smallest possible value, above 0, in
        units of the data: 255 for eight-bit images. None takes it from ``clean``.

    Returns
    -------
    psnr : float
        Ratio in decibels; infinite for a perfect reconstruction.

    Raises
    ------
    ValueError
        If the shapes differ, ``clean`` is empty or not finite, or ``data_range`` is not
        positive and finite.

    Examples
    --------
    >>> from sklearn_sqrtlasso.metrics import psnr
    >>> round(psnr([0.0, 100.0, 255.0], [10.0, 90.0, 245.0], data_range=255), 2)
    28.13
    """
    refuse_masked({"clean": clean, "restored": restored})
    clean = np.asarray(clean, dtype=np.float64)
    restored = np.asarray(restored, dtype=np.float64)
    if clean.shape != restored.shape:
        raise ValueError(
            "clean and restored must have one shape, got clean of shape "
            f"{clean.shape} and restored of shape {restored.shape}."
        )
    if not clean.size or not np.all(np.isfinite(clean)):
        raise ValueError(
            "clean must be finite and not empty, got an array of shape "
            f"{clean.shape}, empty or with NaN or infinity."
        )
    if data_range is None:
        data_range = np.ptp(clean)
        if data_range == 0:
            raise ValueError(
                "data_range must be given if clean is constant, got data_range=None."
            )
    _check_range(data_range)
    error = np.mean(((clean - restored) / data_range) ** 2)
    with np.errstate(divide="ignore"):
        return float(-10 * np.log10(error))


def _check_range(data_range):
    if not (isinstance(data_range, Real) and 0 < data_range < np.inf):
        raise ValueError(f"data_range must be positive and finite, got {data_range!r}.")


def _r2(clean, restored, data_range):
    rounding = CONSTANT * np.finfo(clean.dtype).eps * np.abs(clean).max(axis=0)
    varies = np.ptp(clean, axis=0) > rounding
    if not varies.any():
        return float(np.all(np.abs(restored - clean) <= rounding))
    return r2_score(clean[:, varies], restored[:, varies])


def _psnr(clean, restored, data_range):
    return psnr(clean, restored, data_range=data_range)


METRICS = MappingProxyType({"psnr": _psnr, "r2": _r2})


def denoising_scorer(
    noise_levels: ArrayLike,
    *,
    metric: str | Callable[..., float] = "psnr",
    relative: bool = False,
    groups: str | None = None,
    data_range: float | None = None,
    random_state: Seed = 0,
) -> Callable[..., float]:
    """Make a scorer that measures how well an estimator denoises held-out rows.

    The scorer adds Gaussian noise of each level in turn, restores the rows by
    ``estimator.reconstruct`` or, if there is no such method (as in a Pipeline), by
    ``estimator.inverse_transform(estimator.transform(X))``, and averages the metric
    over the levels. In a grid search, it tunes one penalty across noise levels. All
    candidates are scored with the same noise.

    Parameters
    ----------
    noise_levels : array-like of float
        Standard deviations of the noise, above 0, in units of X.
    metric : {"psnr", "r2"}, default="psnr"
        Metric to average: the peak signal-to-noise ratio in decibels, or the
        coefficient of determination, averaged over columns, for columns of different
        scales. Columns that are constant in the held-out rows have no share in it.
    relative : bool, default=False
        Whether noise levels are multiples of the standard deviation of each column of
        the held-out rows.
    groups : "all" or None, default=None
        Whether the estimator codes all rows as one group of a common noise level
        ("all") or each row as its own group (None). In a Pipeline, "all" needs metadata
        routing and a step with ``set_transform_request(groups=True)``.
    data_range : float, default=None
        As in ``psnr``, not used by "r2"; None takes it from the held-out rows.
    random_state : int, RandomState instance or None, default=0
        Seed of the noise, drawn once when the scorer is made.

    Returns
    -------
    scorer : callable, (estimator, X, y=None) -> float
        Scorer; higher is better. X must be dense, and all steps of a Pipeline
        invertible.

    Raises
    ------
    ValueError
        If a noise level is not positive and finite, ``metric`` or ``groups`` is
        unknown, or ``data_range`` is not positive and finite.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_sqrtlasso import SqrtLassoTransform
    >>> from sklearn_sqrtlasso.datasets import make_sparse_codes
    >>> from sklearn_sqrtlasso.metrics import denoising_scorer
    >>> data = make_sparse_codes(
    ...     200, 32, n_nonzero=3, noise_std=0.0, random_state=0
    ... )
    >>> search = GridSearchCV(
    ...     SqrtLassoTransform(init=data.components, max_iter=0),
    ...     {"alpha": [0.02, 0.25, 0.9]},
    ...     scoring=denoising_scorer([0.05, 0.2]),
    ... )
    >>> search.fit(data.X).best_params_
    {'alpha': 0.25}
    """
    levels = np.atleast_1d(as_numbers(noise_levels, "noise_levels"))
    if (
        levels.ndim != 1
        or not levels.size
        or not np.all((levels > 0) & (levels < np.inf))
    ):
        raise ValueError(
            f"noise_levels must be positive and finite numbers, got {noise_levels!r}."
        )
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {sorted(METRICS)}, got {metric!r}.")
    if data_range is not None:
        _check_range(data_range)
    check_group_word(groups, ("all",))
    noise = make_noise(levels, ("gaussian",), relative, random_state)
    return partial(
        _denoising_score,
        noise=noise,
        metric=metric,
        groups=groups,
        data_range=data_range,
    )


class Noise(NamedTuple):
    """Noise that a scorer adds, the same at each call.

    Attributes
    ----------
    levels : tuple of float
        Standard deviations, or shares.
    kinds : tuple of str
        Names in ``NOISE_KINDS``.
    relative : bool
        Whether levels are multiples of the standard deviation of each column.
    seed : int
        Seed of the noise.
    """

    levels: tuple[float, ...]
    kinds: tuple[str, ...]
    relative: bool
    seed: int

    def added_to(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows of X with noise of each kind at each level.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows, of floats.

        Yields
        ------
        noisy : ndarray of shape (n_samples, n_features)
            Noisy rows, in the dtype of X.
        """
        rng, spread = np.random.RandomState(self.seed), column_spread(X)
        for kind in (NOISE_KINDS[name] for name in self.kinds):
            scale = spread if self.relative or kind.is_share else np.ones_like(spread)
            for level in self.levels:
                yield kind.add(X, level, scale, rng).astype(X.dtype)


def make_noise(levels, kinds, relative, random_state):
    """Return noise with a seed that is drawn once.

    Parameters
    ----------
    levels : iterable of float
        Levels.
    kinds : tuple of str
        Names in ``NOISE_KINDS``.
    relative : bool
        Whether levels are multiples of the standard deviation of each column.
    random_state : int, RandomState instance or None
        Source of the seed.

    Returns
    -------
    noise : Noise
        The noise.
    """
    check_switch("relative", relative)
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    return Noise(tuple(map(float, levels)), kinds, bool(relative), seed)


def _denoising_score(estimator, X, y=None, *, noise, metric, groups, data_range):
    clean = check_array(X, dtype=[np.float64, np.float32])
    scores = []
    for noisy in noise.added_to(clean):
        restored = restore(estimator, with_numbers(X, noisy), groups)
        scores.append(METRICS[metric](clean, restored, data_range))
    return float(np.mean(scores))


@list_choices({"kinds": NOISE_KINDS})
def noise_scorer(
    scoring: str | Callable[..., float] | None,
    noise_levels: ArrayLike,
    *,
    kinds: Sequence[str] | str = ("gaussian",),
    relative: bool = True,
    random_state: Seed = 0,
) -> Callable[..., float]:
    """Make a scorer that measures how well an estimator predicts from noisy rows.

    The scorer adds noise of each kind at each level to the held-out rows, and averages
    the score of the estimator, a classifier or regressor or a whole Pipeline. In a grid
    search, it chooses parameters across noise levels. All candidates are scored with
    the same noise.

    Parameters
    ----------
    scoring : str, callable or None
        Score to average, a name such as "accuracy" or "r2" or a callable
        ``(estimator, X, y) -> float``, as in scikit-learn; None is the ``score`` of the
        estimator.
    noise_levels : float or array-like of float
        Levels of the noise, at least 0; 0 is no noise. They are standard deviations, or
        shares in [0, 1] of entries or columns for "missing", "dead" and "spikes".
    kinds : list or tuple of str, default=("gaussian",)
        Kinds of noise, each used at all levels.

        <choices of kinds>.
    relative : bool, default=True
        Whether levels are multiples of the standard deviation of each column of the
        held-out rows; if not, they have the units of X. Shares have no unit.
    random_state : int, RandomState instance or None, default=0
        Seed of the noise, drawn once when the scorer is made.

    Returns
    -------
    scorer : callable, (estimator, X, y=None) -> float
        Scorer; higher is better. Of a data frame, columns of floats and integers get
        noise, as floats, and all others stay as they are. X must be dense.

    Raises
    ------
    ValueError
        If ``scoring`` is unknown or more than one score, a kind is unknown, or a level
        is negative, not finite, or more than 1 for a kind whose level is a share.

    See Also
    --------
    denoising_scorer : Score of restored rows.
    sklearn_sqrtlasso.NoisyCopies : Fits an estimator to noisy copies of its rows.

    Examples
    --------
    The kernel of a support vector machine, for test rows as clean as training rows, and
    for noise of up to two standard deviations:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> from sklearn_sqrtlasso.metrics import noise_scorer
    >>> X, y = load_wine(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), SVC())
    >>> for levels in ([0], [0.5, 1, 2]):
    ...     scoring = noise_scorer("accuracy", levels)
    ...     search = GridSearchCV(
    ...         pipeline, {"svc__gamma": [0.001, 0.01, 0.1]}, scoring=scoring
    ...     )
    ...     print(levels, search.fit(X, y).best_params_)
    [0] {'svc__gamma': 0.1}
    [0.5, 1, 2] {'svc__gamma': 0.01}
    """
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise ValueError(
            f"scoring must be one score: a name, a callable or None, got {scoring!r}."
        )
    score = _own_score if scoring is None else check_scoring(None, scoring)
    kinds = check_noise_kinds(kinds)
    levels = check_noise_levels(noise_levels, kinds, "noise_levels")
    noise = make_noise(levels, kinds, relative, random_state)
    return partial(_noise_score, score=score, noise=noise)


def _own_score(estimator, X, y=None):
    return estimator.score(X) if y is None else estimator.score(X, y)


def _noise_score(estimator, X, y=None, *, score, noise):
    scores = [
        score(estimator, with_numbers(X, noisy), y)
        for noisy in noise.added_to(numbers_of(X))
    ]
    return float(np.mean(scores))


def shrinkage_report(
    estimator: Any, X: Rows, *, positive: bool | None = None
) -> CodeReport:
    r"""Report the shrinkage of an estimator's codes, by a refit on their supports.

    The support of each code is kept, and its weights are refitted by least squares on
    the atoms of the decoder. The growth of the codes measures their shrinkage: it is
    large for an :math:`\ell_1` penalty and small for a top-k selection.

    Parameters
    ----------
    estimator : fitted estimator
        Transformer with an ``inverse_transform`` that is linear up to an offset, or
        with atoms in ``components_`` or ``dictionary``.
    X : array-like of shape (n_samples, n_features)
        Rows.
    positive : bool, default=None
        Whether to constrain refitted codes to be nonnegative; None if the codes are.

    Returns
    -------
    report : CodeReport
        Share of dead components, mean number of active ones per row, explained
        variance, and in ``report.refit`` the growth of the codes, overall and per
        component, and the explained variance after the refit. It can be printed, and
        plotted by ``report.plot(ax)``.

    Raises
    ------
    TypeError
        If the estimator has neither ``inverse_transform`` nor atoms.
    ValueError
        If X is not valid, or codes and atoms differ in their number of components.

    References
    ----------
    .. [1] L. Gao et al., "Scaling and evaluating sparse autoencoders",
       arXiv:2406.04093, 2024, section 5.1.

    Examples
    --------
    >>> from sklearn_sqrtlasso import SqrtLassoTransform
    >>> from sklearn_sqrtlasso.datasets import make_sparse_codes
    >>> from sklearn_sqrtlasso.metrics import shrinkage_report
    >>> data = make_sparse_codes(1000, 32, n_nonzero=3, random_state=0)
    >>> coder = SqrtLassoTransform(alpha=0.4, init=data.components, max_iter=0)
    >>> coder = coder.fit(data.X)
    >>> report = shrinkage_report(coder, data.X)
    >>> report.refit.growth > 1.2
    True
    >>> report.refit.explained_variance > report.explained_variance
    True
    """
    check_is_fitted(estimator)
    Z = estimator.transform(X)
    Z = Z.to_numpy() if hasattr(Z, "to_numpy") else Z
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    atoms, offset = _linear_decoder(estimator, Z.shape[1])
    if atoms.shape != (Z.shape[1], X.shape[1]):
        raise ValueError(
            f"atoms must have shape (n_components, n_features) = "
            f"{(Z.shape[1], X.shape[1])}, got shape {atoms.shape}."
        )
    if positive is None:
        positive = not (Z < 0).sum()
    return report_refit(X, Z, atoms, offset=offset, positive=bool(positive))


def _linear_decoder(estimator, n_components):
    """Return the atoms of a decoder, and its output for a zero code."""
    if hasattr(estimator, "inverse_transform"):
        units = np.vstack([np.zeros(n_components), np.eye(n_components)])
        decoded = np.asarray(estimator.inverse_transform(units), dtype=np.float64)
        return decoded[1:] - decoded[0], decoded[0]
    for name in ("components_", "dictionary"):
        if hasattr(estimator, name):
            return np.asarray(getattr(estimator, name), dtype=np.float64), 0.0
    raise TypeError(
        "estimator must have inverse_transform, components_ or dictionary, got "
        f"{type(estimator).__name__}."
    )
