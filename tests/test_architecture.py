"""The package is a stack of rooms: a room imports from the rooms below it, only."""

import ast
import importlib
import tokenize
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sklearn_sqrtlasso
from sklearn_sqrtlasso.learning.alternating import METHODS
from sklearn_sqrtlasso.learning.binarization import SCHEMES
from sklearn_sqrtlasso.learning.dictionary_learning import LEARNERS
from sklearn_sqrtlasso.learning.tight_frame import INITS
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.models.decoders import DECODERS
from sklearn_sqrtlasso.models.noise import NOISE_KINDS
from sklearn_sqrtlasso.models.pointwise import POINTWISE
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

ROOT = Path(sklearn_sqrtlasso.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
BOTTOM_UP = [
    "algorithms",
    "theory",
    "blockwise",
    "regression",
    "sparse_coding",
    "models",
    "learning",
    "estimators",
    "onnx",
    "dask",
]
GROUND = {"sklearn_sqrtlasso._types", "sklearn_sqrtlasso._version"}  # for all rooms
MAX_LINES, MAX_CODE, MAX_ARGUMENTS, MAX_KERNEL_ARGUMENTS = 400, 50, 8, 12
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.DEDENT}
OF_ESTIMATORS = {
    "__init__",
    "sqrt_lasso_path",
    "denoise_image",
    "denoise_signal",
}  # their parameters
HAND_ON = {"kernel", "attempt", "call"}  # decorators pass on what is not theirs
ROUTED = "metadata"  # what an inner estimator takes, routed by scikit-learn

each_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT))
)


def name_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module):
    """Return the room of one of our modules; those outside of rooms have none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in BOTTOM_UP else None


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def our_imports(path):
    names = imports(tree_of(path))
    return {name for name in names if name.split(".")[0] == ROOT.name}


def functions(path):
    return [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.FunctionDef)]


def arguments(function):
    spec = function.args
    names = [a.arg for a in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    return [name for name in names if name != "self"]


def is_kernel(function):
    calls = [getattr(d, "func", d) for d in function.decorator_list]
    return any(ast.unparse(call) in ("kernel", "part", "step") for call in calls)


def test_the_tests_see_the_package():
    assert {room(name_of(path)) for path in FILES} >= {None, "algorithms", "estimators"}


@each_file
def test_imports_go_down(path):
    here = room(name_of(path))
    if here is not None:
        allowed = BOTTOM_UP[: BOTTOM_UP.index(here) + 1]
        below = our_imports(path) - GROUND
        assert {room(module) for module in below} <= set(allowed)


@each_file
def test_kernel_files_import_no_other_kernel_file(path):
    if (
        room(name_of(path)) == "algorithms"
    ):  # numba's cache does not see edits elsewhere
        assert our_imports(path) <= {"sklearn_sqrtlasso.algorithms.jit"}


def test_no_module_imports_itself_in_a_circle():
    graph = {name_of(path): our_imports(path) for path in FILES}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError


@each_file
def test_theory_has_no_data(path):
    if room(name_of(path)) == "theory":
        modules = {name.split(".")[0] for name in imports(tree_of(path))}
        of_types = {"collections", "numbers", "typing"}
        assert modules <= {*of_types, "numpy", "scipy", "sklearn", ROOT.name}
        assert "sklearn.datasets" not in set(imports(tree_of(path)))


@each_file
def test_numba_speaks_in_one_file_only(path):
    if path != ROOT / "algorithms" / "jit.py":
        assert "numba" not in {name.split(".")[0] for name in imports(tree_of(path))}


@each_file
def test_dask_is_imported_in_its_room_only(path):
    if room(name_of(path)) != "dask":
        modules = {name.split(".")[0] for name in imports(tree_of(path))}
        assert not modules & {"dask", "distributed"}


@each_file
def test_warnings_point_to_the_caller(path):
    warns = "warnings.warn(" in path.read_text()
    assert not warns or name_of(path) == "sklearn_sqrtlasso.blockwise.callers"


@each_file
def test_no_kernel_makes_its_own_threads(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            assert "parallel" not in {keyword.arg for keyword in node.keywords}


@each_file
def test_imports_are_absolute_and_at_the_top(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert getattr(node, "level", 0) == 0
            assert node.col_offset == 0 or path.name == "compat.py"


def code_lines(path):
    """Return the numbers of the lines that hold code: no docstrings, no comments."""
    code, docstring = set(), False
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in NOT_CODE:
                continue
            if token.type == tokenize.STRING and docstring:
                docstring = False
                continue
            docstring = token.type in (tokenize.INDENT, tokenize.ENCODING)
            if token.type not in (tokenize.INDENT, tokenize.ENCODING):
                code |= set(range(token.start[0], token.end[0] + 1))
    return code


@each_file
def test_files_and_functions_are_short(path):
    code = code_lines(path)
    assert len(code) <= MAX_LINES
    for function in functions(path):
        inside = range(function.lineno, function.end_lineno + 1)
        assert len(code & set(inside)) <= MAX_CODE, function.name


@each_file
def test_functions_have_few_arguments(path):
    for function in functions(path):
        most = MAX_KERNEL_ARGUMENTS if is_kernel(function) else MAX_ARGUMENTS
        if function.name not in OF_ESTIMATORS:
            assert len(arguments(function)) <= most, function.name


@each_file
def test_arguments_have_names(path):
    for function in functions(path):
        rest = function.args.kwarg
        routed = rest is None or rest.arg == ROUTED
        assert routed or function.name in HAND_ON, function.name


def names_of_tables():
    tables = (ACTIVATIONS, POINTWISE, DECODERS, SELECTORS, LEARNERS, METHODS, SCHEMES)
    return {name for table in (*tables, INITS, NOISE_KINDS) for name in table}


@each_file
def test_no_name_of_a_table_is_tested(path):
    names = names_of_tables()  # what is true of a row is said in the row
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            found = {side.value for side in sides if isinstance(side, ast.Constant)}
            assert not found & names, ast.unparse(node)


@each_file
def test_a_file_is_a_sentence(path):
    first = ast.get_docstring(tree_of(path)).splitlines()[0]
    assert len(first) < 80
    assert not first.startswith("This module")


@each_file
def test_public_names_are_strings_that_exist(path):
    module = importlib.import_module(name_of(path))
    for name in getattr(module, "__all__", []):
        assert isinstance(name, str)
        assert hasattr(module, name)
