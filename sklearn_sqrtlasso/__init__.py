"""Square-root lasso, sparse coding and sparse autoencoders for noisy data.

Where things are, from the top floor down:

- ``onnx``: fitted estimators as graphs for ONNX Runtime.
- ``estimators``: the scikit-learn interface, one class per file; checks of arguments
  in ``validation``, ``partial_fit`` and ``warm_start`` in ``resumption``.
- ``learning``: weights and penalties by Adam, dictionary learning, tight frames,
  alternating minimisation, the outer loop.
- ``models``: activations, decoders, losses and their gradients; tight frames, Gaussian
  priors and the noise level of a row.
- ``sparse_coding``: selectors of atoms, lasso codes, relaxed lasso, thresholds of rows,
  and why rows were not solved.
- ``regression``: the square-root lasso of a target.
- ``blockwise``: rows in blocks on threads, groups of rows and their check.
- ``theory``: pivotal penalties, limits, calibration of noise.
- ``algorithms``: compiled arithmetic: shrinkage of rows, their noise levels, the lasso
  path, matching pursuit, k-SVD, refits, coordinate descent, the step of Adam.
"""

from sklearn_sqrtlasso._version import __version__
from sklearn_sqrtlasso.estimators.anamo_autoencoder import ANAMOAutoencoder
from sklearn_sqrtlasso.estimators.denoiser import Denoiser
from sklearn_sqrtlasso.estimators.nelu_autoencoder import NeLUAutoencoder
from sklearn_sqrtlasso.estimators.noisy_copies import NoisyCopies
from sklearn_sqrtlasso.estimators.pivotal_pca import PivotalPCA
from sklearn_sqrtlasso.estimators.relaxed_sparse_coder import RelaxedSparseCoder
from sklearn_sqrtlasso.estimators.sqrt_lasso import SqrtLasso
from sklearn_sqrtlasso.estimators.sqrt_lasso_cv import SqrtLassoCV
from sklearn_sqrtlasso.estimators.sqrt_lasso_path import sqrt_lasso_path
from sklearn_sqrtlasso.estimators.sqrt_lasso_transform import SqrtLassoTransform

__all__ = [
    "ANAMOAutoencoder",
    "Denoiser",
    "NeLUAutoencoder",
    "NoisyCopies",
    "PivotalPCA",
    "RelaxedSparseCoder",
    "SqrtLasso",
    "SqrtLassoCV",
    "SqrtLassoTransform",
    "__version__",
    "sqrt_lasso_path",
]

for _public in [globals()[name] for name in __all__]:
    if isinstance(_public, type):  # the path that those who load a model have to trust
        _public.__module__ = __name__
