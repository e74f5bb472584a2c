"""The law of the largest correlation of noise with columns, and draws of it.

The law of one column of norm one is a table of the logarithms of the probabilities that
its correlation exceeds thresholds, ``logs``, at equal steps of the logarithm of the
threshold, from ``start`` to 0.
"""

import math

from sklearn_sqrtlasso.algorithms.jit import kernel, part

CLOSE = 1e-7  # thresholds that are one, relative to them
STEP = 1e-3  # of the logarithm of a threshold, for the slope


@part
def log_probability(logs, start, log_level):
    """Return the logarithm of the probability of exceeding a threshold."""
    assert logs.shape[0] >= 2
    last = logs.shape[0] - 1
    place = (1.0 - log_level / start) * last
    if not place <= last:
        return -math.inf
    if place <= 0.0:
        return logs[0]
    i = min(int(place), last - 1)
    return logs[i] + (place - i) * (logs[i + 1] - logs[i])


@part
def log_level(logs, start, log_probability, near):
    """Return the logarithm of the threshold of a probability, from one near it."""
    assert logs.shape[0] >= 2
    last = logs.shape[0] - 1
    if log_probability >= logs[0]:
        return start
    if log_probability <= logs[last]:
        return 0.0
    place = (1.0 - near / start) * last
    i = int(min(max(place, 0.0), last - 1.0))
    steps = (logs[i] - log_probability) / max(logs[i] - logs[i + 1], 1e-300)
    i = int(min(max(i + steps, 0.0), last - 1.0))
    while logs[i] < log_probability:
        i -= 1
    while logs[i + 1] > log_probability:
        i += 1
    share = (logs[i] - log_probability) / max(logs[i] - logs[i + 1], 1e-300)
    return start * (1.0 - (i + share) / last)


@part
def log_union_bound(logs, start, log_norms, counts, log_t):
    """Return the logarithm of the sum of the probabilities of all columns."""
    assert log_norms.shape[0] == counts.shape[0]
    total = 0.0
    for i in range(counts.shape[0]):
        total += counts[i] * math.exp(
            log_probability(logs, start, log_t - log_norms[i])
        )
    return math.log(total + 1e-300)


@kernel(_nrt=False)
def peak_level(logs, start, log_norms, counts, log_goal):
    """Return where the union bound has a value, and how it falls there.

    It is between those of the largest columns alone, and of as many as all.

    Parameters
    ----------
    logs, start
        The law of one column, of shape (n_levels,), and the least threshold.
    log_norms, counts : ndarray of shape (n_norms,)
        Logarithms of the norms of columns, decreasing, and how many have them.
    log_goal : float
        Logarithm of the value.

    Returns
    -------
    log_t : float
        Logarithm of the threshold.
    slope : float
        By what share the union bound falls where the threshold grows by one.
    """
    assert logs.shape[0] >= 2
    assert log_norms.shape[0] == counts.shape[0] >= 1
    n_all, largest = 0, log_norms[0]
    for i in range(counts.shape[0]):
        n_all += counts[i]
    low = largest + log_level(logs, start, log_goal - math.log(counts[0]), start)
    high = largest + log_level(logs, start, log_goal - math.log(n_all), start)
    log_t, high = low, min(high + CLOSE, largest)
    over = log_union_bound(logs, start, log_norms, counts, low) - log_goal
    under = log_union_bound(logs, start, log_norms, counts, high) - log_goal
    while high - low > 2.0 * CLOSE and over > CLOSE and under < -CLOSE:
        # By false position, in which neither end stays for long.
        log_t = (low * under - high * over) / (under - over)
        value = log_union_bound(logs, start, log_norms, counts, log_t) - log_goal
        if abs(value) <= CLOSE:
            break
        if value > 0.0:
            low, over, under = log_t, value, 0.5 * under
        else:
            high, under, over = log_t, value, 0.5 * over
    top = min(log_t + STEP, largest)  # with few rows, it is hardly more
    fall = log_union_bound(logs, start, log_norms, counts, top - STEP)
    fall -= log_union_bound(logs, start, log_norms, counts, top)
    return log_t, max(fall / STEP, STEP)


@kernel(_nrt=False)
def combine_with_leaders(
    logs, start, log_t, vectors, unseen, log_norms, order, rates, places, factors
):
    """Write how noise, and columns that lead, are combined into draws.

    Each of n vectors of noise is a plain draw first, and then one for each of some of n
    columns, which are evenly chosen. The part of a draw along its column has the law of
    those above the threshold, the rest is that of the noise. Noise has no sign: columns
    have positive products.

    Parameters
    ----------
    logs, start
        The law of one column.
    log_t : float
        Logarithm of the threshold.
    vectors : ndarray of shape (2 * n, length)
        Noise, then columns, divided by their norms, in rows.
    unseen : ndarray of shape (n,)
        Squares of more noise, which no column sees.
    log_norms : ndarray of shape (n,)
        Logarithms of the norms of the columns.
    order : ndarray of shape (n,)
        The first column of each vector of noise.
    rates : ndarray of shape (n, n_leaders)
        Draws of the exponential law.
    places, factors : ndarray of shape (n, n_leaders + 1, 2)
        Overwritten with the places of both vectors of each draw, and their factors.
    """
    n, n_leaders = rates.shape
    assert 2 * n == vectors.shape[0]
    assert n == unseen.shape[0] == log_norms.shape[0] == order.shape[0]
    assert n == places.shape[0] == factors.shape[0]
    assert n_leaders + 1 == places.shape[1] == factors.shape[1]
    assert places.shape[2] == factors.shape[2] == 2
    for i in range(n):
        noise, energy = vectors[i], unseen[i]
        for m in range(vectors.shape[1]):
            energy += noise[m] * noise[m]
        places[i, 0, 0] = places[i, 0, 1] = i
        factors[i, 0, 0], factors[i, 0, 1] = 1.0 / math.sqrt(energy), 0.0
        for a in range(n_leaders):
            j = (order[i] + (a + 1) * (n // n_leaders)) % n
            assert 0 <= j < n
            column, common = vectors[n + j], 0.0
            for m in range(vectors.shape[1]):
                common += noise[m] * column[m]
            least = log_t - log_norms[j]
            tail = log_probability(logs, start, least) - rates[i, a]
            along = math.exp(log_level(logs, start, tail, least))
            across = math.sqrt((1.0 - along * along) / (energy - common * common))
            places[i, a + 1, 0], places[i, a + 1, 1] = i, n + j
            factors[i, a + 1, 0] = across
            factors[i, a + 1, 1] = along - across * common
