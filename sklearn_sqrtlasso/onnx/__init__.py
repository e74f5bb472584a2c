"""ONNX graphs of fitted estimators, which run where there is no Python."""

from sklearn_sqrtlasso.onnx.converters import register

__all__ = ["register"]
