"""
=======================
Fill in missing entries
=======================

``reconstruct`` fills in what is NaN. Two coders of this package and two imputers of
scikit-learn learn from complete rows, and fill in rows from which a tenth to a half of
the entries is missing.
"""

# %%
# Each method has its default parameters, in columns of mean zero and variance one. Its
# mark is R², the share of the variance of missing entries that it explains. An imputer
# of scikit-learn learns where entries are missing, so it is given the rows to fill in
# as well.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import PivotalPCA, SqrtLassoTransform

warnings.simplefilter("ignore", ConvergenceWarning)  # ten rounds are the default


def by_codes(coder):
    return lambda train, rows: coder.fit(train).reconstruct(rows)


def by_imputer(imputer):
    return lambda train, rows: imputer.fit(np.vstack([train, rows])).transform(rows)


methods = {
    "PivotalPCA": by_codes(PivotalPCA()),
    "SqrtLassoTransform": by_codes(SqrtLassoTransform()),
    "KNNImputer": by_imputer(KNNImputer()),
    "IterativeImputer": by_imputer(IterativeImputer(random_state=0)),
}
digits = load_digits().data
varies = digits[:1200].std(axis=0) > 0.5
tumours = load_breast_cancer().data
tables = {  # training rows, rows to fill in
    "breast_cancer": (tumours[:400], tumours[400:]),
    "digits": (digits[:1200, varies], digits[1200:1400, varies]),
}
shares = [0.1, 0.2, 0.3, 0.4, 0.5]


def fill(table, method, share):
    """Return the rows filled in, where entries were missing, and R²."""
    scaler = StandardScaler().fit(tables[table][0])
    train, rows = map(scaler.transform, tables[table])
    holes = np.random.default_rng(0).random(rows.shape) < share
    guess = methods[method](train, np.where(holes, np.nan, rows))
    r2 = 1 - np.sum((guess - rows)[holes] ** 2) / np.sum(rows[holes] ** 2)
    filled = scaler.inverse_transform(np.where(holes, guess, rows))
    return filled, holes, r2


results = {
    (table, method): [fill(table, method, share) for share in shares]
    for table in tables
    for method in methods
}

# %%
# The curves fall slowly: half of a row tells much of the other half. On the table of
# tumours, whose columns depend on each other almost linearly, ``IterativeImputer`` is
# best, by a regression for each column and round. On digits
# ``KNNImputer`` is best, as similar images are among the training rows; the coders come
# last. They are the choice where a model that was learnt before fills in rows fast.
colors = {
    "PivotalPCA": "tab:purple",
    "SqrtLassoTransform": "tab:blue",
    "KNNImputer": "tab:olive",
    "IterativeImputer": "tab:cyan",
}
marks = {
    "SqrtLassoTransform": "^-",
    "KNNImputer": "s--",
    "IterativeImputer": "D--",
}
fig, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for ax, table in zip(axes, tables, strict=True):
    for method, color in colors.items():
        r2 = [result[2] for result in results[table, method]]
        style = marks.get(method, "o-")
        ax.plot(100 * np.array(shares), r2, style, color=color, label=method)
        print(f"{table:14s} {method:19s} R² {np.round(r2, 2)}")
    ax.set(title=table, xlabel="missing entries, %", ylim=(0, 1))
    ax.legend(frameon=False, loc="lower left")
_ = axes[0].set_ylabel("R² of missing entries")

# %%
# Eight digits from which half of the pixels are missing, in grey. Shapes come back with
# every method; what differs is how blurred the pixels filled in are.
holed = results["digits", "PivotalPCA"][-1][1]
truth = tables["digits"][1]
lines = {"missing": np.where(holed, np.nan, truth)}
lines |= {method: results["digits", method][-1][0] for method in methods}
lines["true"] = truth
fig, axes = plt.subplots(6, 8, figsize=(8.6, 5), layout="constrained")
for line, (title, rows) in zip(axes, lines.items(), strict=True):
    line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    for ax, row in zip(line, rows, strict=False):
        image = np.zeros(64)
        image[varies] = row
        ax.imshow(image.reshape(8, 8), cmap="magma", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[], facecolor="0.6")
plt.show()
