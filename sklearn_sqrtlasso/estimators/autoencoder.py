"""Base of both autoencoders: training, held-out rows, curves, noise levels."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_sqrtlasso.blockwise.linalg import (
    dense_rows,
    entries_per_row,
    row_norms,
    unit_near,
)
from sklearn_sqrtlasso.blockwise.sparse_rows import SparseProjection, dense_batches
from sklearn_sqrtlasso.estimators.progress import Progress
from sklearn_sqrtlasso.estimators.resumption import resumed_rng
from sklearn_sqrtlasso.estimators.row_sizes import follow_sizes
from sklearn_sqrtlasso.learning.batches import gather_batch, split_groups
from sklearn_sqrtlasso.learning.loop import DivergedError
from sklearn_sqrtlasso.learning.row_span import RowSpan, span_of_few_rows

OF_COLUMNS = {"components_", "decoder_", "decoder_bias_"}  # with a weight for each


class Units(NamedTuple):
    """Units of scaling, powers of two.

    Attributes
    ----------
    model : float
        Unit of the parameters in training.
    rows : float
        Unit that rows are divided by; another one for batches of an unusual size.
    log2_sizes : tuple of float or None
        Binary logarithms of the usual size of rows and of that of the last ones that
        were not zero; None while all were zero.
    """

    model: float
    rows: float
    log2_sizes: tuple[float | None, float | None]


class AutoencoderMixin:
    """Train iteratively, and estimate noise by the reconstruction error.

    A subclass implements ``_train(data, resumed, rng, progress)``, which sets the
    fitted attributes and returns the history; ``_parameters()``, which returns a dict
    of those that hold learnt parameters; ``_usual``, the steps that are taken if
    ``max_iter="auto"``, and ``_of_directions``, those if weights start in principal
    directions, as ``_starts_in_directions(data)`` tells; ``_rows_of_batch(data)``, the
    size of a batch, None for all rows; and ``_stays_in_span(data)``, whether what is
    learnt from rows lies in their span.
    """

    def _learn_all(self, data, resumed):
        """Train for all iterations, from the start or resumed.

        From few rows of many columns, weights are learnt in the span of the rows.
        """
        span = RowSpan(data.X, None)
        if not resumed and self._stays_in_span(data):
            n_components = self._shape(data)[0]
            span = span_of_few_rows(data.X, n_components=n_components)

        def unfold(learnt):
            names = OF_COLUMNS & learnt.keys()
            return {**learnt, **{name: span.unfold(learnt[name]) for name in names}}

        if span.basis is not None:
            data = data._replace(X=span.coordinates, given=data.X)
        progress = Progress(self, data.rows, self._n_epochs(data), unfold)
        try:
            self._learn_from(data, resumed, progress)
        finally:  # parameters are kept, too, if learning has diverged
            vars(self).update(unfold(vars(self)))
        progress.end(self._parameters)

    def _learn_from(self, data, resumed, progress=None):
        """Train and set the attributes; without ``progress``, for one iteration."""
        rng = resumed_rng(self.random_state, self.n_iter_ if resumed else 0)
        before = self._dtypes() if resumed else {}
        with np.errstate(over="ignore", invalid="ignore"):  # said by what follows
            history = self._train(data, resumed, rng, progress)
        for name, dtype in self._dtypes().items():
            wider = np.promote_types(dtype, before.get(name, dtype))
            setattr(self, name, getattr(self, name).astype(wider, copy=False))
        if progress is not None:
            self.stop_reason_ = history.reason
        if not all(np.isfinite(of).all() for of in self._parameters().values()):
            raise FloatingPointError(
                "The learnt parameters are out of the range of floating-point numbers "
                "for rows of this size: change the unit of X."
            )
        if history.diverged:
            raise DivergedError(self._divergence_message(len(history.losses), resumed))

    def _dtypes(self):
        """Return the dtypes of parameters, which rows of a lower one do not narrow."""
        parameters = self._parameters().items()
        return {name: of.dtype for name, of in parameters if isinstance(of, np.ndarray)}

    def _units(self, X, resumed, stream, least=0.0):
        """Return the units of scaling of the model and of rows.

        In a stream of batches, the unit of the model follows their usual size, so that
        the size of the first one is forgotten. A batch of an unusual size is scaled to
        the usual one.
        """
        usual, last = self.optimizer_state_["log2_sizes"] if resumed else (None, None)
        sizes = follow_sizes(X, (usual if stream else None, last))
        usual = sizes.log2_sizes[0]
        unit = 1.0 if usual is None else unit_near(np.exp2(usual))
        if resumed and usual is not None and 0.5 <= unit / self.unit_ <= 2:
            unit = self.unit_
        unit = max(unit, least)
        return Units(unit, float(np.ldexp(unit, sizes.outlying)), sizes.log2_sizes)

    def _refuse_divergence(self, history, resumed):
        """Raise if learning diverged before any parameters could be kept."""
        if history.diverged and not history.losses and not resumed:
            raise FloatingPointError(self._divergence_message(0, resumed))

    def _divergence_message(self, n_good, resumed):
        kept = "those of earlier fits are kept" if resumed else "none are kept"
        if n_good:
            kept = f"those of iteration {n_good} are kept"
        return (
            f"Learning diverged in iteration {n_good + 1}: the loss is not finite. "
            f"Of the parameters, {kept}. {self._remedy()}"
        )

    def _rows_to_learn(self, data, batch_size, rng):
        """Return the rows that a default fit takes in, of given steps all rows."""
        if self.max_iter != "auto" or batch_size is None:
            return data
        return self._usual_steps(data).some_rows(data, batch_size, rng)

    def _usual_steps(self, data):
        """Return the steps of a default fit: few if weights start in directions."""
        few = self._starts_in_directions(data)
        return self._of_directions if few else self._usual

    def _n_epochs(self, data):
        if self.max_iter != "auto":
            return self.max_iter
        steps, n_products = self._usual_steps(data), self._n_products(data)
        return steps.epochs(data, self._rows_of_batch(data), n_products)

    def _n_components_of(self, data, resumed, stream):
        if self.n_components is not None:
            return self.n_components
        if resumed:
            return len(self.components_)
        if data.coded:
            return data.target.shape[1]
        return data.X.shape[1] if stream else min(data.X.shape)

    def _shape(self, data):
        """Return the shape of the weights of a fit."""
        resumed = hasattr(self, "components_")
        n_components = self._n_components_of(data, resumed, stream=False)
        return n_components, data.X.shape[1]

    def _n_products(self, data):
        """Return the number of products of a row with the weights of a layer.

        A decoded row is compared with a sparse one by products of atoms, if those cost
        less than all its entries.
        """
        n_components, n_features = self._shape(data)
        width = entries_per_row(data.X)
        if width < n_features:
            width = min(width + n_components, n_features)
        return n_components * width

    def _hold_out(self, data, rng):
        """Return the training data without held-out rows, and those as a batch."""
        n_samples = data.groups.n_rows
        n_held_out = round(self.validation_fraction * n_samples)
        if not 0 < n_held_out < n_samples:
            raise ValueError(
                "validation_fraction must leave rows for training and for validation, "
                f"got validation_fraction={self.validation_fraction} with n_samples="
                f"{n_samples}."
            )
        kept, held_out = split_groups(data.groups, n_held_out, rng)
        batch = gather_batch(data, held_out.order, held_out.starts, rng)
        return data._replace(groups=kept), batch

    def _noise_scale(self, X, groups):
        norms, distances = np.empty(X.shape[0]), self._distances(X)

        def measure(block):
            norms[block.rows] = distances(block.X, block.Z)

        self._map_encoded(measure, X, groups)
        places = slice(None) if groups.order is None else groups.order
        first, n_rows = groups.starts[:-1], np.diff(groups.starts)
        norms = norms[places]
        unit = np.repeat(unit_near(np.maximum.reduceat(norms, first)), n_rows)
        mean = np.add.reduceat((norms / unit) ** 2, first) / n_rows / X.shape[1]
        sigma = np.empty(X.shape[0], X.dtype)
        with np.errstate(over="ignore"):
            sigma[places] = unit * np.repeat(np.sqrt(mean), n_rows)
        return sigma

    def _distances(self, X):
        """Return a function of rows like X and their codes: norms of the errors."""

        def of_dense(x, Z):
            with np.errstate(over="ignore"):  # what is out of range is infinite
                return row_norms(dense_rows(x, np.float64) - self._decode(Z))

        if not sp.issparse(X):
            return of_dense
        linear = self._linear_decoder()
        projection = None if linear is None else SparseProjection(*linear)

        def of_sparse(x, Z):
            norms, lost = np.empty(x.shape[0]), np.ones(x.shape[0], bool)
            if projection is not None:
                squares, lost = projection.squared_errors(x, Z)
                norms = np.sqrt(np.maximum(squares, 0))
            for rows in dense_batches(np.flatnonzero(lost), x.shape[1]):
                norms[rows] = of_dense(x[rows], Z[rows])
            return norms

        return of_sparse
