"""Checks of arguments and parameters."""

import numpy as np

from sklearn_sqrtlasso.blockwise.chunks import ChunkedRows, over_chunks
from sklearn_sqrtlasso.blockwise.groups import (
    RowGroups,
    groups_of_labels,
    one_group,
    ungrouped,
)
from sklearn_sqrtlasso.blockwise.integer_rows import IntegerRows
from sklearn_sqrtlasso.blockwise.linalg import (
    has_missing,
    missing_counts,
    root_mean_square,
    row_batches,
)
from sklearn_sqrtlasso.estimators import compat
from sklearn_sqrtlasso.estimators.compat import (
    assert_all_finite,
    check_sample_weight,
    validate_parameter_constraints,
)
from sklearn_sqrtlasso.models.noise import NOISE_KINDS
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

DTYPES = [np.float64, np.float32]
MARGIN = 2.0**20  # of the largest number over entries of rows that are learnt from
LARGE_MODEL = 5e8  # bytes of parameters that a default does not choose
LIVE = ("n_jobs", "sparse_output", "verbose")  # and all named transform_*
LARGEST = {8: 1e50, 4: 1e10}  # entry of atoms, by bytes: products stay in range

# Ratio of the sizes of targets or noise and rows, either way, by bytes: squares of
# quotients are in the range of the dtype.
MOST = {8: 1e50, 4: 1e15}


def refuse_masked(arrays):
    """Raise an error for masked entries, which scikit-learn would silently unmask.

    Parameters
    ----------
    arrays : dict of str to array-like
        Data, keyed by the name of the argument.
    """
    for name, values in arrays.items():
        if np.ma.is_masked(values):
            raise ValueError(
                f"{name} must have no masked entries, got "
                f"{int(np.ma.getmaskarray(values).sum())}: leave their rows out, or "
                "fill them in, for example by sklearn.impute.SimpleImputer."
            )


def _refusing_masked(function):
    """Return a check of arrays that raises an error for masked entries, too."""

    def call(array, **options):
        refuse_masked({options.get("input_name") or "X": array})
        return function(array, **options)

    return call


check_array = _refusing_masked(compat.check_array)


def are_plain(X, y):
    """Return whether X and y are as any check would return them.

    Parameters
    ----------
    X, y : array-like
        Features and targets as given.

    Returns
    -------
    plain : bool
        False unless both are arrays of numpy itself, of as many rows: X in single or
        double precision, maybe not finite, and y a finite target in double precision.
        To ask what else they might be takes longer than to fit a small table.
    """
    return (
        type(X) is type(y) is np.ndarray
        and X.dtype in DTYPES
        and y.dtype == np.float64
        and X.ndim == 2
        and y.shape == X.shape[:1]
        and X.size > 0
        and bool(np.isfinite(y).all())
    )


def check_finite(X):
    """Raise an error for entries that are missing, with what to do, or infinite.

    Parameters
    ----------
    X : ndarray, sparse matrix or IntegerRows of shape (n_samples, n_features)
        Rows for an estimator that takes no missing entries.
    """
    if isinstance(X, IntegerRows):
        return
    try:
        assert_all_finite(X, input_name="X")
    except ValueError as error:
        if not has_missing(X):
            raise
        raise ValueError(
            "Input X contains NaN: fill in missing entries by a step before, such as "
            "Denoiser(SqrtLassoTransform()) or sklearn.impute.SimpleImputer(). What "
            "takes them: SqrtLassoTransform, PivotalPCA and RelaxedSparseCoder."
        ) from error


def check_observed_columns(X):
    """Raise an error if no entry of a column is observed.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows; NaN where an entry is missing.
    """
    empty = np.flatnonzero(missing_counts(X) == X.shape[0])
    if len(empty):
        raise ValueError(
            f"X must have an entry in every column to be fitted, got only missing "
            f"entries in {len(empty)} columns, the first of them {empty[0]}: drop them."
        )


def check_learnable(X):
    """Raise an error if rows are so large that sums of their entries may overflow.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows; NaN where an entry is missing.
    """
    largest = _largest_observed(X)
    limit = float(np.finfo(X.dtype).max) / MARGIN
    if largest > limit:
        raise ValueError(
            f"X must have entries up to {limit:.1e} to be fitted in {X.dtype}, got one "
            f"of size {largest:.1e}: change the unit of X."
        )


