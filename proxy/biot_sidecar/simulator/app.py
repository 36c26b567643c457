"""The simulator as an aiohttp application: HTTP in front of Simulator, faults, the log and the control endpoints."""

from __future__ import annotations

import traceback

from aiohttp import web
from aiohttp.typedefs import Handler

from biot_sidecar.simulator import control
from biot_sidecar.simulator.event_poster import post_event
from biot_sidecar.simulator.files import STORAGE
from biot_sidecar.simulator.history import GONE, Seen, log
from biot_sidecar.simulator.injection import inject
from biot_sidecar.simulator.options import Clock, SimulatorOptions
from biot_sidecar.simulator.page import check_caller
from biot_sidecar.simulator.simulator import Incoming, Simulator
from biot_sidecar.simulator.tokens import Signer
from biot_sidecar.simulator.values import Answer, BiotError

__all__ = ["SimulatorOptions", "make_app"]

_SEEN = web.RequestKey("seen", Seen)
_LARGEST_BODY = 64 * 1024 * 1024


def make_app(options: SimulatorOptions, clock: Clock, signer: Signer | None = None) -> web.Application:
    """The whole simulator. Making a `signer` takes a fraction of a second; tests share one."""
    simulator = Simulator(options, clock, post_event, signer or Signer())
    front = Front(simulator)
    app = web.Application(middlewares=[front.watch], client_max_size=_LARGEST_BODY)
    app.on_shutdown.append(front.close)
    control.add_routes(app, simulator)
    app.router.add_route("*", "/{path:.*}", front.biot)
    return app


class Front:
    """The middleware that sees every request, and the one handler for everything that is BioT's."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record and log what is BioT's (and echo), meet faults, and turn refusals into BioT's error shape."""
        path = request.rel_url.raw_path
        own = (path + "/").startswith(control.PREFIX + "/") and not path.startswith(control.ECHO)
        if own:
            return await self._own(request, handler)
        seen = self._simulator.recorded(
            request.method, path, control.header_names(request), request.headers.get("traceparent")
        )
        request[_SEEN] = seen
        try:
            response = await self._faulty(request, handler, seen)
            seen.status = 0 if seen.fault == "reset" else response.status
            return response
        finally:
            seen.seconds = self._simulator.clock() - seen.at
            log.info(seen.line())

    async def close(self, app: web.Application) -> None:
        await self._simulator.plugin_events.close()

    async def biot(self, request: web.Request) -> web.StreamResponse:
        """Everything that is not the simulator's own."""
        seen = request[_SEEN]
        body = await request.read()
        seen.body_bytes = len(body)
        incoming = Incoming(
            method=request.method,
            path=seen.path,
            query=request.rel_url.raw_query_string,
            headers=request.headers,
            interception=tuple(request.headers.getall("allow-interception", ())),
            body=body,
            base_url=f"{request.scheme}://{request.host}",
            source=_source(request),
        )
        return _response(await self._simulator.answer(incoming, seen))

    async def _faulty(self, request: web.Request, handler: Handler, seen: Seen) -> web.StreamResponse:
        fault = self._simulator.faults.take(request.method, seen.path)
        seen.fault = fault.kind if fault else ""
        try:
            injected = await inject(fault, request) if fault else None
            return injected or await handler(request)
        except BiotError as error:
            response = _response(self._simulator.refusal(error, seen))
            if fault and fault.retry_after is not None:
                response.headers["Retry-After"] = str(fault.retry_after)
            return response
        except ConnectionError:
            return web.Response(status=GONE)  # the caller went away; nobody will read this
        except web.HTTPException as error:  # a body over the limit, a target that is no path
            refused = BiotError(error.status, error.reason.upper().replace(" ", "_"), error.reason)
            return _response(self._simulator.refusal(refused, seen))
        except Exception as error:
            log.error("the simulator failed: %s at\n%s", type(error).__name__, where(error))
            return _response(
                self._simulator.refusal(
                    BiotError(500, "INTERNAL_SERVER_ERROR", "The simulator failed; its log says where"), seen
                )
            )

    async def _own(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not request.rel_url.raw_path.startswith(STORAGE):  # signed URLs are for whoever has them
                check_caller(request)
            return await handler(request)
        except BiotError as error:
            return _response(error.answer("BioT simulator", ""))


def _source(request: web.Request) -> str:
    address = request.transport.get_extra_info("peername") if request.transport else None
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "127.0.0.1:0"


def where(error: Exception) -> str:
    """Where an error came from, without its message: that may quote a body."""
    return "".join(traceback.format_tb(error.__traceback__))


def _response(answer: Answer) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status)
    return web.json_response(answer.body, status=answer.status)
