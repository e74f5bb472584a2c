"""Add a selector: the nonnegative garrote, which shrinks large products less."""

import numpy as np

from sklearn_sqrtlasso.sparse_coding.dictionary import Solution
from sklearn_sqrtlasso.sparse_coding.selectors import Selector, _scaled


def garrote(rows, dictionary, options):
    """Shrink each entry c of ``x D'`` to ``c (1 - alpha^2 / c^2)``, or to 0.

    Gao, "Wavelet shrinkage denoising using the non-negative garrote", Journal of
    Computational and Graphical Statistics 7(4), 1998.
    """
    alpha = _scaled(options.alpha, rows)[:, None]
    size = rows.C if options.positive else np.abs(rows.C)
    kept = np.where(size > alpha, rows.C, 1.0)
    Z = np.where(size > alpha, kept - alpha / kept * alpha, 0.0)
    return Solution(Z, np.zeros(len(Z)))


SELECTORS = {
    "garrote": Selector(
        garrote,
        r"the nonnegative garrote: :math:`c\,(1 - \alpha^2 / c^2)_+` for each entry c "
        r"of :math:`xD^\top`",
        alpha_unit="correlation",
        closed_form=True,
    ),
}
