"""What a Lambda function URL makes of an HTTP request (an event, payload version 2.0) and of the function's reply."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from biot_sidecar.simulator.values import Json

LARGEST: Final = 6 * 1024 * 1024
"""Bytes of a request's body and of a reply; Lambda takes no more."""

_TEXT: Final = re.compile(r"text/|application/(?:json|xml|javascript|[\w.-]+\+(?:json|xml))\s*(?:;|$)", re.IGNORECASE)
_CONNECTION_FIELDS: Final = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)
"""Header fields that are about a connection: the function neither gets nor decides them."""


@dataclass(frozen=True)
class FrontRequest:
    """An HTTP request as it came. `path` and `query` are raw; `fields` are the header fields in wire order."""

    method: str
    path: str
    query: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str
    protocol: str = "HTTP/1.1"


@dataclass(frozen=True)
class Invocation:
    """What Lambda knows of one event beside the request: its id, when it came (seconds), the trace's root."""

    request_id: str
    at: float
    trace_root: str
    region: str = "us-east-1"


@dataclass(frozen=True)
class FrontResponse:
    """What the caller of the function URL gets."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes


class BadReply(Exception):
    """A reply that no function URL can turn into an HTTP response; the text says why and quotes nothing of it."""


def event_of(request: FrontRequest, invocation: Invocation) -> Json:
    """The event. Of a header field or query parameter that comes several times the values are joined by commas."""
    body, encoded = _body(request)
    url_id = "biotsidecar"
    domain = f"{url_id}.lambda-url.{invocation.region}.on.aws"
    lowered = ((name.lower(), value) for name, value in request.fields)
    fields = _joined((name, value) for name, value in lowered if name not in _CONNECTION_FIELDS)
    if request.body:
        fields["content-length"] = str(len(request.body))
    cookies = [cookie.strip() for cookie in fields.pop("cookie", "").split(";") if cookie.strip()]
    at = datetime.fromtimestamp(invocation.at, UTC)
    event: Json = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        **({"cookies": cookies} if cookies else {}),
        "headers": fields
        | {
            "host": domain,
            "x-amzn-trace-id": invocation.trace_root,
            "x-forwarded-for": request.source_ip,
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": url_id,
            "domainName": domain,
            "domainPrefix": url_id,
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": fields.get("user-agent", ""),
            },
            "requestId": invocation.request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": f"{at:%d}/{_MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S} +0000",
            "timeEpoch": int(invocation.at * 1000),
        },
    }
    if request.query:
        event["queryStringParameters"] = _joined(parse_qsl(request.query, keep_blank_values=True))
    if body is not None:
        event["body"] = body
    return event | {"isBase64Encoded": encoded}


def response_of(reply: bytes) -> FrontResponse:
    """The HTTP response for a reply. JSON without `statusCode` is a 200 with that JSON. Raises BadReply."""
    try:
        value = json.loads(reply)
    except ValueError:
        raise BadReply("the reply is no JSON") from None
    if not isinstance(value, dict) or "statusCode" not in value:
        body = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return FrontResponse(200, (("Content-Type", "application/json"),), body.encode("utf-8", "replace"))
    fields = _reply_fields(value.get("headers"))
    if not any(name.lower() == "content-type" for name, _ in fields):
        fields = (("Content-Type", "application/json"), *fields)
    return FrontResponse(_status(value["statusCode"]), (*fields, *_cookies(value.get("cookies"))), _reply_body(value))


def raw_response(reply: bytes) -> FrontResponse:
    """What the caller of Lambda's Invoke API gets: the reply as it is."""
    return FrontResponse(200, (("Content-Type", "application/json"),), reply)


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _body(request: FrontRequest) -> tuple[str | None, bool]:
    """The body as the event holds it, and whether it is in base64: whatever is not text by its media type is."""
    if not request.body:
        return None, False
    fields = {name.lower(): value for name, value in request.fields}
    if _TEXT.match(fields.get("content-type", "")) and "content-encoding" not in fields:
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass  # the media type promised too much
    return base64.b64encode(request.body).decode(), True


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        separator = ";" if name == "cookie" else ","
        joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
    return joined


def _status(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or not 200 <= int(text) <= 599:
        raise BadReply("its statusCode is no status of a final response, 200 to 599")
    return int(text)


def _reply_fields(value: Any) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise BadReply("its headers are no object")
    found = []
    for name, one in value.items():
        text = json.dumps(one) if isinstance(one, (bool, int, float)) else one
        if not isinstance(text, str) or not _is_field(name, text):
            raise BadReply("its headers hold something that is no header field")
        if name.lower() not in _CONNECTION_FIELDS:
            found.append((name, text))
    return tuple(found)


def _is_field(name: str, value: str) -> bool:
    """RFC 9110, section 5.1 and 5.5."""
    return bool(re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII)) and not re.search(r"[\r\n\0]", value)


def _cookies(value: Any) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and _is_field("a", one) for one in value):
        raise BadReply("its cookies are no list of texts")
    return tuple(("Set-Cookie", one) for one in value)


def _reply_body(reply: Json) -> bytes:
    """The body's bytes. What is no text becomes compact JSON, as at AWS: error replies of BioT's seeds hold objects."""
    body = reply.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if not reply.get("isBase64Encoded"):
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise BadReply("its body is no base64, though isBase64Encoded says so") from None


def has_body(status: int) -> bool:
    """Whether a response of this status may have a body (RFC 9110, section 6.4.1)."""
    return status not in (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED)
