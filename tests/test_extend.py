"""What the page on extending says: one file is edited, and the tests come by itself."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_sqrtlasso

PACKAGE = Path(sklearn_sqrtlasso.__file__).parent
ROOT = PACKAGE.parent
PAGES = ROOT / "docs" / "extend"
# The example, the one file that it edits, the name that it adds, the laws that see it.
EXAMPLES = {
    "add_activation.py": (
        "models/activations.py",
        "hard",
        ("models/test_activations.py", "models/test_two_layer.py"),
    ),
    "add_selector.py": (
        "sparse_coding/selectors.py",
        "garrote",
        ("sparse_coding/test_selectors.py",),
    ),
    "add_learner.py": (
        "learning/dictionary_learning.py",
        "gradient",
        ("learning/test_dictionary_learning.py",),
    ),
    "add_inner_method.py": (
        "learning/alternating.py",
        "heavy_ball",
        ("learning/test_alternating.py",),
    ),
}


def insert(example, source):
    """Return a source with the functions and the row of an example in their places."""
    tree = ast.parse(example)
    table = tree.body[-1]
    name = table.targets[0].id
    parts = [ast.get_source_segment(example, node) for node in tree.body[1:-1]]
    added = "\n\n\n".join(part for part in parts if "import" not in part.split()[:3])
    rows = ast.get_source_segment(example, table.value).strip()[1:-1]
    start = source.index(f"\n{name}: MappingProxyType")
    brace = source.index("{\n", start) + 2
    return (
        f"{source[:start]}\n\n{added}\n\n{source[start:brace]}{rows}\n{source[brace:]}"
    )


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Copy package and tests, and add all examples."""
    root = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("__pycache__", "benchmarks")
    shutil.copytree(PACKAGE, root / PACKAGE.name, ignore=ignored)
    shutil.copytree(ROOT / "tests", root / "tests", ignore=ignored)
    for page, (file, *_) in EXAMPLES.items():
        path = root / PACKAGE.name / file
        example = (PAGES / page).read_text(encoding="utf-8")
        path.write_text(insert(example, path.read_text(encoding="utf-8")), "utf-8")
    return root


def run(root, *arguments):
    environment = os.environ | {"PYTHONPATH": str(root), "NUMBA_DISABLE_JIT": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_laws_hold_for_what_an_example_adds(extended, page):
    _, name, laws = EXAMPLES[page]
    files = [f"tests/{law}" for law in laws]
    done = run(extended, "-m", "pytest", "-q", "-rN", "-k", name, *files)
    assert done.returncode == 0, done.stdout[-3000:]  # 5 would say: no test saw it
    assert " passed" in done.stdout


def test_estimators_take_what_the_examples_add(extended):
    code = """
import numpy as np
from sklearn_sqrtlasso import ANAMOAutoencoder, NeLUAutoencoder, RelaxedSparseCoder
X = np.random.default_rng(0).uniform(size=(30, 4))
for coder in (
    NeLUAutoencoder(activation="hard", alpha=0.1, max_iter=2),
    RelaxedSparseCoder(selector="garrote", alpha=0.1, learner="gradient", max_iter=2),
    ANAMOAutoencoder(2, encoder_method="heavy_ball", max_iter=2),
):
    assert coder.fit(X).transform(X).shape[0] == 30
    assert '"hard"' in NeLUAutoencoder.__doc__
    assert '"garrote"' in RelaxedSparseCoder.__doc__
"""
    done = run(extended, "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr[-3000:]
