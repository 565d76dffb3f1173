"""Settings of Sphinx for the documentation site and the man pages: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

from gearcore import __version__

sys.path.insert(0, str(Path(__file__).parent))  # manual.py

project = "gearcore"
author = "The gearcore developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "manual"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # as the source has them: values may be of this machine
autodoc_type_aliases = {name: name for name in ("Servers", "JobEvent")}
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
add_module_names = False

html_theme = "furo"
html_title = f"gearcore {version}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

man_pages = [
    ("man/gearcore.1", "gearcore", "run, use and look after Gearman job servers", author, 1),
    ("man/gearcored.8", "gearcored", "a Gearman job server", author, 8),
]

OF_THE_ROOT = {
    "../README.md": "index.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../SECURITY.md": "security.md",
    "../CHANGELOG.md": "changelog.md",
    "../examples/README.md": "examples.md",
}
"""Pages outside of this directory, and those that have their text here."""


def lead_to_the_site(app: Sphinx, name: str, source: list[str]) -> None:
    """Have links to pages of the root, which are right where a page is read as a file, stay in the site."""
    for there, here in OF_THE_ROOT.items():
        source[0] = source[0].replace(f"]({there}", f"]({here}")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", lead_to_the_site)
