"""Names of the extra "onnx", or an error that says how to install it."""

try:
    from onnx import TensorProto, helper, numpy_helper
    from skl2onnx import update_registered_converter, update_registered_parser
    from skl2onnx._parse import parse_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
except ImportError as error:
    raise ImportError(
        "sklearn_sqrtlasso.onnx needs skl2onnx and onnx: "
        "pip install 'sklearn-sqrtlasso[onnx]'."
    ) from error

__all__ = [
    "DoubleTensorType",
    "FloatTensorType",
    "TensorProto",
    "helper",
    "numpy_helper",
    "parse_sklearn",
    "update_registered_converter",
    "update_registered_parser",
]
