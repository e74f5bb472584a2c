"""The tests of a kernel are found by its name."""

import ast
from pathlib import Path

import pytest

import sklearn_sqrtlasso

KERNELS = Path(sklearn_sqrtlasso.__file__).parent / "algorithms"
TESTS = Path(__file__).parent / "algorithms"
FILES = sorted(path for path in KERNELS.glob("*.py") if path.stem != "__init__")

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def files_that_try(path):
    """Return the test files of a kernel file: of its name, or one that it begins."""
    return [*TESTS.glob(f"test_{path.stem}.py"), *TESTS.glob(f"test_{path.stem}_*.py")]


def is_kernel(function):
    """Return whether a function is compiled by ``@kernel`` or ``@kernel(...)``."""
    calls = [getattr(d, "func", d) for d in function.decorator_list]
    return "kernel" in [ast.unparse(call) for call in calls]


def kernels(path):
    """Return the names of the public kernels of a file."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    return {f.name for f in functions if is_kernel(f) and not f.name.startswith("_")}


def names_used(path):
    """Return the names that the code of a file uses, other than to import them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_kernels_are_seen():
    assert {"sigmoid_8", "sigmoid_4"} <= kernels(KERNELS / "sigmoid.py")
    assert sum(len(kernels(path)) for path in FILES) > 30


@each_file
def test_a_kernel_file_has_a_test_file_of_its_name(path):
    assert (TESTS / f"test_{path.stem}.py").exists()


@each_file
def test_every_kernel_is_used_in_the_files_that_try_its_file(path):
    used = set().union(*map(names_used, files_that_try(path)))
    assert kernels(path) <= used


def test_every_test_file_is_that_of_a_kernel_file():
    found = set().union(*map(files_that_try, FILES))
    assert found == set(TESTS.glob("test_*.py"))
