"""Does a 401 reject our token, or something else? Only TOKEN_NOT_VALID is about the token (BioT API)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from biot_sidecar.routing.route import Verdict

BODY_LIMIT_BYTES: Final = 64 * 1024


def is_about_another_token(verdict: Verdict | None) -> bool:
    """True for public operations, such as /ums/v1/tokens/{token}: their 401 speaks of a token in the path."""
    return verdict is not None and verdict.operation is not None and verdict.operation.public


def token_rejected(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """True for a 401 whose JSON has `code` TOKEN_NOT_VALID, or whose body is not BioT's at all."""
    try:
        content = json.loads(_plain(headers, body))
    except (ValueError, RecursionError):  # no JSON, or nested without end
        return True
    if not isinstance(content, dict) or not isinstance(content.get("code"), str):
        return True
    return bool(content["code"] == "TOKEN_NOT_VALID")


def _plain(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    """`body` without gzip or deflate, as plugins that accept compression get it; bounded against bombs."""
    coding = b",".join(value for name, value in headers if name.lower() == b"content-encoding").lower()
    if coding not in {b"gzip", b"x-gzip", b"deflate"}:
        return body
    import zlib  # 0.15 MB, which nobody else asks for

    try:
        return zlib.decompressobj(wbits=47).decompress(body, BODY_LIMIT_BYTES)
    except zlib.error:
        return b""
