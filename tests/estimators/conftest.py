"""Each configuration of an estimator, unfitted."""

import pytest
from sklearn.base import clone

from tests.estimators.common import CODERS


@pytest.fixture(params=CODERS.values(), ids=CODERS)
def coder(request):
    return clone(request.param)
