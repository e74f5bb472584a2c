"""Orthonormal rows in the place of others, and products in the place of a factor.

A matrix of few long rows is as large as a model. What is made of it here takes its
place, whether its rows or its columns are contiguous.
"""

import numpy as np
from scipy.linalg import LinAlgError, cholesky
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpocon
from sklearn.utils import gen_batches

INDEPENDENT = 1e-12  # least inverse condition of products of rows that are independent
ROUNDING = 1e-13  # distance of products from the identity that none need to mend
BLOCK_ENTRIES = 2**17  # of a matrix, of which a product is taken at a time


def orthonormal_rows(A, gram=None):
    """Make the rows of a matrix orthonormal, in its place, by those before each.

    Rows from one Cholesky factorisation are not orthonormal to rounding, if some are
    alike; those from two are: "CholeskyQR2" (Yamamoto, Nakatsukasa, Yanagisawa and
    Fukaya 2015). It takes a quarter of the time of Householder's reflections.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_columns)
        Rows in double precision; overwritten.
    gram : ndarray of shape (n_rows, n_rows), default=None
        ``A A'``, if it is known.

    Returns
    -------
    factor : ndarray of shape (n_rows, n_rows) or None
        Lower triangular L with ``A = L Q``. None, and A as it was, where rows are
        nearly dependent, or products of them out of range.
    """
    gram = A @ A.T if gram is None else gram
    factor = factor_of_products(gram)
    if factor is None:
        return None
    solve_lower(factor, A)
    gram = A @ A.T
    if np.linalg.norm(gram - np.eye(len(gram))) < ROUNDING:
        return factor
    step = cholesky(gram, lower=True)
    solve_lower(step, A)
    return factor @ step


def factor_of_products(gram, least=INDEPENDENT):
    """Return a Cholesky factor of products of rows, None if these are dependent.

    Parameters
    ----------
    gram : ndarray of shape (n_rows, n_rows)
        Products ``A A'``.
    least : float, default=INDEPENDENT
        Inverse condition from which rows are independent.

    Returns
    -------
    factor : ndarray of shape (n_rows, n_rows) or None
        Lower triangular L with ``L L' = A A'``.
    """
    try:
        factor = cholesky(gram, lower=True)
    except (LinAlgError, ValueError):  # numbers may be out of range
        return None
    size = np.abs(gram).sum(axis=0).max()
    inverse_condition, _ = dpocon(factor, size, uplo="L")
    return factor if inverse_condition > least else None


def solve_lower(factor, A):
    """Write ``L^-1 A`` in the place of A.

    Parameters
    ----------
    factor : ndarray of shape (n_rows, n_rows)
        Lower triangular L.
    A : ndarray of shape (n_rows, n_columns)
        Matrix in double precision; overwritten.
    """
    for columns in column_batches(A):
        A[:, columns] = dtrsm(1.0, factor, A[:, columns], lower=1)


def rotated(T, A):
    """Write ``T A`` in the place of A, a block of columns after the other.

    Parameters
    ----------
    T : ndarray of shape (n_rows, n_rows)
        Square matrix.
    A : ndarray of shape (n_rows, n_columns)
        Matrix; overwritten.

    Returns
    -------
    A : ndarray of shape (n_rows, n_columns)
        The same array.
    """
    for columns in column_batches(A):
        A[:, columns] = T @ A[:, columns]
    return A


def products_of_rows(A):
    """Return products of the rows of a matrix, without a copy in double precision.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_columns)
        Matrix of any precision.

    Returns
    -------
    gram : ndarray of shape (n_rows, n_rows)
        ``A A'``, in double precision.
    """
    gram = np.zeros((len(A), len(A)))
    for columns in column_batches(A):
        block = A[:, columns].astype(np.float64, copy=False)
        gram += block @ block.T
    return gram


def column_batches(A):
    """Return slices of the columns of a matrix, few enough to be copied.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_columns)
        Matrix.

    Returns
    -------
    slices : iterator of slice
        All columns.
    """
    return gen_batches(A.shape[1], max(1, BLOCK_ENTRIES // max(len(A), 1)))


def add_in_place(A, factor, B):
    """Add a multiple of a matrix to another, without a third one.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_columns)
        Matrix to which is added.
    factor : float
        Factor.
    B : ndarray of shape (n_rows, n_columns)
        Matrix of any precision and order.
    """
    for columns in column_batches(A):
        A[:, columns] += factor * B[:, columns]


def subtract_outer(A, left, right):
    """Subtract the outer product of two vectors, without a matrix of its size.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_columns)
        Matrix from which is subtracted.
    left : ndarray of shape (n_rows,)
        Factors of its rows.
    right : ndarray of shape (n_columns,)
        Factors of its columns.
    """
    for columns in column_batches(A):
        A[:, columns] -= np.outer(left, right[columns])
