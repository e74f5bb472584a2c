"""Each configuration of ``SqrtLassoTransform``, unfitted."""

import pytest

from sklearn_sqrtlasso import SqrtLassoTransform
from tests.estimators.encoders import family_of, new


@pytest.fixture(params=family_of(SqrtLassoTransform))
def coder(request):
    return new(request.param)
