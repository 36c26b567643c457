"""Which operations BioT has: those that are simulated, completed from the catalogue, and the others, which get 501.

The catalogue is routing's (`routing.biot_operations`). It says of each operation whether it is public, which permission
it needs and whether it can be intercepted, so that the simulator's own table (`operations`) names only handlers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from biot_sidecar.routing import biot_operations
from biot_sidecar.simulator import lenient
from biot_sidecar.simulator.refusals import check_body
from biot_sidecar.simulator.router import Handler, Operation
from biot_sidecar.simulator.values import Answer, BiotError, Call

_BY_TEMPLATE = "/templates/{templateName}"
"""The way to create by a template's name: as interceptable as that by its id, though BioT's list is silent about it."""


def completed(simulated: Iterable[Operation]) -> list[Operation]:
    """Every operation of BioT's: the simulated ones with what the catalogue knows of them, and the others."""
    ours = {operation.api_id: _checked(operation) for operation in simulated}
    known = {one.method + one.path: one for one in biot_operations.operations()}
    for api_id, one in known.items():
        operation = ours.get(api_id) or Operation(one.method, one.path, _not_simulated, simulated=False)
        by_template = known.get(one.method + one.path.replace(_BY_TEMPLATE, ""))
        interceptable = one.interceptable is True or (by_template is not None and by_template.interceptable is True)
        ours[api_id] = replace(operation, public=one.public, permission=one.permission, interceptable=interceptable)
    return list(ours.values())


def _checked(operation: Operation) -> Operation:
    """The operation with a handler that refuses bodies as the table of facts says."""
    handler: Handler = operation.handler

    def check_and_handle(call: Call) -> Answer:
        warned = check_body(call)
        try:
            return handler(call if warned is None else replace(call, body=lenient.completed(call)))
        except (LookupError, TypeError, ValueError, AttributeError):
            if warned is None:
                raise
            raise warned from None  # a lenient simulator can make no sense of it, either

    return replace(operation, handler=check_and_handle) if operation.checked else operation


def not_simulated(operation: Operation) -> BiotError:
    """The refusal of an operation that BioT has and the simulator does not."""
    message = f"BioT has {operation.method} {operation.path}; the simulator does not answer it"
    return BiotError(501, "NOT_SIMULATED", message, {"apiId": operation.api_id})


def _not_simulated(call: Call) -> Answer:
    raise AssertionError("an operation that is not simulated is refused before its handler")
