"""Arithmetic on rows: pure functions of arrays and numbers, compiled by numba."""
