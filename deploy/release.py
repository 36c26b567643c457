"""Says whether a tag may be released: release.py v1.2.3 NOTES.md

Writes the tag's section of the changelog into NOTES.md and prints `version=1.2.3`, or ends with 1 and what is wrong.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def problem(tag: str, version: str, changelog: str) -> str:
    """Why that tag is no release of this tree; empty if it is one."""
    if tag != f"v{version}":
        return f"the tag is {tag}, but this is version {version}"
    if not re.search(rf"^## \[{re.escape(version)}\] - 20\d\d-\d\d-\d\d$", changelog, re.MULTILINE):
        return f"CHANGELOG.md has no section `## [{version}] - DATE`"
    return "" if notes(version, changelog) else f"CHANGELOG.md says nothing of {version}"


def notes(version: str, changelog: str) -> str:
    """What the changelog says of a version."""
    return changelog.partition(f"\n## [{version}]")[2].partition("\n")[2].partition("\n## [")[0].strip()


def main(tag: str, file: str) -> int:
    source = (ROOT / "proxy" / "biot_sidecar" / "__init__.py").read_text(encoding="utf-8")
    version = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)[0]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if wrong := problem(tag, version, changelog):
        print(wrong, file=sys.stderr)
        return 1
    Path(file).write_text(notes(version, changelog) + "\n", encoding="utf-8")
    print(f"version={version}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
