"""
=================================================
Fit rows in chunks on a cluster, serve the model
=================================================

Rows that are never in one place are fitted by sums over their chunks, which workers of
Dask compute. The model is that of all rows up to rounding. It is a plain estimator,
and is served here by ONNX Runtime, without Dask and without Python.
"""

# %%
# Rows in chunks
# --------------
# Each chunk is made where it is needed, as it would be read from a file or a table of a
# warehouse: windows of a signal, sparse in a basis that is to be found, with noise.
import dask
import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from distributed import Client, LocalCluster
from skl2onnx import to_onnx

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.dask import fit, score, transform
from sklearn_sqrtlasso.onnx import register

N_FEATURES, CHUNK = 32, 1000
basis = np.linalg.qr(np.random.default_rng(1).standard_normal((N_FEATURES,) * 2))[0]


def made_chunk(place):
    """Return rows of three large coefficients, with a little noise."""
    rng = np.random.default_rng(place)
    Z = rng.standard_normal((CHUNK, N_FEATURES))
    Z *= rng.random(Z.shape) < 3 / N_FEATURES
    return Z @ basis + 0.05 * rng.standard_normal((CHUNK, N_FEATURES))


def rows_in(n_chunks):
    """Return a Dask array of rows."""
    shape = (CHUNK, N_FEATURES)
    make = dask.delayed(made_chunk)
    return da.concatenate(
        [da.from_delayed(make(place), shape, float) for place in range(n_chunks)]
    )


# %%
# Fit on a cluster
# ----------------
# A local cluster of two workers, which are threads here, so that this page runs
# anywhere; ``LocalCluster()`` has processes, and ``Client("scheduler:8786")`` is that
# of a cluster of machines. ``persist`` keeps the chunks on the workers.
cluster = LocalCluster(n_workers=2, processes=False, dashboard_address=None)
with cluster, Client(cluster):
    rows = rows_in(16).persist()
    coder = fit(SqrtLassoTransform(tol=1e-2), rows)
    print(f"explained variance of {rows.shape[0]} rows: {score(coder, rows):.3f}")
    energies = (transform(coder, rows) ** 2).mean(axis=0).compute()
print(f"largest mean square of a coefficient: {energies.max():.3f}")

# %%
# The same numbers, whatever the chunks
# -------------------------------------
# All rows fit this machine, so the fit of one chunk is the reference.
X = rows_in(16).compute()
alone = SqrtLassoTransform(tol=1e-2).fit(X)
numbers = [1, 2, 4, 8, 16]
apart = []
for n_chunks in numbers:
    chunked = da.from_array(X, chunks=(len(X) // n_chunks, N_FEATURES))
    model = fit(SqrtLassoTransform(tol=1e-2), chunked)
    apart.append(np.abs(model.components_ - alone.components_).max())

# %%
# Serve without Dask and Python
# -----------------------------
# The file restores rows, at noise levels that the training rows did not have.
register()
options = {SqrtLassoTransform: {"reconstruct": True}}
file = to_onnx(coder, X[:1].astype(np.float32), options=options).SerializeToString()
engine = onnxruntime.InferenceSession(file)
rng = np.random.default_rng(0)
Z = rng.standard_normal((2000, N_FEATURES)) * (rng.random((2000, N_FEATURES)) < 0.1)
clean, levels = Z @ basis, np.geomspace(0.02, 0.5, 9)
left = []
for level in levels:
    noisy = clean + level * rng.standard_normal(clean.shape)
    restored = engine.run(["reconstruct"], {"X": noisy.astype(np.float32)})[0]
    left.append(np.sqrt(np.mean((restored - clean) ** 2)))

# %%
# Left: the largest difference of a component from the fit of all rows. Right: the root
# mean square error of rows that ONNX Runtime restores.
fig, (first, second) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
first.loglog(numbers, np.maximum(apart, 1e-17), "o-", color="tab:blue")
first.axhline(1e-10, color="0.6", linewidth=1)
first.text(1, 1.5e-10, "allowed: 1e-10", color="0.4")
first.set(
    title="Fits over chunks are the fit of all rows",
    xlabel="number of chunks (1e-17 stands for equal to the bit)",
    ylabel="largest difference of a component",
    ylim=(5e-18, 1e-9),
)
first.set_xticks(numbers, map(str, numbers))
second.loglog(levels, left, "o-", color="tab:blue", label="restored")
second.loglog(levels, levels, color="0.6", linewidth=1, label="as it comes")
second.set(
    title="One file serves every noise level",
    xlabel="noise, standard deviation",
    ylabel="root mean square error",
)
ticks = [0.02, 0.05, 0.1, 0.2, 0.5]
second.set_xticks(ticks, map(str, ticks))
second.set_yticks(ticks, map(str, ticks))
second.legend(frameon=False)
for ax in (first, second):
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)

# %%
for n_chunks, of in zip(numbers, apart, strict=True):
    print(f"{n_chunks:3d} chunks: largest difference {of:.1e}")
for level, of in zip(levels, left, strict=True):
    print(f"noise {level:.3f}: error {of:.3f}")
