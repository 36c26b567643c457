"""How the pages for browsers, the inspector's and the simulator's, are served: their media types and the fields that
keep other sites out (Content Security Policy, Level 3; Fetch Standard, sections 3.7 and 3.8).
"""

from __future__ import annotations

from typing import Final

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every response with a part of a page."""
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}


def media_type(name: str) -> str:
    """The media type of a part, by the end of its file's name."""
    return _TYPES[name.rpartition(".")[2]]
