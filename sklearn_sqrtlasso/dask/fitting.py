"""Fits over the chunks of Dask collections."""

from collections.abc import Callable
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.utils import check_random_state, gen_batches

from sklearn_sqrtlasso._types import Seed
from sklearn_sqrtlasso.dask.chunks import Alongside, DaskRows, rows_of
from sklearn_sqrtlasso.dask.compat import compute, delayed
from sklearn_sqrtlasso.dask.regression import choose_by_moments, fit_by_moments
from sklearn_sqrtlasso.estimators.anamo_autoencoder import ANAMOAutoencoder
from sklearn_sqrtlasso.estimators.compat import with_callbacks
from sklearn_sqrtlasso.estimators.drafts import all_or_nothing
from sklearn_sqrtlasso.estimators.nelu_autoencoder import NeLUAutoencoder
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.estimators.relaxed_sparse_coder import RelaxedSparseCoder
from sklearn_sqrtlasso.estimators.sqrt_lasso import SqrtLasso
from sklearn_sqrtlasso.estimators.sqrt_lasso_cv import SqrtLassoCV
from sklearn_sqrtlasso.estimators.sqrt_lasso_transform import SqrtLassoTransform
from sklearn_sqrtlasso.learning.batches import TrainingData
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS

CHUNKS_AHEAD = 4  # that may be in memory, waiting for the model


def fit(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    groups: Any = None,
) -> Any:
    """Fit an estimator to the rows of a Dask collection.

    Rows stay where they are. What travels are sums over the rows of a chunk, as large
    as the model, which are added in a fixed tree: the result is that of
    ``estimator.fit`` to rounding, whatever the chunks and the workers. The scheduler is
    that of Dask, such as the ``Client`` in use. Every pass computes X anew unless it is
    persisted.

    Parameters
    ----------
    estimator : estimator
        One of ``SqrtLassoTransform``, ``RelaxedSparseCoder`` with ``learner`` "mod" or
        "online", ``ANAMOAutoencoder`` with ``batch_size=None``, ``SqrtLasso`` and
        ``SqrtLassoCV``, whose fit is exact; or ``NeLUAutoencoder``, for which each
        epoch is one of ``partial_fit`` over the chunks, in an order drawn by
        ``random_state``.
    X : Dask array or Dask DataFrame
        Rows, chunked by rows only: dense or CSR chunks, or frames.
    y : Dask array of shape (n_samples,) or (n_samples, n_targets), default=None
        Targets of a regressor.
    sample_weight : Dask array of shape (n_samples,), default=None
        Weights of the rows, for a regressor.
    groups : Dask array of shape (n_samples,) or "all", default=None
        Group label of each row, for encoders that take them; they are gathered, and
        a group may have rows in several chunks.

    Returns
    -------
    estimator : estimator
        The same, fitted. It does not need Dask.

    Raises
    ------
    TypeError
        If X is no Dask collection, or the estimator has no fit over chunks.
    ValueError
        If a parameter or an argument is not valid; the estimator is left unchanged.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklearn_sqrtlasso import SqrtLassoTransform
    >>> from sklearn_sqrtlasso.dask import fit
    >>> X = np.random.default_rng(0).standard_normal((1000, 8)) ** 3
    >>> coder = fit(SqrtLassoTransform(), da.from_array(X, chunks=(300, 8)))
    >>> alone = SqrtLassoTransform().fit(X)
    >>> bool(np.allclose(coder.components_, alone.components_, rtol=0, atol=1e-10))
    True
    """
    of_estimator = next(
        (row for kind, row in FITS.items() if isinstance(estimator, kind)), None
    )
    if of_estimator is None:
        names = [kind.__name__ for kind in FITS]
        raise TypeError(
            f"fit over chunks is for {names}, got {type(estimator).__name__}: use "
            "partial_fit over the chunks if the estimator has it."
        )
    return of_estimator(estimator, rows_of(X), y, sample_weight, groups)


