"""Warnings that point to the line which called the package."""

import os
import sys
import warnings
from pathlib import Path

import sklearn

# Callers of scikit-learn are meant, not its pipelines and the wrappers of our methods.
INSIDE = tuple(
    f"{folder}{os.sep}"
    for folder in (Path(__file__).parents[1], Path(sklearn.__file__).parent)
)


def warn_caller(message, category):
    """Emit a warning whose line is that of the caller outside the package.

    Parameters
    ----------
    message : str or Warning
        What is wrong, and what to do.
    category : type
        Class of the warning.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
