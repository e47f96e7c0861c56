"""Sphinx: the manual. ``scripts/docs.sh`` builds it; the pages need no network and no script for their equations."""

from __future__ import annotations

from typing import Any

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

from marbench.version import __version__

project = "marbench"
author = "The marbench authors"
copyright = "The marbench authors"
release = version = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # docstrings give types, with shapes and units
autodoc_member_order = "bysource"
templates_path = ["templates"]
numpydoc_show_class_members = False  # autodoc shows a class's own ones
# A name in single backticks is a link where the manual has its page, and code elsewhere.
default_role = "autolink"
nitpick_ignore_regex = [("py:obj", ".*")]

html_math_renderer = "mathml"  # see `setup`
html_theme = "pydata_sphinx_theme"
html_title = "marbench"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navbar_center": [],
    "navbar_persistent": [],
    "navbar_end": ["theme-switcher", "search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"**": ["contents"]}
html_static_path = ["static"]
html_css_files = ["manual.css"]


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _display(translator: Any, node: Any) -> None:
    translator.body.append(f'<div class="math-block">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise SkipNode


def setup(app: Any) -> None:
    """Let browsers set equations themselves, as MathML: no network, no script."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
