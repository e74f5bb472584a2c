"""Groups of the rows of Dask collections, also those with rows in several chunks."""

from functools import cached_property

import numpy as np

from sklearn_sqrtlasso.algorithms import shrinkage
from sklearn_sqrtlasso.blockwise.chunks import ChunkedGroups
from sklearn_sqrtlasso.blockwise.encode import scale_steps
from sklearn_sqrtlasso.blockwise.groups import groups_of_labels, ungrouped
from sklearn_sqrtlasso.blockwise.linalg import entries_per_row, row_batches
from sklearn_sqrtlasso.dask.calls import Alongside


class SingleRows(ChunkedGroups):
    """Groups of one row each.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    """

    def __init__(self, n_rows):
        self.n_rows = n_rows

    def rows_at(self, places):
        """Return the rows at positions, and their groups."""
        return places, ungrouped(len(places))

    def shared(self):
        """Return none: no group is in several chunks."""
        return np.empty(0, np.intp)

    def scaled(self, X, encoder):
        """Return these, which need no scales."""
        return self


class DaskGroups(ChunkedGroups):
    """Groups of rows with equal labels.

    Parameters
    ----------
    groups : RowGroups
        Groups of all rows.
    starts : ndarray of shape (n_chunks + 1,)
        First row of each chunk, and the number of rows.
    scales : dict of int to float, default=None
        Residual scales of groups in several chunks.
    """

    def __init__(self, groups, starts, scales=None):
        self.groups, self.starts, self.scales = groups, starts, scales or {}
        self.n_rows, self.places = groups.n_rows, _groups_of_rows(groups)

    def rows_at(self, places):
        """Return the rows at positions, and their groups."""
        return self.groups.rows_at(places)

    @cached_property
    def chunks(self):
        """The groups of each chunk."""
        return [_groups_of_chunk(part, self.scales) for part in self._parts()]

    def scaled(self, X, encoder):
        """Return the groups, with residual scales of those in several chunks."""
        shared = self.shared()
        if not len(shared) or not encoder.pools_groups:
            return self
        if encoder.prepared(X).whole_groups:
            raise ValueError(
                f"groups must have all of their rows in one chunk where entries are "
                f"missing or may be outliers, got {len(shared)} groups in several "
                "chunks: sort the rows by groups, and rechunk them."
            )
        steps = {
            int(group): scale_steps(encoder, n_rows, X.dtype.itemsize)
            for group, n_rows in zip(shared, self._sizes(shared), strict=True)
        }
        own = Alongside(self._parts())
        answers, scales = dict.fromkeys(steps), {}
        while answers:
            asked = {}
            for group, answer in answers.items():
                try:
                    function, given = steps[group].send(answer)
                    asked[group] = function.__name__, given
                except StopIteration as end:
                    scales[group] = end.value
            answers = {}
            if asked:
                answers = X.reduce(_answers, _merged, own, encoder, asked)
        return DaskGroups(self.groups, self.starts, scales)

    def _parts(self):
        bounds = zip(self.starts[:-1], self.starts[1:], strict=True)
        return [self.places[first:last] for first, last in bounds]

    def shared(self):
        """Return the groups that have rows in several chunks."""
        found = np.concatenate([np.unique(part) for part in self._parts()])
        groups, counts = np.unique(found, return_counts=True)
        return groups[counts > 1]

    def _sizes(self, groups):
        return [int(n) for n in np.diff(self.groups.starts)[groups]]


def _groups_of_rows(groups):
    """Return the index of the group of each row."""
    sizes = np.diff(groups.starts)
    places = np.repeat(np.arange(len(sizes)), sizes)
    if groups.order is None:
        return places
    of_rows = np.empty_like(places)
    of_rows[groups.order] = places
    return of_rows


def _groups_of_chunk(places, scales):
    """Return the groups of the rows of a chunk, given the group of each row."""
    groups = groups_of_labels(places)
    here = enumerate(_first_of_each(groups, places))
    known = {at: scales[group] for at, group in here if group in scales}
    return groups._replace(scales=known or None)


def _first_of_each(groups, places):
    """Return which of all groups the groups of a chunk are."""
    first = groups.starts[:-1]
    return places[first if groups.order is None else groups.order[first]].tolist()


def _answers(x, places, encoder, asked):
    """Return the values of kernels for blocks of rows of each group that asks.

    Kernels are named, as compiled ones are better not sent.
    """
    groups, found = groups_of_labels(places), {}
    for at, group in enumerate(_first_of_each(groups, places)):
        if group not in asked:
            continue
        rows = np.arange(groups.starts[at], groups.starts[at + 1])
        rows = rows if groups.order is None else groups.order[rows]
        name, given = asked[group]
        kernel, values = getattr(shrinkage, name), []
        for block in row_batches(len(rows), entries_per_row(x)):
            U, outside = encoder.project(x[rows[block]])
            values.append(kernel(U, outside, *given, 0, len(U)))
        found[group] = values
    return found


def _merged(one, two):
    return {group: one.get(group, []) + two.get(group, []) for group in one | two}
