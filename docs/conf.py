"""The site that `make site` builds: the pages as they lie in the repository, README first. Run from the root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

project = "biot-sidecar"
copyright = "Apache-2.0"  # noqa: A001
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "deploy/README.md", "tests/README.md", "tests/bench/*.md"]
exclude_patterns = ["build", ".*", "dist"]
suppress_warnings = ["toc.not_included"]  # a decision is reached from the list of decisions
nitpicky = True

html_theme = "furo"
html_title = "biot-sidecar"
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4
myst_links_external_new_tab = False

GROUPS = {
    "For plugin authors": ["rules", "errors", "testing", "limits"],
    "For operators": [
        "deploy/README",
        "settings",
        "metrics",
        "log",
        "sizing",
        "networks",
        "platforms",
        "upgrade",
        "troubleshooting",
    ],
    "For reviewers": ["threat-model", "SECURITY", "RELEASING", "decisions/README"],
    "For who changes it": ["CONTRIBUTING", "architecture", "compiled", "CHANGELOG"],
}
"""The list at the side; a page that is not there is left out."""


def add_contents(app: Any, name: str, source: list[str]) -> None:
    """README gets the list at its end; on other sites it is a page like any other, without it."""
    if name != root_doc:
        return
    root = Path(app.srcdir)
    for caption, pages in GROUPS.items():
        found = [path for page in pages for path in (f"docs/{page}", page) if (root / f"{path}.md").is_file()]
        listing = "\n".join(found)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listing}\n```\n"


def setup(app: Any) -> None:
    app.connect("source-read", add_contents)
