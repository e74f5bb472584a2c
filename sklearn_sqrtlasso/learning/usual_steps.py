"""How long default fits learn: a number of steps, on some rows of long tables."""

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
    """

    n_steps: int
    most_epochs: int

    def epochs(self, data: TrainingData, batch_size):
        """Return the number of epochs that makes about so many steps.

        Parameters
        ----------
        data, batch_size
            As for ``n_batches``.

        Returns
        -------
        n : int
            At least 1.
        """
        n_epochs = self.n_steps // n_batches(data, batch_size)
        return min(max(n_epochs, 1), self.most_epochs)

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
