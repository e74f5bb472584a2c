"""A copy that pip installs, and what it leaves when it is uninstalled."""

import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import sklearn_sqrtlasso

ROOT = Path(sklearn_sqrtlasso.__file__).parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE")
CALL = """
import numpy as np
from sklearn_sqrtlasso.algorithms import adam
adam.gradient_norm(np.ones(3))
print(adam.__file__)
"""  # the quickest that leaves compiled code on disk


def builds_here():
    """Return whether the package can be built without a network."""
    try:
        return int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        return False


pytestmark = pytest.mark.skipif(
    not builds_here() or not (ROOT / "pyproject.toml").exists(),
    reason="to build the package takes setuptools 77 or later and its source",
)


class Clean:
    """An environment that has the dependencies, seen from a folder elsewhere."""

    def __init__(self, folder):
        self.elsewhere, self.checkout = folder / "elsewhere", folder / "checkout"
        self.elsewhere.mkdir()
        self.checkout.mkdir()
        for name in SOURCES:
            shutil.copy(ROOT / name, self.checkout)
        ignored = shutil.ignore_patterns("__pycache__")
        package = self.checkout / "sklearn_sqrtlasso"
        shutil.copytree(ROOT / package.name, package, ignore=ignored)
        builder = venv.EnvBuilder()
        builder.create(folder / "env")
        self.python = builder.ensure_directories(folder / "env").env_exe
        self.packages = Path(
            self.run("-c", "import site; print(*site.getsitepackages()[-1:])")
        )
        paths = [path for path in sys.path if path.endswith("-packages")]
        (self.packages / "dependencies.pth").write_text("\n".join(paths))

    def run(self, *arguments, check=True):
        """Return what Python prints, or what it says if it is to fail."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.elsewhere,
            env=environment | {"NUMBA_CACHE_DIR": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == check, done.stdout + done.stderr
        return (done.stdout if check else done.stderr).strip()

    def pip(self, *arguments):
        """Run pip of the outer environment on this one."""
        self.run("-m", "pip", "--disable-pip-version-check", "-q", *arguments)

    def install(self, *options):
        """Install the checkout, and nothing else."""
        self.pip(
            "install", "--no-deps", "--no-build-isolation", *options, self.checkout
        )


@pytest.fixture
def clean(tmp_path):
    return Clean(tmp_path)


def test_an_installed_copy_does_not_shadow_what_comes_after_it(clean):
    """Install, call, install in place as the README's second line does, uninstall."""
    clean.install()
    assert clean.packages in Path(clean.run("-c", CALL)).parents
    clean.install("-e")
    assert clean.checkout in Path(clean.run("-c", CALL)).parents
    clean.pip("uninstall", "-y", "sklearn-sqrtlasso")
    assert not (clean.packages / "sklearn_sqrtlasso").exists()
    assert "No module named 'sklearn_sqrtlasso'" in clean.run("-c", CALL, check=False)
