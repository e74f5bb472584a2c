"""The search of noise levels under a Gaussian prior, in rounds over rows."""

import numpy as np

from sklearn_sqrtlasso.algorithms.student_noise import first_levels, update_levels
from sklearn_sqrtlasso.models.gaussian_posterior import Posterior


def find_levels(X, groups, prior, options):
    """Find the noise level of each group, and the noise of entries.

    Parameters
    ----------
    X : ndarray of shape (n_samples, p)
        Rows minus the mean, NaN where missing, in units of scaling.
    groups : ndarray of shape (n_groups + 1,)
        Group g is the rows from ``groups[g]`` to ``groups[g + 1]``.
    prior : GaussianPrior
        Distribution of rows without noise.
    options : NoiseOptions
        Noise and search.

    Returns
    -------
    noise : ndarray of shape (n_samples, p)
        Variances n of the noise, infinite where missing.
    level : ndarray of shape (n_samples,)
        ``s^2`` of each row's group, NaN if all of it is missing.
    change : ndarray of shape (n_samples,)
        Change of ``s^2 + v`` in the last round, relative to it.
    """
    loadings, v = prior.loadings, prior.residual_variance
    nu, floor = options.nu, prior.floor
    sizes, noise = np.diff(groups), np.empty(X.shape)
    level, change = np.empty(len(sizes)), np.zeros(len(sizes))
    seen = first_levels(X, groups, loadings, v, nu, floor, noise, level)
    searched = (seen > 0) & ((nu < np.inf) | (seen < sizes * X.shape[1]))
    group_of_row = np.repeat(np.arange(len(sizes)), sizes)
    posterior = Posterior(loadings, v)
    energy, means = np.empty(X.shape), np.empty((len(X), len(loadings)))
    for _ in range(options.max_iter):
        active = np.flatnonzero(searched)
        if not len(active):
            break
        places = np.flatnonzero(searched[group_of_row])
        posterior.write_moments(X, noise, places, means, energy)
        before = level[active]
        update_levels(X, energy, groups, active, v, nu, floor, noise, level)
        change[active] = np.abs(level[active] - before) / (level[active] + v)
        searched[active] = change[active] > options.tol
    noise[np.isnan(X)] = np.inf
    return noise, level[group_of_row], change[group_of_row]
