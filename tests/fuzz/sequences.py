"""Sequences of calls on one estimator, each judged as soon as it returns."""

import contextlib
import copy
import pickle
import re
import time
import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_sqrtlasso.learning.loop import DivergedError
from tests.estimators.common import learnt
from tests.fuzz import arrays, judges, parameters, refusals

LENGTH = 400  # of what is printed of a value
LONG = 3.0  # seconds that a call may take, if ordinary rows take 1 % of them
LEAKS = RuntimeWarning | DeprecationWarning | FutureWarning
CONFLICT = (  # what contradictory parameters are told; others are valid together
    "alpha must be 'auto', 'pivotal' or a number of at least 0, and above 0"
    "|is not available"
    "|n_unrolled is for|prox='exact'|keeps codes in|learns the codes of all rows"
    "|must be 'auto' for|validation_fraction must leave|dictionary gives them"
    "|needs .* weights, but the fitted|the parameters to train|is not used by"
    "|has no meaning|alpha must be finite and at least"
    "|n_splits=|Cannot have number of splits|must leave each fold"
    "|n_components must be at most the number"
    "|init must|dictionary must be finite and have shape|n_components=|n_samples=1"
    "|must have the shape|too long for prox|too large for dtype"
    "|cannot change from|early_stopping=True needs rows"
)


class Finding(NamedTuple):
    """What is wrong, of which kind, and how it came about."""

    seed: int
    kind: str
    text: str


class Failed(NamedTuple):
    """The error of a call, in place of its result."""

    error: Exception


def contents(value):
    """Return the numbers of an array of any kind, as they are stored, to compare."""
    if sp.issparse(value):
        parts = ("data", "indices", "indptr", "row", "col")
        return {k: np.array(getattr(value, k)) for k in parts if hasattr(value, k)}
    if isinstance(value, dict):
        return {k: contents(v) for k, v in value.items()}
    if isinstance(value, list | np.ndarray):
        return copy.deepcopy(value)
    return value


def same(one, two):
    """Return whether two things hold the same, to the bit."""
    try:
        np.testing.assert_equal(contents(one), contents(two))
    except AssertionError:
        return False
    return True


def _seconds_of(call, *args, **kwargs):
    """Return the seconds that a call takes, whether or not it raises an error."""
    start = time.perf_counter()
    with warnings.catch_warnings(), contextlib.suppress(Exception):  # judged elsewhere
        warnings.simplefilter("ignore")
        call(*args, **kwargs)
    return time.perf_counter() - start


def differing(one, two):
    """Return the keys of two dicts that only one has, or whose values differ."""
    apart = one.keys() ^ two.keys()
    return sorted(
        k for k in one.keys() | two.keys() if k in apart or not same(one[k], two[k])
    )


def dense(value):
    """Return an array for sparse or dense codes."""
    return value.toarray() if sp.issparse(value) else np.asarray(value)


