"""Lists in docstrings that are made from tables, so that they cannot differ."""

import re
import textwrap

WIDTH = 88


def list_choices(tables):
    """Write the rows of tables into the docstring of a class.

    A line ``<choices of NAME>.`` becomes a list of the names of a table, each with the
    summary of its row.

    Parameters
    ----------
    tables : dict of str to mapping of str to record
        Tables by the name that the docstring uses; the records have a ``summary``.

    Returns
    -------
    decorator : callable, (class) -> class
        Changes the docstring, if there is one.
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
