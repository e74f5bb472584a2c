"""Estimators with the scikit-learn API; the only modules that validate input."""
