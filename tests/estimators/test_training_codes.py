"""Warnings of codes of training rows that cannot be what was wanted."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from tests.estimators.common import wine
from tests.estimators.encoders import FAMILIES, short

SHORT = {"max_iter": 3, "random_state": 0}


ZEROS = {
    "penalty of nelu": NeLUAutoencoder(learn_alpha=False, alpha=0.99, **SHORT),
    "offset of nelu": NeLUAutoencoder(
        activation="soft", learn_alpha=False, alpha=1e3, **SHORT
    ),
    "sqrt_lasso": RelaxedSparseCoder(alpha=1.0, **SHORT),
    "lasso": RelaxedSparseCoder(selector="lasso", alpha=1e3, **SHORT),
    "residual of omp": RelaxedSparseCoder(selector="omp", alpha=1e3, **SHORT),
    "relu": ANAMOAutoencoder(
        encoder_activation="relu", alpha=1e5, max_iter=30, random_state=0
    ),
}
DENSE = {
    "penalty of nelu": NeLUAutoencoder(learn_alpha=False, alpha=1e-9, **SHORT),
    "threshold": RelaxedSparseCoder(selector="threshold", alpha=1e-9, **SHORT),
}
MEANT = {
    "no penalty": RelaxedSparseCoder(alpha=0.0, **SHORT),
    "no penalty of nelu": NeLUAutoencoder(learn_alpha=False, alpha=0.0, **SHORT),
    "count": RelaxedSparseCoder(n_nonzero_coefs=13, **SHORT),
    "identity": NeLUAutoencoder(activation="identity", **SHORT),
    "tanh": ANAMOAutoencoder(**SHORT),
    "few units": NeLUAutoencoder(3, learn_alpha=False, alpha=1e-3, **SHORT),
}


def warnings_of(coder, X):
    """Return messages about codes, which point to the line that fits."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clone(coder).fit(X)
    caught = [w for w in caught if w.category is not ConvergenceWarning]
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("coder", ZEROS.values(), ids=ZEROS)
def test_codes_of_zeros_are_reported_once_with_their_penalty(coder):
    (message,) = warnings_of(coder, wine())
    assert "have a code of zeros. Lower alpha=" in message


@pytest.mark.parametrize("penalty", [5e-324, 1e-200, 0.01])
@pytest.mark.parametrize(
    "coder",
    [SqrtLassoTransform(**SHORT), RelaxedSparseCoder(selector="sqrt_lasso", **SHORT)],
)
def test_rows_that_are_all_outliers_are_reported_with_the_penalty_of_these(
    coder, penalty
):
    X = wine()  # of 13 columns: 1 / sqrt(13) is .277
    coder = clone(coder).set_params(outlier_alpha=penalty)
    message = warnings_of(coder, X)[0]
    assert f"Raise outlier_alpha={penalty:g}, or set it to 'auto'" in message
    assert "1 / sqrt(n_features) = 0.277" in message


def test_a_penalty_beyond_all_outliers_is_none():
    X = wine()
    atoms = RelaxedSparseCoder(selector="sqrt_lasso", outlier_alpha=1e300, **SHORT)
    coder = RelaxedSparseCoder(
        dictionary=atoms.fit(X).components_, selector="sqrt_lasso", alpha=0.3
    )
    for plain in (coder, SqrtLassoTransform(alpha=0.3, max_iter=0)):
        codes = clone(plain).fit_transform(X)
        huge = clone(plain).set_params(outlier_alpha=1e300).fit_transform(X)
        np.testing.assert_allclose(huge, codes, atol=1e-6)


@pytest.mark.parametrize("coder", DENSE.values(), ids=DENSE)
def test_codes_without_zeros_are_reported_once_with_their_penalty(coder):
    (message,) = warnings_of(coder, wine())
    assert "No entry of the codes" in message
    assert "Raise alpha=" in message


@pytest.mark.parametrize("coder", MEANT.values(), ids=MEANT)
def test_codes_that_are_meant_are_not_reported(coder):
    assert warnings_of(coder, wine()) == []


def columns_apart(kind):
    """Return the wine table, with a column of another unit or offset."""
    X = wine()
    if kind == "unit":
        X[:, 3] *= 1e10
    else:
        X[:, 3] += 1e9
    return X


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["unit", "offset"])
def test_a_column_that_hides_the_others_is_reported_once(family, kind):
    told = warnings_of(family(**short(family)), columns_apart(kind))
    hidden = [message for message in told if "hides others" in message]
    harmless = kind == "offset" and family in (SqrtLassoTransform, PivotalPCA)
    assert len(hidden) == (0 if harmless else 1)
    assert all("StandardScaler" in message for message in hidden)


def test_columns_apart_are_not_reported_where_all_are_restored():
    X = wine()
    X[:, 3] *= 1e3
    assert warnings_of(PivotalPCA(13), X) == []


def test_columns_that_only_residuals_restore_are_hidden():
    X = wine()
    X[:, 3] *= 100
    with pytest.warns(UserWarning, match="hides others: 85%"):
        coder = PivotalPCA().fit(X)
    restored = coder.reconstruct(X)
    assert np.all(np.var(restored - X, axis=0) < 0.2 * np.var(X, axis=0))


def test_rare_words_are_not_hidden_by_frequent_ones():
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, 1001)
    counts = sp.csr_matrix((rng.random((400, 1000)) < frequency).astype(float))
    coder = RelaxedSparseCoder(3, alpha=0.1, **SHORT)
    assert not [w for w in warnings_of(coder, counts) if "hides" in w]
    counts = counts.tolil()
    counts[:, 0] = 1e9
    (message,) = [w for w in warnings_of(coder, counts.tocsr()) if "hides" in w]
    assert "StandardScaler" in message


def test_a_word_is_told_with_its_value_and_a_selector_without_alpha_by_name():
    noise = np.random.default_rng(0).standard_normal((100, 13))
    given = {"dictionary": np.eye(13)[:2], **SHORT}
    (message,) = warnings_of(RelaxedSparseCoder(alpha="pivotal", **given), noise)
    assert "Lower alpha='pivotal' (0." in message
    assert "or set it to 'auto'" in message
    (message,) = warnings_of(RelaxedSparseCoder(selector="iti", **given), noise)
    assert "Set n_nonzero_coefs: selector='iti' takes no alpha" in message


def test_rows_of_zeros_have_codes_of_zeros_without_a_warning():
    X = np.vstack([wine()[:20], np.zeros((60, 13))])
    assert warnings_of(RelaxedSparseCoder(**SHORT), X) == []
