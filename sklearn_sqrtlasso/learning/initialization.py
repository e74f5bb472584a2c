"""Initial parameters of the autoencoders."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import solve
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, over_chunks
from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    entries_per_row,
    largest_entry,
    project_rows,
    unit_near,
)
from sklearn_sqrtlasso.learning.batches import CHUNK_ROWS, TrainingData, batches
from sklearn_sqrtlasso.learning.tight_frame import few_directions, pca_frame
from sklearn_sqrtlasso.models.activations import ProjectedRows
from sklearn_sqrtlasso.models.biased_autoencoder import BiasedAutoencoder, Parameters
from sklearn_sqrtlasso.models.block import join_block
from sklearn_sqrtlasso.models.decoders import least_squares_atoms
from sklearn_sqrtlasso.models.span_noise import roots_of
from sklearn_sqrtlasso.models.tight_frame import nearest_tight_frame
from sklearn_sqrtlasso.models.two_layer import Layers, TwoLayer
from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha

SEEN_ROWS, N_PENALTIES = 1024, 8  # rows that so many penalties are tried on
ABOVE_ALL = 1.01  # least penalty tried, over that at which all coefficients are kept
DRIVE = 0.5  # largest root mean square of what units with a bias receive at first
ENOUGH_ROWS = 2  # times as many rows as columns, from which these are not few
BLOCK_ROWS, BLOCK_ENTRIES = 4096, 2**22  # of rows that are copied at a time
MOST_FEATURES = 1024  # above it, the span of the rows is not computed
FEWER = 4  # times as many rows and columns as units, from which these are few
MIXED = 0.1  # share of other rows in a unit: units of equal rows would learn the same
CODED_ROWS = 4  # times as many noisy rows as units, that first atoms restore
RIDGE = 1e-6  # share of the mean square of their codes: some units may get equal ones
SEEN_ENTRIES = 2**22  # of evenly spread rows whose principal directions are found
MOST_BLOCKS = 5  # evenly spread row blocks that the span is computed from
SMALLEST = 1e-12  # share of the largest variance below which a direction is empty
WEIGHT_SCALE = 1.0  # of the output of initial weights for rows with entries near 1
NEAREST = 0.01  # smallest distance of the mean row to the bounds of a sigmoid


class Start(NamedTuple):
    """Initial penalty of all units, or offset for rows divided by the unit.

    Attributes
    ----------
    alpha : callable, (W) -> float
        Its value, given the weights.
    may_fall : bool
        Whether it is a default penalty, of which a smaller one may restore more.
    """

    alpha: Callable
    may_fall: bool = False


def mean_row(X, unit):
    """Return the mean of the rows, bitwise equal for dense and sparse rows.

    It is so up to ``MOST_FEATURES`` columns, and equal to rounding beyond.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    unit : float
        Unit of scaling that rows are divided by.

    Returns
    -------
    mean : ndarray of shape (n_features,)
        Mean in double precision.
    """
    return _sum_of_rows(X, unit) / X.shape[0]


@over_chunks(np.add)
def _sum_of_rows(X, unit):
    n_rows, n_features = X.shape
    size = max(1, min(BLOCK_ROWS, BLOCK_ENTRIES // n_features))
    total = np.zeros(n_features)
    for rows in gen_batches(n_rows, BLOCK_ROWS if sp.issparse(X) else size):
        x = X[rows] / unit
        if sp.issparse(x):
            total += np.bincount(x.indices, x.data, minlength=n_features)
        else:
            total += np.sum(x, axis=0, dtype=np.float64)
    return total


def span_of(X):
    """Return the projector on the span of the rows, None if it is the whole space.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    span : ndarray of shape (n_features, n_features) or None
        Projector in the dtype of X.
    """
    n_samples, n_features = X.shape
    largest = largest_entry(X)
    if (
        not 1 < n_features <= MOST_FEATURES
        or n_samples < 2 * n_features
        or largest == 0
    ):
        return None
    moment = np.zeros((n_features, n_features))
    blocks = list(gen_batches(n_samples, BLOCK_ROWS))
    for rows in blocks[:: -(-len(blocks) // MOST_BLOCKS)]:
        x = X[rows] / X.dtype.type(unit_near(largest, X.dtype))
        moment += dense_rows(x.T @ x)
    least = max(SMALLEST, (8 * np.finfo(X.dtype).eps) ** 2)
    variances = np.linalg.eigvalsh(moment)
    if variances[0] > variances[-1] * least:
        return None
    variances, directions = np.linalg.eigh(moment)
    kept = directions[:, variances > variances[-1] * least]
    kept[moment.diagonal() == 0] = 0
    return (kept @ kept.T).astype(X.dtype)


def first_weights(shape, span, rng, dtype):
    """Return stacked random rotations of the span of the data.

    Their pseudo-inverse is well conditioned. That of random directions is not if there
    are about as many units as features.

    Parameters
    ----------
    shape : tuple of int
        (n_components, n_features).
    span : ndarray or None
        As ``span_of`` returns it.
    rng : numpy.random.Generator
        Source of random numbers.
    dtype : dtype
        Dtype of the result.

    Returns
    -------
    W : ndarray
        Rows of unit norm, of the given shape and dtype.
    """
    W, rank = rng.standard_normal(shape), shape[1]
    if span is not None:
        W, rank = W @ span, round(np.trace(span))
    starts = range(0, len(W), rank)
    W = np.vstack([nearest_tight_frame(W[i : i + rank]) for i in starts])
    if span is not None:
        W *= span.diagonal() != 0  # a step of Adam would make more of a rounding
    return W.astype(dtype)


def start_in_directions(shape, X):
    """Return whether weights of rows start in principal directions of these.

    Parameters
    ----------
    shape : tuple of int
        (n_components, n_features).
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    wide : bool
        Whether columns are many and units few, or rows few.
    """
    return _are_few_units(shape, X) or _are_few_rows(X)


def _are_few_units(shape, X):
    return shape[1] > MOST_FEATURES and FEWER * shape[0] < min(X.shape)


def _are_few_rows(X):
    """Return whether rows are too few for random weights to learn their directions."""
    return not isinstance(X, ChunkedRows) and X.shape[0] < ENOUGH_ROWS * X.shape[1]


def _first_directions(shape, X, rng, *, center=False):
    """Return weights along the first principal directions of wide rows.

    Few random directions of many columns see next to nothing of rows, and would take
    most of the steps of a fit to find what they vary in. Few units are a random
    rotation of the directions. Units of few rows are the directions as they are:
    rotated, each would see much of the noise, which a network of many units learns by
    heart. Units beyond the number of columns are random directions.

    Parameters
    ----------
    shape : tuple of int
        (n_components, n_features).
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    rng : numpy.random.Generator
        Source of random numbers.
    center : bool, default=False
        Whether directions are those about the mean row.

    Returns
    -------
    W : ndarray of the given shape
        Rows of unit norm.
    """
    n_components, n_features = shape
    mean = mean_row(X, 1.0) if center else np.zeros(n_features)
    if not _are_few_units(shape, X):
        W = pca_frame(X, n_components, rng, mean)
        return (W / np.linalg.norm(W, axis=1, keepdims=True)).astype(X.dtype)
    most = max(SEEN_ENTRIES // entries_per_row(X), 2 * FEWER * n_components)
    if X.shape[0] > most:  # all of them would be read hundreds of times
        X = X[np.linspace(0, X.shape[0] - 1, most).astype(np.intp)]
    directions = few_directions(X, mean, n_components, rng)
    rotation = nearest_tight_frame(rng.standard_normal((n_components,) * 2))
    return (rotation @ directions).astype(X.dtype)


def units_of_rows(n_components, data: TrainingData, rng):
    """Return weights along some of the rows, each mixed with a little of the others.

    Rows vary mostly where the others do, and those of a union of subspaces each lie in
    one of them, so that fewer steps are left to take than from random directions.

    Parameters
    ----------
    n_components : int
        Number of units, at most that of rows.
    data : TrainingData
        Rows, or targets that they are restored to.
    rng : numpy.random.Generator
        Source of the choice and of the mixture.

    Returns
    -------
    W : ndarray of shape (n_components, n_features)
        Rows of unit norm, in the dtype of X.
    """
    batch = next(batches(data, n_components + CHUNK_ROWS, rng))
    rows = _unit_rows(dense_rows(batch.target[:n_components]))
    mixture = rng.standard_normal((n_components,) * 2, dtype=rows.dtype) @ rows
    return _unit_rows(rows + rows.dtype.type(MIXED) * _unit_rows(mixture))


def _unit_rows(rows):
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def initial_layers(model: TwoLayer, data: TrainingData, start, rng, *, at="span"):
    """Return first layers, or the least-squares map to target codes.

    Parameters
    ----------
    model : TwoLayer
        The model.
    data : TrainingData
        Rows, targets, unit of scaling and noise.
    start : Start
        Initial penalty or offset.
    rng : numpy.random.Generator
        Source of random numbers.
    at : {"span", "directions", "rows", "anywhere"}, default="span"
        Where weights start: at random in the span of rows; in their principal
        directions, which they must suit; along rows; or at random in the whole space,
        as for rows that others will follow.

    Returns
    -------
    layers : Layers
        Layers for rows divided by the unit of scaling.
    """
    if data.coded:  # from random weights, some units learn the code of another unit
        units = data.unit, data.target_unit
        W = least_squares_atoms(data.X, data.target, *units).T.astype(data.X.dtype)
    elif at == "rows":
        W = units_of_rows(model.shape[0], data, rng)
    elif at == "directions":
        W = _first_directions(model.shape, data.X, rng)
    else:
        span = span_of(data.X) if at == "span" else None
        W = first_weights(model.shape, span, rng, data.X.dtype)
    first = start.alpha(W)
    if at in ("directions", "rows") and start.may_fall:
        first = _restoring_alpha(model, W, data, first, rng)
    p = _first_parameters(model, first, W.dtype)
    if at == "rows":
        return Layers(W, _restoring_atoms(model, W, p, data, rng), p)
    return Layers(W, model.decoder.atoms(W), p)


def _restoring_atoms(model, W, p, data, rng):
    """Return the atoms that restore noisy rows best, by codes of first weights."""
    n_rows, gram, moment = 0, np.zeros((len(W),) * 2), np.zeros(W.shape)
    while n_rows < CODED_ROWS * len(W):
        for batch in batches(data, SEEN_ROWS, rng):
            Z = model.activation.value(_projected(model, W, batch), p)[0]
            weighted = (batch.weight[:, None] * Z).astype(np.float64)
            gram += weighted.T @ Z
            moment += dense_rows(batch.target.T @ weighted).T
            n_rows += len(Z)
            if n_rows >= CODED_ROWS * len(W):
                break
    gram[np.diag_indices(len(W))] += RIDGE * np.trace(gram) / len(W) or 1.0
    return solve(gram, moment, assume_a="pos").astype(W.dtype)


def _projected(model, W, batch):
    """Return what units receive of rows with noise."""
    U = project_rows(batch.X, W)
    if batch.noise is not None:
        U += batch.noise @ roots_of(W).root
    return ProjectedRows(U, batch.groups, model.positive)


def _first_parameters(model, alpha, dtype):
    """Return parameters of the activation for an initial penalty or offset."""
    p = {}
    for name in model.activation.parameters:
        parameter = model.activation.parameter(name)
        start = alpha if parameter.start is None else parameter.start
        size = 1 if parameter.shared else model.shape[0]
        p[name] = np.full(size, start, dtype)
    return p


def _restoring_alpha(model, W, data, largest, rng):
    """Return the penalty, up to a largest one, at which noisy rows are restored best.

    Principal directions hold what rows vary in, so that most of a coefficient may be
    kept from the start, whereas random ones mostly see noise. Below ``1 / sqrt(K)`` for
    K units, codes are all coefficients, and penalties have no gradient.

    Parameters
    ----------
    model, W, data, rng
        The model, its weights, rows with noise, and random numbers.
    largest : float
        Largest penalty.

    Returns
    -------
    alpha : float
        Penalty.
    """
    batch = next(batches(data, SEEN_ROWS, rng))
    rows, clean = _projected(model, W, batch), project_rows(batch.target, W)

    def error(alpha):
        p = _first_parameters(model, alpha, W.dtype)
        miss = model.activation.value(rows, p)[0] - clean
        return float(np.einsum("ij,ij->i", miss, miss) @ batch.weight)

    least = min(ABOVE_ALL / np.sqrt(len(W)), largest)
    return min(np.geomspace(least, largest, N_PENALTIES), key=error)


def pivotal_alpha_of_weights(W):
    """Return the pivotal penalty for given weights, of any if they are zero.

    Parameters
    ----------
    W : ndarray of shape (n_components, n_features)
        Weights.

    Returns
    -------
    alpha : float
        A pure number.
    """
    n_components, n_features = W.shape
    W = W if W.any() else None
    if n_components < n_features:
        return pivotal_alpha(n_components, n_components)
    return pivotal_alpha(n_components, n_features, components=W)


def initial_biased_parameters(model: BiasedAutoencoder, X, unit, init, rng):
    """Return random weights, and biases that are zero or restore about the mean row.

    Parameters
    ----------
    model : BiasedAutoencoder
        Model of rows that are not rescaled.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    unit : float
        Unit of scaling of the rows.
    init : {"mean", "random"}
        Whether biases restore about the mean row, or are zero.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    parameters : Parameters
        Parameters for rows divided by ``unit``, in the dtype of X.
    """
    n_components, n_features = model.shape
    W, V = rng.standard_normal((2, *model.shape))
    W *= WEIGHT_SCALE / np.sqrt(n_features)
    V *= WEIGHT_SCALE / np.sqrt(n_components)
    b, c = np.zeros(n_components), np.zeros(n_features)
    inverse = model.decoder.inverse
    if init == "mean" and inverse is not None:
        mean = mean_row(X, unit)
        if not model.decoder.scales:
            mean = np.clip(mean * unit, NEAREST, 1 - NEAREST)
        z = 0.5 if not model.encoder.scales else 0.0
        c = inverse(mean) - z * V.sum(axis=0)
    encoder, decoder = join_block(W, b), join_block(V, c)
    return Parameters(encoder.astype(X.dtype), decoder.astype(X.dtype))


def parameters_of_directions(model: BiasedAutoencoder, X, unit, rng):
    """Return parameters that restore rows by their principal directions.

    Units are driven so little that their activation is nearly linear, and so much that
    a model with a penalty, fitted to their codes, does not lose what they tell.

    Parameters
    ----------
    model : BiasedAutoencoder
        Model of rows that are not rescaled, whose encoder is smooth at zero and whose
        decoder is linear.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    unit, rng
        As for ``initial_biased_parameters``.

    Returns
    -------
    parameters : Parameters
        Parameters for rows divided by ``unit``, in the dtype of X.
    """
    W = _first_directions(model.shape, X, rng, center=True)
    mean, zeros = mean_row(X, unit), np.zeros((1, len(W)))
    z, memory = model.encoder.value(zeros, zeros[0])
    slope = model.encoder.pull_back(z, memory, np.ones_like(z))[0]
    at = np.linspace(0, X.shape[0] - 1, min(X.shape[0], SEEN_ROWS)).astype(np.intp)
    drive = project_rows(X[at], W) / unit - W @ mean
    size = DRIVE / (np.sqrt(np.mean(drive**2, axis=0).max()) or 1.0)
    V = W / (size * slope.T)
    encoder, decoder = (
        join_block(size * W, -size * (W @ mean)),
        join_block(V, mean - z[0] @ V),
    )
    return Parameters(encoder.astype(X.dtype), decoder.astype(X.dtype))
