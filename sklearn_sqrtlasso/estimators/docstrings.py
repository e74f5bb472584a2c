"""Lists in docstrings, generated from the tables that define the choices."""

import re
import textwrap

WIDTH = 88


def list_choices(tables):
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

    def decorate(cls):
        def items(match):
            indent, table = match[1], tables[match[2]]
            lines = []
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
