"""
===========================================
The relaxed lasso selects fewer false atoms
===========================================

To explain one row by few of many atoms, the lasso has one penalty for two purposes. A
small one shrinks little but selects false atoms; a large one excludes them but shrinks
the true ones. The relaxed lasso has a second parameter for the shrinkage.
"""

# %%
# Two settings of Hastie, Tibshirani and Tibshirani (2020): correlated atoms, of which
# the first few are true. Both parameters are tuned on a validation row, 4 repetitions.
import matplotlib.pyplot as plt
import numpy as np

from sklearn_sqrtlasso import RelaxedSparseCoder

settings = {"low": (500, 100, 5, [0.25, 1, 4]), "high": (100, 1000, 10, [0.7, 2, 6])}


def draw(seed, n, p, n_true, snr):
    rng = np.random.default_rng(seed)
    covariance = 0.35 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    X = np.linalg.cholesky(covariance) @ rng.standard_normal((p, 2 * n))
    true = 1.0 * (np.arange(p) < n_true)
    sigma = np.sqrt(true @ covariance @ true / snr)
    y = true @ X + sigma * rng.standard_normal(2 * n)
    return X[:, :n], X[:, n:], true, covariance, y[:n], y[n:]


def compare(seed, setting):
    atoms, others, true, covariance, y, y_valid = draw(seed, *setting)
    best = {"lasso": (np.inf, 0, 0), "relaxed": (np.inf, 0, 0)}
    for alpha in np.abs(atoms @ y).max() * np.geomspace(0.8, 0.03, 15):
        for phi in (0.0, 0.5, 1.0):
            coder = RelaxedSparseCoder(dictionary=atoms, selector="lasso")
            z = coder.set_params(alpha=alpha, phi=phi).fit_transform(y[None])[0]
            loss = np.sum((y_valid - z @ others) ** 2)
            risk = (z - true) @ covariance @ (z - true) / (true @ covariance @ true)
            for name in ("relaxed", "lasso") if phi == 1 else ("relaxed",):
                best[name] = min(best[name], (loss, risk, np.count_nonzero(z)))
    return np.array([best[name][1:] for name in ("lasso", "relaxed")])


fig, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharex="col")
for column, (name, (*size, snrs)) in zip(axes.T, settings.items(), strict=True):
    runs = [[compare(i, (*size, snr)) for i in range(4)] for snr in snrs]
    mean = np.mean(runs, axis=1)
    print(f"{name}: {size[0]} measurements, {size[1]} atoms\n{mean.round(3)}")
    for i, label in enumerate(["relative risk", "atoms selected"]):
        column[i].plot(range(3), mean[:, 0, i], "s--", color="tab:brown", label="lasso")
        column[i].plot(
            range(3), mean[:, 1, i], "o-", color="tab:green", label="relaxed lasso"
        )
        column[i].set(ylabel=label, xticks=range(3), xticklabels=snrs, ylim=0)
    column[1].axhline(size[2], color="k", ls=":", label="true atoms")
    column[1].set_xlabel("signal-to-noise ratio")
    column[0].set_title("{} measurements, {} atoms, {} true".format(*size))
axes[0, 0].legend(frameon=False)
axes[1, 1].legend(frameon=False, loc="center right")
plt.show()
