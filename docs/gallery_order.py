"""The order of pages in the gallery, that of their names in its index."""

import re
from pathlib import Path

INDEX = Path(__file__).parents[1] / "examples" / "index.rst"
NAMES = re.findall(r"plot_\w+", INDEX.read_text(encoding="utf-8"))


def place(path):
    """Return the place of an example in the index."""
    return NAMES.index(Path(path).stem)
