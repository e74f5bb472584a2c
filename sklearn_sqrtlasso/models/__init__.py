"""Parametric maps of rows: parameters, codes, and the gradient of a loss."""
