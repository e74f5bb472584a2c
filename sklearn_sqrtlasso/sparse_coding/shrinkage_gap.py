r"""Relative duality gap of codes by square-root-lasso shrinkage.

The shrinkage problem of a group of m rows ``u_b``, and its dual ::

    min_z  sqrt(mean_b (||u_b - z_b||^2 + rho_b^2)) + mean_b sum_i alpha_i |z_bi|
    =  max_theta  sum_b <u_b, theta_b> + <rho, theta_0>

over ``||(theta, theta_0)|| <= 1 / sqrt(m)`` and ``|theta_bi| <= alpha_i / m`` (only
from above for nonnegative codes). Three dual points are scaled into that set, and the
one of largest value is used: the residual; ``alpha_i sign(z_bi)`` at the active
entries, which is the optimality condition and exact where the residual is lost in
rounding; and a combination, each where it is more accurate. Only a few sums and maxima
of each row are needed, so rows are processed in blocks and groups may have any length.
"""

import numpy as np

from sklearn_sqrtlasso.blockwise.encode import map_encoded
from sklearn_sqrtlasso.blockwise.groups import RowGroups, ungrouped
from sklearn_sqrtlasso.blockwise.linalg import unit_near

# Terms kept for each row, of order 0, 1 and 2 in the unit of scaling of the row.
PURE = ("signs_signs", "signs_reach")
LINEAR = ("penalty", "signs_u", "residual_reach", "inactive_reach")
SQUARE = ("u_u", "outside", "residual", "inactive", "residual_u", "inactive_u")


