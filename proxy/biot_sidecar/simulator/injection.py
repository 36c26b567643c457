"""Does to a connection what a fault says: an error of BioT's, a delay, a reset, an answer that is cut or no JSON."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus

from aiohttp import web

from biot_sidecar.simulator.faults import Fault
from biot_sidecar.simulator.login import login_failed, service_locked, token_not_valid
from biot_sidecar.simulator.values import BiotError

_CODES = {403: "ACCESS_DENIED", 500: "INTERNAL_SERVER_ERROR", 504: "GATEWAY_TIMEOUT"}
_CUT_BODY = b'{"data": [{"_id": "'
_ANNOUNCED = 4096  # bytes, far more than is sent


async def inject(fault: Fault, request: web.Request) -> web.StreamResponse | None:
    """The answer of the fault; None when the request goes on as usual. Raises BiotError for errors in BioT's shape."""
    match fault.kind:
        case "token_not_valid":
            raise token_not_valid()
        case "login_failed":
            raise login_failed()
        case "service_locked":
            raise service_locked()
        case "status":
            raise BiotError(fault.status, _code(fault.status), "A fault of the simulator")
        case "slow":
            await asyncio.sleep(fault.delay)
            return None
        case "reset":
            return _reset(request)
        case "half_answer":
            return await _half_answer(request)
        case _:
            return web.Response(body=_CUT_BODY, content_type="application/json")


def _code(status: int) -> str:
    """BioT's code where it documents one for the status, else the status's own name."""
    if status in _CODES:
        return _CODES[status]
    return HTTPStatus(status).name if status in set(HTTPStatus) else f"STATUS_{status}"


def _reset(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None:
        # Lingering for no time at all makes close() send RST instead of FIN.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)  # for the log; the connection is gone


async def _half_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(_ANNOUNCED), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(_CUT_BODY)
    if request.transport is not None:
        request.transport.close()  # what is written still goes out
    return response
