"""Fitted encoders as graphs: codes, restored rows and noise levels."""

from functools import singledispatch
from typing import NamedTuple

import numpy as np

from sklearn_sqrtlasso.estimators.anamo_autoencoder import ANAMOAutoencoder
from sklearn_sqrtlasso.estimators.nelu_autoencoder import NeLUAutoencoder
from sklearn_sqrtlasso.estimators.pivotal_pca import PivotalPCA
from sklearn_sqrtlasso.estimators.relaxed_sparse_coder import RelaxedSparseCoder
from sklearn_sqrtlasso.estimators.sqrt_lasso_transform import SqrtLassoTransform
from sklearn_sqrtlasso.onnx.graph import Tensor
from sklearn_sqrtlasso.onnx.noise import noise_scale
from sklearn_sqrtlasso.onnx.shrinkage import (
    ACTIVATION_GRAPHS,
    POINTWISE_GRAPHS,
    SELECTOR_GRAPHS,
    bits,
    residual_scale,
    soft,
)
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS


class Coded(NamedTuple):
    """Rows that were coded.

    Attributes
    ----------
    X : Tensor of shape (n_rows, n_features)
        Rows.
    Z : Tensor of shape (n_rows, n_components)
        Their codes.
    scale : Tensor of shape (n_rows, 1) or None
        Residual scale of each row, of a tight frame.
    """

    X: Tensor
    Z: Tensor
    scale: Tensor | None = None


@singledispatch
def code(coder, X):
    """Return the codes of rows.

    Parameters
    ----------
    coder : estimator
        Fitted encoder.
    X : Tensor of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    coded : Coded
        Rows and codes.
    """
    raise TypeError(f"{type(coder).__name__} is no encoder of sklearn_sqrtlasso.")


@code.register
def _(coder: SqrtLassoTransform, X):
    frame = coder._encoder(X.dtype)
    if frame.outlier_alpha is not None:
        raise ValueError(
            "outlier_alpha must be None for ONNX, as codes without outliers have no "
            f"closed form, got {coder._fitted('outlier_alpha')!r}."
        )
    W, (n_components, n_features) = frame.components, frame.components.shape
    centred = X if frame.mean is None else X - frame.mean
    U, outside = centred @ W.T, None
    if n_components < n_features:
        outside = (centred - U @ W).norm_of_rows()
    t = residual_scale(U, frame.alpha, frame.positive, outside)
    return Coded(X, soft(U, t * frame.alpha, frame.positive), t)


@code.register
def _(coder: NeLUAutoencoder, X):
    name, n_unrolled = coder._fitted("activation"), coder._fitted("n_unrolled")
    if n_unrolled is not None:
        raise ValueError(
            "n_unrolled must be None for ONNX, whose graphs are of exact codes, got "
            f"{n_unrolled}."
        )
    layer = coder._encoder(X.dtype)
    value = _row_of(ACTIVATION_GRAPHS, "activation", name)
    return Coded(X, value(X @ layer.components.T, layer.p, layer.positive))


@code.register
def _(coder: ANAMOAutoencoder, X):
    layer, value = coder._encoder(X.dtype), bits
    if coder._fitted("binary") is None:
        name = coder._encoder_activation()
        value = _row_of(POINTWISE_GRAPHS, "encoder_activation", name)
    return Coded(X, value(X @ layer.components.T + layer.bias))


@code.register
def _(coder: RelaxedSparseCoder, X):
    encoder = coder._encoder(X.dtype)
    options, atoms = encoder.options, encoder.dictionary.D
    if not SELECTORS[options.selector].closed_form:
        raise ValueError(
            f"selector must be one of {sorted(SELECTOR_GRAPHS)} for ONNX, whose codes "
            "are closed forms of products with the atoms; "
            f"{options.selector!r} solves a problem for each row."
        )
    select = _row_of(SELECTOR_GRAPHS, "selector", options.selector)
    if options.phi != 1:
        raise ValueError(
            "phi must be 1 for ONNX, as the least-squares refit of other values solves "
            f"a system of equations for each row, got phi={options.phi:g}."
        )
    options = options._replace(n_nonzero=min(options.n_nonzero, len(atoms)))
    return Coded(X, select(X @ atoms.T, options))


@code.register
def _(coder: PivotalPCA, X):
    raise ValueError(
        "PivotalPCA has no ONNX graph: the noise level of a row is found by an "
        "iteration that factorises a matrix for each row, not by a closed form."
    )


def _row_of(table, parameter, name):
    """Return the graph of a name, or raise an error that says which names have one."""
    if name not in table:
        raise ValueError(
            f"{parameter} must be one of {sorted(table)} for ONNX, as no graph was "
            f"written for {name!r}."
        )
    return table[name]


@singledispatch
def restore(coder, coded):
    """Return decoded rows.

    Parameters
    ----------
    coder : estimator
        Fitted encoder.
    coded : Coded
        Rows and codes.

    Returns
    -------
    X : Tensor of shape (n_rows, n_features)
        Restored rows.
    """
    return coded.Z @ coder.components_


@restore.register
def _(coder: SqrtLassoTransform, coded):
    X, mean = coded.Z @ coder.components_, coder._encoder(coded.Z.dtype).mean
    return X if mean is None else X + mean


@restore.register
def _(coder: NeLUAutoencoder, coded):
    return coded.Z @ coder.decoder_


@restore.register
def _(coder: ANAMOAutoencoder, coded):
    name = coder._fitted("decoder_activation")
    value = _row_of(POINTWISE_GRAPHS, "decoder_activation", name)
    return value(coded.Z @ coder.decoder_ + coder.decoder_bias_)


@singledispatch
def level(coder, coded):
    """Return the noise standard deviation of each row.

    Parameters
    ----------
    coder, coded
        As for ``restore``.

    Returns
    -------
    sigma : Tensor of shape (n_rows, 1)
        Noise standard deviations, in double precision.
    """
    X, restored = (of.astype(np.float64) for of in (coded.X, restore(coder, coded)))
    return (X - restored).norm_of_rows() * coder.n_features_in_**-0.5


@level.register
def _(coder: SqrtLassoTransform, coded):
    return noise_scale(coded.scale, coded.Z, coder._encoder(coded.Z.dtype))


@level.register
def _(coder: RelaxedSparseCoder, coded):
    raise ValueError(
        "The option noise_scale is not available for RelaxedSparseCoder, whose noise "
        "levels are those of residuals after a least-squares refit: a system of "
        "equations for each row."
    )
