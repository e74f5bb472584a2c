"""The command that compiles kernels beforehand."""

import pytest

import sklearn_sqrtlasso
from sklearn_sqrtlasso import SqrtLasso, SqrtLassoCV, SqrtLassoTransform, __main__
from sklearn_sqrtlasso.models.activations import ACTIVATIONS
from sklearn_sqrtlasso.regression import moment_path, row_path, working_set
from sklearn_sqrtlasso.sparse_coding.selectors import SELECTORS

WRAPPERS = {"Denoiser", "NoisyCopies"}  # they compile what their estimator does


def test_every_estimator_activation_and_selector_is_compiled():
    fits = __main__._fits()
    public = {n for n in sklearn_sqrtlasso.__all__ if n[0].isupper()} - WRAPPERS
    assert {type(fit).__name__ for fit in fits} == public
    assert {getattr(fit, "activation", None) for fit in fits} >= set(ACTIVATIONS)
    assert {getattr(fit, "selector", None) for fit in fits} >= set(SELECTORS)


def test_regressors_compile_all_paths(monkeypatch):
    called = set()

    def record(module, name):
        kernel = getattr(module, name)

        def call(*args):
            called.add(name)
            return kernel(*args)

        monkeypatch.setattr(module, name, call)

    record(moment_path, "solve_gram_path")
    record(row_path, "solve_gram_path")
    record(row_path, "exact_gaps")
    record(moment_path, "follow_gram_path")
    record(working_set, "solve_exactly")
    for estimator in (SqrtLasso(), SqrtLassoCV(cv=2)):
        called.clear()
        for dtype in ("float64", "float32"):
            __main__._run(estimator, dtype)
        assert called >= {"solve_gram_path", "exact_gaps", "solve_exactly"}
    assert "follow_gram_path" in called


def test_a_bar_shows_what_is_done(monkeypatch, capsys):
    monkeypatch.setattr(__main__, "_fits", lambda: [SqrtLasso(), SqrtLassoTransform()])
    monkeypatch.setattr("sys.argv", ["sklearn_sqrtlasso", "compile"])
    __main__.main()
    lines = capsys.readouterr().err.strip().split("\r")
    assert [line.split("] ")[1].split()[0] for line in lines] == [
        f"{i}/4" for i in range(5)
    ]
    assert [line.count("#") for line in lines] == [0, 7, 15, 22, 30]
    assert lines[2].rstrip().endswith("SqrtLasso, float32")


def test_another_command_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["sklearn_sqrtlasso", "warm"])
    with pytest.raises(SystemExit):
        __main__.main()
    assert "choose from" in capsys.readouterr().err
