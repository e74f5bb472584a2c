"""Codes in given atoms are what they claim to be, however degenerate the problem."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import nnls
from sklearn.datasets import load_digits
from sklearn.linear_model import orthogonal_mp

from sklearn_sqrtlasso.blockwise.encode import encode
from sklearn_sqrtlasso.blockwise.groups import ungrouped
from sklearn_sqrtlasso.sparse_coding.dictionary import CodingOptions, make_dictionary
from sklearn_sqrtlasso.sparse_coding.encoder import DictionaryEncoder, code_rows
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS
from tests import oracles, sized
from tests.problems import PENALTIES, general, largest_penalty, problems

CERTIFIED = {name: row for name, row in SELECTORS.items() if row.certified}
LASSOS = {name: row.alpha_unit == "pure" for name, row in CERTIFIED.items()}  # is root
GREEDY = [name for name, row in SELECTORS.items() if row.takes_count != "never"]
ALPHAS = {"pure": 0.3, "correlation": 0.5, "data": 1.5, None: 0.0}  # by their unit


def ways_to_select(name, row):
    """Return the options that a selector can be used with, from what its row says."""
    by_alpha = CodingOptions(name, ALPHAS[row.alpha_unit])
    by_count = CodingOptions(name, n_nonzero=3)
    if row.takes_count == "never":
        return {name: by_alpha}
    if row.takes_count == "required":
        return {name: by_count}
    return {name: by_count, f"{name} without a count": by_alpha}


RULES = {
    label: options
    for name, row in SELECTORS.items()
    for label, options in ways_to_select(name, row).items()
}

SCALED = [
    label
    for label, rule in RULES.items()
    if SELECTORS[rule.selector].alpha_unit in ("correlation", "data")
    and not rule.n_nonzero
]
each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
each_sign = pytest.mark.parametrize("positive", [False, True])
each_lasso = pytest.mark.parametrize("selector", LASSOS)


def code(X, D, rule, **changes):
    return code_rows(X, make_dictionary(D), rule._replace(**changes))


def encoded(X, D, rule, n_jobs=None):
    """Return codes and gaps, made block by block."""
    encoder = DictionaryEncoder(make_dictionary(D), rule)
    return encode(X, encoder, ungrouped(len(X)), n_jobs=n_jobs)


@pytest.mark.parametrize("n_rows", [1, 64, 300, 1000, 100_000])
def test_threads_share_few_rows_and_blocks_of_many_are_bounded(n_rows):
    D = np.random.default_rng(0).standard_normal((256, 64))
    encoder = DictionaryEncoder(make_dictionary(D), CodingOptions("omp", None))
    X = np.broadcast_to(np.zeros(64), (n_rows, 64))
    size, usual = encoder.prepared(X).rows_per_block(64), 2**18 // (8 * 256)
    assert -(-n_rows // size) >= min(8, n_rows // usual)
    assert size >= usual
    assert 8 * size * sum(D.shape) <= 2**20


def energy(X, Z, D):
    return np.sum((X - Z @ D) ** 2, axis=1)


@each_lasso
@given(problems, st.sampled_from(PENALTIES), st.booleans())
def test_every_row_is_certified(selector, problem, share, positive):
    D, X = problem
    alpha = share * largest_penalty(D, X, LASSOS[selector])
    solution = code(X, D, CodingOptions(selector, alpha, phi=1.0, positive=positive))
    assert np.isfinite(solution.Z).all()
    assert not positive or (solution.Z >= 0).all()
    # gaps of penalties near 0 are certified at 1e-10 of the largest penalty
    assert (solution.gap <= 1e-6).all()
    assert (solution.gap >= -1e-12).all()


@each_lasso
@each_sign
def test_codes_are_zero_from_the_largest_penalty_on(selector, positive):
    D, X = general()
    alpha = largest_penalty(D, X, LASSOS[selector])
    for factor in (1 + 1e-9, 2.0, 1e100):
        rule = CodingOptions(selector, factor * alpha, positive=positive)
        assert not code(X, D, rule).Z.any()


@each_sign
@pytest.mark.parametrize(
    ("selector", "alpha"),
    [("lasso", 20.0), ("lasso", 1.0), ("sqrt_lasso", 0.3), ("sqrt_lasso", 0.1)],
)
def test_images_in_coherent_cosines_are_certified(selector, alpha, positive):
    X = load_digits().data[:: sized(1, 600)]
    X -= X.mean(axis=1, keepdims=True)
    waves = np.cos(np.outer(np.arange(16), np.arange(8)) * np.pi / 16)
    waves[1:] -= waves[1:].mean(axis=1, keepdims=True)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    rule = CodingOptions(selector, alpha, phi=1.0, positive=positive)
    assert code(X, np.kron(waves, waves), rule).gap.max() <= 1e-8


def test_the_square_root_lasso_is_the_lasso_at_its_own_penalty():
    D, X = general()
    root = code(X, D, CodingOptions("sqrt_lasso", 0.3, phi=1.0))
    for i, mu in enumerate(root.mu):
        lasso = code(X[i : i + 1], D, CodingOptions("lasso", mu, phi=1.0))
        assert_allclose(root.Z[i], lasso.Z[0], atol=1e-10)


@pytest.mark.parametrize("selector", ["omp", "ols"])
def test_pursuit_codes_by_least_squares(selector):
    D, X = general()
    Z = code(X, D, CodingOptions(selector, n_nonzero=4)).Z
    assert (np.count_nonzero(Z, axis=1) == 4).all()
    for x, z in zip(X, Z, strict=True):
        fit = np.linalg.lstsq(D[z != 0].T, x)[0]
        assert_allclose(z[z != 0], fit, atol=1e-10)


def test_pursuit_takes_the_atoms_that_its_twin_takes():
    D, X = general()
    D *= np.random.default_rng(1).uniform(0.5, 2, (len(D), 1))
    Z = code(X, D, CodingOptions("omp", n_nonzero=4)).Z
    twins = [oracles.matching_pursuit(x, D, 4) for x in X]
    assert_allclose(Z, twins, atol=1e-10)


@pytest.mark.parametrize("selector", ["omp", "ols"])
def test_pursuit_stops_where_nothing_is_left(selector):
    D, _ = general()
    X = 3 * D[2:5] - D[10:13]
    Z = code(X, D, CodingOptions(selector, n_nonzero=8)).Z
    assert_allclose(Z @ D, X, atol=1e-12)
    assert_array_equal(np.count_nonzero(Z, axis=1), 2)
    alone = code(D, D, CodingOptions(selector, n_nonzero=8)).Z
    assert_array_equal(np.count_nonzero(alone, axis=1), 1)


def test_pursuit_of_unit_atoms_is_that_of_scikit_learn():
    D, X = general()
    theirs = orthogonal_mp(D.T, X.T, n_nonzero_coefs=3).T
    assert_allclose(code(X, D, RULES["omp"]).Z, theirs, atol=1e-10)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_pursuit_by_residuals_adds_the_atom_that_leaves_least(k):
    D, X = general()
    before, after = (pursued(X, D, "ols", n) for n in (k, k + 1))
    assert (np.count_nonzero(before, axis=1) == k).all()
    assert not (before.astype(bool) & (after == 0)).any()
    for x, z, left in zip(X, before, energy(X, after, D), strict=True):
        others = [left_by(x, D[np.append(np.flatnonzero(z), j)]) for j in range(len(D))]
        # energies of order 10 know sixteen digits, and condition costs two of them
        assert_allclose(left, min(others), rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_after_the_same_atoms_no_other_choice_leaves_less_than_ols(k):
    D, X = general()
    same = ((pursued(X, D, "omp", k) != 0) == (pursued(X, D, "ols", k) != 0)).all(
        axis=1
    )
    omp, ols = (energy(X, pursued(X, D, name, k + 1), D)[same] for name in GREEDY[:2])
    assert (ols <= omp + 1e-12).all()  # energies of order 10, as above
    # unit atoms: the first choice is the same, and sooner or later one differs
    assert (ols < omp - 1e-3).any() == (k > 0)


def pursued(X, D, selector, k):
    if k == 0:
        return np.zeros((len(X), len(D)))
    return code(X, D, CodingOptions(selector, n_nonzero=k)).Z


def left_by(x, atoms):
    return np.sum((x - np.linalg.lstsq(atoms.T, x)[0] @ atoms) ** 2)


@pytest.mark.parametrize("selector", ["omp", "ols"])
def test_pursuit_stops_at_a_residual_norm(selector):
    D, X = general()
    Z = code(X, D, CodingOptions(selector, 1.0)).Z
    assert (energy(X, Z, D) <= 1 + 1e-12).all()
    for x, z in zip(X, Z, strict=True):
        k = np.count_nonzero(z) - 1
        if k > 0:
            fewer = code(x[None], D, CodingOptions(selector, n_nonzero=k)).Z
            assert energy(x[None], fewer, D)[0] > 1


@given(problems, st.sampled_from(GREEDY), st.integers(1, 6), st.booleans())
def test_greedy_codes_are_finite_and_small(problem, selector, k, positive):
    D, X = problem
    Z = code(X, D, CodingOptions(selector, n_nonzero=k, positive=positive)).Z
    assert np.isfinite(Z).all()
    assert (np.count_nonzero(Z, axis=1) <= k).all()
    assert not positive or (Z >= 0).all()
    assert not Z[0].any()


def test_thresholding_with_inversion_ends_at_a_support_that_stays_or_in_a_circle():
    D, X = general(n_components=24, n_features=16)
    solution = code(X, D, RULES["iti"])
    C = np.abs(solution.Z + (X - solution.Z @ D) @ D.T)
    next_support = np.argsort(-C, axis=1)[:, :3]
    stays = np.take_along_axis(solution.Z, next_support, axis=1).all(axis=1)
    assert stays.mean() > 0.6
    assert (solution.gap == 0).all()


def test_thresholding_with_inversion_finds_sparse_codes():
    rng = np.random.default_rng(0)
    D = rng.standard_normal((120, 60))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    true = np.zeros((30, 120))
    for z in true:
        z[rng.permutation(120)[:6]] = rng.choice([-1, 1], 6)
    for rule in (
        CodingOptions("iti", n_nonzero=6),
        CodingOptions("iti"),
        CodingOptions("omp", n_nonzero=6),
    ):
        error = np.linalg.norm(code(true @ D, D, rule).Z - true, axis=1)
        assert np.mean(error < 1e-2 * 6**0.5) >= 0.9


def test_topk_keeps_the_largest_products():
    D, X = general()
    C, Z = X @ D.T, code(X, D, RULES["topk"], phi=1.0).Z
    for c, z in zip(C, Z, strict=True):
        kept = np.argsort(-np.abs(c))[:3]
        assert_array_equal(z[kept], c[kept])
        assert np.count_nonzero(z) == 3


@each_sign
def test_threshold_is_soft_thresholding(positive):
    D, X = general()
    Z = code(X, D, RULES["threshold"], phi=1.0, positive=positive).Z
    assert_allclose(Z, oracles.soft(X @ D.T, 0.5, positive), atol=1e-15)


@each_rule
@each_sign
def test_refitting_is_least_squares_on_the_support(rule, positive):
    D, X = general()
    first = code(X, D, rule, phi=1.0, positive=positive).Z
    Z = code(X, D, rule, positive=positive).Z
    solve = (lambda A, b: nnls(A, b)[0]) if positive else np.linalg.lstsq
    for x, z, z1 in zip(X, Z, first, strict=True):
        support = z1 != 0
        assert not z[~support].any()
        if support.any() and support.sum() <= len(x):
            fit = solve(D[support].T, x)
            fit = fit if positive else fit[0]
            assert_allclose(z[support], fit, atol=1e-9)


@each_rule
@each_sign
def test_refitting_never_leaves_more(rule, positive):
    D, X = general()
    left = [
        energy(X, code(X, D, rule, phi=phi, positive=positive).Z, D)
        for phi in (1.0, 0.7, 0.3, 0.0)
    ]
    for more, less in pairwise(left):
        assert (less <= more + 1e-12).all()


@each_rule
@each_sign
def test_the_way_to_least_squares_is_continuous(rule, positive):
    D, X = general(n_rows=sized(40, 5))
    largest = []
    for n_steps in (10, 40):
        shares = np.linspace(0, 1, n_steps + 1)
        way = [code(X, D, rule, phi=phi, positive=positive).Z for phi in shares]
        largest.append(np.abs(np.diff(way, axis=0)).max())
    # lines with bends: steps of a quarter move codes by as much, or a bit more
    assert largest[1] <= 0.5 * largest[0] + 1e-12


@each_lasso
@each_sign
def test_relaxed_codes_minimise_their_objective(selector, positive):
    D, X = general()
    first = code(X, D, RULES[selector], alpha=0.05, phi=1.0, positive=positive)
    Z = code(X, D, RULES[selector], alpha=0.05, phi=0.4, positive=positive).Z
    for x, z, z1, mu in zip(X, Z, first.Z, first.mu, strict=True):
        support = z1 != 0
        rule = CodingOptions("lasso", 0.4 * mu, phi=1.0, positive=positive)
        alone = code(x[None], D[support], rule).Z[0]
        assert_allclose(z[support], alone, atol=1e-9)


def test_signs_do_change_on_the_way():
    D, X = general(n_components=12)
    first = code(X, D, CodingOptions("lasso", 0.05, phi=1.0)).Z
    last = code(X, D, CodingOptions("lasso", 0.05)).Z
    assert np.any(first * last < 0)


@each_rule
def test_powers_of_two_scale_codes_to_the_bit(rule):
    D, X = general()
    pure = SELECTORS[rule.selector].alpha_unit == "pure"
    unit = 1.0 if pure else 2.0**20
    Z = code(X, D, rule).Z
    scaled = code(2.0**20 * X, D, rule, alpha=unit * rule.alpha).Z
    assert_array_equal(scaled, 2.0**20 * Z)


@pytest.mark.parametrize("selector", ["sqrt_lasso", "omp", "topk", "iti"])
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_tiny_and_huge_rows_are_coded_like_others(selector, scale):
    D, X = general()
    Z = code(scale * X, D, RULES[selector]).Z
    assert_allclose(Z / scale, code(X, D, RULES[selector]).Z, atol=1e-9)


@pytest.mark.parametrize("selector", SCALED)
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
@pytest.mark.parametrize("n_features", [1, 12])
def test_penalties_in_units_of_the_data_scale_with_it(selector, scale, n_features):
    D, X = general(n_features=n_features)
    X[0] *= 0.01
    rule = RULES[selector]
    Z = code(scale * X, D, rule, alpha=scale * rule.alpha).Z
    assert_allclose(Z / scale, code(X, D, rule).Z, atol=1e-9)


@each_rule
def test_threads_and_blocks_do_not_change_codes(rule):
    D, X = general(n_rows=sized(1500, 70))
    codes = [encoded(X, D, rule, n_jobs)[0] for n_jobs in (None, 1, 2)]
    assert_array_equal(codes[0], codes[1])
    assert_array_equal(codes[0], codes[2])
    # products of other shapes are summed in another order
    assert_allclose(codes[0][:7], code(X[:7], D, rule).Z, atol=1e-11)


@each_rule
def test_rows_may_be_single_precision(rule):
    D, X = general()
    Z = encoded(X.astype("f4"), D, rule)[0]
    assert Z.dtype == np.float32
    # a rounding of X may change a support, where two atoms are as good
    assert np.median(np.abs(Z - code(X, D, rule).Z).max(axis=1)) < 1e-5


def test_a_row_that_did_not_come_to_its_end_has_an_infinite_gap():
    D, X = general()
    gap = encoded(X, D, CodingOptions("iti", n_nonzero=3, max_iter=1))[1]
    assert_array_equal(gap, np.inf)


def test_the_relaxed_lasso_needs_fewer_atoms_where_noise_is_weak():
    rng, rule = np.random.default_rng(0), CodingOptions("lasso")
    true, risk, used = (np.arange(80) < 5) * 1.0, [], []
    for _ in range(sized(10, 2)):
        X = rng.standard_normal((120, 80))
        y = X @ true + np.sqrt(true @ true / 6) * rng.standard_normal(120)
        atoms, met = make_dictionary(X[:60].T), {}
        for alpha in np.abs(X[:60].T @ y[:60]).max() * np.geomspace(
            1, 1e-2, sized(20, 7)
        ):
            for phi in (1.0, 0.5, 0.0):
                one = rule._replace(alpha=alpha, phi=phi)
                z = code_rows(y[None, :60], atoms, one).Z[0]
                found = np.sum((y[60:] - X[60:] @ z) ** 2), tuple(z)
                met[phi] = min(found, met.get(phi, found))
        tuned = [np.array(found[1]) for found in (met[1.0], min(met.values()))]
        risk.append([np.sum((z - true) ** 2) for z in tuned])
        used.append([np.count_nonzero(z) for z in tuned])
    (lasso, relaxed), (many, few) = np.mean(risk, axis=0), np.mean(used, axis=0)
    assert relaxed < 0.8 * lasso
    assert few < 0.7 * many


@pytest.mark.parametrize(
    ("shape", "n_usual"),
    [
        ((20, 1024), 1024),  # few columns
        ((5000, 3000), 3000),  # as many atoms as columns
        ((3000, 3000), 3000),
        ((1, 1025), 1024),
        ((10, 20_000), 1024),
        ((200, 20_000), 2000),
    ],
)
def test_the_usual_penalty_falls_more_slowly_where_columns_are_many(shape, n_usual):
    penalty = SELECTORS["sqrt_lasso"].auto_alpha
    assert penalty(shape, 7.0) == pytest.approx(1.2 / np.sqrt(n_usual), rel=1e-15)


def test_the_usual_penalty_never_forbids_codes():
    assert SELECTORS["sqrt_lasso"].auto_alpha((5, 1), 7.0) == 0.9
