"""Sparse codes of rows in a dictionary: select atoms, certify, refit."""
