"""Sequences of calls on encoders: learn, code, decode, measure, copy, change, fail."""

import copy
import warnings

import numpy as np
from sklearn.base import clone

from sklearn_sqrtlasso import (
    ANAMOAutoencoder,
    NeLUAutoencoder,
    RelaxedSparseCoder,
    SqrtLassoTransform,
)
from sklearn_sqrtlasso.algorithms.refit import DEPENDENT
from tests.estimators.common import dense, learnt
from tests.estimators.encoders import (
    is_centred,
    is_certified,
    is_given_atoms,
    is_grouped,
    is_homogeneous,
    learns_the_same_in_any_unit,
    takes_missing,
)
from tests.fuzz import arrays, judges, parameters
from tests.fuzz.sequences import Failed, Sequence, contents, in_short, is_finite, same

ACT_AT_ONCE = (
    "n_jobs",
    "sparse_output",
    "verbose",
    "transform_max_iter",
    "transform_tol",
)


class Codings(Sequence):
    """Calls on an encoder."""

    def run(self):
        """Create an estimator, fit it, and go on with calls of any kind."""
        rng, self.given, self.stopped = self.rng, {}, False
        self.squared = False  # whether a loss, in squared units, may overflow
        self.create(parameters.draw_parameters(rng, self.cls, self.n_features))
        self.one_of([self.fit, self.fit, self.partial_fit])
        self.transform()
        others = [self.fit, self.partial_fit, self.transform, self.decode]
        others += [self.measure, self.copies, self.fail, self.change, self.unit]
        for _ in range(int(rng.integers(2, 8))):
            if len(self.findings) > 3 or self.stopped:
                break
            self.one_of(others)

    def groups_of(self, rows):
        """Return keyword arguments: groups, for estimators that take them."""
        if not is_grouped(self.estimator):
            return {}
        groups = arrays.draw_groups(self.rng, len(rows.X))
        return {} if groups is None else {"groups": groups}

    def lesson(self, rows):
        """Return keyword arguments of a fit: targets and groups."""
        extra = self.groups_of(rows)
        if issubclass(self.cls, NeLUAutoencoder) and self.rng.random() < 0.4:
            n, p = rows.X.shape
            if self.rng.random() < 0.5:
                single = rows.dtype == np.float32  # which cannot hold all others
                one = single or self.rng.random() < 0.5
                clean = rows if one else arrays.draw_rows(self.rng, n, p)
                extra["X_clean"] = clean.given
            else:
                K = self.estimator.n_components or p
                kinds = ["gaussian", "sparse", "zeros", "twin columns", "constant"]
                kind = kinds[self.rng.integers(len(kinds))]
                extra["Z"] = arrays.CONTENTS[kind](self.rng, n, K)
        return extra

    def fit(self):
        """Fit, and compare with a fit of a clone."""
        rows = self.draw()
        extra, fresh = (
            self.lesson(rows),
            not getattr(self.estimator, "warm_start", False),
        )
        twin = clone(self.estimator)
        text = f"{rows.name}{in_short(extra)}"
        result = self.attempt("fit", rows.given, text=text, **extra)
        if isinstance(result, Failed):
            return
        self.after_fit(rows)
        if issubclass(self.cls, SqrtLassoTransform):
            self.descends("objective_curve_")
        full = getattr(self.estimator, "batch_size", 1) is None
        if (
            full
            and self.estimator.binary is None
            and not self.estimator.early_stopping
            and fresh
        ):
            self.descends("loss_curve_")
        if fresh:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                twin.fit(rows.given, **extra)
            ours, theirs = learnt(self.estimator), learnt(twin)
            if ours.keys() != theirs.keys():
                self.find("a refit leaves attributes", f"{ours.keys() ^ theirs.keys()}")
            elif not same(ours, theirs):
                wrong = [k for k in ours if not same(ours[k], theirs[k])]
                self.find("a refit is not the fit of a clone", f"differ: {wrong}")

    def descends(self, name):
        """Note an objective that rises."""
        curve = getattr(self.estimator, name)
        eps = 1e-4 if self.estimator.components_.dtype == np.float32 else 1e-9
        if np.any(np.diff(curve) > eps * np.abs(curve[:-1]) + 1e-300):
            self.find(f"{name} rises", f"{curve}")

    def after_fit(self, rows):
        """Keep the parameters that were fitted, and look at what was learnt."""
        self.fitted, self.given = True, contents(self.estimator.get_params(deep=False))
        self.squared |= judges.size(rows.X) > (
            1e15 if rows.dtype == np.float32 else 1e140
        )
        for name, value in learnt(self.estimator).items():
            overflows = self.squared and issubclass(self.cls, ANAMOAutoencoder)
            if not is_finite(value) and not (
                overflows and ("loss" in name or "curve" in name)
            ):
                self.find(f"{name} is not finite", f"{value}")

    def partial_fit(self):
        """Learn from a batch."""
        rows = self.draw()
        extra = self.lesson(rows)
        valid = not is_given_atoms(self.estimator)
        text = f"{rows.name}{in_short(extra)}"
        result = self.attempt(
            "partial_fit", rows.given, text=text, valid=valid, **extra
        )
        if not isinstance(result, Failed):
            self.after_fit(rows)

    def transform(self):
        """Code rows, and judge the codes."""
        rows = self.draw()
        extra = self.groups_of(rows)
        text = f"{rows.name}{in_short(extra)}"
        Z = self.attempt("transform", rows.given, text=text, valid=self.fitted, **extra)
        if isinstance(Z, Failed):
            return
        unsolved, Z = self.warned, dense(Z)
        K = len(self.estimator.components_)
        if Z.dtype != rows.dtype or Z.shape != (len(rows.X), K):
            self.find("codes of another dtype or shape", f"{Z.dtype} {Z.shape}")
        if self.overflows(rows):
            return
        if not np.isfinite(Z).all():
            self.find("codes are not finite", f"{Z}")
            return
        if not unsolved:
            self.judge(
                judges.codes(self.estimator, self.given, rows, extra.get("groups"), Z)
            )
        self.other_containers(rows, extra, Z)
        if self.rng.random() < 0.2:
            self.other_output(rows, extra, Z)

    def other_output(self, rows, extra, Z):
        """Compare codes by other threads, and sparse or dense ones, to the bit."""
        usual, now = self.estimator.get_params(deep=False), {"n_jobs": 2}
        if "sparse_output" in usual:
            now["sparse_output"] = not usual["sparse_output"]
        self.estimator.set_params(**now)
        text = f"{rows.name}{in_short(extra)}; {parameters.describe(now)}"
        again = self.attempt("transform", rows.given, text=text, **extra)
        if not (isinstance(again, Failed) or same(dense(again), Z)):
            self.find("codes depend on threads or sparse_output", "")
        self.estimator.set_params(**usual)

    def overflows(self, rows):
        """Return whether weights, codes or restored rows may exceed all numbers."""
        layers = judges.layers_of(self.estimator, rows.dtype)
        if not all(map(is_finite, layers.values())):
            return True
        W = judges.norms(layers["components_"])
        V = judges.norms(layers.get("decoder_", layers["components_"])).max()
        about = judges.size(layers.get("mean_", np.zeros(1)))
        entry = judges.size(rows.X) + about
        code = entry * max(1 / min(W[W > 0], default=1), W.max())
        if issubclass(self.cls, RelaxedSparseCoder):
            code = code / np.sqrt(DEPENDENT)  # of atoms that are nearly alike
        step = getattr(self.estimator, "step_", 0)  # in units of the training rows
        offset = judges.size(getattr(self.estimator, "alpha_", 0))
        largest = max(code, code * V, V, step, offset)
        return bool(judges.wide(1e3) * largest > np.finfo(rows.dtype).max)

    def other_containers(self, rows, extra, Z):
        """Compare codes of the same rows, dense or alone, where they are continuous."""
        if not self.is_continuous() or rows.dtype != np.float64:
            return
        about = judges.norms(getattr(self.estimator, "mean_", 0 * rows.X[0]))
        sizes = judges.norms(rows.X) + about
        sizes = sizes * judges.norms(self.estimator.components_).max()
        if extra.get("groups") is not None:
            sizes = np.full(len(sizes), sizes.max(initial=0))
        allowed = 1e-7 * sizes[:, None] + 1e-300
        if "decoder_bias_" in vars(self.estimator):
            allowed = allowed + 1e-7 * (1 + judges.size(self.estimator.encoder_bias_))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain = dense(self.estimator.transform(rows.X, **extra))
            self.judge(
                judges.compare("codes depend on the container", Z, plain, allowed)
            )
            if not extra:
                i = slice(len(rows.X) // 2, len(rows.X) // 2 + 1)
                alone = dense(self.estimator.transform(rows.X[i]))
                found = judges.compare(
                    "codes depend on neighbours", Z[i], alone, allowed[i]
                )
                self.judge(found)

    def is_continuous(self):
        """Return whether codes change little with rounding."""
        given = judges.as_used(self.estimator, self.given)
        if issubclass(self.cls, RelaxedSparseCoder):
            return given["selector"] == "threshold" and given["phi"] == 1
        if issubclass(self.cls, NeLUAutoencoder):
            return given["activation"] in ("soft", *judges.FUNCTIONS)
        if issubclass(self.cls, ANAMOAutoencoder):
            return given["binary"] is None and given["encoder_activation"] != "sign"
        alpha = np.full(len(self.estimator.components_), self.estimator.alpha_)
        return bool(np.sum(np.minimum(alpha, 1) ** 2) < 0.9)

    def decode(self):
        """Decode codes, drawn or of rows."""
        if not self.fitted:
            return
        K = len(self.estimator.components_)
        codes = arrays.draw_rows(self.rng, 3, K)
        X = self.attempt("inverse_transform", codes.given, text=codes.name)
        if isinstance(X, Failed):
            return
        if (
            issubclass(self.cls, ANAMOAutoencoder)
            and self.given["decoder_activation"] == "sign"
        ):
            return
        expected, summed = judges.restored(
            self.estimator, self.given, codes.X.astype(X.dtype)
        )
        if np.all(summed < 1e-3 * np.finfo(X.dtype).max):
            kind = judges.kind_of(X.dtype)
            allowed = judges.ROUNDING[kind] * summed + judges.LEAST[kind]
            self.judge(judges.compare("decoded rows", X, expected, allowed))

    def measure(self):
        """Restore rows, and compare all figures with them."""
        rows = self.draw()
        extra = self.groups_of(rows)
        text = f"{rows.name}{in_short(extra)}"
        back = self.attempt(
            "reconstruct", rows.given, text=text, valid=self.fitted, **extra
        )
        if isinstance(back, Failed):
            return
        unsolved = self.warned
        if self.overflows(rows):
            return
        if not np.isfinite(back).all():
            self.find("restored rows are not finite", f"{back}")
            return
        figures = {
            name: self.attempt(name, rows.given, text=text, **extra)
            for name in ("score", "noise_scale", "report")
        }
        if any(isinstance(figure, Failed) for figure in figures.values()):
            return
        self.figures(rows, extra.get("groups"), back, figures)
        if not same(figures["report"].explained_variance, figures["score"]):
            self.find("report and score differ", f"{figures}")
        if is_certified(self.cls(**self.given)) and not unsolved:
            self.gap(rows, extra, text)

    def figures(self, rows, groups, back, figures):
        """Judge the noise levels and the score of restored rows."""
        sigma = figures["noise_scale"]
        self.levels(sigma)
        if issubclass(self.cls, NeLUAutoencoder | ANAMOAutoencoder):
            self.judge(judges.noise(self.estimator, rows.X, back, groups, sigma))
        self.judge(judges.score(rows.X, back, figures["score"], rows.dtype))

    def levels(self, sigma):
        """Look at noise levels, all of which are known."""
        if not (np.all(np.isfinite(sigma)) and np.all(sigma >= 0)):
            self.find("noise_scale is not finite", f"{sigma}")

    def gap(self, rows, extra, text):
        """Look at duality gaps."""
        gap = self.attempt("duality_gap", rows.given, text=text, **extra)
        if isinstance(gap, Failed) or self.given.get("n_unrolled") is not None:
            return
        limit = 1e-3 if rows.dtype == np.float32 else 1e-7
        limit = max(limit, 2 * self.given.get("transform_tol", 0))
        if not (np.all(np.isfinite(gap)) and np.all(gap <= limit)):
            self.find("duality gaps are large", f"{gap}")

    def fail(self):
        """Call with rows or parameters that have to be refused."""
        learn = ["fit", "partial_fit", "fit_transform"]
        learn = [name for name in learn if hasattr(self.cls, name)]
        use = ["transform", "reconstruct", "score", "noise_scale", "report"]
        methods = [self.rng.choice(of) for of in (learn, use)]
        for method in methods if self.fitted else methods[:1]:
            n = int(self.rng.integers(1, 9))
            missing = takes_missing(self.estimator)
            rows = arrays.draw_bad_rows(self.rng, n, self.n_features, missing)
            self.attempt(method, rows.given, text=rows.name, valid=False)
        if self.rng.random() < 0.5:
            return
        rows, before = self.draw(), self.estimator.get_params(deep=False)
        bad = parameters.draw_invalid(self.rng, self.cls)
        self.estimator.set_params(**bad)
        self.calls.append(f"set_params({parameters.describe(bad)})")
        result = self.attempt("fit", rows.given, text=rows.name, valid=None)
        if not isinstance(result, Failed):
            self.after_fit(rows)  # -1 is a number of threads, and an offset may be -0.5
        self.estimator.set_params(**before)
        self.calls.append("set_params(as before)")

    def change(self):
        """Change parameters after a fit: most do not act before the next one."""
        given = parameters.draw_parameters(self.rng, self.cls, self.n_features, 0.3)
        given = {k: v for k, v in given.items() if k not in ACT_AT_ONCE}
        if not self.fitted:
            self.estimator.set_params(**given)
            return
        rows = self.draw()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                before = (
                    self.estimator.reconstruct(rows.given),
                    self.estimator.noise_scale(rows.given),
                )
            except ValueError:
                return
        usual = self.estimator.get_params(deep=False)
        self.estimator.set_params(**given)
        self.calls.append(f"set_params({parameters.describe(given)})")
        text = rows.name + "; parameters changed since the fit"
        after = [
            self.attempt(name, rows.given, text=text)
            for name in ("reconstruct", "noise_scale")
        ]
        failed = any(isinstance(x, Failed) for x in after)
        if not (failed or all(map(same, before, after))):
            self.find("parameters act before the next fit", "")
        if self.rng.random() < 0.5:
            self.estimator.set_params(**usual)
            self.calls.append("set_params(as before)")
        else:
            self.one_of([self.fit, self.partial_fit])
            self.stopped = not same(
                self.given, contents(self.estimator.get_params(deep=False))
            )

    def unit(self):
        """Compare codes of rows, and their mean, in another unit, a power of two."""
        rows, coder = self.draw(tame=0.7), self.estimator
        fitted = self.cls(**self.given)
        scales = is_homogeneous(fitted) or is_centred(fitted)
        if not (self.fitted and scales) or rows.dtype != np.float64:
            return
        mean = getattr(coder, "mean_", np.zeros(1))
        entries = np.abs(np.append(rows.X, mean))
        if np.any((entries != 0) & ((entries < 1e-150) | (entries > 1e140))):
            return
        c, twin = 2.0 ** self.rng.choice([-300, -20, 1, 20, 300]), copy.deepcopy(coder)
        if is_centred(fitted):
            twin.mean_ = c * mean
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = dense(coder.transform(rows.X))
        text = f"transform({c} times {rows.name}), mean likewise"
        two = self.call(twin.transform, c * rows.X, text=text)
        if not isinstance(two, Failed):
            allowed = 1e-9 * judges.size(one) + 1e-300
            self.judge(
                judges.compare("codes do not scale", dense(two) / c, one, allowed)
            )
        if not learns_the_same_in_any_unit(coder) or is_given_atoms(coder):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                one = clone(coder).fit(rows.X).components_
            except (ValueError, FloatingPointError):
                return
            two = clone(coder).fit(c * rows.X).components_
        self.judge(
            judges.compare("learning does not scale", two, one, 1e-6 * judges.size(one))
        )
