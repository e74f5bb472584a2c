"""Rows with a Gaussian prior, whose noise levels are found by maximum likelihood."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_sqrtlasso.blockwise.blocks import N_PARTS
from sklearn_sqrtlasso.blockwise.encode import Encoder
from sklearn_sqrtlasso.blockwise.linalg import dense_rows
from sklearn_sqrtlasso.models.gaussian_posterior import Posterior
from sklearn_sqrtlasso.models.student_noise import find_levels

FLOOR = 1e-5  # smallest noise level, in units of the rms deviation of an entry
LEAST_ROWS = 1024  # of a block, with fewer of which the last rounds are of few rows
LEAST_VARIANCE = 1e-200  # of rows that vary, in squared units of scaling
FARTHEST = 1e100  # entries count as no farther from the mean, in units of the model


@dataclass(frozen=True)
class GaussianPrior:
    """The distribution of rows without noise.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Mean, in units of the rows.
    components : ndarray of shape (n_components, n_features)
        Orthonormal directions V.
    code_scale : ndarray of shape (n_components,)
        Standard deviation of each entry of a code, in units of the rows.
    residual_scale : float
        Standard deviation of entries about the span of V, in units of the rows.
    unit : float
        Unit of scaling: a power of two near the largest deviation from the mean.
    n_leading : int
        Number of first directions that noise levels are found with.
    """

    mean: np.ndarray
    components: np.ndarray
    code_scale: np.ndarray
    residual_scale: float
    unit: float
    n_leading: int

    @property
    def leading(self):
        """The prior with leading directions only, all others in the residual.

        Noise levels are found with these: a round costs the square of their number.
        """
        k, (n_directions, n_features) = self.n_leading, self.components.shape
        if k == n_directions:
            return self
        kept, others = np.split((self.code_scale / self.unit) ** 2, [k])
        more = others.sum() / (n_features - k)  # variance of the residual beyond v
        return replace(
            self,
            components=self.components[:k],
            code_scale=self.unit * np.sqrt(np.maximum(kept - more, 0)),
            residual_scale=self.unit * float(np.sqrt(self.residual_variance + more)),
        )

    @property
    def loadings(self):
        """Directions times the deviations of their codes, in units of scaling."""
        return self.components * (self.code_scale / self.unit)[:, None]

    @property
    def residual_variance(self):
        """Variance about the span of V, in squared units of scaling."""
        return (self.residual_scale / self.unit) ** 2

    @property
    def variance(self):
        """Mean variance of an entry, in squared units of scaling."""
        codes = np.sum((self.code_scale / self.unit) ** 2) / len(self.mean)
        return float(codes + self.residual_variance)

    @property
    def floor(self):
        """Smallest variance of the noise, in squared units of scaling."""
        varies = self.variance > LEAST_VARIANCE
        return FLOOR**2 * (self.variance if varies else 1.0)


@dataclass(frozen=True)
class NoiseOptions:
    """What is assumed of the noise, and how long its level is searched for.

    Attributes
    ----------
    nu : float
        Degrees of freedom of Student's t, infinite for Gaussian noise.
    tol : float
        Relative change of a level at which rounds end.
    max_iter : int
        Largest number of rounds.
    """

    nu: float
    tol: float
    max_iter: int


@dataclass(frozen=True)
class GaussianEncoder(Encoder):
    """Posterior means of rows, as codes or restored to rows.

    The residual scale is the noise level; in place of a duality gap stands the relative
    change of the level in the last round.

    Attributes
    ----------
    prior : GaussianPrior
        Distribution of rows without noise.
    options : NoiseOptions
        Noise and search.
    restores : bool, default=False
        Whether a code is the row restored, with missing entries filled in.
    n_rows : int, default=0
        Number of all rows, among which blocks are divided.
    """

    prior: GaussianPrior
    options: NoiseOptions
    restores: bool = False
    n_rows: int = 0
    pools_groups = True
    whole_groups = True

    @property
    def components(self):
        """The directions V of the prior."""
        return self.prior.components

    @property
    def n_components(self):
        """Number of entries of a code."""
        return self.components.shape[int(self.restores)]

    def prepared(self, X):
        """Return the encoder for as many rows as are given."""
        return replace(self, n_rows=X.shape[0])

    def rows_per_block(self, width):
        """Return the preferred number of rows of a block."""
        of_part = -(-self.n_rows // N_PARTS)  # so that threads share few rows
        return min(super().rows_per_block(width), max(LEAST_ROWS, of_part))

    def encode(self, x, groups, workspace, out):
        """Write codes, or restored rows; return levels, and their last changes."""
        prior = self.prior
        with np.errstate(over="ignore"):
            deviation = (dense_rows(x, np.float64) - prior.mean) / prior.unit
        np.clip(deviation, -FARTHEST, FARTHEST, out=deviation)
        noise, level, change = find_levels(
            deviation, groups, prior.leading, self.options
        )
        level[level <= prior.leading.floor] = 0
        loadings, v = prior.loadings, prior.residual_variance
        codes, rows = np.empty((x.shape[0], len(loadings))), np.arange(x.shape[0])
        unasked = np.empty((0, x.shape[1]))
        posterior = Posterior(loadings, v)
        posterior.write_moments(deviation, noise, rows, codes, unasked)
        signal = codes * prior.code_scale
        if self.restores:
            signal = codes @ loadings
            share = v / (v + noise)  # 0 where missing
            np.nan_to_num(deviation, copy=False)
            signal += share * (deviation - signal)
            signal = prior.mean + prior.unit * signal
        with np.errstate(over="ignore"):  # what is out of range is infinite
            out[:] = signal
            return (np.sqrt(level) * prior.unit).astype(out.dtype), change
