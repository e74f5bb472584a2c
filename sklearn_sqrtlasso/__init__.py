"""Sparse codes that survive noise: square-root-lasso coding and learning of rows."""

from sklearn_sqrtlasso._version import __version__
from sklearn_sqrtlasso.estimators.anamo_autoencoder import ANAMOAutoencoder
from sklearn_sqrtlasso.estimators.nelu_autoencoder import NeLUAutoencoder
from sklearn_sqrtlasso.estimators.sqrt_lasso_transform import SqrtLassoTransform

__all__ = ["ANAMOAutoencoder", "NeLUAutoencoder", "SqrtLassoTransform", "__version__"]
