"""The paths that the sidecar serves itself, and BioT's login, which it may answer in BioT's place."""

from __future__ import annotations

import re
from typing import Final

LOGIN_PATH: Final = "/ums/v2/services/accessToken"
LOCAL_PATHS: Final = frozenset({b"/metrics", b"/healthz", b"/readyz"})
LOCAL_PREFIX: Final = b"/_sidecar"
_BEGINNINGS: Final = frozenset({b"m", b"h", b"r", b"_", b"%", b"/"})
"""What follows the first slash of a local path, however it is spelled."""
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def local_path(target: bytes) -> bytes | None:
    """The path in its plain spelling when `target` belongs to the sidecar itself, else None.

    Any spelling that BioT might read as a local path counts: escapes, doubled and final slashes.
    """
    if target[1:2] not in _BEGINNINGS:
        return None
    path = target.partition(b"?")[0]
    if b"%" in path or b"//" in path or path.endswith(b"/"):
        path = _plain(path)
    return path if is_local(path) else None


def is_local(path: bytes) -> bool:
    """True for a path, plainly spelled, that the sidecar answers itself."""
    return path in LOCAL_PATHS or path == LOCAL_PREFIX or path.startswith(LOCAL_PREFIX + b"/")


def _plain(path: bytes) -> bytes:
    decoded = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), path)
    return b"/" + b"/".join(segment for segment in decoded.split(b"/") if segment)
