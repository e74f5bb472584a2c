"""
==========================
Topics of sparse documents
==========================

Rows of tf-idf are sparse, and each document is about a few topics. A dictionary of
nonnegative atoms learns topics from the nonzeros alone, and codes each document by at
most five of them.
"""

# %%
# Documents
# ---------
# The documents are the docstrings of the public functions and classes of SciPy, of
# ``numpy.random`` and of scikit-learn: what they are called and where they stand is not
# used, but tells later whether neighbours are alike.
import importlib
import inspect

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import NMF, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from sklearn_sqrtlasso import RelaxedSparseCoder

MODULES = {
    "scipy": "fft integrate interpolate linalg ndimage optimize signal sparse "
    "spatial special stats",
    "numpy": "random",
    "sklearn": "cluster datasets ensemble linear_model metrics preprocessing",
}


def docstrings(module):
    """Return the docstrings of a module's public members and of their methods."""
    found = []
    for name, member in vars(module).items():
        if name.startswith("_") or inspect.ismodule(member):
            continue
        methods = vars(member).items() if inspect.isclass(member) else ()
        public = [value for key, value in methods if not key.startswith("_")]
        found += [inspect.getdoc(of) for of in (member, *filter(callable, public))]
    return [text for text in found if text and len(text) > 300]


documents = {}  # of each text the module, so that none comes twice
for package, names in MODULES.items():
    for name in names.split():
        module = importlib.import_module(f"{package}.{name}")
        for text in docstrings(module):
            documents.setdefault(text, f"{package}.{name}")
texts, module_of = list(documents), np.array(list(documents.values()))
first = [text.split("\n\n")[0] for text in texts]

vectorizer = TfidfVectorizer(
    min_df=3,
    max_df=0.3,
    stop_words="english",
    token_pattern="[a-z]{3,}",
    sublinear_tf=True,
)
X, queries = vectorizer.fit_transform(texts), vectorizer.transform(first)
words = vectorizer.get_feature_names_out()
train, test = train_test_split(
    np.arange(len(texts)), test_size=0.3, stratify=module_of, random_state=0
)
print(f"{X.shape[0]} documents, {X.shape[1]} words, {X.nnz} nonzeros")

# %%
# Three decompositions
# --------------------
# All have forty components. Documents are compared by the cosine between their codes;
# the module of another document is guessed from its five nearest neighbours, once from
# its whole text and once from its first paragraph, which is about ten words long.
N_TOPICS = 40
coders = {
    "RelaxedSparseCoder": RelaxedSparseCoder(
        N_TOPICS, n_nonzero_coefs=5, positive=True, learner="mod", random_state=0
    ),
    "NMF": NMF(N_TOPICS, max_iter=300, random_state=0),
    "TruncatedSVD": TruncatedSVD(N_TOPICS, random_state=0),
}
whole, short, used = {}, {}, {}
for name, coder in coders.items():
    coder.fit(X[train])
    codes, of_whole, of_short = (
        normalize(coder.transform(rows)) for rows in (X[train], X[test], queries[test])
    )
    neighbours = KNeighborsClassifier(5, metric="cosine").fit(codes, module_of[train])
    whole[name] = neighbours.score(of_whole, module_of[test])
    short[name] = neighbours.score(of_short, module_of[test])
    used[name] = np.mean(np.sum(of_whole != 0, axis=1))
    print(
        f"{name:18s} {used[name]:4.1f} components a document, "
        f"module found {whole[name]:.1%}, from the first paragraph {short[name]:.1%}"
    )

# %%
# Topics, and what they find
# --------------------------
# Left, the atoms that most documents use, with the share of the document's module among
# their users. Right, how many components a document needs, and what they find: five
# topics find the module nearly as often as the forty singular vectors, and as the more
# than ten parts of NMF.
coder = coders["RelaxedSparseCoder"]
codes = coder.transform(X[train])
order = np.argsort(-np.sum(codes > 0.1, axis=0))
figure = plt.figure(figsize=(11, 6.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[2, 1])
for axes, topic in zip(left.subplots(3, 3).flat, order, strict=False):
    atom = coder.components_[topic]
    top = np.argsort(-atom)[:6][::-1]
    names, counts = np.unique(
        module_of[train][codes[:, topic] > 0.1], return_counts=True
    )
    share = counts.max() / counts.sum()
    axes.barh(words[top], atom[top], color=plt.cm.viridis(0.9 - 0.8 * share))
    axes.set_title(f"{names[counts.argmax()]}, {share:.0%}", fontsize=9)
    axes.set_xticks([])
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
left.suptitle("Topics: their main words, and the module of most of their users")
axes = right.subplots()
colors = {"RelaxedSparseCoder": "tab:green", "NMF": "tab:olive"}
colors["TruncatedSVD"] = "tab:gray"
for name, mark in zip(coders, "osD", strict=True):
    at, style = [used[name]] * 2, {"color": colors[name], "marker": mark}
    axes.plot(at, [short[name], whole[name]], color=colors[name], lw=1, alpha=0.5)
    axes.plot(at[0], whole[name], ms=8, ls="", label=name, **style)
    axes.plot(at[0], short[name], ms=8, mfc="white", **style)
axes.set(
    xlabel="components that a document uses",
    ylabel="share of documents whose module is found",
    title="Filled: whole text; open: first paragraph",
    xlim=(0, N_TOPICS + 2),
)
axes.title.set_fontsize(9)
axes.legend(frameon=False, loc="center", bbox_to_anchor=(0.62, 0.5))
plt.show()
