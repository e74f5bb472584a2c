"""What a network is trained to, beside its rows: clean rows, or codes."""

from sklearn_sqrtlasso.blockwise.converted_rows import canonical_rows
from sklearn_sqrtlasso.estimators.validation import (
    check_array,
    check_size_of_target,
    columns_like,
)


def check_clean_rows(X_clean, X, estimator):
    """Return the clean rows of X, with its columns, shape and dtype.

    Parameters
    ----------
    X_clean : array-like, frame or sparse matrix of shape (n_samples, n_features)
        Clean rows, as passed to ``fit``.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows, validated.
    estimator : estimator
        Estimator that knows the names of the columns of X.

    Returns
    -------
    X_clean : ndarray or CSR matrix of shape (n_samples, n_features)
        Clean rows.

    Raises
    ------
    ValueError
        If they are not the clean rows of X.
    """
    X_clean = check_array(
        columns_like(X_clean, estimator, "X_clean"),
        accept_sparse="csr",
        dtype=X.dtype,
        input_name="X_clean",
    )
    X_clean = canonical_rows(X_clean)
    if X_clean.shape != X.shape:
        raise ValueError(
            f"X_clean must have the shape of X, {X.shape}, got {X_clean.shape}."
        )
    check_size_of_target(X, X_clean, "X_clean")
    return X_clean
