r"""What the earlier rows of a stream say of a change of a biased autoencoder.

The mean loss of N earlier rows rises by Q, to second order (Gauss-Newton), if a block
of parameters moves from where it was best for them. It follows from few moments of
these rows. With :math:`z_1 = (z, 1)`, :math:`x_1 = (x, 1)` and slopes s of the units
and q of the outputs,

.. math::
    Q(\Delta V_1) &= \mathrm{tr}\, q^2 \, \Delta V_1^\top G \, \Delta V_1 , \qquad
    G = E[z_1 z_1^\top] ,

    Q(\Delta W_1) &= \mathrm{tr}\, H \, \Delta W_1 C \, \Delta W_1^\top , \qquad
    C = E[x_1 x_1^\top] , \quad
    H = s s^\top \circ V q^2 V^\top .

C would have the square of the columns. It is taken to be what codes tell of rows by
least squares, :math:`M^\top G^{-1} M` with :math:`M = E[z_1 x_1^\top]`, and the
variances of what they do not tell.

The loss of all rows, ``(n L + N Q) / (n + N)``, is what n rows with a mean loss of L
are learnt from: a change that they suggest is made so far as earlier rows allow. With a
linear decoder this is recursive least squares.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import gen_batches

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows
from sklearn_sqrtlasso.blockwise.linalg import entries_per_row
from sklearn_sqrtlasso.models.biased_autoencoder import BiasedAutoencoder, Parameters
from sklearn_sqrtlasso.models.block import BlockFunction, join_block, split_block

MOST_ENTRIES = 2**21  # of rows that moments are computed from
ENOUGH_ROWS = 4  # times as many rows as units, at least
CODES = 16  # entries of codes that rows are multiplied with at a time
BLOCK_ENTRIES = 2**18  # of rows and codes that are gathered at a time
GROWTH = 0.5  # of the number of earlier rows: the k-th batch of a stream has weight k
EMPTY = 64 * np.finfo(np.float32).eps  # share of the largest variance of codes


class EarlierRows(NamedTuple):
    """Moments of rows, in units of training.

    Attributes
    ----------
    n_rows : float
        Number of rows, or how many they count for.
    codes : ndarray of shape (n_components + 1, n_components + 1)
        Second moments G of codes and one.
    products : ndarray of shape (n_components + 1, n_features + 1)
        Second moments M of codes and one with rows and one.
    squares : ndarray of shape (n_features,)
        Mean squares of the entries.
    unit_slopes : ndarray of shape (n_components,)
        Mean squares of the slopes of the units.
    output_slopes : ndarray of shape (n_features,)
        Mean squares of the slopes of the outputs.
    """

    n_rows: float
    codes: np.ndarray
    products: np.ndarray
    squares: np.ndarray
    unit_slopes: np.ndarray
    output_slopes: np.ndarray


def gather_rows(model: BiasedAutoencoder, X, unit, parameters: Parameters):
    """Return the moments of rows, of long tables those of evenly spread rows.

    Parameters
    ----------
    model : BiasedAutoencoder
        The model.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    unit : float
        Unit of scaling that rows are divided by.
    parameters : Parameters
        Parameters that rows are coded and decoded with.

    Returns
    -------
    rows : EarlierRows or None
        Moments; None if they are not finite.
    """
    (n_components, n_features), n_rows = model.shape, X.shape[0]
    width = entries_per_row(X)
    most = max(MOST_ENTRIES // width, ENOUGH_ROWS * n_components)
    if n_rows > most or isinstance(X, ChunkedRows):
        X = X[np.linspace(0, n_rows - 1, min(n_rows, most)).astype(np.intp)]
    width = n_components + (width if model.decoder.is_linear else n_features)
    shape = n_components + 1, n_features + 1
    products = np.zeros(shape, X.dtype)  # as large as a layer: never copied
    parts = gen_batches(X.shape[0], max(1, BLOCK_ENTRIES // width))
    sums = (
        _add_rows(model, X[rows] / X.dtype.type(unit), parameters, products)
        for rows in parts
    )
    codes, *squares = (of / X.shape[0] for of in reduce(_add, sums))
    products /= X.shape[0]
    means = [codes, products, *squares]
    if not all(np.isfinite(of).all() for of in means):
        return None
    return EarlierRows(float(n_rows), *means)


def _add_rows(model, x, parameters, products):
    """Add products of codes with rows; return other sums."""
    W, b = split_block(parameters.encoder, model.shape)
    z, memory = model.encoder.value(x @ W.T, b)
    by_unit = _squares(model.encoder.pull_back(z, memory, np.ones_like(z))[0])
    by_output = np.full(model.shape[1], float(x.shape[0]))
    if not model.decoder.is_linear:
        V, c = split_block(parameters.decoder, model.shape)
        p, memory = model.decoder.value(z @ V, c)
        by_output = _squares(model.decoder.pull_back(p, memory, np.ones_like(p))[0])
    z = np.hstack([z, np.ones((len(z), 1), z.dtype)])
    double = z.astype(np.float64, copy=False)
    codes = double.T @ double  # of one array: half of the work
    for some in gen_batches(z.shape[1], CODES):
        products[some, :-1] += (x.T @ z[:, some]).T
    products[:, -1] += codes[:, -1].astype(x.dtype)
    return codes, _squares(x), by_unit, by_output * model.gain**2


def _add(totals, sums):
    return [total + of for total, of in zip(totals, sums, strict=True)]


def _squares(x):
    """Return sums of squares of the columns, in double precision."""
    if sp.issparse(x):
        squares = np.square(x.data, dtype=np.float64)
        return np.bincount(x.indices, squares, minlength=x.shape[1])
    return np.sum(np.square(x, dtype=np.float64), axis=0)


def join_rows(earlier, rows):
    """Return the moments of earlier rows and of a batch.

    The number of rows grows by half of those of the batch, so that recent ones weigh
    more: those of the k-th batch of a stream have a weight of about k.

    Parameters
    ----------
    earlier, rows : EarlierRows or None
        Moments of earlier rows and of the batch, if there are any.

    Returns
    -------
    joined : EarlierRows or None
        Moments of both.
    """
    if earlier is None or rows is None:
        return earlier or rows
    share = rows.n_rows / (earlier.n_rows + rows.n_rows)
    pairs = zip(earlier[1:], rows[1:], strict=True)
    means = (a + a.dtype.type(share) * (b - a) for a, b in pairs)
    return EarlierRows(earlier.n_rows + GROWTH * rows.n_rows, *means)


class LossOfAllRows:
    """Add the loss of earlier rows to that of a batch.

    Parameters
    ----------
    shape : tuple of int
        (n_components, n_features).
    earlier : EarlierRows
        Moments of earlier rows.
    n_rows : int
        Number of rows of the batch.
    """

    def __init__(self, shape, earlier: EarlierRows, n_rows):
        self.shape, self.earlier = shape, earlier
        self.share = n_rows / (n_rows + earlier.n_rows)
        dtype = earlier.products.dtype
        variances, directions = np.linalg.eigh(earlier.codes)
        kept = variances > EMPTY * variances[-1]
        roots = directions[:, kept] / np.sqrt(variances[kept])
        self.explained = roots.T.astype(dtype) @ earlier.products
        explained = np.sum(np.square(self.explained[:, :-1], dtype=np.float64), axis=0)
        self.unexplained = np.maximum(earlier.squares - explained, 0).astype(dtype)
        self.codes = earlier.codes.astype(dtype)
        self.output_slopes = earlier.output_slopes.astype(dtype)

    def of_encoder(self, block: BlockFunction, encoder, decoder):
        """Return the loss of all rows as a function of the encoder.

        Parameters
        ----------
        block : BlockFunction
            Loss of the batch.
        encoder, decoder : ndarray
            Both blocks at the start.

        Returns
        -------
        block : BlockFunction
            Loss of the batch and of earlier rows, up to a constant.
        """
        V = split_block(decoder, self.shape)[0]
        slopes = np.sqrt(self.earlier.unit_slopes).astype(V.dtype)
        H = np.outer(slopes, slopes) * ((V * self.output_slopes) @ V.T)
        of_x, of_one = self.explained[:, :-1], self.explained[:, -1]

        def rise(change):
            W, b = split_block(change, self.shape)
            shift = W @ of_x.T + np.outer(b, of_one)
            by_code, by_W = H @ shift, (H @ W) * self.unexplained
            value = float(np.vdot(by_code, shift) + np.vdot(by_W, W))
            return value, join_block(by_code @ of_x + by_W, by_code @ of_one)

        return self._with(block, encoder, rise)

    def of_decoder(self, block: BlockFunction, decoder):
        """Return the loss of all rows as a function of the decoder.

        Parameters
        ----------
        block : BlockFunction
            Loss of the batch.
        decoder : ndarray
            The decoder at the start.

        Returns
        -------
        block : BlockFunction
            Loss of the batch and of earlier rows, up to a constant.
        """

        def rise(change):
            V = change.reshape(-1, self.shape[1])
            slope = (self.codes @ V) * self.output_slopes
            return float(np.vdot(slope, V)), slope.ravel()

        return self._with(block, decoder, rise)

    def _with(self, block, start, rise):
        """Return a block with a rise, given with half of its gradient."""
        share, past = self.share, 1 - self.share

        def evaluate(theta):
            value, gradient = block.evaluate(theta)
            more, half_slope = rise(theta - start)
            gradient = gradient * theta.dtype.type(share)
            gradient += half_slope * theta.dtype.type(2 * past)
            return share * value + past * more, gradient

        def value(theta):
            return share * block.value(theta) + past * rise(theta - start)[0]

        return block._replace(evaluate=evaluate, value=value)
