"""Square-root lasso, sparse coding and sparse autoencoders for noisy data."""

from sklearn_sqrtlasso._version import __version__
from sklearn_sqrtlasso.estimators.anamo_autoencoder import ANAMOAutoencoder
from sklearn_sqrtlasso.estimators.nelu_autoencoder import NeLUAutoencoder
from sklearn_sqrtlasso.estimators.relaxed_sparse_coder import RelaxedSparseCoder
from sklearn_sqrtlasso.estimators.sqrt_lasso import SqrtLasso
from sklearn_sqrtlasso.estimators.sqrt_lasso_cv import SqrtLassoCV
from sklearn_sqrtlasso.estimators.sqrt_lasso_path import sqrt_lasso_path
from sklearn_sqrtlasso.estimators.sqrt_lasso_transform import SqrtLassoTransform

__all__ = [
    "ANAMOAutoencoder",
    "NeLUAutoencoder",
    "RelaxedSparseCoder",
    "SqrtLasso",
    "SqrtLassoCV",
    "SqrtLassoTransform",
    "__version__",
    "sqrt_lasso_path",
]
