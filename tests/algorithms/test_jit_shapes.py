"""No kernel reads or writes beyond the end of an array: it says that one is short."""

import ast
import inspect
import sys
import warnings
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import scipy.sparse as sp

import sklearn_sqrtlasso
from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    PivotalPCA,
    RelaxedSparseCoder,
    SqrtLasso,
    SqrtLassoCV,
    SqrtLassoTransform,
    sqrt_lasso_path,
)
from sklearn_sqrtlasso.images import denoise_image
from sklearn_sqrtlasso.models.activations import ACTIVATIONS, ProjectedRows
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

PACKAGE = Path(sklearn_sqrtlasso.__file__).parent
ALGORITHMS = "sklearn_sqrtlasso.algorithms."
FILES = [
    path
    for path in sorted((PACKAGE / "algorithms").glob("*.py"))
    if path.stem not in ("__init__", "jit")
]
FREE = {  # axes of any length: nothing else is indexed like them
    ("noise_share", "alpha", 0),
    ("sum_of_squares", "alpha", 0),
    ("group_size", "U", 1),
    ("gradient_norm", "gradient", 0),
    ("combine", "A", 1),
    ("posterior_moments", "places", 0),
    ("first_levels", "loadings", 0),
    ("update_levels", "active", 0),
    ("count_nonzeros", "Z", 1),
    ("gather_nonzeros", "Z", 1),
    ("l1_norm", "Z", 0),
    ("l1_norm", "Z", 1),
    ("count_above", "products", 1),
    ("factorize", "w", 0),
    ("ksvd_sweep", "order", 0),
    ("subtract_active", "dc", 0),
    ("restore_groups", "centers", 0),
    ("threshold_cosines", "lefts", 0),
}


def decorated(path, name):
    """Return the names of the functions of a file with a decorator."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    return {
        f.name
        for f in functions
        if name in [ast.unparse(getattr(d, "func", d)) for d in f.decorator_list]
    }


def imported(path):
    """Return what a file imports from kernel files, as ``file.function``."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    sources = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {
        f"{node.module.removeprefix(ALGORITHMS)}.{alias.name}"
        for node in sources
        for alias in node.names
        if node.module.startswith(ALGORITHMS)
    }


def functions_of(path, *decorators):
    """Return the functions of a kernel file that have one of some decorators."""
    module = sys.modules[f"{ALGORITHMS}{path.stem}"]
    names = set().union(*(decorated(path, decorator) for decorator in decorators))
    return {f"{path.stem}.{name}": getattr(module, name) for name in sorted(names)}


def entries():
    """Return the kernels, and the steps that are called from elsewhere, by name."""
    others = set(PACKAGE.rglob("*.py")) - set(FILES)
    called = set().union(*map(imported, others))
    found = {}
    for path in FILES:
        steps = functions_of(path, "step", "part")
        found |= functions_of(path, "kernel")
        found |= {name: step for name, step in steps.items() if name in called}
    return found


ENTRIES = entries()


def interpreted(function):
    return getattr(function, "py_func", function)


def copied(args):
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def recorder(name, function, calls):
    plain = interpreted(function)
    names = list(inspect.signature(plain).parameters)

    def record(*args):
        whole = all(a.size for a in args if isinstance(a, np.ndarray))
        whole = whole and dict(zip(names, args, strict=True)).get("k") != 0
        if whole and name in ENTRIES and name not in calls:
            calls[name] = copied(args)
        return plain(*args)

    return record


def replace(patch, function, new):
    """Replace a function in all modules of the package, and in their tables."""
    modules = [m for key, m in sys.modules.items() if key.startswith(PACKAGE.name)]
    for module in modules:
        for name, value in list(vars(module).items()):
            if value is function:
                patch.setattr(module, name, new)
            elif isinstance(value, MappingProxyType):
                rows = {key: new if v is function else v for key, v in value.items()}
                patch.setattr(module, name, MappingProxyType(rows))


