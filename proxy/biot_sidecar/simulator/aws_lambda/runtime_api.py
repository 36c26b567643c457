"""AWS's Lambda Runtime API (2018-06-01): what the plugin's runtime client asks and tells, on a port of its own for each
environment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web

from biot_sidecar.simulator.aws_lambda.environment import Environment, NotExpected
from biot_sidecar.simulator.aws_lambda.function_url import LARGEST, BadReply
from biot_sidecar.simulator.aws_lambda.names import function_arn

_PREFIX: Final = "/2018-06-01/runtime"
_STATUS: Final = {"InvalidRequestID": 400, "InvalidStateTransition": 403}
_LOCAL: Final = "127.0.0.1"

Asked = Callable[[Environment], None]
Useless = Callable[[Environment, str], None]


class RuntimeApi:
    """Serves environments. `asked` hears that one asks for an event, `useless` that its reply is none, and `say` what a
    user should know.
    """

    def __init__(self, asked: Asked, useless: Useless, say: Callable[[str], None], region: str, name: str) -> None:
        self._asked = asked
        self._useless = useless
        self._say = say
        self._arn = function_arn(region, name)
        self._environments: dict[int, Environment] = {}  # by port
        app = web.Application(client_max_size=2 * LARGEST)
        app.router.add_get(_PREFIX + "/invocation/next", self._next)
        app.router.add_post(_PREFIX + "/invocation/{id}/response", self._response)
        app.router.add_post(_PREFIX + "/invocation/{id}/error", self._error)
        app.router.add_post(_PREFIX + "/init/error", self._init_error)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> RuntimeApi:
        await self._runner.setup()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def serve(self, environment: Environment) -> str:
        """The address of this environment's Runtime API, `HOST:PORT`."""
        before = {port for _, port, *_ in self._runner.addresses}
        await web.TCPSite(self._runner, _LOCAL, 0).start()
        (port,) = {port for _, port, *_ in self._runner.addresses} - before
        self._environments[port] = environment
        return f"{_LOCAL}:{port}"

    def _environment(self, request: web.Request) -> Environment:
        if request.transport is None:
            raise ConnectionResetError
        return self._environments[request.transport.get_extra_info("sockname")[1]]

    async def _next(self, request: web.Request) -> web.Response:
        environment = self._environment(request)
        try:
            asking = environment.ask()
        except NotExpected as error:
            return _refused(error)
        self._asked(environment)
        event = await asking
        headers = {
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(event.deadline),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": f"{event.trace_root};Sampled=0",
        }
        return web.Response(body=event.body, content_type="application/json", headers=headers)

    async def _response(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = bytes(LARGEST + 1)
        environment = self._environment(request)
        try:
            if not environment.replied(request.match_info["id"], body):
                error = {"errorType": "RequestEntityTooLarge", "errorMessage": "The reply is too large"}
                return web.json_response(error, status=413)
        except NotExpected as error:
            return _refused(error)
        except BadReply as error:
            self._useless(environment, str(error))
        return _accepted()

    async def _error(self, request: web.Request) -> web.Response:
        error_type = request.headers.get("Lambda-Runtime-Function-Error-Type", "")
        try:
            self._environment(request).failed(request.match_info["id"], await request.read(), error_type)
        except NotExpected as error:
            return _refused(error)
        return _accepted()

    async def _init_error(self, request: web.Request) -> web.Response:
        error_type = request.headers.get("Lambda-Runtime-Function-Error-Type", "")
        self._say(f"the plugin could not start: {error_type or 'Runtime.Unknown'}; its own output says why")
        return _accepted()


def _accepted() -> web.Response:
    return web.json_response({"status": "OK"}, status=202)


def _refused(error: NotExpected) -> web.Response:
    body = {"errorType": str(error), "errorMessage": "This does not fit what the runtime is at"}
    return web.json_response(body, status=_STATUS[str(error)])
