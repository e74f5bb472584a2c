"""The comparison of ratios with those of an earlier run."""

from types import SimpleNamespace

import pytest

from tests.benchmarks import conftest, ratios


def test_growth_beyond_the_limit_is_slower():
    before = {"a": 2.0, "b": 2.0, "only before": 1.0}
    after = {"a": 2.29, "b": 2.31, "only after": 1.0}
    lines, slower = ratios.compare(before, after)
    assert slower == ["b"]
    assert len(lines) == 2
    assert lines[1].endswith("b   SLOWER")
    assert "SLOWER" not in lines[0]


def test_a_file_holds_one_run(tmp_path):
    path = tmp_path / "ratios.json"
    ratios.write(path, "one", {"a": 1.0, "b": 2.0})
    ratios.write(path, "other", {"b": 3.0})
    assert ratios.read(path) == ("other", {"b": 3.0})


@pytest.mark.parametrize(("ratio", "status"), [(1.1, 0), (1.2, 1)])
def test_a_slower_race_fails_the_run(tmp_path, monkeypatch, ratio, status):
    path = tmp_path / "ratios.json"
    ratios.write(path, "one", {"a / copy": 1.0})
    monkeypatch.setattr(conftest, "RATIOS", {"a / copy": ratio})
    options = {"--ratios": str(path)}
    session = SimpleNamespace(
        config=SimpleNamespace(getoption=options.get), exitstatus=0
    )
    conftest.pytest_sessionfinish(session)
    assert session.exitstatus == status
