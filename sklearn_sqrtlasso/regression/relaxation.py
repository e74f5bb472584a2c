r"""Relaxed square-root lasso: refit solutions on supports, with less shrinkage.

With weighted means of squares as in a design, the solution w of a square-root lasso
with penalty :math:`\alpha` is that of a lasso with penalty :math:`\alpha\hat\sigma`. Of
this penalty the relaxed solution keeps the share :math:`\phi` ::

    argmin_v  1/2 ||y - X v||^2 + phi alpha sigma sum_j |v_j|    on the support of w .

It moves from w, at phi = 1, to least squares, at phi = 0, on a path that is linear
between breakpoints, at which a sign changes. Hence all shares cost a step of the path
on the columns of the support.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve

from sklearn_sqrtlasso.algorithms.active_set import (
    DEPENDENT,
    factorize,
    solve_exactly,
)
from sklearn_sqrtlasso.algorithms.relaxed_path import relax_on_supports
from sklearn_sqrtlasso.regression.fit import fit_of, in_given_units, nonzeros_of
from sklearn_sqrtlasso.regression.moment_path import count_exact, follow_moment_path
from sklearn_sqrtlasso.regression.moments import held_out_square
from sklearn_sqrtlasso.regression.solver import regress
from sklearn_sqrtlasso.regression.working_set import WorkingSet

ROUNDS = 2  # of least squares by a factor of the Gram matrix
LEAST = np.finfo(np.float64).tiny  # penalty that is not zero


def residual_of(design, y, coef):
    """Return the residual of coefficients, weighted and centred, and its exponent.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,)
        Target, neither centred nor weighted.
    coef : ndarray of shape (n_features,) or Fit
        Coefficients, in units of y over units of X.

    Returns
    -------
    r, y : ndarray of shape (n_samples,)
        Residual and target, as ``design.centered`` returns them, in units of y over a
        power of two.
    exponent : int
        That power.
    """
    y, exponent = design.target(y)[:2]
    on, values = nonzeros_of(coef)
    if not len(on):
        return y, y, exponent
    w = np.ldexp(values, design.exponents_of(on) - exponent)
    return y - design.apply(design.columns(on), w), y, exponent


class Support(NamedTuple):
    """Columns of a support, and a solution on them.

    Attributes
    ----------
    G : ndarray of shape (n_columns, n_columns)
        Gram matrix of the columns.
    b : ndarray of shape (n_columns,)
        Products with the target.
    w : ndarray of shape (n_columns,)
        Coefficients, without zeros.
    tau : ndarray of shape (n_columns,)
        Penalties of the lasso of which they are the solution.
    """

    G: np.ndarray
    b: np.ndarray
    w: np.ndarray
    tau: np.ndarray


def follow_relaxed_path(support, phis, positive):
    """Return the relaxed solutions on a support.

    Parameters
    ----------
    support : Support
        The support.
    phis : ndarray of shape (n_phis,)
        Shares of the penalty, in [0, 1], in decreasing order.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    coef : ndarray of shape (n_phis, n_columns)
        Their coefficients.
    """
    G, b, w, tau = support
    if not tau.any():  # least squares already
        return np.repeat(w[None], len(phis), axis=0)
    factor = factor_of(G)
    if factor is not None:
        least = w.copy()
        for _ in range(ROUNDS):  # the later ones correct the rounding of the first
            least += cho_solve((factor, True), b - G @ least, check_finite=False)
        if np.all(least * w > 0):
            return np.outer(phis, w) + np.outer(1 - phis, least)
    return _follow_turns(support, factor, phis, positive)


def factor_of(G):
    """Return the Cholesky factor of a Gram matrix, or None if columns are dependent."""
    try:
        factor = np.linalg.cholesky(G)
    except np.linalg.LinAlgError:
        return None
    independent = factor.diagonal() ** 2 > DEPENDENT * G.diagonal()
    return np.ascontiguousarray(factor) if independent.all() else None


def _follow_turns(support, factor, phis, positive):
    """Return relaxed solutions by the active-set path, on which signs turn."""
    G, b, w, tau = support
    coef, before = np.repeat(w[None], len(phis), axis=0), 1.0
    w, tau, most = w.copy(), np.maximum(tau, LEAST), 10 * len(w) + 100
    L, act, k = factor, np.arange(len(w)), len(w)
    if L is None:
        L = np.empty(G.shape)
        k = factorize(G, w, L, act)
    for i in np.flatnonzero(phis < 1):
        c, shares = b - G @ w, np.array([before, phis[i]])
        _, k, _ = solve_exactly(G, w, c, 0.0, shares**2, tau, positive, L, act, k, most)
        _correct(G, b, w, phis[i] * tau, L, act[:k])
        coef[i], before = w, phis[i]
    return coef


def _correct(G, b, w, tau, L, on):
    """Correct rounding errors of active coefficients, as long as no sign changes."""
    k, step = len(on), (b - G @ w)[on] - tau[on] * np.sign(w[on])
    step = cho_solve((L[:k, :k], True), step, check_finite=False) if k else step
    if np.all((w[on] + step) * w[on] > 0):
        w[on] += step


def _relax_on_supports(G, b, W, tau, phis, positive):
    """Return relaxed solutions of many, of shape (n_phis, n_solutions, n_columns)."""
    out, done = np.zeros((len(phis), *W.shape)), np.zeros(len(W), dtype=bool)
    given = np.ascontiguousarray(G), np.ascontiguousarray(b), W, tau, phis
    relax_on_supports(*given, bool(positive), out, done)
    for k in np.flatnonzero(~done):  # columns of the support depend on each other
        on = np.flatnonzero(W[k])
        support = Support(G[np.ix_(on, on)], b[on], W[k, on], tau[k, on])
        out[:, k] = 0.0
        out[:, k, on] = _follow_turns(support, None, phis, positive)
    return out


class Relaxation:
    """The relaxed solutions of one target on a design, for any fits of it.

    The Gram matrix is gathered once for the columns of all supports.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,)
        Target, neither centred nor weighted.
    positive : bool
        Whether coefficients are nonnegative.
    """

    def __init__(self, design, y, positive):
        self.design, self.positive = design, positive
        self.y, self.exponent, self.mean = design.target(y)[:3]
        self.y_norm = float(np.linalg.norm(self.y))
        self.set = WorkingSet(design)
        self.products = design.products_with(self.y, design.correlate(self.y))

    def relax(self, fit, alpha, phis):
        """Return the relaxed fits of a fit, and their intercepts.

        Parameters
        ----------
        fit : Fit
            A solution, in units of X and y.
        alpha : float
            Its penalty, in units of X.
        phis : ndarray of shape (n_phis,)
            Shares of the penalty, in [0, 1], in decreasing order.

        Returns
        -------
        fits : list of Fit
            The fits; their ``sigma`` is the root mean square of the residuals, and
            their gap that of the given fit. No residual is larger than its own.
        intercepts : ndarray of shape (n_phis,)
            Their intercepts, in units of y.
        """
        fits, best = [], fit
        coef = follow_relaxed_path(self._support(fit, alpha), phis, self.positive)
        for phi, w in zip(phis, coef, strict=True):
            new = best if phi == 1 else self._fit(w, fit)
            best = new if new.sigma <= best.sigma else best  # else all is rounding
            fits.append(best)
        return fits, np.array([self._intercept(fit) for fit in fits])

    def _support(self, fit, alpha):
        on = fit.features
        self.set.add(on[~self.set.is_in[on]])
        places = self.set.places(on)
        units = self.design.exponents_of(on) - self.exponent
        tau = self.design.penalties(alpha)[on] * np.ldexp(fit.sigma, -self.exponent)
        return Support(
            self.set.G[np.ix_(places, places)],
            self.products[on],
            np.ldexp(fit.values, units),
            tau,
        )

    def _fit(self, w, fit):
        self.set.start_at(fit.features, w)
        r, on = self.y - self.set.fitted(), np.flatnonzero(w)
        new = fit._replace(features=fit.features[on], values=w[on])
        new = new._replace(sigma=float(np.sqrt(r @ r)), gap=0.0)
        new = in_given_units(self.design, new, self.exponent, self.y_norm)
        return new._replace(gap=fit.gap)

    def _intercept(self, fit):
        on = fit.features
        with np.errstate(under="ignore"):
            units = self.design.exponents_of(on) - self.exponent
            coef = np.ldexp(fit.values, units)
        return np.ldexp(self.mean - self.design.means_of(on) @ coef, self.exponent)


def regress_relaxed(design, y, alphas, phis, options, coef=None):
    """Return relaxed fits of one target for penalties and shares, and intercepts.

    Parameters
    ----------
    design : Design
        The columns.
    y : ndarray of shape (n_samples,)
        Target, neither centred nor weighted.
    alphas : ndarray of shape (n_alphas,)
        Penalties in units of X, in decreasing order.
    phis : ndarray of shape (n_phis,)
        Shares of the penalty that are kept on the support, in [0, 1].
    options : SolverOptions
        Options of the solver.
    coef : ndarray of shape (n_features,) or Fit, default=None
        Coefficients to start from; None is zero.

    Returns
    -------
    fits : list of list of Fit
        For each share, one for each penalty until the path ends. Their ``sigma`` is the
        root mean square of the residuals.
    intercepts : ndarray of shape (n_phis, n_fits)
        Their intercepts.
    """
    fits, intercepts = regress(design, y, alphas, options, coef)
    moved = np.repeat(intercepts[None], len(phis), axis=0)
    if np.all(phis == 1):
        return [fits] * len(phis), moved
    relaxation, order = Relaxation(design, y, options.positive), np.argsort(-phis)
    relaxed = [list(fits) for _ in phis]
    for k, (fit, alpha) in enumerate(zip(fits, alphas, strict=False)):
        # Where the residual has vanished, fits share their values.
        if k == 0 or fit.values is not fits[k - 1].values:
            found, intercepts = relaxation.relax(fit, alpha, phis[order])
        for i, new, intercept in zip(order, found, intercepts, strict=True):
            if phis[i] < 1:
                relaxed[i][k], moved[i, k] = new._replace(gap=fit.gap), intercept
    return relaxed, moved


def relax_moment_path(moments, path, alphas, phis, fit_intercept, positive):
    """Return relaxed coefficients of a path on the moments of rows.

    Parameters
    ----------
    moments : Moments
        Moments of the rows.
    path : MomentPath
        The path, with least squares on the supports; used where no sign differs.
    alphas : ndarray of shape (n_alphas,)
        Penalties in units of X.
    phis : ndarray of shape (n_phis,)
        Shares of the penalty that are kept on the supports, in [0, 1].
    fit_intercept : bool
        Whether an intercept is fitted.
    positive : bool
        Whether coefficients are nonnegative.

    Returns
    -------
    coef : ndarray of shape (n_phis, n_alphas, n_features)
        Their coefficients.
    """
    coef, least, order = path.coef, path.least, np.argsort(-phis)
    if np.all(phis == 1):
        return np.repeat(coef[None], len(phis), axis=0)
    turns = ~((least * coef > 0) | (coef == 0)).all(axis=1)
    shares = phis[:, None, None]
    out = np.where(coef == 0, 0.0, shares * coef + (1 - shares) * least)
    if not turns.any():
        return out
    (G, b, sizes), rows = moments.cosines(fit_intercept), np.flatnonzero(turns)
    b, norms = b[:, 0], sizes[:-1]
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    units = inverse * sizes[-1]
    W = np.divide(coef[rows], units, out=np.zeros((len(rows), len(b))), where=units > 0)
    squares = 1.0 - np.einsum("ij,ij->i", W, 2 * b - W @ G)
    tau = np.outer(alphas[rows] * np.sqrt(np.maximum(squares, 0.0)), inverse)
    found = _relax_on_supports(G, b, W, tau, phis[order], positive)
    out[np.ix_(order, rows)] = found * units
    return out


def regress_moments(moments, alphas, phis, fit_intercept, options, unit):
    """Return relaxed fits for the first penalties and all shares, by moments alone.

    Parameters
    ----------
    moments, alphas, phis, fit_intercept
        As for ``relax_moment_path``.
    options : SolverOptions
        Options of the solver.
    unit : float
        Unit of the target of the moments, in that of the fits.

    Returns
    -------
    fits : list of list of Fit
        As ``regress_relaxed`` returns them, down to where moments lose digits.
    coef : ndarray of shape (n_features,)
        Coefficients at the last of these penalties, before they are relaxed.
    """
    way = fit_intercept, options.positive
    path = follow_moment_path(moments, alphas, *way)
    coef = relax_moment_path(moments, path, alphas, phis, *way)
    means = moments.mean if fit_intercept else np.zeros_like(moments.mean)
    found = held_out_square(moments, means, coef.reshape(-1, coef.shape[-1]))
    mse, lost = (values.reshape(coef.shape[:2]) for values in found)
    n_exact = count_exact(path.gaps, mse, lost, options.tol)
    sigma, coef = unit * np.sqrt(mse[:, :n_exact]), unit * coef[:, :n_exact]
    fits = [
        [fit_of(*fit, 1) for fit in zip(*of_share, path.gaps[:n_exact], strict=True)]
        for of_share in zip(coef, sigma, strict=True)
    ]
    return fits, unit * path.coef[max(n_exact - 1, 0)]


def estimated_sigma(fit, phi, n_rows, fit_intercept):
    r"""Return the noise level of a relaxed fit, by its degrees of freedom.

    .. math::
        \hat\sigma^2 = \frac{\|y - Xw - b\|_2^2}{n - (1 - \phi)(k + 1)}

    with k nonzero coefficients, and without the 1 if there is no intercept. Residuals
    of least squares are smaller than the noise; shrinkage makes up for it.

    Parameters
    ----------
    fit : Fit
        The fit, with the root mean square of its residuals.
    phi : float
        Its share of the penalty, in [0, 1].
    n_rows : float
        Number n of rows that their weights stand for.
    fit_intercept : bool
        Whether an intercept was fitted.

    Returns
    -------
    sigma : float
        The root mean square itself where there are as many coefficients as rows.
    """
    if phi == 1:
        return fit.sigma
    left = n_rows - (1 - phi) * (len(fit.features) + fit_intercept)
    return fit.sigma * float(np.sqrt(n_rows / left)) if left > 0 else fit.sigma
