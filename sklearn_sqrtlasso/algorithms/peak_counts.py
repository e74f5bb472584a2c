"""How many columns have large products with directions, for many at once."""

from sklearn_sqrtlasso.algorithms.jit import kernel


@kernel(_nrt=False)
def count_above(products, places, factors, threshold, positive, counts):
    """Count the products of columns with combinations of two vectors, above a level.

    Parameters
    ----------
    products : ndarray of shape (n_vectors, n_columns)
        Products of vectors with columns, in single precision.
    places : ndarray of shape (n, 2)
        The two vectors of each combination, in [0, n_vectors).
    factors : ndarray of shape (n, 2)
        Their factors, in single precision.
    threshold : float32
        The level.
    positive : bool
        Whether products below minus the level do not count.
    counts : ndarray of shape (n,)
        Numbers of columns, to which those of these columns are added.
    """
    assert places.shape[0] == factors.shape[0] == counts.shape[0]
    assert places.shape[1] == factors.shape[1] == 2
    for i in range(places.shape[0]):
        assert 0 <= places[i, 0] < products.shape[0]
        assert 0 <= places[i, 1] < products.shape[0]
        one, two = products[places[i, 0]], products[places[i, 1]]
        a, b, n_above = factors[i, 0], factors[i, 1], 0
        if positive:
            for j in range(products.shape[1]):
                n_above += a * one[j] + b * two[j] > threshold
        else:
            for j in range(products.shape[1]):
                n_above += abs(a * one[j] + b * two[j]) > threshold
        counts[i] += n_above
