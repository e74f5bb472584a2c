"""The comparison of ratios with those of an earlier run."""

from types import SimpleNamespace

import pytest

from tests.benchmarks import conftest, ratios
from tests.benchmarks.ratios import Ratio


def test_growth_beyond_the_limit_is_slower():
    before = {"a": [2.0, 0.01], "b": [2.0, 0.02], "only before": [1.0, 0.0]}
    after = {"a": [2.29, 0.0], "b": [2.31, 0.0], "only after": [1.0, 0.0]}
    lines, slower = ratios.compare(before, after)
    assert slower == ["b"]
    assert len(lines) == 2
    assert lines[1].endswith("b   SLOWER")
    assert "SLOWER" not in lines[0]


def test_a_file_holds_one_run(tmp_path):
    path = tmp_path / "ratios.json"
    ratios.write(path, "one", {"a": [1.0, 0.1], "b": [2.0, 0.0]})
    ratios.write(path, "other", {"b": [3.0, 0.2]})
    assert ratios.read(path) == ("other", {"b": [3.0, 0.2]})


@pytest.mark.parametrize("scatters", [(0.1, 0.0), (0.0, 0.1)])
def test_the_limit_is_as_wide_as_the_scatter(scatters):
    before = {"a": [2.0, scatters[0]], "b": [2.0, scatters[0]]}
    after = {"a": [2.59, scatters[1]], "b": [2.61, scatters[1]]}
    assert ratios.compare(before, after)[1] == ["b"]


@pytest.mark.parametrize(
    ("ratio", "quartiles", "status"),
    [(1.1, (1.0, 1.1), 0), (1.2, (1.2, 1.25), 1), (1.2, (1.0, 1.3), 0)],
)
def test_a_slower_race_fails_the_run(tmp_path, monkeypatch, ratio, quartiles, status):
    path = tmp_path / "ratios.json"
    ratios.write(path, "one", {"a / copy": [1.0, 0.0]})
    monkeypatch.setattr(conftest, "RATIOS", {"a / copy": Ratio(ratio, *quartiles)})
    options = {"--ratios": str(path)}
    session = SimpleNamespace(
        config=SimpleNamespace(getoption=options.get), exitstatus=0
    )
    conftest.pytest_sessionfinish(session)
    assert session.exitstatus == status


def test_a_ratio_is_that_of_rounds():
    ratio = ratios.ratio_of([2.0, 20.0, 200.0, 3.0], [1.0, 10.0, 100.0, 1.0], goal=1.5)
    assert ratio == Ratio(2.0, 2.0, 2.25, 1.5)
    assert ratio.scatter == 0.062
    assert not ratio.steady
    assert Ratio(2.0, 1.95, 2.05).steady
    assert not ratios.ratio_of([1.0, 2.0, 4.0], [1.0, 1.0, 1.0]).steady


def test_the_table_tells_goals_that_are_missed():
    found = {
        "a / copy": Ratio(1.3, 1.28, 1.35, 1.25),
        "b / copy": Ratio(0.9, 0.5, 1, 1),
    }
    found["c / copy"] = Ratio(2.0, 2.0, 2.0)
    _, missed, met, without = ratios.table(found)
    assert missed.endswith("a / copy missed")
    assert met.endswith("b / copy unsteady")
    assert without.endswith("c / copy")
    assert ratios.kept(found)["a / copy"] == [1.3, 0.027]
    assert ratios.kept(found)["b / copy"] == [0.9, 0.28]
