"""Units of columns, and sums of their products, each in one pass over them."""

import math

from sklearn_sqrtlasso.algorithms.jit import kernel


@kernel(_nrt=False)
def add_products(one, two, apart, out):
    """Write the sum of products of two parts, and of what is between their means.

    Parameters
    ----------
    one, two : ndarray of shape (p, p)
        Products of either part, about its own means.
    apart : ndarray of shape (p,)
        Difference of the means, times the root of the weight that it has.
    out : ndarray of shape (p, p)
        Overwritten with ``one + two + apart apart'``.
    """
    p = apart.shape[0]
    assert one.shape == two.shape == out.shape == (p, p)
    for i in range(p):
        x = apart[i]
        for j in range(p):
            out[i, j] = one[i, j] + two[i, j] + x * apart[j]


@kernel(_nrt=False)
def scale_products(products, scale, means, out):
    """Write products of some columns in units of these, about zero.

    Parameters
    ----------
    products : ndarray of shape (n, n)
        Products of the columns, about their means.
    scale : ndarray of shape (p,)
        Inverses of the units of the first p columns.
    means : ndarray of shape (p,)
        Their means, in these units; zeros for products about the means.
    out : ndarray of shape (p, p)
        Overwritten with ``products scale scale' + means means'``.
    """
    p, n = scale.shape[0], products.shape[0]
    assert p == means.shape[0] == out.shape[0] == out.shape[1] <= n
    assert n == products.shape[1]
    for i in range(p):
        x, m = scale[i], means[i]
        for j in range(p):
            out[i, j] = products[i, j] * (x * scale[j]) + m * means[j]


@kernel(_nrt=False)
def center(columns, scale, means, roots):
    """Scale and centre columns, and multiply their rows by roots of weights.

    Parameters
    ----------
    columns : ndarray of shape (p, n)
        Columns; overwritten.
    scale, means : ndarray of shape (p,)
        Numbers they are multiplied by, and their means in these units.
    roots : ndarray of shape (n,)
        Roots of the weights of the rows.
    """
    p, n = columns.shape
    assert p == scale.shape[0] == means.shape[0]
    assert n == roots.shape[0]
    for j in range(p):
        column, unit, mean = columns[j], scale[j], means[j]
        for i in range(n):
            column[i] = (column[i] * unit - mean) * roots[i]


@kernel(_nrt=False)
def normalize(columns, y, inverse, b):
    """Divide columns by their norms, and multiply them by a target, in one pass.

    Parameters
    ----------
    columns : ndarray of shape (p, n)
        Columns, of which those of norm zero stay; overwritten.
    y : ndarray of shape (n,)
        Target.
    inverse, b : ndarray of shape (p,)
        Overwritten with one over the norms, or zero, and with the products.
    """
    p, n = columns.shape
    assert p == inverse.shape[0] == b.shape[0]
    assert n == y.shape[0]
    for j in range(p):
        column, square, product = columns[j], 0.0, 0.0
        for i in range(n):
            square += column[i] * column[i]
            product += column[i] * y[i]
        inverse[j] = 1.0 / math.sqrt(square) if square > 0.0 else 0.0
        b[j] = product * inverse[j]
        for i in range(n):
            column[i] *= inverse[j]
