"""What autoencoders share: rows held out, a report of units, noise removed."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sqrtlasso.estimators.base import RowEncoder, resolve_groups
from sklearn_sqrtlasso.estimators.report import CodeReport
from sklearn_sqrtlasso.learning.batches import split_runs, take
from sklearn_sqrtlasso.solvers.frame import row_norms


def check_goes_on(estimator, shape):
    """Refuse to go on learning weights of another shape than the fitted ones.

    Parameters
    ----------
    estimator : Autoencoder
        A fitted one.
    shape : tuple of int
        (n_components, n_features) that the parameters ask for.
    """
    if estimator.components_.shape != shape:
        raise ValueError(
            f"n_components={shape[0]} and the {shape[0]} x {shape[1]} weights asked "
            "for do not fit the learnt ones of shape "
            f"{estimator.components_.shape}; set warm_start=False to begin anew."
        )


class Autoencoder(RowEncoder):
    """Code rows, restore them, and tell how that goes.

    A subclass writes ``_learn``, ``_visit_codes`` and ``_decode``.
    """

    def _hold_out(self, material, rng):
        """Return the rows to learn from, and a batch of those to validate with."""
        n_samples = material.runs.n_rows
        n_held_out = round(self.validation_fraction * n_samples)
        if not 0 < n_held_out < n_samples:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of the rows, "
                f"n_samples={n_samples}, leaves nothing to learn from or to validate "
                "with."
            )
        kept, held_out = split_runs(material.runs, n_held_out, rng)
        batch = take(material, held_out.order, held_out.starts, rng)
        return material._replace(runs=kept), batch

    def report(self, X, *, groups=None):
        """Tell how the units are used on the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        groups : array-like of shape (n_samples,) or "all", default=None
            Label of each row's group, as in ``transform``.

        Returns
        -------
        report : CodeReport
            Share of dead units, mean number of active units, explained variance.
        """
        check_is_fitted(self)
        score = self.score(X, groups=groups)
        X = self._validate(X, reset=False)
        runs = resolve_groups(groups, X.shape[0])
        counts = self._visit_codes(X, runs, lambda b: np.count_nonzero(b.Z, axis=0))
        used = np.sum(counts, axis=0)
        return CodeReport(
            float(np.mean(used == 0)), float(used.sum() / X.shape[0]), score, len(used)
        )

    def _noise_scale(self, X, runs):
        norms = np.empty(X.shape[0])

        def measure(block):
            x = block.X.toarray() if hasattr(block.X, "toarray") else block.X
            norms[block.rows] = row_norms(x - self._decode(block.Z))

        self._visit_codes(X, runs, measure)
        places = slice(None) if runs.order is None else runs.order
        first, n_rows = runs.starts[:-1], np.diff(runs.starts)
        norms = norms[places]
        top = np.repeat(np.maximum(np.maximum.reduceat(norms, first), 1e-300), n_rows)
        mean = np.add.reduceat((norms / top) ** 2, first) / n_rows / X.shape[1]
        sigma = np.empty(X.shape[0], X.dtype)
        sigma[places] = top * np.repeat(np.sqrt(mean), n_rows)
        return sigma
