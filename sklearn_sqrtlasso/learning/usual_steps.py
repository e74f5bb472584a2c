"""How long default fits learn: a number of steps, on some rows of long tables."""

import math
from typing import NamedTuple

from sklearn_sqrtlasso.learning.batches import TrainingData, split_groups
from sklearn_sqrtlasso.learning.weights_and_penalties import n_batches


class UsualSteps(NamedTuple):
    """Steps after which more hardly restore rows better, however many rows there are.

    Attributes
    ----------
    n_steps : int
        Number of steps, one for each batch.
    most_epochs : int
        Largest number of epochs.
    most_work : float, default=inf
        Largest number of products of rows with the weights of a layer, in all epochs
        if they are several.
    """

    n_steps: int
    most_epochs: int
    most_work: float = math.inf

    def epochs(self, data: TrainingData, batch_size, n_products):
        """Return the number of epochs that makes about so many steps.

        Parameters
        ----------
        data : TrainingData
            As for ``n_batches``.
        batch_size : int or None
            The same; None counts epochs alone.
        n_products : int
            Number of products of a row with the weights of a layer.

        Returns
        -------
        n : int
            At least 1.
        """
        n_epochs = self.most_epochs
        if batch_size is not None:
            n_epochs = min(n_epochs, self.n_steps // n_batches(data, batch_size))
        affordable = self.most_work / (data.groups.n_rows * n_products)
        return max(1, int(min(n_epochs, affordable)))

    def work(self, data: TrainingData, batch_size, n_products):
        """Return the number of products of rows with the weights of a layer.

        Parameters
        ----------
        data, batch_size, n_products
            As for ``epochs``.

        Returns
        -------
        n : float
            Number in all epochs.
        """
        n_epochs = self.epochs(data, batch_size, n_products)
        return float(n_epochs) * data.groups.n_rows * n_products

    def some_rows(self, data: TrainingData, batch_size, rng):
        """Return the training data of as many rows as these steps can take in.

        Parameters
        ----------
        data, batch_size
            As for ``n_batches``.
        rng : numpy.random.Generator
            Source of the choice.

        Returns
        -------
        data : TrainingData
            As given if there are no more rows.
        """
        n_others = data.groups.n_rows - self.n_steps * batch_size
        if n_others <= 0:
            return data
        return data._replace(groups=split_groups(data.groups, n_others, rng)[0])