def partial_fit(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    n_epochs: int = 1,
    random_state: Seed = None,
) -> Any:
    """Call ``partial_fit`` of an estimator with each chunk in turn.

    The model travels to the chunks, one after another.

    Parameters
    ----------
    estimator : estimator
        Any estimator with ``partial_fit``.
    X : Dask array or Dask DataFrame
        Rows, chunked by rows only.
    y : Dask array of shape (n_samples,) or (n_samples, n_targets), default=None
        Targets, chunked as X.
    groups : Dask array of shape (n_samples,), default=None
        Group label of each row, for encoders that take them.
    n_epochs : int, default=1
        Number of passes over the chunks, at least 1.
    random_state : int, RandomState instance or None, default=None
        Seed of the order of chunks in each pass; None keeps them in order.

    Returns
    -------
    estimator : estimator
        The same, updated.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklearn_sqrtlasso import RelaxedSparseCoder
    >>> from sklearn_sqrtlasso.dask import partial_fit
    >>> X = np.random.default_rng(0).standard_normal((1000, 8))
    >>> chunked = da.from_array(X, chunks=(500, 8))
    >>> coder = partial_fit(RelaxedSparseCoder(4, random_state=0), chunked)
    >>> alone = RelaxedSparseCoder(4, random_state=0).partial_fit(X[:500])
    >>> alone = alone.partial_fit(X[500:])
    >>> bool(np.all(coder.components_ == alone.components_))
    True
    """
    if not hasattr(estimator, "partial_fit"):
        raise TypeError(
            f"{type(estimator).__name__} has no partial_fit: use fit over chunks."
        )
    if n_epochs < 1:
        raise ValueError(f"n_epochs must be at least 1, got {n_epochs!r}.")
    rows, model = rows_of(X), estimator
    own = _arguments_of_chunks(rows, y, groups)
    rng = None if random_state is None else check_random_state(random_state)
    for _ in range(n_epochs):
        model = _one_epoch(model, rows, own, rng)
    vars(estimator).update(vars(model))
    return estimator


def _arguments_of_chunks(rows, y, groups):
    """Return the arguments besides X that each chunk has of its own."""
    given = {"y": y, "groups": groups}
    return {
        name: rows.alongside(of, name) for name, of in given.items() if of is not None
    }


def _one_epoch(model, rows: DaskRows, own: dict[str, Alongside], rng):
    """Return the model after a pass over the chunks, each of which it travels to.

    Chunks are made faster than a model learns from them: few are asked for at a time.
    """
    order = np.arange(len(rows.chunks))
    order = order if rng is None else rng.permutation(order)
    for few in gen_batches(len(order), CHUNKS_AHEAD):
        model = delayed(model, traverse=False)
        for at in order[few]:
            arguments = {name: of.chunks[at] for name, of in own.items()}
            model = delayed(_updated)(model, rows.chunks[at], **arguments)
        model = compute(model)[0]
    return model


def _updated(model, x, y=None, groups=None):
    """Return a copy of a model, updated with the rows of a chunk."""
    given = {"y": y, "groups": groups}
    given = {name: of for name, of in given.items() if of is not None}
    return deepcopy(model).partial_fit(x, **given)


@with_callbacks
def _fit_by_epochs(estimator, rows, groups):
    """Fit a network by epochs of ``partial_fit`` over the chunks, in random order."""
    if estimator.early_stopping:
        raise ValueError(
            "early_stopping=True needs held-out rows, which a fit over chunks has not: "
            "set early_stopping=False."
        )
    estimator._validate_params()
    data = TrainingData(rows, None, coded=False, groups=rows.grouped(None))
    n_epochs = estimator._n_epochs(data)
    progress = Progress(estimator, rows, n_epochs)
    own, rng = _arguments_of_chunks(rows, None, groups), estimator.random_state
    rng, n_chunks = check_random_state(rng), len(rows.chunks)
    model = type(estimator)(**estimator.get_params(deep=False))
    if estimator.warm_start:
        vars(model).update(_fitted_attributes(estimator))
    for n_iter in range(1, n_epochs + 1):
        model = _one_epoch(model, rows, own, rng)
        loss = float(np.mean(model.loss_curve_[-n_chunks:]))
        if progress.step(n_iter, loss, lambda model=model: _fitted_attributes(model)):
            break
    vars(estimator).update(_fitted_attributes(model))
    estimator._check_codes(estimator._validate(rows, reset=False), rows.grouped(groups))
    progress.end(lambda: _fitted_attributes(model))


