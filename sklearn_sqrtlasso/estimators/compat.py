"""Names of scikit-learn that are private, may move or depend on its version."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.linear_model._base import LinearModel
from sklearn.utils import _safe_indexing as take
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_method_params as take_metadata
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import assert_all_finite, check_array, validate_data

from sklearn_sqrtlasso._types import Decorated

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for scikit-learn < 1.9, which has no callbacks."""

    def _with_callbacks(method):
        """Return the method unchanged."""
        return method


# They look for infinity in a sum, which is not a number for numbers near the largest.
assert_all_finite = np.errstate(invalid="ignore")(assert_all_finite)
check_array = np.errstate(invalid="ignore")(check_array)
validate_data = np.errstate(invalid="ignore")(validate_data)

__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "LinearModel",
    "RealNotInt",
    "StrOptions",
    "assert_all_finite",
    "check_array",
    "check_sample_weight",
    "csr_container",
    "fit_context",
    "take",
    "take_metadata",
    "validate_data",
    "validate_parameter_constraints",
    "with_callbacks",
]


def fit_context(
    *, prefer_skip_nested_validation: bool
) -> Callable[[Decorated], Decorated]:
    """Return scikit-learn's decorator of ``fit``, which keeps the type of a method.

    Parameters
    ----------
    prefer_skip_nested_validation : bool
        Whether parameters of inner estimators need no check.

    Returns
    -------
    decorator : callable, (method) -> method
        The decorator.
    """
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def with_callbacks(method: Decorated) -> Decorated:
    """Let callbacks see a fit, where scikit-learn has them.

    Parameters
    ----------
    method : callable
        Method ``fit``.

    Returns
    -------
    method : callable
        The same, with callbacks.
    """
    return _with_callbacks(method)


def csr_container():
    """Return the CSR class that scikit-learn is configured to return.

    Returns
    -------
    container : type
        ``scipy.sparse.csr_array`` or ``scipy.sparse.csr_matrix``.
    """
    array = get_config().get("sparse_interface", "spmatrix") == "sparray"
    return sp.csr_array if array else sp.csr_matrix
