"""The table of terms in the theory page, read against the code."""

import ast
import re
from pathlib import Path

import pytest

import sklearn_sqrtlasso

PACKAGE = Path(sklearn_sqrtlasso.__file__).parent
PAGE = PACKAGE.parent / "docs" / "theory.md"


def rows_of_terms():
    """Return term, identifiers and avoided words of each row."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Terms\n")[1]
    lines = [line for line in section.split("\n## ")[0].splitlines() if line[:1] == "|"]
    for line in lines[2:]:  # below the heading and its rule
        term, _, code, avoided = (cell.strip() for cell in line.strip("|").split("|"))
        words = [word.strip(" `") for word in avoided.split(",")]
        yield term, re.findall(r"`([^`]+)`", code), [w for w in words if w not in "-–"]


def identifiers():
    """Return all names that the code of the package uses."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        found |= set(path.with_suffix("").parts[-2:])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for field in ("id", "attr", "arg", "name"):
                name = getattr(node, field, None)
                found |= {name} if isinstance(name, str) else set()
    return found


TERMS, USED = list(rows_of_terms()), identifiers()


def test_a_term_has_one_row():
    terms = [term for term, _, _ in TERMS]
    assert len(terms) == len(set(terms)) > 30


@pytest.mark.parametrize(("term", "code", "avoided"), TERMS, ids=[t[0] for t in TERMS])
def test_terms_are_those_of_the_code(term, code, avoided):
    for name in code:
        last = name.rstrip("()").split(".")[-1]
        assert last in USED, f"{name} is in no file of the package"
    assert not {word for word in avoided if " " not in word} & USED
