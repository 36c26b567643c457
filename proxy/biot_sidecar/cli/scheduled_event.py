"""`biot-sidecar trigger schedule`: the event of a schedule (`cronSchedule` of BioT's plugins API). No HTTP request is
behind it: AWS hands it to the function as it is, by Lambda's Invoke API, which `lambda` and AWS's own emulator have.

BioT does not publish what it sends. Without a file it is what BioT's one public scheduled plugin reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult

from biot_sidecar.errors import BadSettings
from biot_sidecar.regular_file import read_file
from biot_sidecar.simulator.values import with_values

SCHEDULE: Final = "schedule"
_INVOKE_PATH: Final = "/2015-03-31/functions/function/invocations"
_FAILED: Final = "X-Amz-Function-Error"
_LARGEST: Final = 6 * 1024 * 1024
"""Bytes of an event; Lambda takes no more."""


class Reply(NamedTuple):
    """What came back: the status of the plugin's HTTP response, its header fields, its body."""

    status: int
    fields: Mapping[str, str]
    body: bytes


def scheduled_event(file: str | None, sets: Mapping[str, Any]) -> dict[str, Any]:
    """The event of the file, or BioT's, with the values put in at dotted paths. Raises BadSettings."""
    event = {"headers": {}, "body": {"scheduled": True}} if file is None else _event_of(file)
    return with_values(event, sets)


def invoke_url(plugin: SplitResult) -> SplitResult:
    """The Invoke API of the function whose address this is; a URL with a path is one already."""
    return plugin._replace(path=_INVOKE_PATH) if plugin.path in ("", "/") else plugin


def status_of(reply: Reply) -> int:
    """The `statusCode` of the function's reply, if it has one; an error that ended it is a 502, as at its URL."""
    if reply.status == 200 and any(name.lower() == _FAILED.lower() for name in reply.fields):
        return 502
    try:
        value = json.loads(reply.body)
        return int(value["statusCode"]) if reply.status == 200 else reply.status
    except (ValueError, TypeError, KeyError, RecursionError):
        return reply.status


def _event_of(path: str) -> dict[str, Any]:
    reason = "an event is a JSON object"
    try:
        data = read_file(path, _LARGEST + 1)
        event = json.loads(data) if len(data) <= _LARGEST else None
        if isinstance(event, dict):
            return event
        if len(data) > _LARGEST:
            reason = "an event has at most 6 MiB"
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror or 'no such file'}"
    except (ValueError, RecursionError):  # no UTF-8, no JSON, a NUL in the name
        reason = "this is no JSON"
    raise BadSettings([f"{path}: error: {reason}"])
