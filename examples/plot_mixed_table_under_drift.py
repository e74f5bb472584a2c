"""
=================================
A mixed table whose sensors drift
=================================

The fuel consumption of cars is predicted from four measurements and three categories.
In use the sensors drift, get noisier and fall out, and a model that was fitted to clean
rows fails. One that has seen noisy copies, clipped and restored, goes on.
"""

# %%
# The table comes with the package mlxtend. Half of the cars are for training, as they
# are. The others are met one after the other, while an offset of each sensor, its noise
# and the share of missing values grow, in standard deviations of the column.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from mlxtend.data import autompg_data
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVR

from sklearn_sqrtlasso import Denoiser, NoisyCopies, PivotalPCA

values, miles_per_gallon = autompg_data()
sensors = ["displacement", "horsepower", "weight", "acceleration"]
categories = ["cylinders", "year", "origin"]
table = pd.DataFrame(values[:, 1:5], columns=sensors)
table[categories] = values[:, [0, 5, 6]].astype(int).astype(str)
litres = 235.2 / miles_per_gallon  # per 100 km

order = np.random.default_rng(0).permutation(len(table))
train, test = order[:200], order[200:]
X, y, truth = table.loc[train], litres[train], litres[test]
spread = X[sensors].std().to_numpy()


def met_in_use(level, rng):
    """Return the test rows as the sensors see them, at a level or one for each row."""
    level = np.broadcast_to(level, (len(test), 1))
    offset, noise = rng.choice([-0.5, 0.5], 4), rng.standard_normal((len(test), 4))
    rows = table.loc[test].copy()
    rows[sensors] += level * spread * (offset + noise)
    rows[sensors] = rows[sensors].mask(rng.random((len(test), 4)) < 0.1 * level)
    return rows


# %%
# Categories become columns of zeros and ones, measurements are standardised. From there
# on there are two versions of each row: as observed, with missing entries taken from
# its neighbours, and clipped; and as :class:`~sklearn_sqrtlasso.PivotalPCA` restores
# it. :class:`~sklearn_sqrtlasso.NoisyCopies` fits its transformer to the rows without
# noise, and the model to their copies. Bands are standard deviations over five draws.
one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
columns = make_column_transformer((one_hot, categories), remainder=StandardScaler())
filled = make_pipeline(columns, KNNImputer())
observed = make_pipeline(KNNImputer(), MinMaxScaler(clip=True))
both = make_union(observed, Denoiser(PivotalPCA()))


def copies(model, *steps):
    return NoisyCopies(model, transformer=make_pipeline(*steps), random_state=0)


models = {
    "clean rows": make_pipeline(filled, SVR(C=10)),
    "clean rows, PCA": make_pipeline(filled, PCA(0.9), SVR(C=10)),
    "noisy copies": copies(SVR(), filled),
    "noisy copies, clipped": copies(SVR(), columns, observed),
    "noisy copies, clipped and restored": copies(SVR(), columns, both),
}
levels = [0, 0.25, 0.5, 1, 1.5, 2, 3]
drawn = [[met_in_use(a, np.random.default_rng(s)) for a in levels] for s in range(5)]
growing = np.linspace(0, 3, len(test))[:, None]
stream = met_in_use(growing, np.random.default_rng(0))
colors = {
    "clean rows": "k",
    "clean rows, PCA": "tab:gray",
    "noisy copies": "tab:olive",
    "noisy copies, clipped": "tab:cyan",
    "noisy copies, clipped and restored": "tab:purple",
}

first, *_, last = models
fig, axes = plt.subplot_mosaic(
    [["errors"] * 2, [first, last]], figsize=(8, 7.5), layout="constrained"
)
for (title, model), mark in zip(models.items(), "xsv^o", strict=True):
    model.fit(X, y)
    errors = [[np.abs(model.predict(r) - truth).mean() for r in d] for d in drawn]
    mean, deviation = np.mean(errors, axis=0), np.std(errors, axis=0)
    line = f"{mark}-" if "restored" in title else f"{mark}--"
    axes["errors"].plot(levels, mean, line, ms=6, color=colors[title], label=title)
    band = mean - deviation, mean + deviation
    axes["errors"].fill_between(levels, *band, color=colors[title], alpha=0.15, lw=0)
    if title in axes:
        ax, guess = axes[title], model.predict(stream)
        points = ax.scatter(truth, guess, c=growing[:, 0], s=14, cmap="plasma")
        ax.axline((10, 10), slope=1, color="k", lw=1, ls="--")
        ax.set(title=title, xlim=(4, 24), ylim=(4, 24), aspect="equal")
        ax.set(xlabel="true litres per 100 km", ylabel="predicted litres per 100 km")
guess = np.abs(y.mean() - truth).mean()
axes["errors"].axhline(guess, color="k", ls=":", label="mean of the training rows")
axes["errors"].set(
    xlabel="drift and noise of the sensors, standard deviations of the column",
    ylabel="mean absolute error, litres per 100 km",
    ylim=(0, None),
)
axes["errors"].legend(frameon=False, loc="lower center", ncols=2, fontsize=9)
_ = fig.colorbar(points, ax=[axes[first], axes[last]], label="drift and noise")

# %%
# As long as sensors are as good as in training, the model that has seen nothing else is
# the best, by a fifth of a litre. From half a standard deviation on it is worse than
# all that have seen copies, at two as bad as the mean of the training rows. Clipping
# gains most where noise is strong, and costs a tenth of a litre where it is weak;
# restored rows beside the clipped ones get that back. PCA removes little, since noise
# is in all directions.