@over_chunks(np.fmax)
def _largest_observed(X):
    """Return the largest absolute value of an observed entry, NaN if there is none."""
    entries = X.data[:, None] if hasattr(X, "tocsr") else X
    if not entries.size:
        return np.nan
    sizes = (np.abs(entries[rows]) for rows in row_batches(*entries.shape))
    return float(np.fmax.reduce([np.fmax.reduce(of, None) for of in sizes]))


def check_size_of_default(n_components, X, *, stream=False):
    """Raise an error if a default number of components makes a very large model.

    Parameters
    ----------
    n_components : int or None
        The parameter; a number is what the user wants.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Training rows.
    stream : bool, default=False
        Whether others follow these rows, so that their number does not count.
    """
    n_default = X.shape[1] if stream else min(X.shape)
    size = X.dtype.itemsize * n_default * X.shape[1]
    if n_components is None and size > LARGE_MODEL:
        raise ValueError(
            f"n_components must be a number for rows of {X.shape[1]} features, got "
            f"n_components=None, which makes {n_default} components, parameters of "
            f"{size / 1e9:.1f} GB. Set it to the number of components that you want, "
            "for example n_components=100."
        )


def check_in_range(name, values, dtype):
    """Raise an error if what was learnt is too large for the dtype of rows.

    Parameters
    ----------
    name : str
        Name of a fitted attribute.
    values : ndarray
        Its value.
    dtype : dtype
        Dtype of the rows that are to be coded with it.
    """
    largest = float(np.abs(values).max(initial=0))
    if largest > float(np.finfo(dtype).max):
        raise ValueError(
            f"X must have dtype float64, got {np.dtype(dtype)}: entries of {name}, up "
            f"to {largest:.3g}, exceed its numbers."
        )


def check_live_parameters(estimator):
    """Raise an error if a parameter that acts after ``fit`` too has a bad value.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    """
    params = {
        name: value
        for name, value in vars(estimator).items()
        if name in LIVE or name.startswith("transform_")
    }
    validate_parameter_constraints(
        estimator._parameter_constraints, params, type(estimator).__name__
    )


def as_numbers(value, name):
    """Return a parameter as an array of numbers in double precision.

    Parameters
    ----------
    value : array-like
        Value of the parameter.
    name : str
        Its name, for the error if it does not consist of numbers.

    Returns
    -------
    numbers : ndarray
        The numbers.
    """
    refuse_masked({name: value})
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must consist of numbers, got {value!r}.") from error


def columns_like(frame, estimator, name):
    """Return a frame with its columns in the order of those of X.

    Parameters
    ----------
    frame : array-like
        Frame with the names of X in any order; or anything else, which is returned.
    estimator : estimator
        Estimator that has seen X.
    name : str
        Name of the argument.

    Returns
    -------
    frame : array-like
        The same columns.
    """
    names = getattr(estimator, "feature_names_in_", None)
    columns = getattr(frame, "columns", None)
    if names is None or columns is None or list(columns) == list(names):
        return frame
    if len(columns) != len(names) or set(columns) != set(names):
        raise ValueError(
            f"{name} must have the columns of X, {list(names)}, got {list(columns)}."
        )
    return frame[list(names)]


def check_weights(sample_weight, X):
    """Return validated weights of the rows, not normalised.

    Parameters
    ----------
    sample_weight : None, float or array-like of shape (n_samples,)
        Weights; None gives all rows weight 1.
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
        Nonnegative, not all zero.
    """
    if sample_weight is None:
        return np.ones(X.shape[0])
    weights = check_sample_weight(sample_weight, X, dtype=np.float64)
    if np.any(weights < 0) or not weights.any():
        raise ValueError(
            "sample_weight must be nonnegative and not all zero, got weights from "
            f"{weights.min():g} to {weights.max():g}."
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"sample_weight must have a finite sum, got weights up to "
            f"{weights.max():g}; divide them by a number."
        )
    return weights


