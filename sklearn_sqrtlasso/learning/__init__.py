"""Algorithms that learn the parameters of the models from training data."""
