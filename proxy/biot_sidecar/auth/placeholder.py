"""A plugin's own login, and the token it gets here: BioT's shape, no power, and known again when it comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from biot_sidecar.routing.local_paths import LOGIN_PATH
from biot_sidecar.routing.path_normalization import path_variants, segments_of
from biot_sidecar.routing.pattern_tree import fold
from biot_sidecar.routing.route import Verdict

LIFE: Final = 30 * 60
"""Seconds; what BioT gives its own tokens by default (BioT docs, making API calls from the plugin)."""
_MARK: Final = b".biot-sidecar-placeholder"
_SCHEME: Final = b"bearer "
_LOGIN: Final = tuple(map(fold, segments_of(LOGIN_PATH.encode())))


def logs_in(method: bytes, verdict: Verdict) -> bool:
    """True for the service user's login."""
    return method == b"POST" and verdict.operation is not None and verdict.operation.path == LOGIN_PATH


def might_log_in(method: bytes, target: bytes) -> bool:
    """True if some server might take it for the login, however the path, which routes accept, is spelled."""
    if method.upper() != b"POST":
        return False
    path = target.partition(b"?")[0]
    return any(tuple(map(fold, variant)) == _LOGIN for variant in path_variants(path, segments_of(path)))


def placeholder_answer(now: float) -> bytes:
    """The body of a service login's answer, at `now` in wall-clock seconds."""
    expires = now + LIFE
    # Three digits and a Z, as BioT writes it: Python before 3.11 reads no other fraction.
    text = datetime.fromtimestamp(expires, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    claims = {"scopes": [], "tokenType": "PLACEHOLDER", "exp": int(expires)}
    token = _part({"alg": "none"}) + b"." + _part(claims) + _MARK
    return json.dumps({"accessToken": token.decode("ascii"), "accessTokenExpiration": text}).encode()


def is_placeholder(value: bytes) -> bool:
    """True for an Authorization value that carries a placeholder, of this sidecar or another."""
    return value.endswith(_MARK) and value[: len(_SCHEME)].lower() == _SCHEME


def _part(value: Mapping[str, object]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")