def check_selector(selector, n_nonzero_coefs, alpha):
    """Raise an error if the parameters of a selector contradict each other.

    Parameters
    ----------
    selector : str
        Name in ``SELECTORS``.
    n_nonzero_coefs : int or None
        Largest number of nonzero entries of a code.
    alpha : float, "auto" or "pivotal"
        Penalty.
    """
    row, count = SELECTORS[selector], n_nonzero_coefs
    if count is not None and row.takes_count == "never":
        counting = [name for name, of in SELECTORS.items() if of.takes_count != "never"]
        raise ValueError(
            f"n_nonzero_coefs={count} is not used by selector={selector!r}; set "
            f"n_nonzero_coefs=None, or use a selector among {counting}."
        )
    if count is None and alpha == "pivotal" and not row.pivotal and row.alpha_unit:
        other = "" if row.takes_count == "never" else " or n_nonzero_coefs"
        pivotal = [name for name, of in SELECTORS.items() if of.pivotal]
        raise ValueError(
            f"alpha={alpha!r} has no meaning for selector={selector!r}: give a number"
            f"{other}, set alpha='auto', or use a selector among {pivotal}."
        )


def check_outlier_alpha(outlier_alpha, selector):
    """Raise an error if a selector knows no outliers, and there is a penalty of them.

    Parameters
    ----------
    outlier_alpha : float, "auto" or None
        Penalty of outliers.
    selector : str
        Name in ``SELECTORS``.
    """
    if outlier_alpha is not None and not SELECTORS[selector].takes_outliers:
        taking = [name for name, of in SELECTORS.items() if of.takes_outliers]
        raise ValueError(
            f"outlier_alpha={outlier_alpha!r} has no meaning for selector="
            f"{selector!r}: set outlier_alpha=None, or use a selector among {taking}."
        )


def check_dictionary(dictionary, n_components, n_features, dtype):
    """Return the validated atoms of a fixed dictionary.

    Parameters
    ----------
    dictionary : array-like of shape (n_components, n_features)
        Atoms.
    n_components : int or None
        Expected number of atoms; None accepts any.
    n_features : int
        Number of features of the rows.
    dtype : dtype
        Dtype of the rows, which products of atoms have to be in the range of.

    Returns
    -------
    D : ndarray of shape (n_components, n_features)
        Atoms, in double precision.
    """
    D = as_numbers(dictionary, "dictionary")
    shape = (n_components or len(np.atleast_1d(D)), n_features)
    if D.shape != shape or not np.all(np.isfinite(D)):
        raise ValueError(
            f"dictionary must be finite and have shape (n_components, n_features) = "
            f"{shape}, got shape {D.shape}."
        )
    largest = np.abs(D).max()
    most = LARGEST[np.dtype(dtype).itemsize]
    if not (largest == 0 or 1 / most < largest < most):
        raise ValueError(
            f"dictionary must have a largest entry in ({1 / most:g}, {most:g}) for "
            f"rows of {np.dtype(dtype).name}, got {largest:.3g}; use another unit."
        )
    return D


def frame_of_full_rank(W):
    """Return the tight frame nearest to initial weights, which must have full rank.

    Parameters
    ----------
    W : ndarray of shape (n_components, n_features)
        Initial weights, finite.

    Returns
    -------
    frame : ndarray of shape (n_components, n_features)
        Its singular values are one.
    """
    left, sizes, right = np.linalg.svd(W, full_matrices=False)
    rank = int(np.sum(sizes > max(W.shape) * np.finfo(W.dtype).eps * sizes[0]))
    if rank < len(sizes):
        raise ValueError(
            f"init must have full rank {len(sizes)} to be projected on tight frames, "
            f"got rank {rank}."
        )
    return left @ right


def check_size_of_target(X, target, name, *, pure=False):
    """Raise an error if squares of targets in their unit are no numbers.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    target : ndarray or sparse matrix of shape (n_samples, n)
        Targets; zero rows or targets have any size.
    name : str
        Name of the argument.
    pure : bool, default=False
        Whether targets are pure numbers; else they have the unit of the rows.
    """
    most = MOST[X.dtype.itemsize]
    size, unit = root_mean_square(target)
    usual, usual_unit = (1.0, 1.0) if pure else root_mean_square(X)
    if size == 0 or usual == 0:
        return
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.float64(unit) / usual_unit * (size / usual)
    if not 1 / most < ratio < most:
        of = "1, as pure numbers" if pure else "those of X, whose unit they have"
        rows = "" if pure else f" and of {usual * usual_unit:.3g} for X"
        raise ValueError(
            f"{name} must have entries within a factor of {most:g} of {of}; got a "
            f"root mean square of {size * unit:.3g} for {name}{rows}."
        )