def _fitted_attributes(model):
    return {name: of for name, of in vars(model).items() if name.endswith("_")}


def _network(estimator, rows, y, sample_weight, groups):
    _refuse(estimator, {"sample_weight": sample_weight})
    _fit_by_epochs(estimator, rows, groups)
    return estimator


def _encoder(estimator, rows, y, sample_weight, groups):
    """Fit an encoder by its own ``fit``, whose sums over rows run over the chunks."""
    _refuse(estimator, {"sample_weight": sample_weight})
    if rows.shape[0] < rows.shape[1]:
        raise ValueError(
            f"X must have at least as many rows as columns to be fitted in chunks, got "
            f"{rows.shape[0]} rows and {rows.shape[1]} columns: call the method of the "
            "estimator with X.compute()."
        )
    return estimator.fit(rows) if groups is None else estimator.fit(rows, groups=groups)


def _coder(estimator, rows, y, sample_weight, groups):
    _refuse(estimator, {"groups": groups})
    learner, most = LEARNERS[estimator.learner], estimator.subsample
    if most == "auto":
        most = learner.usual_rows(rows, estimator.n_components or rows.shape[1])
    sampled = most is not None and most < rows.shape[0]
    if estimator.dictionary is None and not (learner.by_sums or sampled):
        by_sums = [name for name, row in LEARNERS.items() if row.by_sums]
        raise ValueError(
            f"learner={estimator.learner!r} updates the codes of rows, which a fit "
            f"over chunks does not have: use a learner among {by_sums}, or a subsample "
            f"of less than {rows.shape[0]} rows, which is fitted by itself."
        )
    return _encoder(estimator, rows, y, sample_weight, None)


def _alternating(estimator, rows, y, sample_weight, groups):
    _refuse(estimator, {"groups": groups})
    if estimator.batch_size is not None or estimator.early_stopping:
        raise ValueError(
            "A fit over chunks is one with all rows in each step: set batch_size=None "
            f"and early_stopping=False, got batch_size={estimator.batch_size!r} and "
            f"early_stopping={estimator.early_stopping!r}; or call partial_fit over "
            "the chunks."
        )
    if estimator.binary is not None or estimator.prox != "smooth":
        raise ValueError(
            "A fit over chunks needs binary=None and prox='smooth', got binary="
            f"{estimator.binary!r} and prox={estimator.prox!r}; or call partial_fit "
            "over the chunks."
        )
    return _encoder(estimator, rows, y, sample_weight, None)


def _regression(fit_moments):
    def fit_regression(estimator, rows, y, sample_weight, groups):
        _refuse(estimator, {"groups": groups})
        return all_or_nothing(fit_moments)(estimator, rows, y, sample_weight)

    return fit_regression


def _refuse(estimator, arguments):
    for name, value in arguments.items():
        if value is not None:
            raise TypeError(
                f"{name} has no meaning in a fit of {type(estimator).__name__} over "
                "chunks; leave it out."
            )


FITS: MappingProxyType[type, Callable] = MappingProxyType(
    {
        SqrtLassoTransform: _encoder,
        RelaxedSparseCoder: _coder,
        ANAMOAutoencoder: _alternating,
        NeLUAutoencoder: _network,
        SqrtLasso: _regression(fit_by_moments),
        SqrtLassoCV: _regression(choose_by_moments),
    }
)
