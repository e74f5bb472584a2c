"""Initial parameters of the autoencoders."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, over_chunks
from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    entries_per_row,
    largest_entry,
    project_rows,
    unit_near,
)
from sklearn_sqrtlasso.learning.batches import TrainingData, batches
from sklearn_sqrtlasso.learning.tight_frame import few_directions, pca_frame
from sklearn_sqrtlasso.models.activations import ProjectedRows
from sklearn_sqrtlasso.models.biased_autoencoder import BiasedAutoencoder, Parameters
from sklearn_sqrtlasso.models.block import join_block
from sklearn_sqrtlasso.models.decoders import least_squares_atoms
from sklearn_sqrtlasso.models.tight_frame import nearest_tight_frame
from sklearn_sqrtlasso.models.two_layer import Layers, TwoLayer
from sklearn_sqrtlasso.theory.pivotal import pivotal_alpha

TURN = 0.5  # norm of random weights that are added to a direction of a stream
SEEN_ROWS, N_PENALTIES = 1024, 8  # rows that so many penalties are tried on
ABOVE_ALL = 1.01  # least penalty tried, over that at which all coefficients are kept
DRIVES = 0.25, 0.5  # root mean square of what a unit with a bias receives at first
TOLD_BY = 4.0  # drive times root of rows, from which little is lost by a unit penalty
ENOUGH_ROWS = 2  # times as many rows as columns, from which these are not few
BLOCK_ROWS, BLOCK_ENTRIES = 4096, 2**22  # of rows that are copied at a time
MOST_FEATURES = 1024  # above it, the span of the rows is not computed
FEWER = 4  # times as many rows and columns as units, from which these are few
SEEN_ENTRIES = 2**22  # of evenly spread rows whose principal directions are found
MOST_BLOCKS = 5  # evenly spread row blocks that the span is computed from
ROUNDING = 64  # times the precision of rows with entries near one, if all are equal
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
    variances, directions = np.linalg.eigh(moment)
    empty = variances <= variances[-1] * max(SMALLEST, (8 * np.finfo(X.dtype).eps) ** 2)
    if not empty.any():
        return None
    kept = directions[:, ~empty]
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


def start_in_directions(shape, X, stream=False):
    """Return whether weights of rows start in principal directions of these.

    The first rows of a stream are followed by others. They tell where to begin if
    columns are so many that few random directions would see next to nothing of them.

    Parameters
    ----------
    shape : tuple of int
        (n_components, n_features).
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    stream : bool, default=False
        Whether others will follow.

    Returns
    -------
    wide : bool
        Whether columns are many and units few, or rows few.
    """
    if stream:
        return shape[1] > max(MOST_FEATURES, FEWER * shape[0])
    return _are_few_units(shape, X) or _are_few_rows(X)


def _are_few_units(shape, X):
    return shape[1] > MOST_FEATURES and FEWER * shape[0] < min(X.shape)


def _are_few_rows(X):
    """Return whether rows are too few for random weights to learn their directions."""
    return not isinstance(X, ChunkedRows) and X.shape[0] < ENOUGH_ROWS * X.shape[1]


def _first_directions(shape, X, rng, *, center=False):
    """Return weights along the first principal directions of rows.

    Few random directions of many columns see next to nothing of rows, and would take
    most of the steps of a fit to find what they vary in. Few units are a random
    rotation of the directions, and so are those of many rows: what nothing varies in
    would drive a unit too little for its atom to be learnt. Units of few rows are the
    directions as they are: rotated, each would see much of the noise, which a network
    of many units learns by heart. Units beyond the number of columns are random
    directions.

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
    if _are_few_units(shape, X):
        most = max(SEEN_ENTRIES // entries_per_row(X), 2 * FEWER * n_components)
        if X.shape[0] > most:  # all of them would be read hundreds of times
            X = X[np.linspace(0, X.shape[0] - 1, most).astype(np.intp)]
        directions = few_directions(X, mean, n_components, rng)
    else:
        directions = pca_frame(X, n_components, rng, mean)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        if _are_few_rows(X):
            return directions.astype(X.dtype)
    rotation = nearest_tight_frame(rng.standard_normal((n_components,) * 2))
    return (rotation @ directions).astype(X.dtype)


def _turned_directions(shape, X, rng):
    """Return orthonormal weights near the principal directions of a first batch.

    Steps of a stream are short at first, and random weights are restored from badly
    until hundreds of them were taken. In the directions as they are, a unit that no row
    of the batch varies in would have codes of zeros, and no gradient, for good; random
    weights, added to all of them, let each see some of what rows vary in.

    Parameters
    ----------
    shape, X, rng
        As for ``_first_directions``, with no more units than columns.

    Returns
    -------
    W : ndarray of the given shape
        Orthonormal rows.
    """
    W = pca_frame(X, shape[0], rng)
    W += TURN / np.sqrt(shape[1]) * rng.standard_normal(shape)
    return nearest_tight_frame(W).astype(X.dtype)


def initial_layers(model: TwoLayer, data: TrainingData, start, rng, *, whole=False):
    """Return random layers, or the least-squares map to target codes.

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
    whole : bool, default=False
        Whether weights span the whole space, as for rows that others will follow.

    Returns
    -------
    layers : Layers
        Layers for rows divided by the unit of scaling.
    """
    X, directions = data.X, None
    if data.coded:  # from random weights, some units learn the code of another unit
        units = data.unit, data.target_unit
        W = least_squares_atoms(X, data.target, *units).T.astype(X.dtype)
    else:
        if whole and start.may_fall and model.shape[0] <= model.shape[1]:
            W = directions = _turned_directions(model.shape, X, rng)
        elif not whole and start_in_directions(model.shape, X):
            W = directions = _first_directions(model.shape, X, rng)
        else:
            span = None if whole else span_of(X)
            W = first_weights(model.shape, span, rng, X.dtype)
    first = start.alpha(W)
    if directions is not None and start.may_fall:
        first = _restoring_alpha(model, W, data, first, rng)
    return Layers(W, model.decoder.atoms(W), _first_parameters(model, first, X.dtype))


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
        The model, its orthonormal weights, rows with noise, and random numbers.
    largest : float
        Largest penalty.

    Returns
    -------
    alpha : float
        Penalty.
    """
    batch = next(batches(data, SEEN_ROWS, rng))
    U, clean = (project_rows(of, W) for of in (batch.X, batch.target))
    U = U if batch.noise is None else U + batch.noise
    rows = ProjectedRows(U, batch.groups, model.positive)

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

    Units are driven so little that their activation is nearly linear, and by few rows
    so much that a model with a penalty, fitted to their codes, does not lose what they
    tell.

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
    largest = np.sqrt(np.mean(drive**2, axis=0).max())
    rounding = ROUNDING * np.finfo(X.dtype).eps * np.sqrt(X.shape[1])
    size = _first_drive(X) / (largest if largest > rounding else 1.0)
    V = W / (size * slope.T)
    encoder = join_block(size * W, -size * (W @ mean))
    decoder = join_block(V, mean - z[0] @ V)
    return Parameters(encoder.astype(X.dtype), decoder.astype(X.dtype))


def _first_drive(X):
    """Return the largest root mean square of what units receive at first.

    A coefficient of a code of spread s in a logistic regression with a penalty of one
    on n rows is divided by about ``1 + 4 / (n s**2)``: by 1.25 at ``TOLD_BY``. It is
    the larger one of ``DRIVES`` at most, where the curvature of "tanh" loses a
    hundredth of the energy of a unit, and the smaller one, where it loses a
    six-hundredth, for many rows.
    """
    return float(np.clip(TOLD_BY / np.sqrt(X.shape[0]), *DRIVES))
