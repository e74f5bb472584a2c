"""Precision that networks are learnt in.

Steps on few rows are noisier than the rounding of single precision by far, and take
half the time in it. Rows are divided by their unit before they are rounded.
"""

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.linalg import largest_entry, root_mean_square
from sklearn_sqrtlasso.blockwise.spread import root_mean_spread
from sklearn_sqrtlasso.learning.batches import TrainingData

MOST_IN_DOUBLE = 1e10  # products of a weight and an entry of X: some seconds
LARGEST = 1e10  # entry, in units of rows, whose powers single precision holds
LEAST_SPREAD = 1e-4  # over the size of rows, which keeps three digits of it


def dtype_of_steps(data: TrainingData, work):
    """Return the dtype that a default fit computes in.

    Parameters
    ----------
    data : TrainingData
        Rows, and their unit of scaling.
    work : float
        Number of products of a weight and an entry of X.

    Returns
    -------
    dtype : dtype
        Single precision where steps take long on rows without a target that are dense,
        as sparse ones with noise are, and of which it keeps enough digits; else the
        dtype of X.
    """
    X = data.X
    noise = data.corruption
    is_dense = not sp.issparse(X) or (noise is not None and noise.n_directions is None)
    plain = data.target is None and is_dense
    if work <= MOST_IN_DOUBLE or not plain or largest_entry(X) > LARGEST * data.unit:
        return X.dtype
    size, unit = root_mean_square(X)
    keeps_digits = root_mean_spread(X) >= LEAST_SPREAD * size * unit
    return np.dtype(np.float32) if keeps_digits else X.dtype


def in_precision(data: TrainingData, dtype):
    """Return training data whose batches are of a dtype.

    Parameters
    ----------
    data : TrainingData
        Training data.
    dtype : dtype
        Dtype of batches.

    Returns
    -------
    data : TrainingData
        The same rows.
    """
    corruption = data.corruption
    if corruption is not None and corruption.span is not None:
        corruption = corruption._replace(span=corruption.span.astype(dtype))
    return data._replace(dtype=dtype, corruption=corruption)
