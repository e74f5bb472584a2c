"""Estimators with the scikit-learn API, which validate their input."""
