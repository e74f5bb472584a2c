"""The scikit-learn face of the package; the only room that validates its input."""
