"""The site, built by ``python -m sphinx -W -b html docs docs/_build/html``.

The command runs the gallery too. Code blocks of the pages are tested by ::

    python -m sphinx -b doctest -D sphinx_gallery_conf.plot_gallery=0 \\
        docs docs/_build/doctest

Neither needs a network, nor do the pages: MathJax is copied to them.
``DOCS_INTERSPHINX=1`` reads the inventories of other projects.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sklearn.experimental import enable_iterative_imputer  # noqa: F401, for links
from sphinx.util.docutils import SphinxDirective

from sklearn_sqrtlasso import __version__

sys.path.insert(0, str(Path(__file__).parent))  # for the order of the gallery

project = "sklearn_sqrtlasso"
author = "The sklearn_sqrtlasso developers"
copyright = author
version = release = __version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "**sg_execution_times.rst",
    "gallery/**.ipynb",
    "gallery/**.md5",
]
templates_path = ["_templates"]
root_doc = "index"

# Pages
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
smartquotes = False  # "pivotal" is a value
toc_object_entries_show_parents = "hide"
math_eqref_format = "({number})"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# API
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False  # the template of classes lists them
GUIDES = {
    "ANAMOAutoencoder": "anamo_autoencoder",
    "Denoiser": "tables",
    "NeLUAutoencoder": "nelu_autoencoder",
    "NoisyCopies": "tables",
    "PivotalPCA": "pivotal_pca",
    "RelaxedSparseCoder": "relaxed_sparse_coder",
    "SqrtLasso": "sqrt_lasso",
    "SqrtLassoCV": "sqrt_lasso",
    "SqrtLassoTransform": "sqrt_lasso_transform",
    "sqrt_lasso_path": "sqrt_lasso",
    "confidence_intervals": "sqrt_lasso",
    "denoise_image": "images",
    "noise_scorer": "tables",
    "register": "deployment",
    **dict.fromkeys(["fit", "partial_fit", "predict", "score"], "scaling_out"),
}
autosummary_context = {"guides": GUIDES}

# Doctests of the pages; those of the package run with its tests
doctest_global_setup = "import numpy as np"
doctest_test_doctest_blocks = "default"
trim_doctest_flags = True

# Recipes with their pictures
plot_include_source = True
plot_html_show_source_link = plot_html_show_formats = False
plot_formats = [("png", 120)]
plot_rcparams = {"legend.frameon": False}

# Gallery
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "copyfile_regex": r"index\.rst",  # the gallery by job
    "minigallery_sort_order": "gallery_order.place",
    "plot_gallery": True,
    "image_scrapers": ("matplotlib",),
    "remove_config_comments": True,
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("sklearn_sqrtlasso",),
    "reference_url": {"sklearn_sqrtlasso": None},
    "show_memory": False,
    "write_computation_times": False,  # they depend on the load
}

# Face
html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_extra_path = ["llms.txt"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "show_prev_next": False,
}
PAGES_ALONE = [
    "index",
    "start",
    "install",
    "theory",
    "extend/index",
    "benchmarks",
    "changes",
]
html_sidebars = {page: [] for page in PAGES_ALONE}

if os.environ.get("DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable/", None),
        "python": ("https://docs.python.org/3/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
    }

SKLEARN = "https://scikit-learn.org/stable/"


def link_to_sklearn(app, env, node, contnode):
    """Link to scikit-learn's classes and glossary without reading its inventory."""
    target = node.get("reftarget", "")
    if node.get("reftype") == "term":
        address = f"glossary.html#term-{target}"
    elif target.startswith("sklearn."):
        address = f"modules/generated/{target}.html"
    else:
        return None
    return nodes.reference("", "", contnode, refuri=SKLEARN + address, internal=False)


def source_of(app, modname, attribute):
    """Return the module whose source has a class, which is public in another."""
    target = getattr(import_module(modname), attribute.split(".")[0], None)
    return getattr(getattr(target, "__init__", None), "__module__", None)


class TableOf(SphinxDirective):
    """A table made from the records of the package, ``module.TABLE``.

    The option ``fields`` names fields of the records, each with its heading after "=".
    """

    required_arguments = 1
    option_spec = {"fields": directives.unchanged_required}

    def run(self):
        """Return the nodes of a list-table."""
        module, name = self.arguments[0].rsplit(".", 1)
        table = getattr(import_module(module), name)
        pairs = [field.split("=") for field in self.options["fields"].split(",")]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for cells in (
            ["Name", *(heading.strip() for _, heading in pairs)],
            *(
                [f'``"{key}"``', *(shown(getattr(row, f.strip())) for f, _ in pairs)]
                for key, row in table.items()
            ),
        ):
            lines += [f"   {'*' if k == 0 else ' '} - {c}" for k, c in enumerate(cells)]
        return self.parse_text_to_nodes("\n".join(lines))


def shown(fact):
    """Return how a fact of a record is shown in a table."""
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return "–" if fact is None else str(fact)


def setup(app):
    """Add the tables of records, links to scikit-learn and to the source."""
    app.add_directive("table-of", TableOf)
    app.connect("missing-reference", link_to_sklearn, priority=900)
    app.connect("viewcode-follow-imported", source_of)
