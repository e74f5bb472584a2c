"""Estimators know their package: its version, when saved, and its documentation."""

from sklearn.exceptions import InconsistentVersionWarning

from sklearn_sqrtlasso._version import __version__
from sklearn_sqrtlasso.blockwise.callers import warn_caller

STAMP = "_sklearn_sqrtlasso_version"
SITE = "https://sklearn-sqrtlasso.github.io/sklearn_sqrtlasso/"


class VersionedMixin:
    """Stamp the state of an estimator with the version, and compare when it is read.

    It comes before ``BaseEstimator`` among the base classes. Pickle, joblib, skops and
    copies all go through these two methods. Diagrams of Pipelines link to the page of
    the estimator.
    """

    _doc_link_module = "sklearn_sqrtlasso"
    _doc_link_template = SITE + "api/generated/{estimator_module}.{estimator_name}.html"

    def __getstate__(self):
        return {**super().__getstate__(), STAMP: __version__}

    def __setstate__(self, state):
        state = dict(state)
        written = state.pop(STAMP, "unknown")
        if written != __version__:
            changed = InconsistentVersionWarning(
                estimator_name=type(self).__name__,
                current_sklearn_version=f"{__version__} of sklearn_sqrtlasso",
                original_sklearn_version=f"{written} of sklearn_sqrtlasso",
            )
            warn_caller(changed, InconsistentVersionWarning)
        super().__setstate__(state)
