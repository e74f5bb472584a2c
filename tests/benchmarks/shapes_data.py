"""Made-up text: rows of a topic model, with words as common as Zipf says."""

import numpy as np
import scipy.sparse as sp

TOPICS_OF_A_ROW = 0.05  # concentration: a row is mostly about a few topics
OWN_WORDS = 0.02  # concentration of the words of a topic about the common ones
BLOCK_ROWS = 1000  # whose counts are drawn at a time


def topic_rows(n_rows, n_words, n_topics, seed, *, length=64):
    """Return tf-idf rows of unit norm from a topic model.

    Word j is as common as ``1 / (j + 3)``. Each topic prefers some words, each row a
    few topics.

    Parameters
    ----------
    n_rows, n_words, n_topics : int
        Numbers of rows, columns and topics.
    seed : int
        Seed of the draws.
    length : int, default=64
        Mean number of words of a row, repetitions included.

    Returns
    -------
    X : CSR array of shape (n_rows, n_words)
        About 52 nonzeros a row of 64 words, of some thousands.
    """
    rng = np.random.default_rng(seed)
    common = 1 / (np.arange(n_words) + 3)
    topics = common * rng.gamma(OWN_WORDS, size=(n_topics, n_words)) + 0.02 * common
    topics = np.cumsum(topics / topics.sum(axis=1, keepdims=True), axis=1)
    blocks = [
        _counts(topics, _lengths(min(BLOCK_ROWS, n_rows - start), length, rng), rng)
        for start in range(0, n_rows, BLOCK_ROWS)
    ]
    X = sp.csr_array(sp.vstack(blocks, format="csr"))
    rare = np.log(n_rows / np.maximum(np.bincount(X.indices, minlength=n_words), 1)) + 1
    X.data = (1 + np.log(X.data)) * rare[X.indices]
    norms = np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1]))
    X.data /= np.repeat(norms, np.diff(X.indptr))
    return X


def _lengths(n_rows, mean, rng):
    return 1 + rng.poisson(mean - 1, n_rows)


def _counts(topics, length, rng):
    """Return counts of words in rows of given lengths."""
    (n_topics, n_words), n_rows = topics.shape, len(length)
    shares = rng.dirichlet(np.full(n_topics, TOPICS_OF_A_ROW), n_rows).cumsum(axis=1)
    row = np.repeat(np.arange(n_rows), length)
    topic = np.sum(shares[row] < rng.random(len(row))[:, None], axis=1)
    topic = np.minimum(topic, n_topics - 1)
    word, draw = np.empty(len(row), np.intp), rng.random(len(row))
    for t in range(n_topics):
        own = topic == t
        word[own] = np.searchsorted(topics[t], draw[own])
    word = np.minimum(word, n_words - 1)
    counts = sp.coo_array((np.ones(len(row)), (row, word)), (n_rows, n_words))
    counts = counts.tocsr()
    counts.indices, counts.indptr = (
        places.astype(np.int32) for places in (counts.indices, counts.indptr)
    )
    return counts