def is_finite(value):
    """Return whether all numbers are finite, of an array, a dict, or another value."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    value = dense(value) if sp.issparse(value) else value
    if not isinstance(value, np.ndarray | float | np.floating):
        return True
    return np.asarray(value).dtype == object or bool(np.all(np.isfinite(value)))


class Sequence:
    """Calls on one estimator, drawn from a seed.

    ``tell`` hears of each call before it is made, so that a crash or a hang is known.
    """

    def __init__(self, cls, seed, tell=lambda text: None):
        self.cls, self.name, self.seed, self.tell = cls, cls.__name__, seed, tell
        self.rng = np.random.default_rng([seed, 1])  # 0 has drawn the class
        self.n_features = int(self.rng.choice([1, 2, 3, 5, 8]))
        self.calls, self.findings = [], []
        self.estimator, self.warned, self.fitted = None, False, False

    def create(self, given):
        """Create the estimator."""
        self.estimator = self.cls(**given)
        self.calls.append(f"{self.name}({parameters.describe(given)})")

    # What is found

    def find(self, kind, text):
        """Note a finding, with the calls that led to it."""
        lines = [*self.calls, text[:LENGTH]]
        kind = f"{self.name}: {kind}"
        if any(finding.kind == kind for finding in self.findings):
            return
        text = "\n".join(f"    {line}" for line in lines)
        self.findings.append(Finding(self.seed, kind, text))

    def judge(self, found):
        """Note all findings of a judge."""
        for kind, text in found:
            self.find(kind, text)

    # Calls

    def call(self, function, *args, text, valid=True, **kwargs):
        """Make a call; note what must not happen, whatever it is asked for.

        If ``valid`` is None, it may fail or not.
        """
        self.calls.append(text)
        self.tell(f"{self.name}: " + "; ".join(self.calls))
        given = (*args, *kwargs.values())
        before = [contents(x) for x in given]
        seconds = time.perf_counter()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                result = function(*args, **kwargs)
            except Exception as error:  # of any kind: that is what is judged
                result = Failed(error)
        seconds = time.perf_counter() - seconds
        self._judge_warnings(told)
        if not all(map(same, given, before)):
            self.find("the caller's array is changed", text)
        if seconds > LONG:
            self._judge_seconds(function, args, kwargs, seconds)
        if isinstance(result, Failed):
            owner, name = getattr(function, "__self__", None), function.__name__
            right = valid and refusals.is_right(
                result.error, owner, name, args[0], kwargs
            )
            if not right:
                self._judge_error(result.error, valid)
        elif valid is False:
            self.find(f"accepted: {text.split('(')[0]}", "expected an error, got none")
        return result

    def _judge_warnings(self, told):
        self.warned = any(issubclass(w.category, ConvergenceWarning) for w in told)
        for w in told:
            place = "/".join(str(w.filename).split("/")[-2:])
            if issubclass(w.category, LEAKS):
                said = f"{w.category.__name__}: {w.message}"
                self.find(f"{said} [{place}:{w.lineno}]", "")

    def _judge_seconds(self, function, args, kwargs, seconds):
        # once more: kernels are compiled now
        twin = copy.deepcopy(getattr(function, "__self__", None))
        again = getattr(twin, function.__name__) if twin is not None else function
        X = np.random.default_rng(0).standard_normal(np.shape(args[0]))
        seconds = min(seconds, _seconds_of(again, *args, **kwargs))
        usual = _seconds_of(again, X, *args[1:], **kwargs)
        if seconds > LONG and seconds > 100 * usual:
            self.find("slow", f"{seconds:.1f} s, {usual:.3f} s on ordinary rows")

    def _judge_error(self, error, valid):
        words = f"{type(error).__name__}: {str(error)[:200]!r}"
        allowed = (ValueError, TypeError, NotFittedError, AttributeError)
        if isinstance(error, FloatingPointError) and "iverged" in str(error):
            return  # documented; the remedy is in the message
        if not isinstance(error, allowed):
            self.find(f"raises {type(error).__name__}", words)
        elif valid and not re.search(CONFLICT, str(error)):
            short = " ".join(str(error).split()[:7])
            self.find(f"refuses what is valid: {type(error).__name__} {short}", words)
        elif not _names_something(error, self.estimator):
            self.find("an error names nothing", words)

    def attempt(self, method, *args, text, valid=True, **kwargs):
        """Call a method of the estimator, which a failure must leave as it was."""
        coder = self.estimator
        before = contents(vars(coder))
        result = self.call(
            getattr(coder, method),
            *args,
            text=f"{method}({text})",
            valid=valid,
            **kwargs,
        )
        if isinstance(result, Failed) and not isinstance(result.error, DivergedError):
            changed = differing(vars(coder), before)
            if changed:
                self.find(f"a failed {method} changes the estimator", f"{changed}")
        return result

    # Draws

    def draw(self, tame=0.4):
        """Return rows of the width of this sequence."""
        n = int(self.rng.choice([1, 2, 3, 7, 7, 12, 12, 30, 30]))
        return arrays.draw_rows(self.rng, n, self.n_features, tame)

    def one_of(self, steps):
        """Take a step at random."""
        steps[self.rng.integers(len(steps))]()

    def copies(self):
        """Go on with a copy, which has to be like the original."""
        kinds = {
            "pickle": lambda x: pickle.loads(pickle.dumps(x)),
            "deepcopy": copy.deepcopy,
            "clone": clone,
        }
        name = list(kinds)[self.rng.integers(3)]
        twin = self.call(kinds[name], self.estimator, text=name)
        if isinstance(twin, Failed):
            return
        if name == "clone":
            self.fitted = False
            if learnt(twin):
                self.find("a clone is fitted", f"{learnt(twin).keys()}")
        elif not same(learnt(twin), learnt(self.estimator)):
            self.find(f"a {name} is another estimator", "")
        self.estimator = twin


def _names_something(error, estimator):
    names = [
        r"X\b",
        r"Z\b",
        r"y\b",
        "groups",
        "X_clean",
        "sample_weight",
        "array",
        "feature",
    ]
    names += list(estimator.get_params()) if estimator is not None else []
    names += [
        "array",
        "feature",
        "alphas",
        "eps",
        "tol",
        "max_iter",
        "not fitted",
        "sample",
    ]
    names += ["sample", "Complex data", "could not convert string"]  # of scikit-learn
    return re.search(rf"\b({'|'.join(names)})", str(error)) is not None


def in_short(extra):
    """Return keyword arguments in short."""
    words = []
    for name, value in extra.items():
        word = repr(value)
        if not isinstance(value, str):
            word = f"{type(value).__name__}{np.shape(value)}"
        if name in ("X_clean", "Z", "sample_weight"):
            word += f" up to {judges.size(arrays.dense(value)):.0e}"
        words.append(f", {name}={word}")
    return "".join(words)
