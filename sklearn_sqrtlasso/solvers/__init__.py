"""Algorithms on arrays: codes of many rows, with a certificate."""
