"""The gallery: its index, its colours, and what its pages may not do."""

import ast
import re
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def table_of_colours():
    """Return the colour of each method, from the table of the page on extending."""
    page = (ROOT / "docs" / "extend" / "index.rst").read_text(encoding="utf-8")
    table = page[page.index(".. _pictures:") :]
    return dict(re.findall(r"\* - (.+)\n     - ``([\w:.]+)``", table))


def colours_of_pages():
    """Yield each page with what it calls a method, and the colour it gives to it."""
    for path in EXAMPLES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == "colors"
            ):
                with suppress(ValueError):  # colours of something else
                    yield path.stem, dict(ast.literal_eval(node.value))


def method_of(label, table):
    """Return the method that a label names, the longest of several names."""
    named = [name for name in table if re.search(rf"\b{re.escape(name)}\b", label)]
    return max(named, key=len, default=None)


def test_every_example_has_its_place_in_the_gallery():
    index = (ROOT / "examples" / "index.rst").read_text(encoding="utf-8")
    named = re.findall(r"\.\./examples/(plot_\w+)\.py", index)
    assert sorted(named) == [path.stem for path in EXAMPLES], (
        "name each example once, under the job it does, in examples/index.rst"
    )


def test_methods_have_the_same_colour_on_all_pages():
    table, n_named = table_of_colours(), 0
    assert len(table) > 10
    for page, colours in colours_of_pages():
        for label, colour in colours.items():
            name = method_of(label, table)
            n_named += name is not None
            assert name is None or colour == table[name], (page, label)
    assert n_named > 20


@each_example
def test_no_page_shows_times_which_depend_on_the_load(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bimport time\b|\btime_curve_\b|%timeit", text)


@each_example
def test_a_page_without_its_data_fails(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    caught = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Try)]
    assert not caught
