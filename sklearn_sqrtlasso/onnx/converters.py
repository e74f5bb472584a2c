"""Converters that tell skl2onnx of the estimators of the package."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso.estimators.anamo_autoencoder import ANAMOAutoencoder
from sklearn_sqrtlasso.estimators.denoiser import Denoiser
from sklearn_sqrtlasso.estimators.nelu_autoencoder import NeLUAutoencoder
from sklearn_sqrtlasso.estimators.noisy_copies import NoisyCopies
from sklearn_sqrtlasso.estimators.pivotal_pca import PivotalPCA
from sklearn_sqrtlasso.estimators.relaxed_sparse_coder import RelaxedSparseCoder
from sklearn_sqrtlasso.estimators.sqrt_lasso import SqrtLasso
from sklearn_sqrtlasso.estimators.sqrt_lasso_cv import SqrtLassoCV
from sklearn_sqrtlasso.estimators.sqrt_lasso_transform import SqrtLassoTransform
from sklearn_sqrtlasso.onnx.coders import code, level, restore
from sklearn_sqrtlasso.onnx.compat import (
    DoubleTensorType,
    FloatTensorType,
    parse_sklearn,
    update_registered_converter,
    update_registered_parser,
)
from sklearn_sqrtlasso.onnx.graph import Graph, Tensor

LEAST_OPSET = 18  # from which the axes of all reductions are inputs


class Conversion(NamedTuple):
    """How estimators of a class become graphs.

    Attributes
    ----------
    first : str
        Name of the output that there is always.
    options : tuple of str
        Names of further outputs, which an option of this name adds.
    tensors : callable, (estimator, X, names) -> list of Tensor
        Outputs of these names.
    widths : callable, (estimator) -> dict of str to int
        Number of columns of each output.
    """

    first: str
    options: tuple[str, ...]
    tensors: Callable
    widths: Callable


def _names(conversion, holder, estimator):
    """Return the names of outputs, by the options that are on."""
    given = holder.get_options(estimator, dict.fromkeys(conversion.options, False))
    return [conversion.first, *(name for name in conversion.options if given[name])]


def _encoded(estimator, X, names):
    coded = code(estimator, X)
    ways = {
        "codes": lambda: coded.Z,
        "reconstruct": lambda: restore(estimator, coded),
        "noise_scale": lambda: level(estimator, coded),
    }
    return [ways[name]() for name in names]


def _widths_of_encoder(estimator):
    n_components, n_features = estimator.components_.shape
    return {"codes": n_components, "reconstruct": n_features, "noise_scale": 1}


def _predicted(estimator, X, names):
    return [X @ np.atleast_2d(estimator.coef_).T + estimator.intercept_]


def _widths_of_regressor(estimator):
    return {"prediction": len(np.atleast_2d(estimator.coef_))}


def _denoised(estimator, X, names):
    coder = estimator.coder_
    return [restore(coder, code(coder, X))]


def _widths_of_denoiser(estimator):
    return {"restored": estimator.n_features_in_}


ENCODER = Conversion(
    "codes", ("reconstruct", "noise_scale"), _encoded, _widths_of_encoder
)
REGRESSOR = Conversion("prediction", (), _predicted, _widths_of_regressor)
CONVERSIONS = {
    SqrtLassoTransform: ENCODER,
    NeLUAutoencoder: ENCODER,
    ANAMOAutoencoder: ENCODER,
    RelaxedSparseCoder: ENCODER,
    PivotalPCA: ENCODER,
    SqrtLasso: REGRESSOR,
    SqrtLassoCV: REGRESSOR,
    Denoiser: Conversion("restored", (), _denoised, _widths_of_denoiser),
}


def register() -> None:
    """Tell skl2onnx of the estimators, so that Pipelines with them are converted.

    It knows the encoders by their ``transform``, whose output is named "codes";
    options of :func:`skl2onnx.to_onnx` add outputs of ``reconstruct`` and
    ``noise_scale`` if the encoder is the last step. It knows the regressors by their
    ``predict``, :class:`~sklearn_sqrtlasso.Denoiser` by its ``transform``, and
    :class:`~sklearn_sqrtlasso.NoisyCopies` as the Pipeline that it predicts with.
    Results have the precision of the input, double for integers. Outputs have two
    dimensions, noise levels and predictions included, and are dense.

    Graphs are of complete rows, each with a noise level of its own: ``groups``, missing
    entries and outliers have none. ``target_opset`` must be at least 18.

    Raises
    ------
    ValueError
        If an estimator that is converted has no closed form: ``PivotalPCA``,
        ``RelaxedSparseCoder`` with a selector other than "threshold" and "topk" or with
        ``phi`` other than 1, ``outlier_alpha``, ``n_unrolled``; or is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_sqrtlasso import SqrtLassoTransform
    >>> from sklearn_sqrtlasso.onnx import register
    >>> register()
    >>> X = load_iris().data
    >>> pipeline = make_pipeline(StandardScaler(), SqrtLassoTransform()).fit(X)
    >>> options = {SqrtLassoTransform: {"reconstruct": True, "noise_scale": True}}
    >>> model = to_onnx(pipeline, X[:1], options=options)
    >>> [output.name for output in model.graph.output]
    ['codes', 'reconstruct', 'noise_scale']
    """
    for of, conversion in CONVERSIONS.items():
        update_registered_converter(
            of,
            _alias(of),
            _shape_function(conversion),
            _converter(conversion),
            parser=_parser(conversion),
            options={name: [False, True] for name in conversion.options},
        )
    update_registered_parser(NoisyCopies, _parse_steps)


def _parse_steps(scope, model, inputs, custom_parsers=None):
    """Declare the steps of an estimator of noisy copies, as those of a Pipeline."""
    check_is_fitted(model)
    for step in (model.transformer_, model.estimator_):
        if step is not None:
            inputs = parse_sklearn(scope, step, inputs, custom_parsers=custom_parsers)
    return inputs


def _alias(of):
    return f"SklearnSqrtlasso{of.__name__}"


def _type_of(variable):
    """Return the type of results: single precision stays, all else is double."""
    single = isinstance(variable.type, FloatTensorType)
    return FloatTensorType if single else DoubleTensorType


def _parser(conversion):
    """Return a function that declares the outputs of an estimator."""

    def parse(scope, model, inputs, custom_parsers=None):
        check_is_fitted(model)
        operator = scope.declare_local_operator(_alias(type(model)), model)
        operator.inputs = inputs
        for name in _names(conversion, scope, model):
            result = scope.declare_local_variable(name, _type_of(inputs[0])())
            operator.outputs.append(result)
        return operator.outputs

    return parse


def _shape_function(conversion):
    """Return a function that sets the shapes of the outputs of an estimator."""

    def shape(operator):
        first = operator.inputs[0]
        n_rows = first.get_first_dimension()
        n_columns = conversion.widths(operator.raw_operator)
        for result in operator.outputs:
            result.type = _type_of(first)([n_rows, n_columns[result.raw_name]])

    return shape


def _converter(conversion):
    """Return a function that adds the nodes of an estimator to a model."""

    def convert(scope, operator, container):
        if container.target_opset < LEAST_OPSET:
            raise ValueError(
                f"target_opset must be at least {LEAST_OPSET} for estimators of "
                f"sklearn_sqrtlasso, got {container.target_opset}."
            )
        estimator = operator.raw_operator
        graph = Graph(scope.get_unique_variable_name)
        single = _type_of(operator.inputs[0]) is FloatTensorType
        X = _rows(graph, operator.inputs, np.float32 if single else np.float64)
        names = _names(conversion, container, estimator)
        results = conversion.tensors(estimator, X, names)
        for result, output in zip(results, operator.outputs, strict=True):
            result.astype(X.dtype, output.onnx_name)
        for constant in graph.constants:
            container.add_initializer(constant.name, None, None, constant)
        for kind, given, found, attributes in graph.nodes:
            name = scope.get_unique_operator_name(kind)
            container.add_node(kind, given, found, name=name, **attributes)

    return convert


def _rows(graph, inputs, dtype):
    """Return the inputs of an estimator side by side, in one precision."""
    columns = [Tensor(graph, of.onnx_name, None).astype(dtype) for of in inputs]
    if len(columns) == 1:
        return columns[0]
    return graph.call("Concat", columns, [dtype], {"axis": 1})[0]
