"""Types of arguments that checkers of users' code see; shapes are in docstrings."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike

# Arrays, sparse matrices and data frames, of any library, have no common type. Nor has
# what is returned for them: ``set_output`` says.
Rows: TypeAlias = Any
Groups: TypeAlias = ArrayLike | str | None
Seed: TypeAlias = int | np.random.RandomState | None
Decorated = TypeVar("Decorated", bound=Callable[..., Any])  # decorators keep its type
