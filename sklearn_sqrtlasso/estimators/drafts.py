"""Methods that change an estimator as a whole, or not at all."""

from functools import wraps
from typing import cast

from sklearn_sqrtlasso._types import Decorated
from sklearn_sqrtlasso.learning.loop import DivergedError


def all_or_nothing(method: Decorated) -> Decorated:
    """Make a method of an estimator work on a draft, which replaces the estimator.

    The attributes change at once, when the method returns. If it raises, they stay as
    they were, and other threads never see some of them new and some old or missing.

    Parameters
    ----------
    method : callable
        Decorated that sets attributes of its estimator and returns the estimator.

    Returns
    -------
    attempt : callable
        The same for its caller.
    """

    @wraps(method)
    def attempt(self, *args, **kwargs):
        draft = object.__new__(type(self))
        draft.__dict__ = dict(vars(self))
        try:
            method(draft, *args, **kwargs)
        except DivergedError:  # the last finite parameters are kept
            self.__dict__ = draft.__dict__
            raise
        self.__dict__ = draft.__dict__
        return self

    return cast(Decorated, attempt)
