"""Each configuration of an estimator, unfitted."""

import pytest
from sklearn.base import clone

from tests.estimators.common import SELECTORS


@pytest.fixture(params=SELECTORS.values(), ids=SELECTORS)
def coder(request):
    return clone(request.param)
