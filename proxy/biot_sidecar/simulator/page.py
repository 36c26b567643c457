"""The simulator's page at /_simulator/, its parts, and who may ask for anything there: no page of another site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Final

from aiohttp import web

from biot_sidecar.page_headers import HEADERS, media_type
from biot_sidecar.simulator.browser_guard import is_foreign_page, names_this_machine
from biot_sidecar.simulator.values import BiotError

PREFIX: Final = "/_simulator"
_SHARED: Final = ("app.css", "clipboard.js", "dom.js", "format.js", "icon.svg")
"""Parts of the inspector's page that this one shows, too."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def page_routes() -> list[tuple[str, str, Handler]]:
    """Method, path below /_simulator, handler."""
    package = files("biot_sidecar")
    own = {file.name: file.read_bytes() for file in package.joinpath("simulator", "static").iterdir()}
    shared = {name: package.joinpath("inspector", "static", name).read_bytes() for name in _SHARED}
    return [
        ("GET", "", _to_the_page),
        ("GET", "/", _part("index.html", own.pop("index.html"))),
        *(("GET", f"/assets/{name}", _part(name, body)) for name, body in (shared | own).items()),
    ]


def check_caller(request: web.Request) -> None:
    """Raises BiotError for a call that a browser makes on behalf of another site, or under a rebound name."""
    if not _may_be_named(request.headers.get("Host", "")):
        raise BiotError(421, "HOST_REFUSED", "The simulator's own endpoints are for this machine")
    if is_foreign_page(request.headers):
        raise BiotError(403, "BROWSER_REFUSED", "A page of another site may not ask for this")


def _may_be_named(host: str) -> bool:
    """A loopback name or address; any address, or a name without a dot (a container's), cannot be another site's."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    is_address = name.startswith("[") or name.replace(".", "").isdigit()
    return names_this_machine(host) or is_address or "." not in name


def _part(name: str, body: bytes) -> Handler:
    kind = media_type(name)

    async def serve(request: web.Request) -> web.StreamResponse:
        options: dict[str, Any] = {"content_type": kind, "charset": "utf-8"}
        return web.Response(body=body, headers=HEADERS, **options)

    return serve


async def _to_the_page(request: web.Request) -> web.StreamResponse:
    raise web.HTTPPermanentRedirect(PREFIX + "/")
