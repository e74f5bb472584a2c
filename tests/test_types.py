"""Types that checkers of users' code see."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sklearn_sqrtlasso
from tests.user_code import anomalies, bounds, regress, restore, survive

ROOT = Path(sklearn_sqrtlasso.__file__).parents[1]
USER_CODE = Path(__file__).with_name("user_code.py")


def public():
    """Yield each name of the page of the API, with what it names."""
    page = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    module = None
    for line in page.splitlines():
        if found := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.match(r"   ([\w.]+)$", line):
            *inner, name = found[1].split(".")
            yield found[1], getattr(import_module(".".join([module, *inner])), name)


def methods(kind):
    """Yield the public methods and properties that a class has from this package."""
    for base in kind.__mro__:
        if base.__module__.startswith("sklearn_sqrtlasso"):
            for name, value in vars(base).items():
                if not name.startswith("_") or name == "__init__":
                    value = getattr(value, "fget", getattr(value, "__func__", value))
                    value = getattr(value, "fn", value)  # available_if
                    if inspect.isfunction(inspect.unwrap(value)):
                        yield name, inspect.unwrap(value)


def unannotated(function):
    """Return the parameters of a function that have no type, and "return"."""
    given = {"self", *function.__annotations__}
    return sorted({*inspect.signature(function).parameters, "return"} - given)


def functions():
    """Yield the functions and methods of the public names."""
    for name, value in public():
        if inspect.isclass(value):
            for method, function in methods(value):
                made = value.__bases__ == (tuple,) and method.startswith("_")
                if not made and function.__module__.startswith("sklearn_sqrtlasso"):
                    yield f"{name}.{method}", function
        else:
            yield name, inspect.unwrap(value)


def test_every_public_function_and_method_is_annotated():
    found = dict(functions())
    assert {"SqrtLasso.fit", "SqrtLassoTransform.duality_gap", "psnr"} <= set(found)
    assert len(found) > 90
    missing = {name: unannotated(function) for name, function in found.items()}
    assert {name: lacks for name, lacks in missing.items() if lacks} == {}


def checked(path):
    """Return what a strict check of a file says; the package is followed silently."""
    strict = ["--config-file=", "--strict", "--follow-imports=silent"]
    command = [sys.executable, "-m", "mypy", *strict, f"--cache-dir={path.parent}"]
    done = subprocess.run(
        [*command, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_a_strict_check_sees_types_in_the_code_of_a_user(tmp_path):
    pytest.importorskip("mypy")
    code = USER_CODE.read_text(encoding="utf-8")
    lines = code.splitlines()
    wrong = [
        'SqrtLasso(alpha="pivotal", fit_intercept=None)',
        "words: str = psnr([1.0], [1.0])",
        'SqrtLassoTransform(n_components="many")',
    ]
    path = tmp_path / "user_code.py"
    path.write_text("\n".join([*lines, *wrong]), encoding="utf-8")
    found = re.findall(r":(\d+): error", checked(path))
    assert [int(line) - len(lines) for line in found] == [1, 2, 3]


def test_the_code_of_the_user_runs():
    data = sklearn_sqrtlasso.datasets.make_sparse_codes(
        60, 8, n_nonzero=2, noise_std=0.1, random_state=0
    )
    assert min(restore(data).values()) > 10
    rows, target = data.X[:, 1:], data.X[:, 0]
    assert anomalies(rows).ndim == 1
    assert regress(rows, target)[2] == 2
    assert survive(rows, target) < 1
    assert all(0 < bound < 1 for bound in bounds())
