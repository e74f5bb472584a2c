"""
====================
Serve without Python
====================

A Pipeline of a scaler and a coder becomes one file, which ONNX Runtime serves from C,
C++, C#, Java, JavaScript or a phone. Codes are the same as in Python over twelve
decades of noise. Times are in :doc:`/user_guide/deployment`.
"""

# %%
# One file
# --------
# ``register`` tells skl2onnx of the estimators of this package. The coder is the last
# step; its options add the restored rows and the noise level of each row to the codes.
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sqrtlasso import SqrtLassoTransform
from sklearn_sqrtlasso.onnx import register

register()
X = load_digits().data
model = make_pipeline(StandardScaler(), SqrtLassoTransform()).fit(X[:1200])
options = {SqrtLassoTransform: {"reconstruct": True, "noise_scale": True}}


def served(dtype, options=None):
    """Return a session of the model in one precision, on one thread, and its size."""
    file = to_onnx(model, X[:1].astype(dtype), options=options).SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, settings), len(file)


sessions = {dtype: served(dtype, options) for dtype in (np.float32, np.float64)}
for dtype, (_, size) in sessions.items():
    print(f"{np.dtype(dtype).name}: a file of {size / 1024:.0f} KiB")

# %%
# The same codes at every noise level
# -----------------------------------
# Images that the model has not seen, each with noise of its own level, from a millionth
# of a grey value to a million. Differences are relative to the norm of the scaled row.
rng = np.random.default_rng(0)
level = 10 ** rng.uniform(-6, 6, 597)
noisy = X[1200:] + level[:, None] * rng.standard_normal((597, 64))
difference, sigma = {}, {}
for dtype, (session, _) in sessions.items():
    rows = noisy.astype(dtype)
    codes, restored, scale = session.run(None, {"X": rows})
    scaled = model[0].transform(rows)
    gap = np.abs(codes - model.transform(rows)).max(axis=1)
    difference[dtype] = gap / np.linalg.norm(scaled, axis=1)
    sigma[dtype] = scale[:, 0]
ours = model[1].noise_scale(model[0].transform(noisy))

# %%
# Left: differences are those of rounding at all levels; lines are the relative
# precision of the dtypes. Right: the noise level of each image, in units of the scaled
# columns; it follows the noise where that exceeds what the model does not explain.
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
colors = {np.float32: "tab:orange", np.float64: "tab:blue"}
for (dtype, color), mark in zip(colors.items(), "x.", strict=True):
    name, shown = np.dtype(dtype).name, np.maximum(difference[dtype], 1e-17)
    axes[0].loglog(level, shown, mark, color=color, markersize=4, label=name)
    axes[0].axhline(np.finfo(dtype).eps, color=color, linewidth=1)
axes[0].set(
    title="Codes: engine less Python",
    xlabel="noise in the image, grey values",
    ylabel="relative difference",
    ylim=(3e-18, 1e-4),
)
axes[0].legend(frameon=False, loc="upper right")
for name, of, color, size in (
    ("ONNX Runtime", sigma[np.float32], "tab:orange", 8),
    ("Python", ours, "0.2", 2),
):
    axes[1].loglog(level, of, ".", color=color, markersize=size, label=name)
axes[1].set(
    title="Noise level of each image",
    xlabel="noise in the image, grey values",
    ylabel="noise_scale",
)
axes[1].legend(frameon=False)
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)

# %%
for dtype, of in difference.items():
    print(f"largest relative difference in {np.dtype(dtype).name}: {of.max():.1e}")
