"""Codes and outliers of wide rows: Newton's method beside paths over spikes."""

import numpy as np
import pytest

from sklearn_sqrtlasso.sparse_coding import encoder, newton, wide_rows
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import code_rows

N_FEATURES, N_ATOMS = 260, 12


def spiked_rows(seed=0, n_rows=6):
    """Return atoms, and rows of them with noise and spikes, some entries missing."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((N_ATOMS, N_FEATURES))
    D /= np.linalg.norm(D, axis=1)[:, None]
    codes = rng.standard_normal((n_rows, N_ATOMS))
    codes *= rng.random(codes.shape) < 0.4
    X = 5 * codes @ D + 0.3 * rng.standard_normal((n_rows, N_FEATURES))
    spikes = rng.random(X.shape) < 0.03
    X[spikes] += 10 * rng.standard_normal(spikes.sum())
    X[1:3, ::9] = np.nan
    X[4], X[5] = np.nan, 0
    return X, make_dictionary(D)


def options(**given):
    usual = {"alpha": 0.05, "phi": 0.3, "outlier_alpha": 2.2 / np.sqrt(N_FEATURES)}
    return CodingOptions("sqrt_lasso", **(usual | given))


@pytest.mark.parametrize("alpha", [0, 0.05])
@pytest.mark.parametrize("phi", [0, 0.3, 1])
@pytest.mark.parametrize("positive", [False, True])
def test_codes_are_those_of_paths(alpha, phi, positive, monkeypatch):
    X, dictionary = spiked_rows()
    given = options(alpha=alpha, phi=phi, positive=positive)
    theirs = code_rows(X, dictionary, given)
    monkeypatch.setattr(wide_rows, "MANY", 0)
    ours = code_rows(X, dictionary, given)
    assert ours.gap.max() <= given.tol
    for name in ("Z", "gap", "mu", "outliers"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("many", [0, np.inf])
def test_rows_of_any_size_have_the_same_codes(many, monkeypatch):
    monkeypatch.setattr(wide_rows, "MANY", many)
    X, dictionary = spiked_rows()
    ordinary = code_rows(X, dictionary, options())
    for size in (2.0**-700, 2.0**700):
        scaled = code_rows(X * size, dictionary, options())
        np.testing.assert_array_equal(scaled.Z, ordinary.Z * size)
        np.testing.assert_array_equal(scaled.outliers, ordinary.outliers * size)


@pytest.mark.parametrize("many", [0, np.inf])
def test_exact_fits_are_certified(many, monkeypatch):
    monkeypatch.setattr(wide_rows, "MANY", many)
    _, dictionary = spiked_rows()
    X = np.vstack([2 * dictionary.D[0], dictionary.D[1]])
    X[1, 7] += 3
    found = code_rows(X, dictionary, options(phi=1.0))
    assert found.gap.max() <= 1e-8
    np.testing.assert_array_equal(found.Z != 0, np.eye(N_ATOMS, dtype=bool)[:2])
    assert found.mu[0] <= 1e-12
    assert abs(found.outliers[1]).argmax() == 7


def test_signs_that_turn_in_the_refit_keep_their_penalty(monkeypatch):
    """Three atoms alike: the refit of a small entry has the other sign."""
    X, dictionary = spiked_rows(3, 8)
    rng = np.random.default_rng(1)
    D = dictionary.D[np.zeros(N_ATOMS, int)]
    D = make_dictionary(D + 0.02 * rng.standard_normal(D.shape))
    X, turned, whole = np.where(np.isnan(X), 0, X), [], wide_rows.lasso_on_support
    X[:4] += 40 * D.D[:4]

    def followed(*arguments):
        turned.append(arguments)
        return whole(*arguments)

    monkeypatch.setattr(wide_rows, "lasso_on_support", followed)
    for positive in (False, True):
        given = options(alpha=0.001, positive=positive)
        theirs = code_rows(X, D, given)
        monkeypatch.setattr(wide_rows, "MANY", 0)
        ours = code_rows(X, D, given)
        monkeypatch.undo()
        monkeypatch.setattr(wide_rows, "lasso_on_support", followed)
        np.testing.assert_allclose(ours.Z, theirs.Z, rtol=0, atol=1e-5)
        np.testing.assert_allclose(ours.outliers, theirs.outliers, rtol=0, atol=1e-5)
    assert turned


def test_what_is_left_unsolved_is_coded_by_paths(monkeypatch):
    X, dictionary = spiked_rows()
    expected = code_rows(X, dictionary, options())
    monkeypatch.setattr(wide_rows, "MANY", 0)
    monkeypatch.setattr(newton, "STEPS", 1)
    found = code_rows(X, dictionary, options())
    assert found.gap.max() <= 1e-8
    np.testing.assert_allclose(found.Z, expected.Z, rtol=0, atol=1e-6)
    monkeypatch.setattr(encoder, "has_short_paths", lambda *_: False)
    assert code_rows(X, dictionary, options()).gap.max() > 1e-8


def test_paths_over_few_atoms_and_spikes_come_first():
    rng = np.random.default_rng(0)
    few, more, many = (
        make_dictionary(rng.standard_normal(shape))
        for shape in ((200, 700), (90, 1450), (20, 3060))
    )
    assert not wide_rows.has_wide_rows(few, options())
    assert wide_rows.has_wide_rows(few, options(positive=True))
    assert wide_rows.has_wide_rows(more, options())
    assert wide_rows.has_short_paths(more, options())
    assert not wide_rows.has_short_paths(many, options())


@pytest.mark.parametrize("first", ["zeros", "wrong"])
def test_any_start_comes_to_the_minimum(first):
    X, dictionary = spiked_rows()
    observed = ~np.isnan(X)
    x, alpha = np.where(observed, X, 0), np.full(N_ATOMS, 0.05)
    for beta in (None, np.full(N_FEATURES, 0.12)):
        units = newton.Units(*dictionary, alpha, beta, False)
        Z = np.zeros((len(x), N_ATOMS)) if first == "zeros" else -(x @ dictionary.D.T)
        found = newton.code_by_newton(units, x, observed, Z)
        assert found.gap.max() <= 1e-8
        assert np.all((found.outliers == 0) | (observed & (beta is not None)))


@pytest.mark.parametrize("share", [1e-3, 1e-9])
def test_small_residuals_are_certified_by_themselves(share, monkeypatch):
    """Rows near what is decoded have residuals that are no rounding errors."""
    monkeypatch.setattr(newton, "STEPS", 1)
    X, dictionary = spiked_rows()
    monkeypatch.setattr(wide_rows, "MANY", 0)
    x, given = X[[0, 3]], options(phi=1.0)
    usual = code_rows(x, dictionary, given)
    decoded = usual.Z @ dictionary.D + usual.outliers
    near = decoded + share * (x - decoded)
    beta = np.full(N_FEATURES, given.outlier_alpha)
    units = newton.Units(*dictionary, np.full(N_ATOMS, given.alpha), beta, False)
    found = newton.code_by_newton(units, near, ~np.isnan(near), usual.Z)
    assert found.gap.max() <= 1e-6
    np.testing.assert_allclose(found.scale, share * usual.mu, rtol=1e-3)


def wide_frame(seed=0, n_units=120, n_rows=8, share=0.3):
    """Return orthonormal units, and rows in their span but for many spikes."""
    rng = np.random.default_rng(seed)
    W = np.linalg.qr(rng.standard_normal((N_FEATURES, n_units)))[0].T
    X = rng.standard_normal((n_rows, n_units)) @ W
    X += 3 * rng.standard_normal(X.shape) * (rng.random(X.shape) < share)
    observed = rng.random(X.shape) < 0.9
    return W, np.where(observed, X, 0), observed


@pytest.mark.parametrize("alpha", [0.005, 0.05])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_systems_of_orthonormal_units_have_two_sides(alpha, share):
    W, x, observed = wide_frame(share=share)
    given = np.eye(len(W)), np.full(len(W), alpha), np.full(N_FEATURES, 0.12), False
    usual, ours = (
        newton.code_by_newton(newton.Units(W, *given, same), x, observed, x @ W.T)
        for same in (False, True)
    )
    assert max(usual.gap.max(), ours.gap.max()) <= 1e-6
    np.testing.assert_allclose(ours.scale, usual.scale, atol=1e-5)
    np.testing.assert_allclose(ours.Z, usual.Z, atol=1e-4)


@pytest.mark.parametrize("alpha", [1e-3, 1e-2])
def test_many_outliers_of_rows_without_noise_are_certified(alpha):
    """Where residuals vanish, steps from codes without outliers come to rest."""
    W, x, observed = wide_frame(share=0.4)
    beta = np.full(N_FEATURES, 0.136)
    units = newton.Units(W, np.eye(len(W)), np.full(len(W), alpha), beta, False, True)
    for first in (x @ W.T, np.zeros((len(x), len(W)))):
        found = newton.code_by_newton(units, x, observed, first)
        r = np.where(observed, x - found.Z @ W - found.outliers, 0)
        np.testing.assert_allclose(found.scale, np.linalg.norm(r, axis=1), atol=1e-12)
        assert found.gap.max() <= 1e-6
