"""Lists in docstrings, generated from the tables that define the choices."""

import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from sklearn_sqrtlasso._types import Decorated

WIDTH = 88


def list_choices(
    tables: Mapping[str, Mapping[str, Any]],
) -> Callable[[Decorated], Decorated]:
    """Insert lists of choices, generated from tables, into the docstring of a class.

    A line ``<choices of NAME>.`` is replaced by a list of the names in a table, each
    with the summary of its record.

    Parameters
    ----------
    tables : dict of str to mapping of str to record
        Tables, keyed by NAME; their records have a ``summary``.

    Returns
    -------
    decorator : callable, (class) -> class
        Class decorator that modifies the docstring, if there is one.
    """

    def decorate(cls: Decorated) -> Decorated:
        def items(match: re.Match[str]) -> str:
            indent, table = match[1], tables[match[2]]
            lines: list[str] = []
            for name, row in table.items():
                lines += textwrap.wrap(
                    f'- "{name}": {row.summary}.',
                    WIDTH,
                    initial_indent=indent,
                    subsequent_indent=indent + "  ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            return "\n".join(lines)

        if cls.__doc__ is not None:  # python -OO removes docstrings
            cls.__doc__ = re.sub(r"( *)<choices of (\w+)>\.", items, cls.__doc__)
        return cls

    return decorate