def is_missing(labels):
    """Return which labels are None, NaN or another value not equal to itself.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Labels of any dtype.

    Returns
    -------
    missing : ndarray of shape (n_samples,)
        Booleans.
    """
    if labels.dtype != object:
        return labels != labels
    same = [False if label is None else label == label for label in labels]
    return np.array([not (isinstance(x, bool | np.bool_) and x) for x in same])


def check_groups(groups, X):
    """Return the groups of rows that share a noise level.

    Parameters
    ----------
    groups : None, "all" or array-like of shape (n_samples,)
        Group label of each row; None puts each row into its own group.
    X : ndarray, sparse matrix or ChunkedRows of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    groups : RowGroups or ChunkedGroups
        The groups.
    """
    if isinstance(X, ChunkedRows):
        return X.grouped(groups)
    n_samples = X.shape[0]
    if groups is None:
        return ungrouped(n_samples)
    if isinstance(groups, RowGroups):  # of a chunk, validated with all others
        return groups
    if isinstance(groups, str):
        if groups != "all":
            raise ValueError(
                f"groups must be None, 'all' or an array of {n_samples} labels, "
                f"got {groups!r}."
            )
        return one_group(n_samples)
    refuse_masked({"groups": groups})
    labels = np.asarray(groups)
    if labels.shape != (n_samples,):
        found = f"an array of shape {labels.shape}" if labels.ndim else repr(groups)
        raise ValueError(
            f"groups must be None, 'all' or an array of {n_samples} labels, "
            f"one for each row of X, got {found}."
        )
    n_missing = int(np.sum(is_missing(labels)))
    if n_missing:
        raise ValueError(
            f"groups must label every row, got {n_missing} missing labels (None, NaN)."
        )
    try:
        return groups_of_labels(labels)
    except TypeError as error:
        raise TypeError(
            "groups must be labels of one sortable type, got labels that cannot be "
            "compared."
        ) from error


def check_group_word(groups, modes):
    """Raise an error if ``groups`` is neither None nor one of the given strings.

    Parameters
    ----------
    groups : None or str
        Argument to check.
    modes : tuple of str
        Allowed strings.
    """
    if groups is None or (isinstance(groups, str) and groups in modes):
        return
    words = " or ".join(repr(mode) for mode in modes)
    raise ValueError(f"groups must be None or {words}, got {groups!r}.")


def check_switch(name, value):
    """Raise an error if an argument of a function is neither True nor False.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        Its value.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}.")


def check_noise_kinds(kinds):
    """Return validated names of kinds of noise.

    Parameters
    ----------
    kinds : list or tuple of str
        Names in ``NOISE_KINDS``.

    Returns
    -------
    kinds : tuple of str
        The names, at least one.
    """
    several = isinstance(kinds, list | tuple) and len(kinds)
    if not several or not all(kind in NOISE_KINDS for kind in kinds):
        raise ValueError(
            f"kinds must be a list or tuple of names among {sorted(NOISE_KINDS)}, "
            f"got {kinds!r}."
        )
    return tuple(kinds)


def check_noise_levels(levels, kinds, name):
    """Return validated levels of noise.

    Parameters
    ----------
    levels : float or array-like of float
        Levels.
    kinds : tuple of str
        Kinds of noise that are all used at each of the levels.
    name : str
        Name of the parameter.

    Returns
    -------
    levels : tuple of float
        The levels, at least one.
    """
    values = np.atleast_1d(as_numbers(levels, name))
    if (
        values.ndim != 1
        or not len(values)
        or not np.all(values >= 0)
        or np.inf in values
    ):
        raise ValueError(
            f"{name} must be finite numbers of at least 0, got {levels!r}."
        )
    shares = [kind for kind in kinds if NOISE_KINDS[kind].is_share]
    if shares and values.max() > 1:
        raise ValueError(
            f"{name} must be in [0, 1] with {shares} among kinds, whose level is a "
            f"share, got {levels!r}."
        )
    return tuple(values.tolist())