def row_terms(U, Z, alpha, outside, positive):
    """Return the unit of scaling of each row, and its terms in that unit.

    Parameters
    ----------
    U, Z : ndarray of shape (n_rows, n_components)
        Coefficients before shrinkage, and codes, in double precision.
    alpha : ndarray of shape (n_components,)
        Penalty of each unit.
    outside : ndarray of shape (n_rows,)
        Norm of each row outside the span.
    positive : bool
        Whether codes are nonnegative.

    Returns
    -------
    unit : ndarray of shape (n_rows,)
        Powers of two.
    terms : dict of str to ndarray of shape (n_rows,)
        Sums over the entries of a row, and maxima ("reach").
    """
    unit = unit_near(np.maximum(np.abs(U).max(axis=1, initial=0), outside))
    U, Z, outside = U / unit[:, None], Z / unit[:, None], outside / unit
    R, signs = U - Z, alpha * np.sign(Z)
    inactive = np.where(Z != 0, 0, R)

    def reach(theta):
        size = np.maximum(theta, 0) if positive else np.abs(theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(size > 0, size / alpha, 0.0).max(axis=1, initial=0)

    def product(a, b):
        return np.einsum("ij,ij->i", a, b)

    return unit, {
        "signs_signs": product(signs, signs),
        "signs_reach": reach(signs),
        "penalty": np.abs(Z) @ alpha,
        "signs_u": product(signs, U),
        "residual_reach": reach(R),
        "inactive_reach": reach(inactive),
        "u_u": product(U, U),
        "outside": outside**2,
        "residual": product(R, R),
        "inactive": product(inactive, inactive),
        "residual_u": product(R, U),
        "inactive_u": product(inactive, U),
    }


def gaps_of_groups(unit, terms, groups: RowGroups):
    """Return the relative duality gap of each group from the terms of its rows.

    Parameters
    ----------
    unit, terms
        As ``row_terms`` returns them.
    groups : RowGroups
        Rows that share a residual scale.

    Returns
    -------
    gap : ndarray of shape (n_groups,)
        The objective exceeds its minimum by at most ``gap`` times the root mean square
        norm of the rows of the group; a pure number.
    """
    places = slice(None) if groups.order is None else groups.order
    first, m = groups.starts[:-1], np.diff(groups.starts)
    unit = unit[places]
    factor = unit / np.repeat(np.maximum.reduceat(unit, first), m)
    total = {}
    for power, names in enumerate((PURE, LINEAR, SQUARE)):
        for name in names:
            share = factor**power
            values = np.multiply(
                terms[name][places], share, out=np.zeros_like(share), where=share > 0
            )
            join = np.maximum if name.endswith("reach") else np.add
            total[name] = join.reduceat(values, first)
    signs, inactive = total["signs_signs"], total["inactive"]
    outside, slack = total["outside"], m - total["signs_signs"]
    energy = total["residual"] + outside
    norm = np.sqrt(energy / m)
    t = np.sqrt(np.divide(inactive + outside, slack, out=norm**2, where=slack > 0))
    points = (
        (total["residual_u"] + outside, energy, total["residual_reach"]),
        (total["signs_u"], signs, total["signs_reach"]),
        (
            total["inactive_u"] + t * total["signs_u"] + outside,
            inactive + t**2 * signs + outside,
            np.maximum(total["inactive_reach"], t * total["signs_reach"]),
        ),
    )
    dual = np.max([_dual_value(point, m) for point in points], axis=0)
    size = np.sqrt((total["u_u"] + outside) / m)
    gap = norm + total["penalty"] / m - dual
    return np.divide(gap, size, out=np.zeros_like(gap), where=size > 0)


def _dual_value(point, m):
    """Return the value of a dual point, scaled into the feasible set."""
    product, energy, reach = point
    scale = m * np.maximum(np.sqrt(energy / m), reach)
    return np.divide(product, scale, out=product / m, where=scale > 0)


def shrinkage_gap(
    U: np.ndarray,
    Z: np.ndarray,
    alpha: float | np.ndarray,
    outside: np.ndarray | None = None,
    *,
    positive: bool = False,
    groups: RowGroups | None = None,
) -> np.ndarray:
    r"""Return the relative duality gap of codes of the shrinkage problem.

    .. math::
        \min_z \sqrt{\tfrac1m \textstyle\sum_b (\|u_b - z_b\|^2 + \rho_b^2)}
        + \tfrac1m \textstyle\sum_{bi} \alpha_i |z_{bi}|

    Parameters
    ----------
    U, Z : ndarray of shape (n_samples, n_components)
        Coefficients before shrinkage, and codes.
    alpha : float or ndarray of shape (n_components,)
        Penalty, a pure number.
    outside : ndarray of shape (n_samples,), default=None
        Norm of each row outside the span, in units of ``U``; None is zero.
    positive : bool, default=False
        Whether codes are nonnegative.
    groups : RowGroups, default=None
        Rows that share a residual scale, as ``blockwise.groups.groups_of_labels``
        returns them; None puts each row into its own group.

    Returns
    -------
    gap : ndarray of shape (n_groups,)
        The objective exceeds its minimum by at most ``gap`` times the root mean square
        norm of the rows of the group; a pure number.
    """
    groups = ungrouped(len(U)) if groups is None else groups
    U, Z = np.asarray(U, dtype=np.float64), np.asarray(Z, dtype=np.float64)
    outside = np.zeros(len(U)) if outside is None else np.asarray(outside, np.float64)
    alpha = np.broadcast_to(np.asarray(alpha, np.float64), U.shape[1:])
    unit, terms = row_terms(U, Z, alpha, outside, positive)
    return gaps_of_groups(unit, terms, groups)


def gaps_of_rows(X, encoder, groups: RowGroups, *, n_jobs=None):
    """Encode rows, and return the relative duality gap of the group of each row.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Rows.
    encoder : PoolingEncoder
        Encoder whose codes should minimise the shrinkage problem.
    groups : RowGroups
        Rows that share a residual scale.
    n_jobs : int, default=None
        Number of threads, as in joblib.

    Returns
    -------
    gap : ndarray of shape (n_samples,)
        Gaps, equal within a group.
    """
    alpha = np.asarray(encoder.alpha, np.float64)
    unit, terms = np.empty(X.shape[0]), {}
    for name in (*PURE, *LINEAR, *SQUARE):
        terms[name] = np.empty(X.shape[0])

    def note(block):
        U, outside = encoder.project(block.X)
        U, Z, outside = (np.asarray(a, np.float64) for a in (U, block.Z, outside))
        unit[block.rows], found = row_terms(U, Z, alpha, outside, encoder.positive)
        for name, values in found.items():
            terms[name][block.rows] = values

    map_encoded(note, X, encoder, groups, n_jobs=n_jobs)
    gap, n_rows = gaps_of_groups(unit, terms, groups), np.diff(groups.starts)
    gap_of_row = np.empty(X.shape[0])
    gap_of_row[slice(None) if groups.order is None else groups.order] = np.repeat(
        gap, n_rows
    )
    return gap_of_row
