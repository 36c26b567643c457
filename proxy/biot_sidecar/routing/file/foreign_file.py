"""Files that are no routes files: who names the secret's file by mistake must not find the secret in a log."""

from __future__ import annotations

import re
from typing import Final

from biot_sidecar.routing.file.diagnostics import Diagnostics, quoted
from biot_sidecar.routing.file.keys import FILE
from biot_sidecar.routing.file.tree import Mapping, Node, Sequence
from biot_sidecar.routing.file.values import can_have_keys
from biot_sidecar.suggest import suggest

_SLIP: Final = 0.8  # likeness of a slip of the finger
# Not compiled: one start needs it once. Before the key the file or a line begins, or a mapping in braces.
_SECTION: Final = rf"(?:\A(?:\xef\xbb\xbf)?|[\r\n{{,?])\s*[\"']?(?:{'|'.join(FILE)})[\"']?\s*:".encode("latin-1")
_WANTED: Final = "a routes file is a mapping that begins with version: 1"


def names_a_section(data: bytes) -> bool:
    """True when one of the file's top keys seems to be there: only then may messages quote the file."""
    return re.search(_SECTION, data) is not None


def refuse_foreign(root: Node, report: Diagnostics) -> None:
    """Report that this is no routes file, and keys that are one of its keys but for a slip."""
    if can_have_keys(root) and not isinstance(root, Mapping):
        report.error(root, "version is missing; write version: 1")
        return
    entries = root.entries if isinstance(root, Mapping) else ()
    slips = [(key, near) for key, _ in entries if (near := suggest(key.text.lower(), FILE, _SLIP)) is not None]
    for key, near in slips:
        report.error(key, f"unknown key {quoted(key.text)}; did you mean {near}?")
    if not slips:
        what = (
            f"this has none of {', '.join(FILE)}"
            if isinstance(root, Mapping)
            else f"this is a {'list' if isinstance(root, Sequence) else 'text'}"
        )
        report.error(root, f"{_WANTED}; {what}")
