"""The site: ``sphinx-build -W -b html docs site``. See docs/contributing.md."""

import os
import sys
import warnings
from pathlib import Path

import gflow

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

# Pictures and the notebook are made anew, which takes minutes; GFLOW_DOCS=text leaves them out.
RUNS = os.environ.get("GFLOW_DOCS", "full") != "text"

project = "gflow"
author = copyright = "The gflow developers"
version = release = gflow.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc",
              "sphinx_gallery.gen_gallery", "mathml", "notebook", "contents"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["gallery", "_ext", "_templates", "_gallery/**.ipynb", "_gallery/**.py"]
templates_path = ["_templates"]
default_role = "py:obj"
nitpicky = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

autosummary_generate = True
autodoc_typehints = "none"
# Defaults as they are written, not as they print.
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = "gflow"
html_static_path = ["_static"]
html_css_files = ["gflow.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_math_renderer = "mathml"
html_theme_options = {"sidebar_hide_name": False}

notebook_execute = RUNS

warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "_gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__\.py",
    "plot_gallery": RUNS,
    # Also entries that have not changed: gflow may have.
    "run_stale_examples": RUNS,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    # Their tables come from elsewhere, and nothing here is loaded from there.
    "write_computation_times": False,
    "min_reported_time": 5,
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
    "nested_sections": True,
    "capture_repr": ("_repr_html_",),
    "image_scrapers": ("matplotlib",),
}
