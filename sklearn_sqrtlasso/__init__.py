"""Sparse codes that survive noise: square-root-lasso coding and learning of rows."""

from sklearn_sqrtlasso._version import __version__
from sklearn_sqrtlasso.estimators.relaxed_sparse_coder import RelaxedSparseCoder
from sklearn_sqrtlasso.estimators.sqrt_lasso_transform import SqrtLassoTransform

__all__ = ["RelaxedSparseCoder", "SqrtLassoTransform", "__version__"]
