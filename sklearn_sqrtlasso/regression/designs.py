"""The design of a regression, of dense or sparse features."""

import scipy.sparse as sp

from sklearn_sqrtlasso.regression.design import DenseDesign
from sklearn_sqrtlasso.regression.sparse_design import SparseDesign


def design_of(X, weights, fit_intercept):
    """Return the design of dense or sparse features, with its units of scaling."""
    kind = SparseDesign if sp.issparse(X) else DenseDesign
    return kind(X, weights, fit_intercept)