def small_fits():
    """Use every kernel of the package."""
    rng = np.random.default_rng(0)
    X, groups = rng.standard_normal((40, 6)), np.arange(40) // 2
    SqrtLassoTransform(3, max_iter=1).fit(sp.csr_array(np.vstack([np.eye(6), -X])))
    many = sp.csr_array(np.eye(1100, 1050))  # few directions of many columns
    SqrtLassoTransform(1, alpha=0.1, max_iter=0).fit(many)
    for name, row in ACTIVATIONS.items():
        coder = NeLUAutoencoder(activation=name, alpha=row.default_alpha, max_iter=1)
        coder.fit(X, groups=groups) if row.pools_groups else coder.fit(X)
    uneven = ProjectedRows(np.array([[1e200, 1e-200]]), np.array([0, 1]), False)
    ACTIVATIONS["nelu"].value(uneven, {"alpha": np.full(2, 0.9)})
    NeLUAutoencoder(n_unrolled=2, max_iter=1).fit(X)
    NeLUAutoencoder(64, activation="topk", alpha=0.9, max_iter=1).fit(X)
    ANAMOAutoencoder(max_iter=1).fit(X)
    ANAMOAutoencoder(3, max_iter=1).fit(sp.csr_array(np.eye(9)))
    PivotalPCA().fit(X * np.geomspace(1, 0.03, 6))  # levels by fewer directions
    for name, row in SELECTORS.items():
        given = {"alpha": 0.3} if row.alpha_unit else {"n_nonzero_coefs": 2}
        for learner in ("ksvd", "online"):
            coder = RelaxedSparseCoder(8, selector=name, learner=learner, **given)
            coder.set_params(max_iter=1, random_state=0).fit(X)
    twice = np.hstack([X, X[:, :1] + X[:, 1:2], X[:, :3]])  # columns that depend
    for alpha in (0.0, 0.01, 0.3):
        SqrtLasso(alpha=alpha).fit(twice, X @ np.arange(6.0))
        SqrtLasso(alpha=alpha).fit(twice[:5], X[:5, 0])
    sqrt_lasso_path(X.T, np.arange(6.0) ** 2, alphas=9)
    SqrtLasso(0.003).fit(sp.csc_array(np.eye(300)), np.linspace(-1, 1, 300))
    SqrtLassoCV(alphas=3).fit(X, X @ np.arange(6.0) + X[::-1, 0])
    near = np.hstack([X, X + 1e-7 * rng.standard_normal(X.shape)])  # Newton steps fail
    sqrt_lasso_path(near, X[:, 0] + rng.standard_normal(40), alphas=4)
    alike = X + 3 * X[:, :1]  # signs of coefficients turn where shrinkage is undone
    y = alike @ [1, 2, 1, -1, 1, -1] + 0.01 * X[::-1, 0]
    sqrt_lasso_path(alike, y, phi=[0.5, 0])
    SqrtLasso(alpha=0.3).fit(sp.csc_array(X), X[:, 0])
    SqrtLasso().fit(np.resize(X, (1024, 513)), np.resize(X[:, 0], 1024))  # a sketch
    NeLUAutoencoder(activation="sigmoid", alpha=0.0, max_iter=1).fit(np.float32(X))
    denoise_image(X[:12], patch_size=(3, 2), similar=5, n_passes=1)


@pytest.fixture(scope="module")
def calls():
    """Return valid arguments of each entry, from fits whose kernels are interpreted."""
    calls = {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in FILES:
            for name, function in functions_of(path, "kernel", "part", "step").items():
                replace(patch, function, recorder(name, function, calls))
        small_fits()
    return calls


def shortened(array, axis):
    """Yield copies that are shorter along an axis, down to nothing."""
    for size in range(array.shape[axis] - 1, -1, -1):
        yield np.ascontiguousarray(np.take(array, range(size), axis))


def complains(function, args):
    """Return whether a call raises AssertionError; other errors are not caught."""
    try:
        function(*copied(args))
    except AssertionError:
        return True
    return False


def test_entries_are_seen():
    assert len(ENTRIES) > 35
    assert "adam.adam_step" in ENTRIES
    assert "shrinkage.sum_group" in ENTRIES


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_a_kernel_refuses_an_array_that_is_too_short(name, calls):
    function, args = ENTRIES[name], calls[name]
    names = list(inspect.signature(interpreted(function)).parameters)
    assert not complains(function, args)
    for place, array in enumerate(args):
        if not isinstance(array, np.ndarray):
            continue
        for axis in range(array.ndim):
            refused = False
            for shorter in shortened(array, axis):
                given = [*args[:place], shorter, *args[place + 1 :]]
                if complains(interpreted(function), given):  # never IndexError
                    assert complains(function, given)
                    refused = True
            what = (name.split(".")[1], names[place], axis)
            assert refused != (what in FREE), what
