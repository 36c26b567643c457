"""The parts of a multipart/form-data body: JSON parts as what they say, other ones as how long they are."""

from __future__ import annotations

import json
from email.message import Message
from email.parser import BytesParser
from typing import Any

from biot_sidecar.simulator.values import BiotError, Json


def parts_of(content_type: str, body: bytes) -> Json:
    """The parts by name. Raises BiotError 400 for a body that is no form, or a part that should be JSON and is none."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser().parsebytes(head + body)
    payload = message.get_payload()
    if not message.is_multipart() or not isinstance(payload, list):
        raise BiotError(400, "BAD_REQUEST", "The request body is no multipart/form-data")
    return {name: _value(part) for part in payload if isinstance(part, Message) and (name := _name(part))}


def _name(part: Message) -> str:
    return str(part.get_param("name", "", header="Content-Disposition"))


def _value(part: Message) -> Any:
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else b""
    if part.get_filename() and part.get_content_type() != "application/json":
        return f"{len(data)} bytes"
    try:
        return json.loads(data)
    except ValueError:
        name = _name(part)
        raise BiotError(400, "BAD_REQUEST", f"The part [{name}] is not JSON") from None
